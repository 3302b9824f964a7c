//! A password on its way to libkrb5.

use std::ffi::CStr;
use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Kind};

/// A password, zeroed when dropped, never printed.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes the password's bytes (UTF-8 for AD). The buffer is used as it is, so that no copy is left behind; give it
    /// one byte of spare capacity, or it is copied and the old one zeroed.
    ///
    /// # Errors
    /// [`Kind::Input`] for a NUL byte inside: C strings cannot hold it, and a shortened password must not be tried.
    pub fn new(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        if bytes.contains(&0) {
            return Err(Error::ours(Kind::Input, "a password with a NUL byte inside cannot be used"));
        }
        if bytes.len() == bytes.capacity() {
            let mut roomy = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
            roomy.extend_from_slice(&bytes);
            bytes = roomy;
        }
        bytes.push(0);
        Ok(Self(bytes))
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        // The only NUL is the one that `new` appended.
        CStr::from_bytes_with_nul(&self.0).unwrap_or(c"")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_inside_is_refused_not_cut_off() {
        let error = Password::new(Zeroizing::new(b"right\0rest".to_vec())).err().unwrap();
        assert_eq!(error.kind, Kind::Input);
        assert_eq!(Password::new(Zeroizing::new("päss".into())).unwrap().as_c_str().to_bytes(), "päss".as_bytes());
    }
}
