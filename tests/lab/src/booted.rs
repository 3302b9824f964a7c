//! A client whose first process is systemd, as on a real host: services start at boot in their sandboxes, logins are
//! sessions of logind, the log is the journal.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::client;
use crate::command::{capture, must};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::place;
use crate::roots::{Layer, Stack};

const BOOTED: Layer<'_> = Layer {
    name: "booted",
    hostname: "booted1",
    packages: &["systemd-sysv", "dbus", "libpam-systemd"],
    files: &[],
    // Package scripts start services here as they do for a user; and the other log daemon would take the journal's socket.
    script: "rm /usr/sbin/policy-rc.d; systemctl --quiet disable busybox-syslogd.service",
};

const LIMIT: Duration = Duration::from_secs(10);

/// The roots of a client that boots.
pub(crate) fn roots(base: &Stack) -> Result<Stack> {
    client::roots(base)?.with(&BOOTED)
}

/// Points the node at the domain's DNS and waits until it is up: until no job of the boot is left, failed ones too.
pub(crate) fn start(node: &Node, hostname: &str, address: &str) -> Result<()> {
    client::name_and_dns(node, hostname, address)?;
    // Its bus is not there in the first moments.
    let script = "for step in $(seq 200); do [ -S /run/systemd/private ] && break; sleep 0.02; done
                  timeout 45 systemctl is-system-running --wait";
    let output = node.sh(script, &[])?;
    // One that failed is for a test to judge.
    if matches!(output.stdout.trim(), "running" | "degraded") {
        return Ok(());
    }
    let jobs = node.run(&["systemctl", "--no-pager", "list-jobs"])?;
    Err(Error::new(format!("{hostname} does not come up: {}\n{}", output.describe(), jobs.describe())))
}

/// Why no systemd can be booted on this machine; `None` where it can.
///
/// # Errors
/// When not even that can be found out.
pub fn hindrance() -> Result<Option<String>> {
    let output = in_tree("mkdir \"$tree/entra-lab-probe-$$\" && rmdir \"$tree/entra-lab-probe-$$\"", "")?;
    Ok((!output.ok()).then(|| format!("no control group of our own can be made: {}", output.describe())))
}

/// The node's group below the root of cgroup2.
pub(crate) fn cgroup(dir: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("entra-lab-{}-{}", dir.parent().map(name).unwrap_or_default(), name(dir))
}

/// Removes the groups that a booted node leaves when it ends; one that has none is fine.
pub(crate) fn remove_cgroup(dir: &Path) -> Result<()> {
    // The last process may still be on its way out.
    let script = r#"
top=$tree/$1
for step in $(seq 100); do
    [ -d "$top" ] || exit 0
    find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
    sleep 0.02
done
echo "$top does not go" >&2; exit 1"#;
    let output = in_tree(script, &cgroup(dir))?;
    if output.ok() { Ok(()) } else { Err(Error::new(output.describe())) }
}

/// Runs a script with cgroup2 at `$tree`, in a mount namespace that ends with it: not every machine has it mounted.
fn in_tree(script: &str, argument: &str) -> Result<crate::Output> {
    let tree = place::cache_dir().join("cgroup");
    must(Command::new("mkdir").arg("-p").arg(&tree), LIMIT)?;
    let script = format!("tree=$0; mount -t cgroup2 cgroup2 \"$tree\" || exit 1\n{script}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(&tree).arg(argument);
    capture(&mut command, None, LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_after_lab_and_node() {
        assert_eq!(cgroup(Path::new("/dev/shm/entra-lab/suite/booted")), "entra-lab-suite-booted");
    }
}
