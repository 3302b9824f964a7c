//! The socket between worker and broker: datagrams in order, whole or not at all, with a descriptor beside. FFI edge:
//! std has no SOCK_SEQPACKET and no SCM_RIGHTS.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

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

/// Room for a control message with [`MAX_DESCRIPTORS`], aligned as the kernel's macros expect. Larger than they need:
/// what else a peer sends must arrive to be closed, or is cut off by the kernel, which closes it.
#[repr(C)]
union Control {
    bytes: [u8; 64],
    header: libc::cmsghdr,
}

/// Sends one message. [`ErrorKind::WouldBlock`] when the other end's queue is full, [`ErrorKind::InvalidInput`] for more
/// than [`MAX_DESCRIPTORS`].
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let mut control = Control { bytes: [0; 64] };
    if !descriptors.is_empty() {
        let size = size_of_val(descriptors) as u32;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; the header lies in `control`, which has room for
        // MAX_DESCRIPTORS, and `msg_controllen` says how many there are.
        unsafe {
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            let data = libc::CMSG_DATA(header);
            for (at, descriptor) in descriptors.iter().enumerate() {
                let number = descriptor.as_raw_fd().to_ne_bytes();
                data.add(at * number.len()).copy_from_nonoverlapping(number.as_ptr(), number.len());
            }
        }
    }
    // SAFETY: every pointer in `message` is to memory that lives until the call returns.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Takes one message. [`ErrorKind::WouldBlock`] when there is none, [`ErrorKind::InvalidData`] for one that is longer
/// than `buffer`.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control { bytes: [0; 64] };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to writable memory of the length given.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if length < 0 {
        return Err(Error::last_os_error());
    }
    // Descriptors first: whatever is wrong with the message, they have to be closed.
    let descriptors = take_descriptors(&message);
    if message.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(Received { length: length.cast_unsigned(), descriptors })
}

/// The descriptors that came with `message`; those beyond [`MAX_DESCRIPTORS`] are closed.
fn take_descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: the kernel filled the control buffer and set its length; the macros stay within it. Every descriptor in
    // it is new and ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header);
                let bytes = (found.cmsg_len as u64).saturating_sub(u64::from(libc::CMSG_LEN(0))) as usize;
                for at in 0..bytes / size_of::<RawFd>() {
                    let mut number = [0; size_of::<RawFd>()];
                    data.add(at * number.len()).copy_to_nonoverlapping(number.as_mut_ptr(), number.len());
                    let owned = OwnedFd::from_raw_fd(RawFd::from_ne_bytes(number));
                    taken.push(owned);
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    taken.truncate(MAX_DESCRIPTORS);
    taken
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
