//! A second pipe with what a first pipe or stream holds, made by the kernel: the bytes never enter this process. FFI
//! edge: splice(2), tee(2), poll(2).

use std::io::{Error, ErrorKind, PipeReader, PipeWriter, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::ptr::null_mut;

use entra_wire::protocol::MAX_PASSWORD;

/// One byte more than a password may have tells one that is too long.
const MOST: usize = MAX_PASSWORD + 1;

/// Gives back what holds the password, and a copy of it. No copy where more may still be written, where it holds
/// nothing, more than a password, or is neither pipe nor stream.
///
/// # Errors
/// What the system refused; the password may be lost then.
pub(super) fn of(password: OwnedFd) -> Result<(OwnedFd, Option<OwnedFd>)> {
    let file = std::fs::File::from(password);
    let kind = file.metadata()?.file_type();
    let password = OwnedFd::from(file);
    if !is_whole(&password)? {
        return Ok((password, None));
    }
    // tee(2) takes pipes only.
    let pipe = if kind.is_socket() { drain(&password)? } else { password };
    if !kind.is_socket() && !kind.is_fifo() {
        return Ok((pipe, None));
    }
    let (copy, end): (PipeReader, PipeWriter) = std::io::pipe()?;
    // SAFETY: no pointers; both descriptors are open for the call.
    let copied = unsafe { libc::tee(pipe.as_raw_fd(), end.as_raw_fd(), MOST, libc::SPLICE_F_NONBLOCK) };
    match usize::try_from(copied) {
        Ok(1..=MAX_PASSWORD) => Ok((pipe, Some(copy.into()))),
        Ok(_) => Ok((pipe, None)),
        Err(_) => match Error::last_os_error() {
            // Nothing in it.
            error if error.kind() == ErrorKind::WouldBlock => Ok((pipe, None)),
            error => Err(error),
        },
    }
}

/// Whether nobody will write into it any more.
fn is_whole(password: &OwnedFd) -> Result<bool> {
    let mut poll = libc::pollfd { fd: password.as_raw_fd(), events: libc::POLLIN | libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd, live for the call, which does not wait.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(poll.revents & (libc::POLLHUP | libc::POLLRDHUP) != 0)
}

/// Moves what a stream holds into a pipe.
fn drain(stream: &OwnedFd) -> Result<OwnedFd> {
    let (pipe, end): (PipeReader, PipeWriter) = std::io::pipe()?;
    let mut moved = 0;
    while moved < MOST {
        // SAFETY: no offsets; both descriptors are open for the call.
        let count = unsafe {
            libc::splice(
                stream.as_raw_fd(),
                null_mut(),
                end.as_raw_fd(),
                null_mut(),
                MOST - moved,
                libc::SPLICE_F_NONBLOCK,
            )
        };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => moved += count,
            Err(_) => return Err(Error::last_os_error()),
        }
    }
    Ok(pipe.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    fn text(holder: OwnedFd) -> String {
        let mut text = String::new();
        std::fs::File::from(holder).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn both_give_the_password_whatever_it_came_in() {
        for length in [1, 700, MAX_PASSWORD] {
            let password = "p".repeat(length);
            let (pipe, mut into_pipe) = std::io::pipe().unwrap();
            let (stream, mut into_stream) = UnixStream::pair().unwrap();
            // In parts, as a careless client may write it.
            for part in password.as_bytes().chunks(1000) {
                into_pipe.write_all(part).unwrap();
                into_stream.write_all(part).unwrap();
            }
            drop(into_pipe);
            into_stream.shutdown(Shutdown::Write).unwrap();
            for holder in [OwnedFd::from(pipe), OwnedFd::from(stream)] {
                let (first, second) = of(holder).unwrap();
                assert_eq!(text(second.unwrap()), password);
                assert_eq!(text(first), password);
            }
        }
    }

    #[test]
    fn what_may_go_on_is_left_as_it_is() {
        let (stream, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(b"the first part").unwrap();
        let (stream, copy) = of(stream.into()).unwrap();
        assert!(copy.is_none());
        writer.write_all(b" and the rest").unwrap();
        drop(writer);
        assert_eq!(text(stream), "the first part and the rest");
    }

    #[test]
    fn what_is_no_password_has_no_copy() {
        let holder = |bytes: &[u8]| {
            let (stream, mut writer) = UnixStream::pair().unwrap();
            writer.write_all(bytes).unwrap();
            OwnedFd::from(stream)
        };
        assert!(of(holder(&[])).unwrap().1.is_none());
        let (long, copy) = of(holder(&[b'p'; MAX_PASSWORD + 9])).unwrap();
        assert!(copy.is_none());
        assert!(text(long).len() > MAX_PASSWORD, "whoever reads it sees that it is too long");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!matches!(of(file.into()), Ok((_, Some(_)))), "neither pipe nor stream");
    }
}
