//! The reference: a client joined by adcli that runs SSSD with its AD provider against the same directory. Its settings
//! are SSSD's defaults, save a home and a shell that equal ours, so that whole lines can be compared.

use std::time::{Duration, Instant};

use crate::accounts::JOINER;
use crate::client;
use crate::dc;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::roots::{Layer, Stack};

const REFERENCE: Layer<'_> = Layer {
    name: "sssd",
    hostname: "sssd1",
    packages: &["adcli", "sssd-ad", "sssd-tools", "libnss-sss", "libpam-sss"],
    files: &[
        ("/etc/sssd/sssd.conf", include_str!("../data/sssd.conf"), 0o600),
        ("/etc/krb5.conf", include_str!("../data/reference-krb5.conf"), 0o644),
    ],
    script: "pam-auth-update --enable mkhomedir",
};

/// The roots of the reference: a client's, with SSSD on top.
pub(crate) fn roots(base: &Stack) -> Result<Stack> {
    client::roots(base)?.with(&REFERENCE)
}

/// Joins the domain where that was not done, starts SSSD and waits until a user resolves.
pub(crate) fn start(node: &Node, hostname: &str, address: &str) -> Result<()> {
    client::start(node, hostname, address)?;
    if node.is_running("sssd")? {
        return Ok(());
    }
    if !node.outside_path("/etc/krb5.keytab").exists() {
        let words = ["adcli", "join", "--login-user", JOINER.sam, "--stdin-password", dc::DNS_DOMAIN];
        let password = JOINER.password.as_bytes();
        node.run_with(&words, Some(password), Duration::from_secs(30))?.text()?;
    }
    node.start("sssd", &["sssd", "--interactive", "--logger=stderr"])?;
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let output = node.run(&["getent", "passwd", "alice"])?;
        if output.ok() {
            return Ok(());
        }
        if Instant::now() > end || !node.is_running("sssd")? {
            let log = node.log("sssd").unwrap_or_default();
            return Err(Error::new(format!("SSSD does not answer: {}\n{log}", output.describe())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
