//! Reading one frame and the descriptors beside it. FFI edge: what kind of descriptor it is.
//!
//! A descriptor is somebody else's choice: closing one on a file system that answers to a program of theirs (FUSE) may
//! wait for that program for ever. So none is received where none belongs, only pipes and local sockets are kept, and
//! whatever else comes is closed by a thread that may hang.

use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use entra_wire::rights;
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
    let mut taken = (descriptors > 0).then_some(&mut fds);
    fill(stream, &mut head, taken.as_deref_mut()).await?;
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if !(4..=limit).contains(&length) {
        return Err(FrameError::Malformed);
    }
    let mut body = vec![0; length];
    fill(stream, &mut body, taken).await?;
    if fds.len() > descriptors {
        return Err(FrameError::Malformed);
    }
    Ok((body, fds))
}

async fn fill(stream: &UnixStream, buffer: &mut [u8], mut fds: Option<&mut Vec<OwnedFd>>) -> Result<(), FrameError> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.readable().await.map_err(|_| FrameError::Closed)?;
        let rest = &mut buffer[filled..];
        match stream.try_io(Interest::READABLE, || receive(stream.as_fd(), rest, fds.as_deref_mut())) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(count) => filled += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(FrameError::Malformed),
            Err(_) => return Err(FrameError::Closed),
        }
        if fds.as_ref().is_some_and(|fds| fds.len() > MAX_FDS) {
            return Err(FrameError::Malformed);
        }
    }
    Ok(())
}

/// [`ErrorKind::InvalidData`] where a descriptor came that is neither a pipe nor a local socket.
fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], fds: Option<&mut Vec<OwnedFd>>) -> Result<usize, Error> {
    let received = rights::receive(socket, buffer, fds.is_some())?;
    let mut foreign = false;
    let mut kept = Vec::new();
    for descriptor in received.descriptors {
        if is_pipe(&descriptor) || is_local_socket(&descriptor) {
            kept.push(descriptor);
        } else {
            foreign = true;
            close_aside(descriptor);
        }
    }
    if let Some(fds) = fds {
        fds.extend(kept);
    }
    if foreign { Err(ErrorKind::InvalidData.into()) } else { Ok(received.length) }
}

/// Asks the pipe itself, not the file system that its name may be on.
fn is_pipe(fd: &OwnedFd) -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) > 0 }
}

/// A socket of this host: one of the network may linger when it is closed.
fn is_local_socket(fd: &OwnedFd) -> bool {
    let mut domain: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers are to an int and its size, both live for the call.
    let done = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut domain).cast(), &raw mut length)
    };
    done == 0 && domain == libc::AF_UNIX
}

/// Closes a descriptor that may take for ever. Beyond a few that hang, one is kept open instead.
fn close_aside(fd: OwnedFd) {
    static CLOSING: AtomicUsize = AtomicUsize::new(0);
    const MOST: usize = 16;
    if CLOSING.fetch_add(1, Ordering::AcqRel) >= MOST {
        CLOSING.fetch_sub(1, Ordering::AcqRel);
        log::warn!("a client's descriptor is kept open: {MOST} others hang while they are closed");
        std::mem::forget(fd);
        return;
    }
    let closing = move || {
        drop(fd);
        CLOSING.fetch_sub(1, Ordering::AcqRel);
    };
    if std::thread::Builder::new().name("close".into()).spawn(closing).is_err() {
        CLOSING.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_local_sockets_are_told_from_files() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(is_pipe(&reader.into()));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(is_local_socket(&ours.into()));
        let network = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        assert!(!is_local_socket(&network) && !is_pipe(&network));
        let file = OwnedFd::from(std::fs::File::open("/proc/self/status").unwrap());
        assert!(!is_local_socket(&file) && !is_pipe(&file));
    }
}
