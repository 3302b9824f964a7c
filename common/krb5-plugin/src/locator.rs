//! Which server to ask (`krb5/locate_plugin.h`): the domain controller that the daemon uses, as long as it says so.

use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use entra_wire::{kdc_file, paths};

/// Port of kpasswd (RFC 3244).
const KPASSWD_PORT: u16 = 464;

/// What a program looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// A KDC; the primary one is the same, so that a wrong password is not tried a second time elsewhere.
    Kdc,
    /// Changing passwords.
    Kpasswd,
}

/// The server of a realm on this host. `None`: DNS has to be asked.
pub(crate) fn locate(realm: &str, service: Service) -> Option<SocketAddr> {
    let mut address = kdc_file::read(Path::new(paths::RUN_DIR), realm, SystemTime::now())?;
    if service == Service::Kpasswd {
        address.set_port(KPASSWD_PORT);
    }
    Some(address)
}
