//! What the lab takes from the machine it runs on: programs (installed by apt where missing) and apt's own settings,
//! so that the nodes' packages come from where the host's come from.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::command::{capture, must};
use crate::error::{Error, Result};

/// Programs of the lab itself and the packages that hold them.
pub const NEEDED: [&str; 5] = ["mmdebstrap", "iproute2", "util-linux", "mount", "debian-archive-keyring"];

const LIMIT: Duration = Duration::from_secs(900);

/// Installs what the lab needs on this machine and does not find.
///
/// # Errors
/// When not run by root, or when apt fails.
pub fn prepare() -> Result<()> {
    if !is_root() {
        return Err(Error::new("the lab needs root: it makes namespaces, mounts and network links"));
    }
    install(&NEEDED)
}

/// Installs Debian packages on this machine; does nothing when they are all there.
///
/// # Errors
/// When apt fails; the message has its output.
pub fn install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("lab: installing {} on this machine", missing.join(" "));
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300"])
            .args(words);
        command
    };
    must(&mut apt(&["update"]), LIMIT)?;
    must(apt(&["install", "--no-install-recommends"]).args(&missing), LIMIT)?;
    Ok(())
}

/// Files with apt sources that name the Debian release, to be copied into the roots. Empty: the tool's own default.
pub(crate) fn apt_sources(release: &str) -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    files.retain(|path| {
        path.extension().is_some_and(|ending| ending == "list" || ending == "sources")
            && fs::read_to_string(path).is_ok_and(|text| serves(&text, release))
    });
    files
}

/// Whether a sources file serves Debian's main component of `release`: third parties name the release too, but seldom
/// call their component "main" together with Debian's own suites.
fn serves(text: &str, release: &str) -> bool {
    let words = || text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    words().any(|word| word == release) && words().any(|word| word == "main")
}

/// The host's apt settings that decide whether a download works: proxies, retries, checks of dates.
pub(crate) fn apt_options() -> Result<Vec<String>> {
    let dump = must(Command::new("apt-config").args(["dump", "--no-empty", "Acquire"]), LIMIT)?;
    let wanted = ["http", "https", "Retries", "ForceIPv4", "Check-Valid-Until", "Check-Date", "Max-FutureTime"];
    let is_wanted = |line: &&str| {
        line.split(['"', ' ', ';']).next().is_some_and(|key| {
            key.split("::").nth(1).is_some_and(|part| wanted.iter().any(|name| part.eq_ignore_ascii_case(name)))
        })
    };
    let mut options: Vec<String> = dump.stdout.lines().filter(is_wanted).map(str::to_owned).collect();
    // Translations are a third of what an update downloads, and nobody reads them here.
    options.push("Acquire::Languages \"none\";".into());
    Ok(options)
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|text| {
        text.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
    })
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}\n", package]);
    capture(&mut query, None, LIMIT)
        .is_ok_and(|output| output.ok() && output.stdout.lines().any(|line| line == "installed"))
}

#[cfg(test)]
mod tests {
    use super::serves;

    #[test]
    fn both_forms_of_sources_are_told_from_third_parties() {
        assert!(serves(
            "Types: deb\nURIs: http://x\nSuites: bookworm bookworm-updates\nComponents: main\n",
            "bookworm"
        ));
        assert!(serves("deb http://x bookworm main\n", "bookworm"));
        assert!(!serves("deb http://x bookworm stable\n", "bookworm"));
        assert!(!serves("# deb http://x bookworm main\n", "bookworm"));
    }
}
