//! Reading one frame and the descriptors beside it. FFI edge: tokio does not receive SCM_RIGHTS.

use std::io::{Error, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Most descriptors that are taken out of one message; the kernel drops what does not fit.
const MAX_FDS: usize = 4;

/// Why there is no request.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The client went away, or its socket broke.
    Closed,
    /// The frame breaks the grammar, or brings descriptors where none belong.
    Malformed,
}

/// Reads a whole frame: its body, and at most `descriptors` descriptors that came with it.
pub(super) async fn frame(
    stream: &UnixStream,
    limit: usize,
    descriptors: usize,
) -> Result<(Vec<u8>, Vec<OwnedFd>), FrameError> {
    let mut fds = Vec::new();
    let mut head = [0; 4];
    fill(stream, &mut head, &mut fds).await?;
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if !(4..=limit).contains(&length) {
        return Err(FrameError::Malformed);
    }
    let mut body = vec![0; length];
    fill(stream, &mut body, &mut fds).await?;
    if fds.len() > descriptors {
        return Err(FrameError::Malformed);
    }
    Ok((body, fds))
}

async fn fill(stream: &UnixStream, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<(), FrameError> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.readable().await.map_err(|_| FrameError::Closed)?;
        match stream.try_io(Interest::READABLE, || receive(stream.as_raw_fd(), &mut buffer[filled..], fds)) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(count) => filled += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(FrameError::Closed),
        }
        if fds.len() > MAX_FDS {
            return Err(FrameError::Malformed);
        }
    }
    Ok(())
}

/// Room for a control message of [`MAX_FDS`] descriptors, aligned as the kernel's macros expect.
#[repr(C)]
union Control {
    bytes: [u8; 64],
    header: libc::cmsghdr,
}

fn receive(fd: RawFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<usize, Error> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control { bytes: [0; 64] };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to memory that lives until the call returns, with its length beside it.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT) };
    if count < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the kernel filled `control` and set `msg_controllen`; the macros stay inside it. Each descriptor is new
    // and owned by nobody else.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<[u8; size_of::<RawFd>()]>();
                for at in 0..bytes / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(RawFd::from_ne_bytes(data.add(at).read())));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(count.cast_unsigned())
}
