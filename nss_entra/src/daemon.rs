//! One question to the daemon: one connection, one deadline.

use std::time::Instant;

use entra_wire::codec::Reader;
use entra_wire::nss::Request;
use entra_wire::protocol::Status;
use entra_wire::question;
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::status::Failure;

/// The end of an entry point's patience, counted from its start.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// From now on, for as long as the configuration lets a lookup wait.
    pub(crate) fn start(settings: &Settings) -> Self {
        Self(Instant::now() + Stated::of_config(&settings.config).lookup_deadline)
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
    let (status, payload) = question::ask(request, &settings.socket, settings.trust, deadline.0, body)?;
    match status {
        Status::Ok => Ok(payload),
        Status::NotFound => Err(Failure::NotFound),
        Status::Offline | Status::Busy => Err(Failure::TryLater),
        // For this process, or for this version of the protocol, there is no daemon.
        Status::Refused | Status::BadRequest => Err(Failure::NotRunning),
    }
}
