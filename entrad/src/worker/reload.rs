//! Going on with another configuration: where the request for it comes from, and what it finds.

use std::sync::Arc;

use entra_core::config::Config;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Reads the configuration; the error is for people.
pub type Read = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The way to ask for a reload.
#[derive(Clone)]
pub(super) struct Reload {
    read: Read,
    next: Sender<Config>,
}

impl Reload {
    /// It, and where the configuration arrives.
    pub(super) fn new(read: &Read) -> (Self, Receiver<Config>) {
        let (next, asked) = channel(1);
        (Self { read: Arc::clone(read), next }, asked)
    }

    /// Has the worker go on with the configuration as it is now; gives the number of its domains. What was asked for
    /// already, a moment ago, is done once.
    ///
    /// # Errors
    /// Why the configuration is refused; nothing changes then.
    pub(super) fn ask(&self) -> Result<u64, String> {
        let config = (self.read)()?;
        let domains = config.domains.len() as u64;
        // Full: one is on its way. It may be older than this one, so who asked is told to ask again.
        self.next.try_send(config).map_err(|_| "another reload is under way; ask again in a moment".to_owned())?;
        Ok(domains)
    }
}
