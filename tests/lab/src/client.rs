//! A client: a Debian host with what a login test needs, and with nothing of ours until a test installs it.

use crate::dc;
use crate::error::Result;
use crate::node::Node;
use crate::roots::{Layer, Stack};

/// A local account of every client, with its password; it may use sudo.
pub const LOCAL_USER: (&str, &str) = ("localuser", "Local-Pass-1");

const CLIENT: Layer<'_> = Layer {
    name: "client",
    hostname: "client1",
    packages: &[
        "openssh-server",
        "openssh-client",
        "sshpass",
        "sudo",
        "cron",
        "login",
        "libpam-runtime",
        "libpam-modules",
        "pamtester",
        "krb5-user",
        "keyutils",
        "ldap-utils",
        "libsasl2-modules-gssapi-mit",
        "bind9-host",
        "iproute2",
        "procps",
        "strace",
        "busybox-syslogd",
        "python3-minimal",
        "ca-certificates",
    ],
    files: &[],
    script: r"
useradd --create-home --shell /bin/bash --groups sudo localuser
echo localuser:Local-Pass-1 | chpasswd
# Root comes in by key: Debian's sshd refuses its password.
mkdir -m 700 /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
",
};

/// The roots of a client.
pub(crate) fn roots(base: &Stack) -> Result<Stack> {
    base.with(&CLIENT)
}

/// Points the node at the domain's DNS and starts sshd, cron and a system log.
pub(crate) fn start(node: &Node, hostname: &str, address: &str) -> Result<()> {
    name_and_dns(node, hostname, address)?;
    node.sh("mkdir -p /run/sshd && chmod 755 /run/sshd", &[])?.text()?;
    for (service, words) in [
        ("syslog", ["busybox", "syslogd", "-n", "-O", "/var/log/messages"].as_slice()),
        ("sshd", &["/usr/sbin/sshd", "-D", "-e"]),
        ("cron", &["/usr/sbin/cron", "-f"]),
    ] {
        if !node.is_running(service)? {
            node.start(service, words)?;
        }
    }
    let script = "for step in $(seq 100); do timeout 1 bash -c '</dev/tcp/127.0.0.1/22' 2>/dev/null && exit; sleep 0.05; done; exit 1";
    node.sh(script, &[])?.text().map(drop)
}

/// Host name, hosts file and resolver, as a host of the managed domain's network has them.
pub(crate) fn name_and_dns(node: &Node, hostname: &str, address: &str) -> Result<()> {
    let domain = dc::DNS_DOMAIN;
    node.put_file("/etc/hostname", format!("{hostname}\n"), 0o644)?;
    node.put_file("/etc/hosts", format!("127.0.0.1 localhost\n{address} {hostname}.{domain} {hostname}\n"), 0o644)?;
    node.put_file("/etc/resolv.conf", format!("nameserver {}\nsearch {domain}\n", dc::ADDRESS), 0o644)
}
