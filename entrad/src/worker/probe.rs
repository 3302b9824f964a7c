//! Meeting the domains at start, and bringing one back online without waiting for somebody's lookup.

use std::sync::Arc;
use std::time::Duration;

use entra_core::lookup::Lookup;

/// Pause between probes of a domain that is away. A lookup that finds it back is quicker; this is for the host on
/// which nobody asks.
const PAUSE: Duration = Duration::from_secs(10);

/// Starts one task per domain, until the runtime ends.
pub(super) fn start(lookup: &Arc<Lookup>) {
    for at in 0..lookup.domains().len() {
        let lookup = Arc::clone(lookup);
        tokio::spawn(async move {
            let mut told = false;
            loop {
                let Some(domain) = lookup.domains().get(at) else { return };
                if !domain.directory.health().online || domain.info().is_none() {
                    let met = async {
                        domain.directory.kdc().await?;
                        lookup.learn(domain).await
                    };
                    match met.await {
                        Ok(info) => {
                            log::info!("{} ({}, {}) is reachable", info.dns_name, info.netbios, info.sid);
                            told = false;
                        }
                        Err(error) if !told => {
                            log::warn!("{} cannot be used for now: {error}", domain.config.name);
                            told = true;
                        }
                        Err(error) => log::debug!("{} is still away: {error}", domain.config.name),
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}
