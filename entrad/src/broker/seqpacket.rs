//! The socket between worker and broker: datagrams in order, whole or not at all, with a descriptor beside. FFI edge:
//! std has no SOCK_SEQPACKET.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use entra_wire::rights;
use tokio::io::unix::AsyncFd;

/// Longest message, in bytes.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;

/// What one `receive` gave.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes of the message; 0 = the other end is closed (no message of ours is empty).
    pub(crate) length: usize,
    /// The descriptors beside it, in their order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Two connected ends, non-blocking.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `ends` has room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: both were made by the call above, and nobody else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Lets tokio watch a socket. Call it in a runtime's context.
pub(crate) fn watch(socket: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open descriptor for as long as the AsyncFd owns it.
    let watched = unsafe {
        AsyncFd::register_with_interest(socket, tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE)
    };
    watched.map_err(Error::from)
}

/// Most descriptors beside one message: the old and the new password of a change.
pub(crate) const MAX_DESCRIPTORS: usize = 2;

/// Sends one message. [`ErrorKind::WouldBlock`] when the other end's queue is full, [`ErrorKind::InvalidInput`] for more
/// than [`MAX_DESCRIPTORS`].
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(ErrorKind::InvalidInput.into());
    }
    rights::send(socket, bytes, descriptors).map(drop)
}

/// Takes one message; descriptors beyond [`MAX_DESCRIPTORS`] are closed. [`ErrorKind::WouldBlock`] when there is none,
/// [`ErrorKind::InvalidData`] for one that is longer than `buffer`.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received> {
    let rights::Received { length, cut, mut descriptors } = rights::receive(socket, buffer, true)?;
    if cut {
        return Err(ErrorKind::InvalidData.into());
    }
    descriptors.truncate(MAX_DESCRIPTORS);
    Ok(Received { length, descriptors })
}

/// A descriptor to wait for, and what for.
pub(crate) struct Interest<'a> {
    pub(crate) descriptor: BorrowedFd<'a>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Waits until one of the descriptors is ready or `limit` is over, and says which are (ready, in the order given).
pub(crate) fn wait(interests: &[Interest<'_>], limit: Duration) -> Result<Vec<bool>> {
    let mut polls: Vec<libc::pollfd> = interests
        .iter()
        .map(|interest| libc::pollfd {
            fd: interest.descriptor.as_raw_fd(),
            events: if interest.readable { libc::POLLIN } else { 0 }
                | if interest.writable { libc::POLLOUT } else { 0 },
            revents: 0,
        })
        .collect();
    // Round up: a wait of 0 ms before a deadline would spin.
    let millis = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
    // SAFETY: `polls` holds as many entries as its length says.
    let ready = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, millis) };
    if ready < 0 {
        let error = Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok(vec![false; polls.len()]);
    }
    Ok(polls.iter().map(|poll| poll.revents != 0).collect())
}

/// Keeps descriptors 3 and 4 taken in this process, so that a helper's passwords can be put there without hitting a
/// descriptor that std uses while it forks.
pub(crate) fn reserve_descriptors() -> Result<Vec<OwnedFd>> {
    let mut reserved = Vec::new();
    // Each opening takes the lowest free number; once one lies beyond 4, both are taken, by these or by something else
    // that this process has for good.
    loop {
        let null: OwnedFd = std::fs::File::open("/dev/null")?.into();
        if null.as_raw_fd() > 4 {
            return Ok(reserved);
        }
        reserved.push(null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_message_brings_its_descriptor() {
        let (one, other) = pair().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        send(one.as_fd(), b"with", &[reader.as_fd()]).unwrap();
        send(one.as_fd(), b"without", &[]).unwrap();
        let mut buffer = [0; 64];
        let first = receive(other.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..first.length], b"with");
        writer.write_all(b"x").unwrap();
        drop(writer);
        let mut text = String::new();
        std::fs::File::from(first.descriptors.into_iter().next().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        let second = receive(other.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..second.length], second.descriptors.is_empty()), (&b"without"[..], true));
        assert_eq!(receive(other.as_fd(), &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(one);
        assert_eq!(receive(other.as_fd(), &mut buffer).unwrap().length, 0);
        let _ = reader.read(&mut [0]);
    }

    #[test]
    fn a_message_that_is_too_long_is_no_message() {
        let (one, other) = pair().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        send(one.as_fd(), &[1; 100], &[reader.as_fd()]).unwrap();
        send(one.as_fd(), b"next", &[]).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(receive(other.as_fd(), &mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(receive(other.as_fd(), &mut buffer).unwrap().length, 4);
    }
}
