//! What went wrong in the lab, in one sentence for the developer.

use std::fmt;

/// A failure of the lab itself (never of the program that a test runs in a node).
#[derive(Debug)]
pub struct Error(String);

/// Result of a step of the lab.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that reads as `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.0
    }
}

/// Says what was being done when an operation failed.
pub(crate) trait Doing<T> {
    /// Wraps the error: "cannot <what>: <error>".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error(format!("cannot {}: {error}", what())))
    }
}
