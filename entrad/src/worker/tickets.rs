//! Keeps the tickets of sessions fresh, removes those that nobody came for, and gets the service tickets of who logs in.

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::Login;

/// Pause between two rounds: far less than half of the shortest life that a domain gives its tickets (10 min).
const PAUSE: Duration = Duration::from_secs(60);
/// Service tickets that are got at once, after a crowd of logins too: as many helpers as the broker gives them.
const FETCHES: usize = 2;

/// Starts the tasks, until the runtime ends.
pub(super) fn start(login: &Arc<Login>) {
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
