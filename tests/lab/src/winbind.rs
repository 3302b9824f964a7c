//! A client that runs winbind against the same directory, for the bench: ids by RID, everything else Samba's default.

use std::time::{Duration, Instant};

use crate::accounts::JOINER;
use crate::client;
use crate::dc;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::roots::{Layer, Stack};

const WINBIND: Layer<'_> = Layer {
    name: "winbind",
    hostname: "winbind1",
    packages: &["winbind", "libnss-winbind", "libpam-winbind", "samba-common-bin", "samba-dsdb-modules"],
    files: &[("/etc/krb5.conf", include_str!("../data/reference-krb5.conf"), 0o644)],
    // Debian's own smb.conf comes with the packages; apt would ask about one that was there before.
    script: "",
};

/// The computers' unit, as `net` wants it: the only place where the joining administrator may create one.
const UNIT: &str = "createcomputer=AADDC Computers";

/// The roots of the client with winbind.
pub(crate) fn roots(base: &Stack) -> Result<Stack> {
    client::roots(base)?.with(&WINBIND)
}

/// Joins the domain where that was not done, starts winbindd and waits until a user resolves.
pub(crate) fn start(node: &Node, hostname: &str, address: &str) -> Result<()> {
    client::start(node, hostname, address)?;
    if node.is_running("winbindd")? {
        return Ok(());
    }
    node.put_file("/etc/samba/smb.conf", include_str!("../data/winbind-smb.conf"), 0o644)?;
    if !node.outside_path("/etc/krb5.keytab").exists() {
        // The domain refuses NTLM: a ticket first.
        let principal = format!("{}@{}", JOINER.sam, dc::REALM);
        let password = format!("{}\n", JOINER.password);
        node.run_with(&["kinit", &principal], Some(password.as_bytes()), Duration::from_secs(30))?.text()?;
        node.must(&[
            "net",
            "ads",
            "join",
            "--use-krb5-ccache=/tmp/krb5cc_0",
            "--use-kerberos=required",
            "--no-dns-updates",
            UNIT,
        ])?;
        node.must(&["kdestroy"])?;
    }
    node.sh("mkdir -p /run/samba", &[])?.text()?;
    node.start("winbindd", &["winbindd", "--foreground", "--no-process-group", "--debug-stdout"])?;
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let output = node.run(&["getent", "passwd", "alice"])?;
        if output.ok() {
            return Ok(());
        }
        if Instant::now() > end || !node.is_running("winbindd")? {
            let log = node.log("winbindd").unwrap_or_default();
            return Err(Error::new(format!("winbind does not answer: {}\n{log}", output.describe())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
