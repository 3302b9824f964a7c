//! The host that is joined: its files, its names, its services.

pub mod authselect;
pub mod changing;
pub mod config;
pub mod file;
pub mod journal;
pub mod keytab;
pub mod krb5_conf;
pub mod lock;
pub mod private;
pub mod resolver;
pub mod service;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Where the files of the host are. Tests put another folder in front.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `/etc/krb5.conf`
    pub krb5_conf: PathBuf,
    /// `/etc/krb5.conf.d`
    pub krb5_dir: PathBuf,
    /// `/etc/krb5.conf.d/entra.conf`
    pub krb5_snippet: PathBuf,
    /// `/etc/krb5.keytab`
    pub keytab: PathBuf,
    /// `/etc/entra/entra.toml`
    pub config: PathBuf,
    /// `/etc/entra/join.json`: what join changed. It stands beside the configuration and not in `/var/lib/entra`,
    /// because root writes files by it, and that folder belongs to the unprivileged worker.
    pub journal: PathBuf,
    /// `/usr/bin/authselect`, which RHEL and Fedora have
    pub authselect: PathBuf,
    /// `/var/lib/entra/idmap.db`: which ids belong to which domain; the daemon's, only read here.
    pub slices: PathBuf,
    /// `/var/lib/entra/identity.db`: what the directory said last; the daemon's, only read here, while it does not run.
    pub identities: PathBuf,
    /// `/var/lib/entra/credentials.db`: verifiers for offline logins; the daemon's, only removed here.
    pub credentials: PathBuf,
}

impl Paths {
    /// The paths of the contract.
    pub fn installed() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same below `root`.
    pub fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            krb5_conf: at("/etc/krb5.conf"),
            krb5_dir: at("/etc/krb5.conf.d"),
            krb5_snippet: at("/etc/krb5.conf.d/entra.conf"),
            keytab: at(entra_wire::paths::KEYTAB),
            config: at(entra_wire::paths::CONFIG),
            journal: at("/etc/entra/join.json"),
            authselect: at("/usr/bin/authselect"),
            slices: at("/var/lib/entra/idmap.db"),
            identities: at("/var/lib/entra/identity.db"),
            credentials: at("/var/lib/entra/credentials.db"),
        }
    }
}

/// The effective uid of this process.
pub fn effective_uid() -> u32 {
    // The owner of /proc/self is the effective uid (proc(5)); nobody's where /proc is not there.
    fs::metadata("/proc/self").map_or(u32::MAX, |meta| meta.uid())
}

/// Refuses everybody but root.
///
/// # Errors
/// Exit status 5.
pub fn need_root(verb: &str) -> Result<(), Failure> {
    if effective_uid() == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::NotPermitted, verb, "only root may do this").remedy("run it with sudo"))
}

/// The host name as the kernel has it.
///
/// # Errors
/// When `/proc` is not there.
pub fn host_name() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
}
