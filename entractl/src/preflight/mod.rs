//! What is looked at before anything is changed: each file checks one thing, names what is wrong and how to remedy it.
//! `check` uses the same files on a joined host.

pub mod clock;
pub mod computer;
pub mod connect;
pub mod credentials;
pub mod dns;
pub mod machine;
mod permit;
pub mod place;
pub mod root_dse;

use std::future::Future;

use crate::exit::Failure;

/// Runs a future to its end on this thread.
///
/// # Errors
/// When no runtime can be made, or the future's own.
pub(crate) fn block_on<T>(step: &str, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::no(step, format!("no runtime: {error}")))?
        .block_on(future)
}
