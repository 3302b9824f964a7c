//! The second domain controller: Debian 13's Samba (4.22), joined to the domain of the first one. A newer Samba on purpose:
//! it enforces LDAP channel binding as Active Directory can, and the first one does not.

use std::time::{Duration, Instant};

use crate::dc::{self, DNS_DOMAIN, REALM};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::roots::{self, Debian, Stack};

/// Address of the second domain controller.
pub const ADDRESS: &str = "10.53.0.12";
/// Its DNS name.
pub const HOST: &str = "dc2.aadds.contoso.com";

const LIMIT: Duration = Duration::from_secs(120);

const ROOT: Debian<'_> = Debian {
    name: "trixie",
    release: "trixie",
    packages: &[
        "samba",
        "samba-ad-dc",
        "samba-ad-provision",
        "samba-dsdb-modules",
        "samba-vfs-modules",
        "python3-samba",
        "winbind",
        "krb5-user",
        "ldb-tools",
        "openssl",
        "iproute2",
        "procps",
    ],
};

/// The root of the second domain controller.
pub(crate) fn roots() -> Result<Stack> {
    roots::debian(&ROOT)
}

/// Joins the domain of `first` where that was not done, starts Samba and waits until it answers and the first one knows it.
pub(crate) fn start(node: &Node, first: &Node) -> Result<()> {
    for (name, content) in dc::PROGRAMS {
        node.put_file(&format!("/usr/share/lab/{name}"), content, 0o644)?;
    }
    if node.is_running("samba")? {
        return dc::samba(node, ADDRESS, &[]);
    }
    if !node.outside_path("/var/lib/samba/private/secrets.keytab").exists() {
        join(node, first)?;
    }
    dc::samba(node, ADDRESS, &[])?;
    let script = include_str!("../data/second-records.sh");
    first.run_with(&["sh", "-c", script, "sh", dc::HOST, HOST], None, LIMIT)?.text().map(drop)
}

/// Waits until both domain controllers have this account: it was made on either. The second one hears of changes by
/// itself, the first one is made to ask.
///
/// # Errors
/// When one of them does not answer, or has it not after a minute.
pub fn wait_for_account(first: &Node, second: &Node, name: &str) -> Result<()> {
    let filter = format!("(sAMAccountName={name})");
    let end = Instant::now() + Duration::from_secs(60);
    let has = |node: &Node| {
        let words = ["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "dn"];
        node.must(&words).map(|found| found.contains("dn: CN="))
    };
    if !has(first)? {
        replicate(first)?;
    }
    while !(has(first)? && has(second)?) {
        if Instant::now() > end {
            return Err(Error::new(format!("one of the domain controllers never heard of {name}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Has the first domain controller take over what was changed on the second one.
///
/// # Errors
/// When one of them does not answer.
pub fn replicate(first: &Node) -> Result<()> {
    let words = ["samba-tool", "drs", "replicate", dc::HOST, HOST, "DC=aadds,DC=contoso,DC=com", "-P"];
    first.run_with(&words, None, LIMIT)?.text().map(drop)
}

fn join(node: &Node, first: &Node) -> Result<()> {
    node.put_file("/etc/resolv.conf", format!("nameserver {}\nsearch {DNS_DOMAIN}\n", dc::ADDRESS), 0o644)?;
    node.put_file("/etc/hosts", format!("127.0.0.1 localhost\n{ADDRESS} {HOST} dc2\n"), 0o644)?;
    node.put_file("/etc/krb5.conf", first.read_file("/etc/krb5.conf")?, 0o644)?;
    node.put_file("/usr/share/lab/smb-global.conf", include_str!("../data/smb-global.conf"), 0o644)?;
    for name in ["ca.pem", "ca-key.pem"] {
        let path = format!("/var/lib/samba/private/tls/{name}");
        node.put_file(&path, first.read_file(&path)?, 0o600)?;
    }
    let script = include_str!("../data/second-join.sh");
    let output = node.run_with(&["sh", "-c", script, "sh", REALM, HOST, ADDRESS, dc::HOST], None, LIMIT)?;
    if output.ok() { Ok(()) } else { Err(Error::new(format!("the second DC does not join: {}", output.describe()))) }
}
