//! The broker: a small process that keeps the few rights that are left, speaks to nobody but the worker, and executes
//! `krb5-helper` for a closed set of requests, each validated again ([`Policy`]), each with a deadline.
//!
//! A setuid helper would be powerless under no_new_privs, which systemd's hardening options force; so the rights stay
//! in a process that had them from the start. [`start`] forks it before any thread exists; it ends when the worker's
//! end of the socket is closed, and the worker ends when the broker's is ([`Channel`]).

mod channel;
#[allow(unsafe_code)] // FFI edge: pre_exec
mod child;
#[allow(unsafe_code)] // FFI edge: splice, tee
mod copy;
mod follow;
mod frame;
mod queue;
mod refusals;
#[allow(unsafe_code)] // FFI edge
mod seqpacket;
mod serve;
mod validate;

use std::io::{Error, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use channel::Channel;
pub use serve::{Settings, serve};
pub use validate::{Policy, Realm};

use self::seqpacket::Interest;
use crate::privileges;

/// Reads a message of the worker as the broker does, passwords aside: the request that would be done.
#[cfg(feature = "fuzzing")]
pub fn read_request(policy: &Policy, message: &[u8]) -> Option<crate::helper::Request> {
    let (_, body) = frame::split(message)?;
    let request = postcard::from_bytes::<crate::helper::Request>(body).ok()?;
    policy.check(&request, request.passwords()).ok().map(|()| request)
}

/// Most helpers at once, and most requests that wait for one; the machine's own ticket has places beside these.
pub const LIMITS: (usize, usize) = (16, 256);

/// The broker's first message.
const READY: &[u8] = b"ready";
/// How long its start may take.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Forks the broker and gives the worker's end of the socket. Call it as root, before any thread is started and before
/// sockets are opened that the broker should not hold.
///
/// # Errors
/// When the socket or the fork fails, or threads exist.
pub fn start(settings: Settings) -> Result<OwnedFd> {
    let (worker, broker) = seqpacket::pair()?;
    if !privileges::fork()? {
        drop(broker);
        await_ready(worker.as_fd())?;
        return Ok(worker);
    }
    drop(worker);
    // The service manager signals every process of the service. Logins under way get their answer first: the broker
    // ends when the worker has.
    privileges::ignore_termination();
    let outcome = privileges::become_broker()
        .and_then(|()| seqpacket::send(broker.as_fd(), READY, &[]))
        .and_then(|()| serve(broker, settings));
    if let Err(error) = &outcome {
        log::error!("the broker ends: {error}");
    }
    std::process::exit(i32::from(outcome.is_err()))
}

/// Waits until the broker has given up what it does not need: no request may reach it before.
fn await_ready(socket: BorrowedFd<'_>) -> Result<()> {
    let interest = Interest { descriptor: socket, readable: true, writable: false };
    if !seqpacket::wait(&[interest], START_LIMIT)?.contains(&true) {
        return Err(Error::other("it is not ready in time"));
    }
    let mut buffer = [0; READY.len()];
    let received = seqpacket::receive(socket, &mut buffer)?;
    if received.length > 0 { Ok(()) } else { Err(Error::other("it ended at once; the log says why")) }
}
