//! What stands in for Entra ID and Azure Files, with real parts: MIT's KDC for the realm `KERBEROS.MICROSOFTONLINE.COM`
//! behind kdcproxy and HTTPS, under the name login.microsoftonline.com, and smbd as a storage account's share. The domain
//! trusts it by a trusted domain object made over LSA.

use crate::dc;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::roots::{Layer, Stack};

/// Address of all of it.
pub const ADDRESS: &str = "10.53.0.50";
/// The tenant whose KDC proxy it is.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
/// Host of the KDC proxy.
pub const LOGIN_HOST: &str = "login.microsoftonline.com";
/// The storage account. Its host has one share, `share`, with the file `readme.txt`.
pub const ACCOUNT: &str = "acct";
/// The storage account's host.
pub const SHARE_HOST: &str = "acct.file.core.windows.net";
/// The realm.
pub const REALM: &str = "KERBEROS.MICROSOFTONLINE.COM";

/// The trust's secret, which the domain and the realm know.
const SECRET: &str = include_str!("../data/cloud-trust.secret");
/// Where the authority's certificate is, in the node.
const AUTHORITY: &str = "/etc/lab-tls/ca.crt";
/// Where a client keeps it, for `update-ca-certificates`.
const KNOWN_AUTHORITY: &str = "/usr/local/share/ca-certificates/lab-cloud.crt";

const CLOUD: Layer<'_> = Layer {
    name: "cloud",
    hostname: "cloud",
    packages: &[
        "krb5-kdc",
        "krb5-admin-server",
        "krb5-user",
        "python3-kdcproxy",
        "samba",
        "samba-vfs-modules",
        "openssl",
        "iproute2",
        "procps",
    ],
    files: &[("/usr/share/lab/cloud-trust.secret", SECRET, 0o600)],
    script: include_str!("../data/cloud-provision.sh"),
};

/// A certificate that the proxy shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Of the authority that [`introduce`] makes known, for the right host, until 2035.
    Good,
    /// Ended in 2021.
    Expired,
    /// For another host.
    OtherHost,
    /// Of an authority that nobody knows.
    Stranger,
}

/// The roots of the node.
pub(crate) fn roots(base: &Stack) -> Result<Stack> {
    base.with(&CLOUD)
}

/// Starts the KDC, the proxy and the share where they do not run, and waits until they listen; gives the domain its trust
/// and introduces the clients that are up.
pub(crate) fn start(node: &Node, dc: &Node, clients: &[Node]) -> Result<()> {
    node.put_file("/etc/hosts", format!("127.0.0.1 localhost\n{ADDRESS} {LOGIN_HOST} {SHARE_HOST} cloud\n"), 0o644)?;
    start_kdc(node)?;
    if !node.is_running("cloud-proxy")? {
        start_proxy(node, TENANT, Certificate::Good)?;
    }
    if !node.is_running("smbd")? {
        node.sh("mkdir -p /run/samba", &[])?.text()?;
        node.start("smbd", &["smbd", "--foreground", "--no-process-group", "--debug-stdout"])?;
    }
    listens(node, "smbd", "10.53.0.50:445")?;
    change_directory(dc, "trust")?;
    clients.iter().try_for_each(|client| introduce(client, node))
}

/// Starts the realm's KDC where it does not run; [`Node::stop`] of `krb5kdc` ends it.
///
/// # Errors
/// When it does not listen; the message has its log.
pub fn start_kdc(node: &Node) -> Result<()> {
    if !node.is_running("krb5kdc")? {
        node.start("krb5kdc", &["krb5kdc", "-n"])?;
    }
    listens(node, "krb5kdc", "127.0.0.1:88")
}

/// Starts the proxy for a tenant's path, with a certificate; [`Node::stop`] of `cloud-proxy` ends it.
///
/// # Errors
/// When it runs already, or does not listen.
pub fn start_proxy(node: &Node, tenant: &str, certificate: Certificate) -> Result<()> {
    let name = match certificate {
        Certificate::Good => "good",
        Certificate::Expired => "expired",
        Certificate::OtherHost => "other",
        Certificate::Stranger => "stranger",
    };
    node.put_file("/usr/share/lab/cloud-proxy.py", include_str!("../data/cloud-proxy.py"), 0o644)?;
    let pem = format!("/etc/lab-tls/{name}.pem");
    node.start("cloud-proxy", &["/usr/bin/python3", "/usr/share/lab/cloud-proxy.py", ADDRESS, tenant, &pem])?;
    listens(node, "cloud-proxy", "10.53.0.50:443")
}

/// Sets the trust's secret as the realm knows it, to the domain's (`true`) or to another one.
///
/// # Errors
/// When kadmin fails.
pub fn agree(node: &Node, right: bool) -> Result<()> {
    let secret = if right { SECRET.trim() } else { "Another-Key-2" };
    let principal = format!("krbtgt/{REALM}@{}", dc::REALM);
    node.must(&["kadmin.local", "cpw", "-pw", secret, &principal]).map(drop)
}

/// Runs the program that makes and removes the trust's objects in the directory: `trust`, `objects`, `rotate`, `remove`,
/// and what else `data/cloud-trust.py` says.
///
/// # Errors
/// When it fails.
pub fn change_directory(dc: &Node, verb: &str) -> Result<()> {
    dc.must(&["/usr/bin/python3", "-c", include_str!("../data/cloud-trust.py"), verb, SECRET.trim()]).map(drop)
}

/// Makes a client know the hosts and trust the authority, as a client that reaches the real ones does.
///
/// # Errors
/// When its files cannot be written.
pub fn introduce(client: &Node, cloud: &Node) -> Result<()> {
    let hosts = client.read_file("/etc/hosts")?;
    if !hosts.contains(LOGIN_HOST) {
        client.put_file("/etc/hosts", format!("{hosts}{ADDRESS} {LOGIN_HOST} {SHARE_HOST}\n"), 0o644)?;
    }
    if !client.outside_path(KNOWN_AUTHORITY).exists() {
        client.put_file(KNOWN_AUTHORITY, cloud.read_file(AUTHORITY)?, 0o644)?;
        client.must(&["update-ca-certificates"])?;
    }
    Ok(())
}

fn listens(node: &Node, service: &str, at: &str) -> Result<()> {
    let script = r#"for step in $(seq 250); do ss -Hltn | grep -qF " $1 " && exit; sleep 0.02; done; exit 1"#;
    if node.sh(script, &[at])?.ok() {
        return Ok(());
    }
    let log = node.log(service).unwrap_or_default();
    Err(Error::new(format!("{service} does not listen at {at}: {log}")))
}
