//! A non-blocking Unix stream with deadlines. FFI edge: std offers neither peer credentials nor a connect
//! with a deadline.

use std::io::Error;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::CallError;
use crate::rights;

/// One connected stream; closed when dropped.
pub(crate) struct Stream {
    fd: OwnedFd,
}

impl Stream {
    /// Connects before `deadline`.
    pub(crate) fn connect(path: &Path, deadline: Instant) -> Result<Self, CallError> {
        let (address, length) = address(path).ok_or(CallError::NotRunning)?;
        let fd = socket()?;
        loop {
            // SAFETY: `address` is an initialised sockaddr_un of which `length` bytes count; the fd is ours.
            let done = unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), length) };
            if done == 0 {
                return Ok(Self { fd });
            }
            match Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                // The listener's queue is full. poll() says nothing about that on a Unix socket: wait a little.
                Some(libc::EAGAIN) => {
                    let left = deadline.checked_duration_since(Instant::now()).ok_or(CallError::TimedOut)?;
                    std::thread::sleep(left.min(Duration::from_millis(2)));
                }
                Some(libc::EISCONN) => return Ok(Self { fd }),
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => return Err(CallError::Resources),
                _ => return Err(CallError::NotRunning),
            }
        }
    }

    /// The uid of the process that listens (SO_PEERCRED: as it was when it called `listen`).
    pub(crate) fn peer_uid(&self) -> Result<u32, CallError> {
        let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the pointers are to a ucred and its size, both live for the call.
        let done = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        if done == 0 { Ok(credentials.uid) } else { Err(CallError::Broken) }
    }

    /// Sends all of `bytes`, with `fds` beside the first one.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<(), CallError> {
        let mut sent = 0;
        while sent < bytes.len() {
            let carried = if sent == 0 { fds } else { &[] };
            let count = rights::send(self.fd.as_fd(), &bytes[sent..], carried);
            match count {
                Ok(count) => sent += count,
                Err(error) => self.recover(&error, libc::POLLOUT, deadline)?,
            }
        }
        Ok(())
    }

    /// Fills `buffer`.
    pub(crate) fn receive(&self, buffer: &mut [u8], deadline: Instant) -> Result<(), CallError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            // SAFETY: `rest` is writable for its length.
            let count =
                unsafe { libc::recv(self.fd.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), libc::MSG_NOSIGNAL) };
            match count {
                0 => return Err(CallError::Broken),
                1.. => filled += count.cast_unsigned(),
                _ => self.recover(&Error::last_os_error(), libc::POLLIN, deadline)?,
            }
        }
        Ok(())
    }

    fn recover(&self, error: &Error, events: i16, deadline: Instant) -> Result<(), CallError> {
        match error.raw_os_error() {
            Some(libc::EINTR) => Ok(()),
            Some(libc::EAGAIN) => self.wait(events, deadline),
            Some(libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS) => Err(CallError::Resources),
            _ => Err(CallError::Broken),
        }
    }

    fn wait(&self, events: i16, deadline: Instant) -> Result<(), CallError> {
        loop {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(CallError::TimedOut)?;
            // Round up: a poll of 0 ms before the deadline would spin.
            let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
            let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events, revents: 0 };
            // SAFETY: one pollfd, live for the call.
            match unsafe { libc::poll(&raw mut poll, 1, millis) } {
                0 => return Err(CallError::TimedOut),
                1.. => return Ok(()),
                _ if Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
                _ => return Err(CallError::Broken),
            }
        }
    }
}

fn address(path: &Path) -> Option<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: all-zero bytes are a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return None;
    }
    for (slot, byte) in address.sun_path.iter_mut().zip(bytes) {
        *slot = byte.cast_signed();
    }
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
    Some((address, length as libc::socklen_t))
}

/// A new socket, never descriptor 0, 1 or 2: where a host process has closed those, another of its threads may be
/// about to write there.
fn socket() -> Result<OwnedFd, CallError> {
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
    if fd < 0 {
        return Err(CallError::Resources);
    }
    // SAFETY: the call above made this descriptor, and nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // SAFETY: no pointer is passed; the result is a new descriptor of ours or -1.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if moved < 0 {
        return Err(CallError::Resources);
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}
