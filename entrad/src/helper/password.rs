//! Takes a password out of its pipe. FFI edge: the pipe is known by its number, and must not be waited for for ever.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::{Duration, Instant};

use entra_krb5::Password;
use entra_wire::protocol::MAX_PASSWORD;
use zeroize::Zeroizing;

use super::Failure;

/// Where the broker puts the pipe of the one password, or of the old one of two.
const FIRST: RawFd = 3;
/// Where it puts the new one of two.
const SECOND: RawFd = 4;
/// Longest part of a request's time that is spent on waiting for the password to arrive.
const WAIT: Duration = Duration::from_secs(5);

/// Reads the pipe of the one password to its end and closes it. Whoever holds the other end may keep it open: the wait
/// has a limit.
pub(crate) fn read(deadline: Instant) -> Result<Password, Failure> {
    Password::new(bytes_of(FIRST, deadline)?).map_err(|error| Failure::Refused(error.message))
}

/// As [`read`], the new password of two.
pub(crate) fn read_second(deadline: Instant) -> Result<Password, Failure> {
    Password::new(bytes_of(SECOND, deadline)?).map_err(|error| Failure::Refused(error.message))
}

/// As [`read`], the plain bytes, with room for one more.
pub(crate) fn read_bytes(deadline: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
    bytes_of(FIRST, deadline)
}

fn bytes_of(descriptor: RawFd, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong = |error: Error| Failure::Internal(format!("the password's pipe: {error}"));
    let mut pipe = open(descriptor).map_err(wrong)?;
    let limit = deadline.min(Instant::now() + WAIT);
    // One byte more than the longest password, for the NUL that C wants: the buffer never moves.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD + 1));
    let mut part = Zeroizing::new([0; 512]);
    loop {
        wait(&pipe, limit).map_err(wrong)?;
        let count = match pipe.read(&mut *part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.map_err(wrong)?,
        };
        if count == 0 {
            return Ok(bytes);
        }
        if bytes.len() + count > MAX_PASSWORD {
            return Err(Failure::Refused("a password that is too long".into()));
        }
        bytes.extend_from_slice(&part[..count]);
    }
}

fn open(descriptor: RawFd) -> Result<File, Error> {
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor is open, it is the broker's gift, and this runs once for each number: nobody else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

fn wait(pipe: &File, limit: Instant) -> Result<(), Error> {
    loop {
        let left = limit.checked_duration_since(Instant::now()).ok_or(ErrorKind::TimedOut)?;
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
        let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, live for the call.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => {}
            1.. => return Ok(()),
            _ => {
                let error = Error::last_os_error();
                if error.kind() != ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
