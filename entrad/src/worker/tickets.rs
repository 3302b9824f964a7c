//! Keeps the tickets of sessions fresh, and removes those that nobody came for.

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::Login;

/// Pause between two rounds: far less than half of the shortest life that a domain gives its tickets (10 min).
const PAUSE: Duration = Duration::from_secs(60);

/// Starts the task, until the runtime ends.
pub(super) fn start(login: &Arc<Login>) {
    let login = Arc::clone(login);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            login.keep_tickets().await;
        }
    });
}
