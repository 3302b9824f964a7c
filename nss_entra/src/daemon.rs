//! One question to the daemon: one connection, one deadline.

use std::time::{Duration, Instant};

use entra_wire::client::{self, CallError};
use entra_wire::codec::Reader;
use entra_wire::nss::Request;
use entra_wire::protocol::{MAX_REPLY, Status};
use entra_wire::settings::Settings;

use crate::status::Failure;

/// Longest wait of one entry point. The daemon answers within its own `lookup_deadline` (3 s); the rest is for a
/// machine under load to bring that answer over.
const PATIENCE: Duration = Duration::from_millis(3500);

/// The end of an entry point's patience, counted from its start.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// From now on.
    pub(crate) fn start() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    fn left(self) -> Result<Duration, CallError> {
        self.0.checked_duration_since(Instant::now()).ok_or(CallError::TimedOut)
    }
}

/// Asks the daemon, and gives a reader over the answer's payload in `body`.
pub(crate) fn ask<'b>(
    request: &Request<'_>,
    settings: &Settings,
    deadline: Deadline,
    body: &'b mut Vec<u8>,
) -> Result<Reader<'b>, Failure> {
    if settings.off {
        return Err(Failure::NotRunning);
    }
    let frame = request.encode();
    let mut call = || client::call(&settings.socket, settings.trust, &frame, &[], MAX_REPLY, deadline.left()?, body);
    match call() {
        // A daemon that is being replaced closes its connections: the next one answers.
        Err(CallError::Broken) => call()?,
        other => other?,
    }
    let (status, payload) = client::open_reply(body)?;
    match status {
        Status::Ok => Ok(payload),
        Status::NotFound => Err(Failure::NotFound),
        Status::Offline | Status::Busy => Err(Failure::TryLater),
        // For this process, or for this version of the protocol, there is no daemon.
        Status::Refused | Status::BadRequest => Err(Failure::NotRunning),
    }
}
