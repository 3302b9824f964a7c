//! adcli(8) makes and deletes the computer account. It gets a ccache, never a password, and what it says is put into
//! words that name a remedy.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::exit::{Exit, Failure};
use crate::process::{self, Done};

/// Where distributions install it.
const PROGRAM: &str = "/usr/sbin/adcli";
/// Longest run. A join asks the directory some twenty times.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What every call needs.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// DNS name of the domain.
    pub domain: &'a str,
    /// Realm.
    pub realm: &'a str,
    /// The DC to use, as [`server_argument`] gives it.
    pub server: &'a str,
    /// Residual name of the ccache with the administrator's ticket.
    pub ccache: &'a str,
}

/// The account to make.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Name without `$`.
    pub computer: &'a str,
    /// Fully qualified name of this host.
    pub fqdn: &'a str,
    /// DN of the organizational unit or container.
    pub ou: &'a str,
    /// Keytab to write the keys to.
    pub keytab: &'a Path,
}

/// How adcli is told which DC to use. By its address, so that the host's resolver need not know the name; adcli asks the
/// DC for that. It takes no IPv6 address there.
pub fn server_argument(addr: SocketAddr, host: &str) -> String {
    if addr.is_ipv4() { addr.ip().to_string() } else { host.to_owned() }
}

/// Whether adcli is installed.
pub fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

/// Makes the computer account, or takes an existing one over, and writes its keys to the keytab.
///
/// # Errors
/// What adcli said, put into words.
pub fn join(target: Target<'_>, account: Account<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), Failure> {
    let mut command = command("join", target);
    command
        .arg("--login-type=user")
        .arg(format!("--computer-name={}", account.computer))
        .arg(format!("--host-fqdn={}", account.fqdn))
        .arg(format!("--domain-ou={}", account.ou))
        .arg(format!("--host-keytab={}", account.keytab.display()));
    succeed(process::run(&mut command, TIMEOUT, cancelled))
}

/// Gives the computer account, with whose own key in the keytab this is done, a new password, names and keys. It has
/// only the rights that every computer has over its own account.
///
/// # Errors
/// What adcli said, put into words.
pub fn renew(target: Target<'_>, account: Account<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), Failure> {
    let mut command = Command::new(PROGRAM);
    // The servers are chosen here: no plugin of ours names others (see common/krb5-plugin).
    command.env("ENTRA_NSS_OFF", "1");
    command
        .arg("update")
        .arg("--verbose")
        .arg(format!("--domain={}", target.domain))
        .arg(format!("--domain-controller={}", target.server))
        .arg(format!("--computer-name={}", account.computer))
        .arg(format!("--host-fqdn={}", account.fqdn))
        .arg(format!("--host-keytab={}", account.keytab.display()))
        .arg("--computer-password-lifetime=0");
    for service in ["host", "RestrictedKrbHost"] {
        for name in [account.computer, account.fqdn] {
            command.arg(format!("--add-service-principal={service}/{name}"));
        }
    }
    succeed(process::run(&mut command, TIMEOUT, cancelled))
}

/// Deletes the computer account. Gives false where there was none.
///
/// # Errors
/// What adcli said, put into words.
pub fn delete(target: Target<'_>, computer: &str) -> Result<bool, Failure> {
    let mut command = command("delete-computer", target);
    command.arg(computer);
    match process::run(&mut command, TIMEOUT, &|| false) {
        Ok(done) if !done.success && done.errors.contains("No computer account for") => Ok(false),
        done => succeed(done).map(|()| true),
    }
}

fn command(verb: &str, target: Target<'_>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("ENTRA_NSS_OFF", "1");
    command
        .arg(verb)
        .arg("--verbose")
        .arg(format!("--domain={}", target.domain))
        .arg(format!("--domain-realm={}", target.realm))
        .arg(format!("--domain-controller={}", target.server))
        .arg(format!("--login-ccache={}", target.ccache));
    command
}

fn succeed(done: Result<Done, String>) -> Result<(), Failure> {
    match done {
        Ok(done) if done.success => Ok(()),
        Ok(done) => Err(interpret(&done.errors)),
        Err(error) => Err(Failure::no("account", error)),
    }
}

/// What adcli's messages mean: a part of the message, what to do, and the exit status.
const MEANINGS: [(&str, &str, Exit); 9] = [
    // ERROR_DS_MACHINE_ACCOUNT_QUOTA_EXCEEDED (MS-ERREF 2.2: 0x216D)
    (
        "0000216D",
        "this account has joined as many computers as it may: use another one, or have the account prepared",
        Exit::No,
    ),
    ("Insufficient permissions", "use an account that may create computers there, or name another --ou", Exit::No),
    ("insufficient access", "use an account that may create computers there, or name another --ou", Exit::No),
    ("No such object", "name an organizational unit that exists with --ou", Exit::No),
    ("Invalid DN syntax", "write --ou as a DN, such as OU=Servers,DC=example,DC=com", Exit::No),
    ("Clock skew too great", "set the clock: `timedatectl set-ntp true`", Exit::No),
    ("set password for", "open port 464 (kpasswd, TCP and UDP) to the domain controller", Exit::No),
    ("Can't contact LDAP server", "open port 389 to the domain controller", Exit::NoDirectory),
    ("Cannot contact any KDC", "open port 88 to the domain controller", Exit::NoDirectory),
];

/// Puts adcli's last complaint into a failure.
fn interpret(errors: &str) -> Failure {
    // With --verbose, ` ! ` marks complaints and ` * ` progress; the last line sums up.
    let complaints: Vec<_> = errors.lines().filter_map(|line| line.trim_start().strip_prefix("! ")).collect();
    let summary = errors.lines().rev().find_map(|line| line.strip_prefix("adcli: "));
    let said = complaints.last().copied().or(summary).unwrap_or("it failed and gave no reason").trim();
    let said = crate::output::printable(said);
    let meaning = MEANINGS.iter().find(|(part, ..)| errors.contains(part));
    let failure = Failure::new(meaning.map_or(Exit::No, |meaning| meaning.2), "account", format!("adcli: {said}"));
    match meaning {
        Some((_, remedy, _)) => failure.remedy(*remedy),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_become_remedies() {
        let seen = " * Found computer account container\n \
                    ! Insufficient permissions to modify computer account: CN=H,DC=x: 00002098: access\n\
                    adcli: joining domain x failed: Insufficient permissions\n";
        let failure = interpret(seen);
        assert!(failure.error.starts_with("adcli: Insufficient permissions to modify computer account"), "{failure:?}");
        assert!(failure.remedy.unwrap().contains("--ou"));
        assert_eq!(failure.exit, Exit::No);
        let gone = interpret(" ! Couldn't connect to LDAP server: dc1: Can't contact LDAP server\n");
        assert_eq!(gone.exit, Exit::NoDirectory);
    }

    #[test]
    fn unknown_words_are_passed_on_and_silence_is_said() {
        let failure = interpret("adcli: couldn't frobnicate\n");
        assert_eq!((failure.error.as_str(), failure.remedy), ("adcli: couldn't frobnicate", None));
        assert_eq!(interpret("").error, "adcli: it failed and gave no reason");
    }
}
