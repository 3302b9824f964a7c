//! The lab's network: a bridge in a network namespace of its own, one virtual cable to every node. Nothing of it shows
//! in the host's network, so labs with different names can use the same addresses at once.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{capture, must};
use crate::error::{Doing, Error, Result};
use crate::process::Process;

/// The first three octets of every address in the lab, a /24.
pub const SUBNET: &str = "10.53.0";

const LIMIT: Duration = Duration::from_secs(10);

/// The bridge's namespace, kept by a sleeping process.
#[derive(Debug, Clone)]
pub(crate) struct Switch {
    process: Process,
}

impl Switch {
    /// The switch that runs already in the lab folder `dir`.
    pub(crate) fn running(dir: &Path) -> Option<Self> {
        Process::recorded(&dir.join("switch.pid")).map(|process| Self { process })
    }

    /// Starts a switch.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let script = "ip link add br0 type bridge forward_delay 0 && ip link set br0 up && exec sleep infinity";
        let child = Command::new("setsid")
            .args(["unshare", "--net", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(|| "start the switch".into())?;
        let process = Process::find(child.id()).ok_or_else(|| Error::new("the switch ended at once"))?;
        let switch = Self { process };
        for _ in 0..500 {
            if switch.ip(&["link", "show", "up", "dev", "br0"]).is_ok_and(|output| output.contains("br0")) {
                process.record(&dir.join("switch.pid"))?;
                return Ok(switch);
            }
            std::thread::sleep(Duration::from_millis(4));
        }
        process.kill()?;
        Err(Error::new("the switch has no bridge after 2 s: does the kernel have bridges?"))
    }

    /// Ends it, and with it every cable.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.kill()
    }

    /// Puts a cable between the switch and the node whose init is `node`, with `octets` as the last parts of its
    /// addresses (the first one decides the hardware address).
    pub(crate) fn connect(&self, name: &str, node: Process, octets: &[u8]) -> Result<()> {
        let first = octets.first().copied().unwrap_or(1);
        // A fixed hardware address: else peers wait out a stale ARP entry after a node restarts.
        let hardware = format!("02:53:00:00:00:{first:02x}");
        let pid = node.pid.to_string();
        let port = port(name);
        let cable = ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "address", &hardware, "netns", &pid];
        // The kernel takes the cable of a node that ended away when its last connection is forgotten, which can be later.
        let _ = self.ip(&["link", "delete", &port]);
        self.ip(&cable)?;
        self.ip(&["link", "set", &port, "master", "br0", "up"])?;
        // Only IPv4: link-local IPv6 addresses would be offered by the DC and answer to nobody.
        let mut script =
            "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up; ip link set eth0 up".to_owned();
        for octet in octets {
            let _ = write!(script, "; ip address add {SUBNET}.{octet}/24 dev eth0");
        }
        must(Command::new("nsenter").args(["-t", &pid, "-n", "sh", "-ec", &script]), LIMIT)?;
        Ok(())
    }

    /// Takes a node's cable down or up.
    pub(crate) fn set_link(&self, name: &str, up: bool) -> Result<()> {
        self.ip(&["link", "set", &port(name), if up { "up" } else { "down" }])?;
        Ok(())
    }

    /// Whether a node's cable is up.
    pub(crate) fn link_is_up(&self, name: &str) -> Result<bool> {
        Ok(!self.ip(&["-brief", "link", "show", "up", "dev", &port(name)])?.is_empty())
    }

    fn ip(&self, words: &[&str]) -> Result<String> {
        let pid = self.process.pid.to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-n", "ip"]).args(words);
        let output = capture(&mut command, None, LIMIT)?;
        if output.ok() { Ok(output.stdout) } else { Err(Error::new(format!("ip {words:?}: {}", output.describe()))) }
    }
}

/// The switch's end of a node's cable; interface names end at 15 characters, node names are shorter.
fn port(node: &str) -> String {
    format!("p-{node}")
}
