//! The blocking client: one connection, one request, one reply, one deadline.
//!
//! Safe in any host process: descriptors are close-on-exec and above 2, signals do not end a call early, SIGPIPE is
//! never raised, and the peer must be root (the daemon listens before it drops its rights, and the kernel reports the
//! listener's credentials) or the owner that the caller names.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::codec::{CodecError, Reader};
use crate::protocol::{ALIVE, Status};
use crate::socket::Stream;

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nobody listens: the daemon is not running.
    NotRunning,
    /// The deadline passed.
    TimedOut,
    /// The socket belongs to somebody who is neither root nor the expected owner.
    Untrusted,
    /// The daemon went away in the middle, or broke the grammar.
    Broken,
    /// This process has no descriptor or memory left for a call.
    Resources,
}

impl From<CodecError> for CallError {
    fn from(_: CodecError) -> Self {
        Self::Broken
    }
}

/// Whom a socket must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Root: the daemon as installed.
    Root,
    /// Root or this uid: a daemon that the caller runs itself (tests, containers).
    RootOr(u32),
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// All of it.
    pub whole: Duration,
    /// The longest silence: connecting, sending, and the pauses between signs of life (`alive` in [`crate::protocol`]).
    pub silence: Duration,
}

/// As [`call_patiently`], where no sign of life is sent: the daemon may be silent for the whole of `timeout`.
///
/// # Errors
/// [`CallError`]; `reply` holds nothing of use then.
pub fn call(
    socket: &Path,
    trust: Trust,
    frame: &[u8],
    fds: &[BorrowedFd<'_>],
    limit: usize,
    timeout: Duration,
    reply: &mut Vec<u8>,
) -> Result<(), CallError> {
    call_patiently(socket, trust, frame, fds, limit, Patience { whole: timeout, silence: timeout }, reply)
}

/// Sends `frame` (length in front, as [`crate::codec::Writer::finish`] gives it) with `fds` beside its first byte, and
/// reads the reply's body into `reply` (cleared first, at most `limit` bytes).
///
/// # Errors
/// [`CallError`]; `reply` holds nothing of use then.
pub fn call_patiently(
    socket: &Path,
    trust: Trust,
    frame: &[u8],
    fds: &[BorrowedFd<'_>],
    limit: usize,
    patience: Patience,
    reply: &mut Vec<u8>,
) -> Result<(), CallError> {
    let whole = Instant::now() + patience.whole;
    let mut deadline = whole.min(Instant::now() + patience.silence);
    let stream = Stream::connect(socket, deadline)?;
    match (stream.peer_uid()?, trust) {
        (0, _) => {}
        (uid, Trust::RootOr(owner)) if uid == owner => {}
        _ => return Err(CallError::Untrusted),
    }
    // A daemon that is too busy says so without reading the request: its words are there although sending failed.
    let sent = stream.send(frame, fds, deadline);
    if let Err(error) = sent
        && error != CallError::Broken
    {
        return Err(error);
    }
    let mut length = [0; 4];
    loop {
        stream.receive(&mut length, deadline)?;
        if length != ALIVE {
            break;
        }
        // It works at it: silence begins anew, the whole does not.
        deadline = whole.min(Instant::now() + patience.silence);
        if Instant::now() >= whole {
            return Err(CallError::TimedOut);
        }
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length < 4 || length > limit {
        return Err(CallError::Broken);
    }
    reply.clear();
    reply.try_reserve_exact(length).map_err(|_| CallError::Resources)?;
    reply.resize(length, 0);
    stream.receive(reply, deadline)
}

/// Splits a reply's body into its status and a reader over the payload.
///
/// # Errors
/// [`CallError::Broken`] when the head is not ours.
pub fn open_reply(body: &[u8]) -> Result<(Status, Reader<'_>), CallError> {
    let mut reader = Reader::new(body);
    let status = reader.reply_head()?;
    Ok((status, reader))
}
