//! A file server on Debian 13, with that release's Samba (4.22), glibc, PAM and Kerberos: what the packages, which are built
//! on Debian 12, meet there. It has nothing of ours until a test installs it, and joins nothing by itself.

use crate::client;
use crate::error::Result;
use crate::node::Node;
use crate::roots::Stack;
use crate::second;

/// Its host name.
pub const HOSTNAME: &str = "member13";
/// Its address.
pub const ADDRESS: &str = "10.53.0.23";

/// Its root is the second domain controller's, which has Samba and winbind; no directory was provisioned there.
pub(crate) fn roots() -> Result<Stack> {
    second::roots()
}

/// Points the node at the domain's DNS. Samba is started by whoever configured it.
pub(crate) fn start(node: &Node, hostname: &str, address: &str) -> Result<()> {
    client::name_and_dns(node, hostname, address)
}
