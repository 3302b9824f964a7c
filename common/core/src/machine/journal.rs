//! The change that is under way. It holds the new password: without it a host whose directory has taken the password
//! and whose keytab has not would have to join again.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

use super::private_file;

/// First line of the file; another one is refused.
const HEAD: &str = "entra rotation 1";
/// Random bytes of a password: 384 bits, 64 letters, digits, `-` and `_`, which every policy takes.
const RANDOM: usize = 48;
/// Largest file that is read, in bytes.
const MOST: u64 = 4096;

/// A change that was begun.
pub(super) struct Journal {
    /// `HOST$@REALM`
    pub principal: String,
    /// Newest key version before it.
    pub kvno: u32,
    /// The new password.
    pub password: Zeroizing<String>,
}

impl Journal {
    /// A change to a new random password.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn begin(principal: &str, kvno: u32) -> Result<Self, String> {
        let mut random = Zeroizing::new([0; RANDOM]);
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(random.as_mut()))
            .map_err(|error| format!("/dev/urandom: {error}"))?;
        let password = Zeroizing::new(Base64UrlUnpadded::encode_string(random.as_ref()));
        Ok(Self { principal: principal.to_owned(), kvno, password })
    }

    /// The change that was begun; `None` where none is under way.
    ///
    /// # Errors
    /// When the file is there and cannot be understood.
    pub fn load(path: &Path) -> Result<Option<Self>, String> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = private_file::read(path, MOST)?;
        let wrong = || format!("{}: not the note of a password change", path.display());
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
        let lines: Vec<&str> = text.lines().collect();
        let [HEAD, principal, kvno, password] = lines.as_slice() else { return Err(wrong()) };
        let kvno = kvno.parse().map_err(|_| wrong())?;
        if password.len() < RANDOM || !principal.contains("$@") {
            return Err(wrong());
        }
        Ok(Some(Self { principal: (*principal).into(), kvno, password: Zeroizing::new((*password).into()) }))
    }

    /// Writes it; on the disk when the call returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let mut text = format!("{HEAD}\n{}\n{}\n{}\n", self.principal, self.kvno, *self.password);
        let written = private_file::replace(path, text.as_bytes());
        text.zeroize();
        written
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(path: &Path) -> Result<(), String> {
        private_file::remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_comes_back_as_it_was_written_and_half_of_it_does_not() {
        let path = std::env::temp_dir().join(format!("entra-rotation-{}", std::process::id()));
        assert!(Journal::load(&path).unwrap().is_none());
        let (journal, other) = (Journal::begin("H$@R", 3).unwrap(), Journal::begin("H$@R", 3).unwrap());
        assert_ne!(*journal.password, *other.password);
        assert_eq!(journal.password.len(), 64);
        journal.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Journal::load(&path).unwrap().unwrap();
        assert_eq!((read.principal.as_str(), read.kvno, &read.password), ("H$@R", 3, &journal.password));
        for broken in ["", "entra rotation 2\nH$@R\n3\n", "entra rotation 1\nH$@R\n3\nshort\n"] {
            std::fs::write(&path, broken).unwrap();
            assert!(Journal::load(&path).is_err(), "{broken:?}");
        }
        Journal::remove(&path).unwrap();
        Journal::remove(&path).unwrap();
    }
}
