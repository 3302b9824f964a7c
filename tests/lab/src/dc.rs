//! The domain controller: Samba from Debian's packages, provisioned and filled once, started in the foreground.

use crate::error::{Error, Result};
use crate::node::Node;
use crate::roots::{Layer, Stack};

/// Address of the domain controller.
pub const ADDRESS: &str = "10.53.0.10";
/// Its DNS name.
pub const HOST: &str = "dc1.aadds.contoso.com";
/// Address of the same directory behind the proxy that keeps Active Directory's limits: at most 1,500 values of an
/// attribute in an answer, at most 1,000 entries of a search without paging.
pub const LIMITED_ADDRESS: &str = "10.53.0.11";
/// Its DNS name.
pub const LIMITED_HOST: &str = "dcl.aadds.contoso.com";
/// The Kerberos realm.
pub const REALM: &str = "AADDS.CONTOSO.COM";
/// The domain's DNS name.
pub const DNS_DOMAIN: &str = "aadds.contoso.com";
/// Its NetBIOS name.
pub const NETBIOS: &str = "AADDS";
/// The domain's SID, pinned so that ids are known.
pub const DOMAIN_SID: &str = "S-1-5-21-3623811015-3361044348-30300820";
/// First id of the slice that [`DOMAIN_SID`] hashes to (slice 3369): a uid or gid is this plus the RID.
pub const FIRST_ID: u32 = 674_000_000;

const PACKAGES: Layer<'_> = Layer {
    name: "samba",
    hostname: "dc1",
    packages: &[
        "samba",
        "samba-ad-provision",
        "samba-dsdb-modules",
        "samba-vfs-modules",
        "python3-samba",
        "python3-gssapi",
        "winbind",
        "krb5-user",
        "ldb-tools",
        "ldap-utils",
        "bind9-host",
        "openssl",
        "iproute2",
        "procps",
    ],
    files: &[],
    script: "rm -f /etc/samba/smb.conf",
};

const DIRECTORY: Layer<'_> = Layer {
    name: "directory",
    hostname: "dc1",
    packages: &[],
    files: &[
        ("/usr/share/lab/smb-global.conf", include_str!("../data/smb-global.conf"), 0o644),
        ("/usr/share/lab/fill.py", include_str!("../data/fill.py"), 0o644),
    ],
    script: include_str!("../data/dc-provision.sh"),
};

const SMALL: Layer<'_> = Layer {
    name: "directory-small",
    hostname: "dc1",
    packages: &[],
    files: &[("/usr/share/lab/fill-small.py", include_str!("../data/fill-small.py"), 0o644)],
    script: "/usr/bin/python3 /usr/share/lab/fill-small.py",
};

const LARGE: Layer<'_> = Layer {
    name: "directory-large",
    hostname: "dc1",
    packages: &[],
    files: &[("/usr/share/lab/fill-large.py", include_str!("../data/fill-large.py"), 0o644)],
    script: "/usr/bin/python3 /usr/share/lab/fill-large.py",
};

/// What the directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// What the suite asks for: `data/fill.py`.
    Suite,
    /// That, and what the bench measures.
    Small,
    /// That, with 50,000 users: built in minutes, half a gigabyte.
    Large,
}

/// The roots of the domain controller, with the filled directory on top.
pub(crate) fn roots(base: &Stack, contents: Contents) -> Result<Stack> {
    let filled = base.with(&PACKAGES)?.with(&DIRECTORY)?;
    match contents {
        Contents::Suite => Ok(filled),
        Contents::Small => filled.with(&SMALL),
        Contents::Large => filled.with(&SMALL)?.with(&LARGE),
    }
}

/// Programs of the lab that run beside Samba; not part of the snapshot, so a change of theirs builds nothing anew.
pub(crate) const PROGRAMS: [(&str, &str); 3] = [
    ("ber.py", include_str!("../data/ber.py")),
    ("dc-ready.py", include_str!("../data/dc-ready.py")),
    ("limiting-proxy.py", include_str!("../data/limiting-proxy.py")),
];

/// Ends Samba and starts it again with options in the place of smb.conf's (`"tls priority=NORMAL"`), or as smb.conf says
/// where there are none. Waits until DNS, LDAP and Kerberos answer.
///
/// # Errors
/// When it does not end or does not answer; the message has its log.
pub fn restart(node: &Node, options: &[&str]) -> Result<()> {
    node.stop("samba")?;
    // Its processes end one after the other, and the new ones want the same ports.
    let script = r"for step in $(seq 250); do ss -Hltn | grep -qE ' 10\.53\.0\.10:(88|389|636|53) ' || exit 0; sleep 0.02; done; exit 1";
    if !node.sh(script, &[])?.ok() {
        return Err(Error::new("Samba was ended and still listens"));
    }
    samba(node, ADDRESS, options)
}

/// Starts Samba where it does not run, and waits until it answers on `address`.
pub(crate) fn samba(node: &Node, address: &str, options: &[&str]) -> Result<()> {
    if !node.is_running("samba")? {
        node.put_file("/etc/resolv.conf", format!("nameserver {address}\nsearch {DNS_DOMAIN}\n"), 0o644)?;
        node.sh("mkdir -p /run/samba", &[])?.text()?;
        let options: Vec<String> = options.iter().map(|option| format!("--option={option}")).collect();
        let mut words = vec!["samba", "--foreground", "--no-process-group", "--debug-stdout"];
        words.extend(options.iter().map(String::as_str));
        node.start("samba", &words)?;
    }
    let ready = node.run(&["/usr/bin/python3", "/usr/share/lab/dc-ready.py", address])?;
    if ready.ok() {
        return Ok(());
    }
    let log = node.log("samba").unwrap_or_default();
    Err(Error::new(format!("the domain controller does not answer: {}\n{log}", ready.describe())))
}

/// Starts Samba and the limiting proxy, and waits until DNS, LDAP and Kerberos answer.
pub(crate) fn start(node: &Node) -> Result<()> {
    for (name, content) in PROGRAMS {
        node.put_file(&format!("/usr/share/lab/{name}"), content, 0o644)?;
    }
    samba(node, ADDRESS, &[])?;
    if node.is_running("limiting-proxy")? {
        return Ok(());
    }
    let keytab = "/var/lib/samba/private/dc.keytab";
    let program = "/usr/share/lab/limiting-proxy.py";
    node.start("limiting-proxy", &["/usr/bin/python3", program, LIMITED_ADDRESS, ADDRESS, keytab])?;
    let script =
        "for step in $(seq 200); do grep -q ready /var/log/lab-limiting-proxy.log && exit; sleep 0.02; done; exit 1";
    if !node.sh(script, &[])?.ok() {
        let log = node.log("limiting-proxy").unwrap_or_default();
        return Err(Error::new(format!("the limiting proxy does not start: {log}")));
    }
    Ok(())
}
