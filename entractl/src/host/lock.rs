//! One join or leave at a time. FFI edge: std offers no flock in the oldest Rust that this workspace supports.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::exit::Failure;

/// Held until dropped.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, without waiting.
    ///
    /// # Errors
    /// When somebody else holds it or the file cannot be made.
    pub fn take(path: &Path, verb: &str) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| Failure::no(verb, format!("{}: {error}", path.display())))?;
        // SAFETY: no pointer is passed; the descriptor is open for the call.
        let taken = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if taken != 0 {
            return Err(
                Failure::no(verb, "another entractl is joining or leaving right now").remedy("wait for its end")
            );
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_refused_until_the_first_lets_go() {
        let folder = crate::host::file::tests::Folder::new();
        let path = folder.0.join("lock");
        let first = Lock::take(&path, "join").unwrap();
        assert!(Lock::take(&path, "join").is_err());
        drop(first);
        assert!(Lock::take(&path, "join").is_ok());
    }
}
