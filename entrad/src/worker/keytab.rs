//! Has the machine's password changed by age: the helper looks at the keytab, which the worker cannot read.

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::{Kdc, RotateRequest};
use entra_core::lookup::Lookup;

/// Wait before the first look: the start belongs to lookups and logins.
const FIRST: Duration = Duration::from_secs(10);
/// Pause between two looks, which cost one short process each.
const PAUSE: Duration = Duration::from_secs(3600);
/// Pause after a look that failed.
const AGAIN: Duration = Duration::from_secs(60);
/// Port of kpasswd (RFC 3244).
const KPASSWD: u16 = 464;
/// How long a change may take; nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(50);

/// Starts the task, until the runtime ends.
pub(super) fn start(lookup: &Arc<Lookup>, kdc: Arc<dyn Kdc>) {
    let lookup = Arc::clone(lookup);
    tokio::spawn(async move {
        tokio::time::sleep(FIRST).await;
        loop {
            let mut settled = true;
            for domain in lookup.domains() {
                let older_than = domain.config.keytab_max_age;
                if older_than.is_zero() {
                    continue;
                }
                let Ok(addr) = domain.directory.kdc().await else {
                    settled = false;
                    continue;
                };
                let mut kpasswd = addr;
                kpasswd.set_port(KPASSWD);
                let realm = domain.config.realm();
                let request = RotateRequest { realm, kdc: addr, kpasswd, older_than, timeout: TIMEOUT };
                match kdc.rotate_keytab(request).await {
                    Ok(Some(kvno)) => log::info!("this machine has a new password, key version {kvno}"),
                    Ok(None) => {}
                    Err(error) => {
                        settled = false;
                        log::warn!("the machine's password was not changed: {error}");
                    }
                }
            }
            tokio::time::sleep(if settled { PAUSE } else { AGAIN }).await;
        }
    });
}
