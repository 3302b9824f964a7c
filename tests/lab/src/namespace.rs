//! Starting and entering a node's namespaces, with the tools of util-linux.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::place;
use crate::process::Process;

/// Which namespaces a command joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the node's.
    Node,
    /// All but its network: what downloads packages needs the host's.
    HostNetwork,
}

/// What a node is made of.
pub(crate) struct Boot<'a> {
    /// Folder for the writable layer (`upper`), the overlay's work folder and the mount point.
    pub(crate) dir: &'a Path,
    /// Read-only roots, topmost first.
    pub(crate) lowers: &'a [PathBuf],
    pub(crate) hostname: &'a str,
    /// For a node that boots its own systemd: the name of its control group. Other nodes have a shell for an init.
    pub(crate) cgroup: Option<String>,
}

const INIT: &str = include_str!("../data/node-init.sh");

/// Environment of every command in a node: a test must not depend on the caller's.
const ENVIRONMENT: [&str; 4] = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    // Names print as they are: C would show "zo??".
    "LANG=C.UTF-8",
    "TERM=dumb",
];

/// Starts a node's init and waits until its root is ready.
pub(crate) fn boot(what: &Boot<'_>) -> Result<Process> {
    let dir = what.dir;
    for name in ["upper", "work", "root"] {
        let path = dir.join(name);
        fs::create_dir_all(&path).doing(|| format!("create {}", path.display()))?;
    }
    let ready = dir.join("init.pid");
    let _ = fs::remove_file(&ready);
    let log_path = dir.join("init.log");
    let log = fs::File::create(&log_path).doing(|| format!("create {}", log_path.display()))?;
    let script = dir.join("init.sh");
    fs::write(&script, INIT).doing(|| format!("write {}", script.display()))?;
    let lowers: Vec<String> = what.lowers.iter().map(|lower| lower.display().to_string()).collect();
    let shared = place::cache_dir().join("apt");
    fs::create_dir_all(&shared).doing(|| format!("create {}", shared.display()))?;
    let mut child = Command::new("setsid")
        .args(["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--uts", "--ipc", "--fork"])
        .arg("sh")
        .arg(&script)
        .env("LAB_LOWER", lowers.join(":"))
        .env("LAB_DIR", dir)
        .env("LAB_HOSTNAME", what.hostname)
        .env("LAB_READY", &ready)
        .env("LAB_SHARED", &shared)
        .env("LAB_CGROUP", what.cgroup.as_deref().unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .doing(|| "start unshare".into())?;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(process) = Process::recorded(&ready) {
            return Ok(process);
        }
        let ended = child.try_wait().doing(|| "watch unshare".into())?;
        if ended.is_some() || Instant::now() > end {
            let reason = fs::read_to_string(&log_path).unwrap_or_default();
            return Err(Error::new(format!("the node {} did not start: {}", what.hostname, reason.trim())));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A command that runs `words` inside the namespaces of `init`, with a fixed environment.
pub(crate) fn enter(init: Process, scope: Scope, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg("-t").arg(init.pid.to_string()).args(["-m", "-u", "-i", "-p", "-r", "-w"]);
    if scope == Scope::Node {
        command.arg("-n");
    }
    command.args(["env", "-i"]).args(ENVIRONMENT).args(words);
    command
}

/// A path of the node as the host reaches it. Absolute links inside are the node's own: only for files that the lab
/// itself puts or reads.
pub(crate) fn outside_path(init: Process, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", init.pid))
}
