//! A node's root under another kernel: Debian's own, in QEMU, for what the kernel of the developer's machine may lack. The
//! processor is emulated (no KVM is asked for), so that it runs wherever the lab does.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::command::{capture, must};
use crate::error::{Doing, Error, Result};
use crate::host;
use crate::node::Node;
use crate::place::{self, Lock, remove_tree};
use crate::roots::{announce, finish, prune, touch};

/// Packages of this machine: the emulator, and what packs the modules.
const NEEDED: [&str; 3] = ["qemu-system-x86", "kmod", "cpio"];

const BUILD: &str = include_str!("../data/guest-kernel.sh");
const INIT: &str = include_str!("../data/guest-init.sh");
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// Where [`INIT`] looks for the script, in the node.
const SCRIPT: &str = "/usr/share/lab/guest.sh";
/// QEMU's first serial line, the kernel's console, in the node.
const CONSOLE: &str = "/var/log/lab-guest-console.log";

/// Boots Debian's kernel on a copy of the node's root that is gone afterwards, and runs `script` there (sh, root, PID 1)
/// until it powers off; gives what the script wrote to `/dev/ttyS1`. It reaches the lab through the node's own address.
/// `options` are more words for the kernel's command line. Stop the node's services before: the copy is taken file by
/// file, as the guest reads them.
///
/// # Errors
/// When the kernel cannot be had from Debian's archive, QEMU fails, or the guest runs longer than `limit`; the message has
/// the end of the kernel's console.
pub fn boot(node: &Node, options: &str, script: &str, limit: Duration) -> Result<String> {
    host::install(&NEEDED)?;
    let kernel = kernel()?;
    node.put_file(SCRIPT, script, 0o600)?;
    // Made here: QEMU writes it with its own umask.
    node.put_file(CONSOLE, "", 0o600)?;
    let console = node.outside_path(CONSOLE);
    let pid = node.host_pid().to_string();
    let root = format!(
        "local,id=root,path={}/,security_model=passthrough,readonly=on,multidevs=remap",
        node.outside_path("").display()
    );
    let mut qemu = Command::new("nsenter");
    qemu.args([
        "-t",
        &pid,
        "-n",
        "qemu-system-x86_64",
        "-machine",
        "accel=tcg",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1024",
    ])
    .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
    .arg("-kernel")
    .arg(kernel.join("vmlinuz"))
    .arg("-initrd")
    .arg(kernel.join("initrd.gz"))
    .args([
        "-append",
        &format!("console=ttyS0 panic=-1 {options}"),
        "-serial",
        &format!("file:{}", console.display()),
        "-serial",
        "stdio",
    ])
    .args(["-fsdev", &root, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root"])
    .args(["-nic", "user,model=virtio-net-pci"]);
    let output = capture(&mut qemu, None, limit)?;
    if output.ok() {
        return output.text();
    }
    let said = fs::read(&console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let end = lines[lines.len().saturating_sub(25)..].join("\n");
    Err(Error::new(format!("QEMU: {}\n--- the end of its console\n{end}", output.describe())))
}

/// The folder with the kernel and its RAM disk, built where missing.
fn kernel() -> Result<PathBuf> {
    let path = place::cache_dir().join(format!("guest-kernel-{}", place::recipe_key(&[BUILD, INIT])));
    let _lock = Lock::take("roots-guest-kernel")?;
    if !path.exists() {
        let start = announce("a RAM disk for Debian's kernel");
        let new = place::cache_dir().join("guest-kernel.new");
        remove_tree(&new)?;
        fs::create_dir_all(&new).doing(|| format!("create {}", new.display()))?;
        must(Command::new("sh").args(["-c", BUILD, "sh", INIT]).current_dir(&new), BUILD_LIMIT)?;
        finish(&new, &path, start)?;
        prune(&place::cache_dir(), "guest-kernel", &path)?;
    }
    touch(&path)?;
    Ok(path)
}
