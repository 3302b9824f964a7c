//! Tells Kerberos programs which KDC is in use: a file per realm, written anew while the directory answers and gone when
//! it does not ([`entra_wire::kdc_file`]).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use entra_core::lookup::Lookup;
use entra_core::whole_file;
use entra_wire::kdc_file::{self, PERIOD};

/// How soon a change of the domain controller shows.
const PAUSE: Duration = Duration::from_secs(1);
/// Port of a KDC (RFC 4120 7.2.3).
const KDC_PORT: u16 = 88;

/// The files of the configured realms.
pub(super) struct KdcFiles {
    /// The place of a domain in the configuration, and its realm's file.
    paths: Vec<(usize, PathBuf)>,
}

/// Starts the task, until the runtime ends.
pub(super) fn start(lookup: &Arc<Lookup>, run: &Path) -> KdcFiles {
    let domains = lookup.domains().iter().enumerate();
    let paths: Vec<_> =
        domains.filter_map(|(at, domain)| Some((at, kdc_file::path(run, &domain.config.realm())?))).collect();
    let files = KdcFiles { paths: paths.clone() };
    // Of a daemon that was killed.
    files.remove();
    let lookup = Arc::clone(lookup);
    tokio::spawn(async move {
        let mut shown: Vec<Option<(SocketAddr, Instant)>> = vec![None; paths.len()];
        loop {
            for ((at, path), shown) in paths.iter().zip(&mut shown) {
                let Some(domain) = lookup.domains().get(*at) else { continue };
                let health = domain.directory.health();
                let kdc = health.address.filter(|_| health.online).map(|ldap| SocketAddr::new(ldap.ip(), KDC_PORT));
                match (kdc, &shown) {
                    (Some(kdc), Some((known, written))) if kdc == *known && written.elapsed() < PERIOD => {}
                    (Some(kdc), _) => *shown = write(path, kdc).then(|| (kdc, Instant::now())),
                    (None, Some(_)) => {
                        remove(path);
                        *shown = None;
                    }
                    (None, None) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    files
}

impl KdcFiles {
    /// Takes them away: whoever asks from now on asks DNS.
    pub(super) fn remove(&self) {
        for (_, path) in &self.paths {
            remove(path);
        }
    }
}

/// Whole or not at all; whether it is there now.
fn write(path: &Path, kdc: SocketAddr) -> bool {
    let written = whole_file::replace(path, kdc_file::text(kdc).as_bytes(), 0o644);
    if let Err(error) = &written {
        log::debug!("{} could not be written: {error}", path.display());
    }
    written.is_ok()
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => log::warn!("{}: {error}", path.display()),
        _ => {}
    }
}
