//! A lookup's question to the daemon, for whoever waits for the answer: one deadline, one more try.

use std::path::Path;
use std::time::Instant;

use crate::client::{self, CallError, Trust};
use crate::codec::Reader;
use crate::nss::Request;
use crate::protocol::{MAX_REPLY, Status};

/// Asks, and gives the answer's status and a reader over its payload in `body`, which is used until `deadline` at most.
///
/// # Errors
/// [`CallError`]; `body` holds nothing of use then.
pub fn ask<'b>(
    request: &Request<'_>,
    socket: &Path,
    trust: Trust,
    deadline: Instant,
    body: &'b mut Vec<u8>,
) -> Result<(Status, Reader<'b>), CallError> {
    let frame = request.encode();
    let mut call = || {
        let left = deadline.checked_duration_since(Instant::now()).ok_or(CallError::TimedOut)?;
        client::call(socket, trust, &frame, &[], MAX_REPLY, left, body)
    };
    match call() {
        // A daemon that is being replaced closes its connections: the next one answers.
        Err(CallError::Broken) => call()?,
        other => other?,
    }
    client::open_reply(body)
}
