//! Keeps the tickets of sessions fresh, removes those that nobody came for, gets the service tickets of who logs in, and
//! the tickets that an outage left missing.

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::Login;

/// Pause between two rounds: far less than half of the shortest life that a domain gives its tickets (10 min).
const PAUSE: Duration = Duration::from_secs(60);
/// Pause between two looks whether a domain is back for which passwords wait: the state is known here, nobody is asked.
const PAUSE_FOR_MISSING: Duration = Duration::from_secs(5);

/// Service tickets that are got at once, after a crowd of logins too: as many helpers as the broker gives them.
const FETCHES: usize = 2;

/// Starts the tasks, until the runtime ends.
pub(super) fn start(login: &Arc<Login>) {
    if login.may_keep_passwords() {
        let login = Arc::clone(login);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE_FOR_MISSING).await;
                login.get_missing_tickets().await;
            }
        });
    }
    let keeper = Arc::clone(login);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            keeper.keep_tickets().await;
        }
    });
    for _ in 0..FETCHES {
        let login = Arc::clone(login);
        tokio::spawn(async move { login.fetch_tickets().await });
    }
}
