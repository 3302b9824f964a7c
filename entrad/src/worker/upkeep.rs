//! What is done now and then: the stores forget whom nobody has asked for in a long time, and what is too old for an
//! offline login.

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::Login;
use entra_core::lookup::Lookup;

/// How long an answer stays on disk without being renewed: a host that was off for a season still knows its people.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(3600);

/// Starts the task, until the runtime ends.
pub(super) fn start(lookup: &Arc<Lookup>, login: &Arc<Login>) {
    let (lookup, login) = (Arc::clone(lookup), Arc::clone(login));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            match lookup.purge(KEEP).await {
                Ok(0) => {}
                Ok(count) => log::info!("{count} rows that nobody renewed for 90 days left the store"),
                Err(error) => log::warn!("old entries could not be removed from the store: {error}"),
            }
            match login.purge_offline().await {
                Ok(0) => {}
                Ok(count) => log::info!("{count} accounts can no longer log in offline: their last login is too old"),
                Err(error) => log::warn!("old verifiers could not be removed: {error}"),
            }
        }
    });
}
