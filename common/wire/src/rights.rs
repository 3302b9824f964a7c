//! Descriptors beside the bytes of a local socket (unix(7), `SCM_RIGHTS`). FFI edge: std neither sends nor receives any.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors beside one message that is sent.
pub const MOST: usize = 4;

/// Room for a control message of [`MOST`] descriptors, aligned as the kernel's macros expect. Larger than that needs:
/// what else a peer sends must arrive to be closed, or is cut off by the kernel, which closes it.
#[repr(C)]
union Control {
    bytes: [u8; 64],
    header: libc::cmsghdr,
}

/// What one [`receive`] gave.
#[derive(Debug)]
pub struct Received {
    /// Bytes of it; 0 = the other end is closed, where no message is empty.
    pub length: usize,
    /// Whether the message was longer than the buffer (sockets that keep messages apart).
    pub cut: bool,
    /// The descriptors beside it, in their order: as many as the peer sent and the kernel passed on.
    pub descriptors: Vec<OwnedFd>,
}

/// Sends bytes and descriptors in one go; gives how many bytes were taken. No signal where the other end is closed.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for more than [`MOST`]; else the system's, [`ErrorKind::WouldBlock`] among them.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize> {
    if descriptors.len() > MOST {
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
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; the header lies in `control`, which has room for MOST
        // descriptors, and `msg_controllen` says how many there are.
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
    if sent < 0 { Err(Error::last_os_error()) } else { Ok(sent.cast_unsigned()) }
}

/// Takes what is there, without waiting. The descriptors are new, closed on exec, and the receiver's to close; where
/// none are wanted the kernel closes those that come.
///
/// # Errors
/// The system's; [`ErrorKind::WouldBlock`] where there is nothing.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], with_descriptors: bool) -> Result<Received> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control { bytes: [0; 64] };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if with_descriptors {
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
    }
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: every pointer in `message` is to writable memory of the length beside it, live until the call returns.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    if length < 0 {
        return Err(Error::last_os_error());
    }
    let descriptors = if with_descriptors { descriptors_of(&message) } else { Vec::new() };
    Ok(Received { length: length.cast_unsigned(), cut: message.msg_flags & libc::MSG_TRUNC != 0, descriptors })
}

fn descriptors_of(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: the kernel filled the control buffer and set its length; the macros stay within it. Every descriptor in
    // it is new and owned by nobody else.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header);
                let bytes = (found.cmsg_len as u64).saturating_sub(u64::from(libc::CMSG_LEN(0))) as usize;
                for at in 0..bytes / size_of::<RawFd>() {
                    let mut number = [0; size_of::<RawFd>()];
                    data.add(at * number.len()).copy_to_nonoverlapping(number.as_mut_ptr(), number.len());
                    taken.push(OwnedFd::from_raw_fd(RawFd::from_ne_bytes(number)));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_arrive_in_their_order_and_only_where_they_are_wanted() {
        let (one, other) = UnixStream::pair().unwrap();
        let pipes: Vec<_> = (0..MOST).map(|_| std::io::pipe().unwrap()).collect();
        for (at, (_, writer)) in pipes.iter().enumerate() {
            (&*writer).write_all(&[at as u8]).unwrap();
        }
        let readers: Vec<_> = pipes.iter().map(|(reader, _)| reader.as_fd()).collect();
        let mut buffer = [0; 8];
        assert_eq!(send(one.as_fd(), b"all", &readers).unwrap(), 3);
        let received = receive(other.as_fd(), &mut buffer, true).unwrap();
        assert_eq!((&buffer[..received.length], received.cut), (&b"all"[..], false));
        let mut told = Vec::new();
        for descriptor in received.descriptors {
            let mut byte = [0];
            std::fs::File::from(descriptor).read_exact(&mut byte).unwrap();
            told.extend(byte);
        }
        assert_eq!(told, [0, 1, 2, 3]);
        send(one.as_fd(), b"unwanted", &readers[..1]).unwrap();
        assert!(receive(other.as_fd(), &mut buffer, false).unwrap().descriptors.is_empty());
        assert_eq!(receive(other.as_fd(), &mut buffer, true).unwrap_err().kind(), ErrorKind::WouldBlock);
        let five = vec![readers[0]; MOST + 1];
        assert_eq!(send(one.as_fd(), b"x", &five).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
