//! The uid behind a name, as the whole system sees it. FFI edge: getpwnam_r(3).

use std::ffi::CString;

/// Buffer to begin with, in bytes: an entry of `/etc/passwd` or of ours fits.
const FIRST_BUFFER: usize = 2048;
/// Largest buffer that is tried.
const LAST_BUFFER: usize = 1 << 20;

/// The uid of `name` by NSS; `None` where nobody knows it or cannot say now.
pub(crate) fn of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut size = FIRST_BUFFER;
    while size <= LAST_BUFFER {
        let mut buffer = vec![0u8; size];
        // SAFETY: all-zero bytes are a valid passwd.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: every pointer is to memory that lives through the call, the buffer is as long as said; `entry`, whose
        // strings point into the buffer, is used for its number only.
        let failed = unsafe {
            libc::getpwnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr().cast(), size, &raw mut found)
        };
        match failed {
            libc::ERANGE => size *= 4,
            0 if !found.is_null() => return Some(entry.pw_uid),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved() {
        assert_eq!(of("root"), Some(0));
        assert_eq!(of("no such user here"), None);
        assert_eq!(of("ro\0ot"), None);
    }
}
