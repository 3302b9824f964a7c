//! The worker: sockets, peer credentials, wiring, background tasks. Runs as the user `entra`, for ever.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use entra_core::auth::Kdc;
use entra_core::config::Config;

/// What the worker starts with; everything that needed root was done before.
pub struct Startup {
    /// The configuration, already checked.
    pub config: Config,
    /// Lookups; already listening, so that the peer credentials that modules see are root's.
    pub nss: UnixListener,
    /// PAM requests.
    pub pam: UnixListener,
    /// Requests of `entractl`.
    pub ctl: UnixListener,
    /// Makes the Kerberos side, inside the tokio runtime.
    pub kdc: Box<dyn FnOnce() -> std::io::Result<Arc<dyn Kdc>> + Send>,
    /// Where the stores are: `/var/lib/entra`.
    pub state_dir: PathBuf,
    /// Where the machine ticket and the krb5 profile are: `/run/entra/private`.
    pub private_dir: PathBuf,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When a store cannot be opened or the runtime cannot start.
pub fn run(startup: Startup) -> Result<(), entra_core::Error> {
    drop(startup);
    Err(entra_core::Error::Config("not built yet".into()))
}
