//! What a user does with the product, on a node: install the packages, join, start the daemon, log in. The demo and the
//! suite share these steps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::accounts::{Account, JOINER};
use crate::command::{Output, must};
use crate::dc;
use crate::error::{Doing, Error, Result};
use crate::node::Node;

/// Where the packages are built: `target/packages` of the workspace.
pub fn packages_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/packages")
}

/// The packages in a folder, in the order of their names.
///
/// # Errors
/// When there is none.
pub fn packages(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).doing(|| format!("read {}: run `cargo xtask package deb` first", dir.display()))?;
    let mut found: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .map(|path| path.display().to_string())
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(Error::new(format!("no packages in {}: run `cargo xtask package deb` first", dir.display())));
    }
    Ok(found)
}

/// Installs the packages as a user does, dependencies from the archive.
///
/// # Errors
/// When apt fails.
pub fn install(node: &Node, dir: &Path) -> Result<Output> {
    let found = packages(dir)?;
    node.apt_install(&found.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Purges what [`install`] installed, and leaves the dependencies.
///
/// # Errors
/// When a package file cannot be read or apt fails.
pub fn purge(node: &Node, dir: &Path) -> Result<Output> {
    let mut names = Vec::new();
    for package in packages(dir)? {
        let name = must(Command::new("dpkg-deb").args(["--field", &package, "Package"]), Duration::from_secs(10))?;
        names.push(name.text()?);
    }
    node.apt_purge(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The command that [`join`] runs, for people.
pub const JOIN: [&str; 7] =
    ["entractl", "join", dc::DNS_DOMAIN, "--user", JOINER.sam, "--password-stdin", "--preset=entra-ds"];

/// Joins the domain with the administrator's password on standard input.
///
/// # Errors
/// When `entractl` cannot be started; its own failure stands in the output.
pub fn join(node: &Node) -> Result<Output> {
    join_with(node, &[], JOINER.password)
}

/// Like [`join`], with more options and any password.
///
/// # Errors
/// When `entractl` cannot be started.
pub fn join_with(node: &Node, options: &[&str], password: &str) -> Result<Output> {
    let mut words = JOIN.to_vec();
    words.extend(options);
    node.run_with(&words, Some(format!("{password}\n").as_bytes()), Duration::from_secs(90))
}

/// Leaves the domain and deletes the computer account.
///
/// # Errors
/// When `entractl` cannot be started.
pub fn leave(node: &Node) -> Result<Output> {
    let words = ["entractl", "leave", "--user", JOINER.sam, "--password-stdin"];
    node.run_with(&words, Some(format!("{}\n", JOINER.password).as_bytes()), Duration::from_secs(60))
}

/// Starts the daemon as root in the foreground and waits until it answers (which says nothing about the directory).
///
/// # Errors
/// When it ends or does not answer within ten seconds; the message has its log.
pub fn start_daemon(node: &Node) -> Result<()> {
    if node.is_running("entrad")? {
        return Ok(());
    }
    node.start("entrad", &["/usr/sbin/entrad", "--foreground"])?;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let output = node.run(&["entractl", "status"])?;
        // 3: the daemon is not reachable.
        if output.status != 3 {
            return Ok(());
        }
        if Instant::now() > end || !node.is_running("entrad")? {
            let log = node.log("entrad").unwrap_or_default();
            return Err(Error::new(format!("entrad does not answer: {}\n--- its log\n{log}", output.describe())));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Ends the daemon.
///
/// # Errors
/// When it does not end.
pub fn stop_daemon(node: &Node) -> Result<()> {
    node.stop("entrad")
}

/// Options of an SSH login with a password, once, without questions.
const SSH: [&str; 11] = [
    "ssh",
    "-oStrictHostKeyChecking=no",
    "-oUserKnownHostsFile=/dev/null",
    "-oLogLevel=ERROR",
    "-oPreferredAuthentications=password",
    "-oPubkeyAuthentication=no",
    "-oNumberOfPasswordPrompts=1",
    "-oConnectTimeout=10",
    "-l",
    "USER",
    "localhost",
];

/// Logs in over SSH from the node to itself and runs a command there. Status 255: not let in.
///
/// # Errors
/// When ssh cannot be started.
pub fn ssh(node: &Node, user: &str, password: &str, command: &str) -> Result<Output> {
    let secret = format!("SSHPASS={password}");
    let mut words = vec!["env", &secret, "sshpass", "-e"];
    words.extend(SSH.map(|word| if word == "USER" { user } else { word }));
    words.push(command);
    node.run(&words)
}

/// Logs in over SSH as an account of the directory, with its password.
///
/// # Errors
/// When ssh cannot be started.
pub fn ssh_as(node: &Node, account: &Account, command: &str) -> Result<Output> {
    ssh(node, account.sam, account.password, command)
}
