//! Samba's own programs: what it makes of smb.conf, whether its secret is right, and its services.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::exit::Failure;
use crate::host::service;
use crate::process::{self, Done};

/// Longest run of a program that asks nobody.
const LOCAL: Duration = Duration::from_secs(20);
/// Longest run of one that asks a domain controller.
const REMOTE: Duration = Duration::from_secs(30);
/// Units of the services, by Debian's and by Red Hat's names, in the order in which they are restarted.
const UNITS: [&str; 3] = ["winbind.service", "smbd.service", "smb.service"];

/// Where distributions install them.
const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// A program, where it is installed.
pub(in crate::verbs) fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Refuses a host without the programs that are used here.
///
/// # Errors
/// Which are missing.
pub(in crate::verbs) fn need() -> Result<(), Failure> {
    let missing: Vec<_> =
        ["testparm", "net", "wbinfo", "winbindd"].into_iter().filter(|name| find(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::no("programs", format!("Samba is not complete here: {} is missing", missing.join(", ")))
        .remedy("`apt-get install samba winbind`, or `dnf install samba samba-winbind samba-winbind-clients`"))
}

/// Major and minor version of Samba.
pub(in crate::verbs) fn version() -> (u32, u32) {
    let said = run("winbindd", &["-V"], LOCAL).map(|done| done.output).unwrap_or_default();
    parse_version(&said).unwrap_or((4, 0))
}

/// What `testparm -s` makes of a smb.conf; with `defaults`, also what nobody set.
///
/// # Errors
/// What it complains about.
pub(in crate::verbs) fn testparm(file: &Path, defaults: bool) -> Result<String, String> {
    let file = file.to_str().ok_or("a path that is no UTF-8")?;
    let done = run("testparm", &[if defaults { "-sv" } else { "-s" }, file], LOCAL)?;
    if done.success {
        return Ok(done.output);
    }
    // What it greets with is no complaint.
    let idle =
        |line: &&str| !line.is_empty() && !line.starts_with("Load smb config") && !line.starts_with("Weak crypto");
    let said: Vec<_> = done.errors.lines().map(str::trim).filter(idle).collect();
    Err(if said.is_empty() { "testparm refuses it and gives no reason".into() } else { said.join("; ") })
}

/// The folder of secrets.tdb.
pub(in crate::verbs) fn private_folder() -> PathBuf {
    let done = run("testparm", &["-s", "--parameter-name=private dir"], LOCAL);
    let said = done.map(|done| done.output.trim().to_owned()).unwrap_or_default();
    if said.starts_with('/') { said.into() } else { "/var/lib/samba/private".into() }
}

/// Whether the directory accepts the secret that Samba has (`net ads testjoin`).
///
/// # Errors
/// What it said.
pub(in crate::verbs) fn testjoin() -> Result<(), String> {
    succeed(run("net", &["ads", "testjoin", "--no-dns-updates"], REMOTE))
}

/// Tells Samba the SID of its domain.
///
/// # Errors
/// What it said.
pub(in crate::verbs) fn set_domain_sid(sid: &str) -> Result<(), String> {
    succeed(run("net", &["setdomainsid", sid], LOCAL))
}

/// Runs one of Samba's programs.
///
/// # Errors
/// Where it is not installed, or does not end in time.
pub(in crate::verbs) fn run(name: &str, arguments: &[&str], limit: Duration) -> Result<Done, String> {
    let program = find(name).ok_or_else(|| format!("{name} is not installed"))?;
    process::run(Command::new(program).args(arguments), limit, &|| false)
}

/// Restarts those of the services that are installed. Gives their names; none without systemd.
///
/// # Errors
/// What systemctl said.
pub(in crate::verbs) fn restart() -> Result<Vec<&'static str>, String> {
    if !service::has_systemd() {
        return Ok(Vec::new());
    }
    let folders = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
    let installed = |unit: &&str| folders.iter().any(|folder| Path::new(folder).join(unit).exists());
    let units: Vec<_> = UNITS.into_iter().filter(installed).collect();
    for unit in &units {
        service::restart(unit)?;
    }
    Ok(units)
}

fn succeed(done: Result<Done, String>) -> Result<(), String> {
    let done = done?;
    if done.success {
        return Ok(());
    }
    let said = done.errors.lines().chain(done.output.lines()).map(str::trim).find(|line| !line.is_empty());
    Err(crate::output::printable(said.unwrap_or("it gives no reason")))
}

/// `Version 4.17.12-Debian`
fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("Version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions() {
        assert_eq!(parse_version("Version 4.17.12-Debian\n"), Some((4, 17)));
        assert_eq!(parse_version("Version 4.22.0"), Some((4, 22)));
        assert_eq!(parse_version("winbindd: not found"), None);
    }
}
