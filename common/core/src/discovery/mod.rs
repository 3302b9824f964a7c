//! Finding the domain controllers: SRV records (RFC 2782) or pinned servers, and which of them to use now.
//!
//! Which DC is near is asked of all of them at once, by the LDAP ping ([`cldap`]): each names its site and the asker's, and
//! answers sooner or later. Within one priority of the SRV records the near ones come first.

pub mod cldap;
mod dns;
mod nearness;
mod ping;
mod pinned;
mod servers;
#[cfg(feature = "fuzzing")]
pub mod srv;
#[cfg(not(feature = "fuzzing"))]
mod srv;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use dns::{LocateError, locate};
pub use pinned::{Pinned, PinnedError};
pub use servers::Servers;
pub use srv::{SrvTarget, order};

/// Port of LDAP, where no SRV record and no pinned server says another one.
pub const LDAP_PORT: u16 = 389;
/// Port of LDAP over TLS, in the place of [`LDAP_PORT`].
pub const LDAPS_PORT: u16 = 636;
/// Port of Kerberos (RFC 4120 7.2.3).
pub const KERBEROS_PORT: u16 = 88;

/// One address of one DC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// DNS name in lower case, without a trailing dot. Empty where only an address was pinned: the server's own rootDSE
    /// tells the name then.
    pub host: String,
    /// Address and port of LDAP.
    pub addr: SocketAddr,
}

impl Server {
    /// Where the same machine's KDC listens.
    pub fn kdc(&self) -> SocketAddr {
        SocketAddr::new(self.addr.ip(), KERBEROS_PORT)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.is_empty() {
            write!(formatter, "{}", self.addr)
        } else {
            write!(formatter, "{} ({})", self.host, self.addr)
        }
    }
}
