//! One error type, its variants named by what the caller does next.

/// Why a use case or an adapter gave no answer. "No such user" is not an error: lookups give `Option`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The directory is not reachable, or did not answer in time: serve what is cached, probe, try again later.
    #[error("the directory is not reachable: {0}")]
    Offline(String),
    /// The directory refuses this machine: join again, or check the keytab. Retrying does not help.
    #[error("the directory refuses this machine: {0}")]
    MachineUnauthorized(String),
    /// The peer broke a protocol: drop the connection and try another server.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The configuration or a person's input is wrong: the text names the place and what would be right.
    #[error("{0}")]
    Config(String),
    /// The identity cache is damaged: rebuild it.
    #[error("the store is damaged: {0}")]
    StoreCorrupt(String),
    /// A name means more than one account: never guess.
    #[error("{0}")]
    Ambiguous(String),
    /// A bound was reached: asking later may help.
    #[error("too many requests at once: {0}")]
    Busy(String),
    /// Something on this host was ended, or is being replaced, before it answered: asking again helps.
    #[error("{0}")]
    Interrupted(String),
    /// The operating system refused something.
    #[error("{0}")]
    Io(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}
