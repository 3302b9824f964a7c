//! The administrator's ticket: got with a password into a private folder, or found in the current ccache.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use entra_krb5::{Error, Kind, Password};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::host::private::PrivateFolder;
use crate::output::span;

/// Longest wait for the KDC.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Shortest life that a ticket must have left: a join takes seconds, its rollback too.
const LEAST: Duration = Duration::from_secs(180);

/// A ticket-granting ticket of somebody with rights.
#[derive(Debug)]
pub struct Ticket {
    /// Residual name of the ccache.
    pub ccache: String,
    /// In words, for the step's line.
    pub detail: String,
}

/// Gets a ticket with a password, into a ccache in `folder`.
///
/// # Errors
/// What the KDC said, in plain words: wrong password, no such account, and so on.
pub fn with_password(
    realm: &str,
    kdc: SocketAddr,
    user: &str,
    password: Zeroizing<String>,
    folder: &PrivateFolder,
) -> Result<Ticket, Failure> {
    // `AADDS\admin` names the account behind the backslash: the realm is known.
    let account = user.rsplit_once('\\').map_or(user, |(_, account)| account);
    let path = folder.file("ccache");
    let end = Password::new(into_bytes(password))
        .and_then(|password| entra_krb5::initial_with_password(realm, kdc, account, &password, &path, TIMEOUT));
    let end = end.map_err(|error| explain(user, kdc, &error))?;
    let detail = format!("{user} has a ticket for {}", left(end));
    Ok(Ticket { ccache: format!("FILE:{}", path.display()), detail })
}

/// The computer's own ticket, and the key behind it.
#[derive(Debug)]
pub struct Prepared {
    /// The ticket.
    pub ticket: Ticket,
    /// A keytab with the key of the one-time password, in the private folder.
    pub keytab: PathBuf,
}

/// Gets a ticket of the computer account itself with its one-time password.
///
/// # Errors
/// As [`with_password`], and when the account's keys are not those that a computer's password gives.
pub fn with_one_time_password(
    realm: &str,
    kdc: SocketAddr,
    computer: &str,
    password: Zeroizing<String>,
    folder: &PrivateFolder,
) -> Result<Prepared, Failure> {
    let (account, ccache, keytab) = (format!("{computer}$"), folder.file("ccache"), folder.file("preset.keytab"));
    let refused = |error: &Error| {
        let remedy = match error.kind {
            Kind::UnknownPrincipal => "have it prepared: `adcli preset-computer`, or give its --computer-name",
            Kind::WrongPassword => "it may have been used already: have it reset (`adcli preset-computer`)",
            _ => return explain(&account, kdc, error),
        };
        explain(&account, kdc, error).remedy(remedy)
    };
    let password = Password::new(into_bytes(password)).map_err(|error| refused(&error))?;
    entra_krb5::initial_with_password(realm, kdc, &account, &password, &ccache, TIMEOUT)
        .map_err(|error| refused(&error))?;
    entra_krb5::add_computer_key(realm, computer, &password, &keytab).map_err(|error| refused(&error))?;
    // adcli will use the key: whether it is the directory's, only a ticket that is got with it tells.
    let name = format!("{account}@{realm}");
    let end = entra_krb5::initial_with_keytab(realm, kdc, Some(&name), &keytab, &ccache, TIMEOUT).map_err(|error| {
        Failure::no("credentials", format!("the password is right, and its AES key is another one: {error}"))
            .remedy("the account was renamed or has no AES keys: have it reset (`adcli preset-computer`)")
    })?;
    let detail = format!("{account} has a ticket for {}", left(end));
    Ok(Prepared { ticket: Ticket { ccache: format!("FILE:{}", ccache.display()), detail }, keytab })
}

/// Finds the current ticket: in the ccache that KRB5CCNAME names, else in root's default one.
///
/// # Errors
/// When there is none of this realm, or it ends too soon.
pub fn current(realm: &str) -> Result<Ticket, Failure> {
    let ccache = std::env::var("KRB5CCNAME").unwrap_or_else(|_| "FILE:/tmp/krb5cc_0".into());
    let none = |why: String| {
        Failure::no("credentials", format!("{ccache}: {why}"))
            .remedy(format!("`kinit ADMIN@{realm}` first, and keep KRB5CCNAME (sudo --preserve-env=KRB5CCNAME)"))
    };
    let end = match entra_krb5::tgt_end(&ccache, realm) {
        Ok(Some(end)) => end,
        Ok(None) => return Err(none(format!("it has no ticket of {realm}"))),
        Err(error) => return Err(none(error.to_string())),
    };
    if end < SystemTime::now() + LEAST {
        return Err(none("its ticket has ended or is about to".into()));
    }
    Ok(Ticket { detail: format!("the ticket in {ccache} is good for {}", left(end)), ccache })
}

fn left(end: SystemTime) -> String {
    span(end.duration_since(SystemTime::now()).map_or(0, |left| left.as_secs()))
}

/// The bytes of the text, without a copy of them.
fn into_bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

fn explain(user: &str, kdc: SocketAddr, error: &Error) -> Failure {
    let (exit, what, remedy) = match error.kind {
        Kind::WrongPassword => (
            Exit::No,
            format!("the password of {user} is wrong"),
            "several wrong ones lock the account: look it up before the next try",
        ),
        Kind::UnknownPrincipal => (
            Exit::No,
            format!("the domain has no account {user}"),
            "name it as sAMAccountName or UPN; an account that exists in Entra only appears in the managed domain after its password was changed there",
        ),
        Kind::Revoked => (
            Exit::No,
            format!("the account {user} is disabled, expired or locked"),
            "have it enabled, or wait until the lockout ends (30 minutes by default)",
        ),
        Kind::KeyExpired => (
            Exit::No,
            format!("the password of {user} has expired or must be changed first"),
            "change it (for Entra Domain Services in Entra), then join again",
        ),
        Kind::EtypeNotSupported => {
            (Exit::No, format!("the account {user} has no AES key"), "change its password once: that makes the keys")
        }
        Kind::ClockSkew => (
            Exit::No,
            "the clocks of this host and the domain controller differ too much".into(),
            "set the clock: `timedatectl set-ntp true`",
        ),
        Kind::Policy => {
            (Exit::No, format!("a policy of the domain forbids {user} to log on from here"), "use another account")
        }
        Kind::WrongRealm => {
            (Exit::No, format!("the account {user} belongs to another domain"), "use an account of this domain")
        }
        Kind::Unreachable | Kind::TimedOut => (
            Exit::NoDirectory,
            format!("the KDC {kdc} gives no answer: {error}"),
            "open port 88 to the domain controller",
        ),
        _ => (Exit::No, format!("no ticket for {user}: {error}"), "see the message"),
    };
    Failure::new(exit, "credentials", what).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let explained = |kind| {
            let error = Error { kind, code: 0, message: "words".into(), ahead: None };
            explain("admin", "10.0.0.1:88".parse().unwrap(), &error)
        };
        assert_eq!(explained(Kind::WrongPassword).error, "the password of admin is wrong");
        assert_eq!(explained(Kind::UnknownPrincipal).error, "the domain has no account admin");
        assert!(explained(Kind::KeyExpired).error.contains("must be changed"));
        assert!(explained(Kind::Revoked).error.contains("disabled, expired or locked"));
        assert_eq!(explained(Kind::TimedOut).exit, Exit::NoDirectory);
        assert!(explained(Kind::Other).error.ends_with("words"));
    }
}
