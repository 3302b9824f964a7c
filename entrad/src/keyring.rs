//! Passwords that wait in the kernel until their domain is back. FFI edge: add_key(2), keyctl(2); libc has no functions
//! for them.
//!
//! The broker gives itself an anonymous session keyring, which its helpers inherit (session-keyring(7)) and nobody else can
//! join. What lies in it may be read by whoever possesses it and by nobody else, root included; root sees in /proc/keys
//! that it is there. Each key has a life, all of them go with the broker, and none is ever on a disk.

use std::ffi::CStr;
use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use entra_wire::protocol::MAX_PASSWORD;
use zeroize::Zeroizing;

// <linux/keyctl.h>
const SESSION_KEYRING: i32 = -3;
const PROCESS_KEYRING: i32 = -2;
const JOIN_SESSION_KEYRING: i32 = 1;
const REVOKE: i32 = 3;
const SETPERM: i32 = 5;
const LINK: i32 = 8;
const UNLINK: i32 = 9;
const SEARCH: i32 = 10;
const READ: i32 = 11;
const SET_TIMEOUT: i32 = 15;
/// Everything for whoever possesses it; for its owner, root, to see that it is there.
const PERMISSIONS: u32 = 0x3f00_0000 | 0x0001_0000;
const TYPE: &CStr = c"user";

/// Gives this process, and those that it executes, a new and empty session keyring.
///
/// # Errors
/// Where the kernel has no keys, or a container's filter keeps them away.
pub fn own_session() -> Result<()> {
    keyctl(JOIN_SESSION_KEYRING, [0; 4]).map(drop)
}

/// Keeps `secret` under `name` in the session's keyring for `life`, in the place of what was kept under that name.
///
/// # Errors
/// What the kernel refused; nothing is kept then.
pub fn keep(name: &CStr, secret: &[u8], life: Duration) -> Result<()> {
    // Put together where it goes with this process: nothing without an end is ever where it would stay.
    // SAFETY: two C strings, and a payload with its length, live for the call.
    let key = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            TYPE.as_ptr(),
            name.as_ptr(),
            secret.as_ptr(),
            secret.len(),
            libc::c_long::from(PROCESS_KEYRING),
        )
    };
    let key = number(key)?;
    keyctl(SETPERM, [key, u64::from(PERMISSIONS), 0, 0])?;
    keyctl(SET_TIMEOUT, [key, life.as_secs().max(1), 0, 0])?;
    keyctl(LINK, [key, special(SESSION_KEYRING), 0, 0])?;
    keyctl(UNLINK, [key, special(PROCESS_KEYRING), 0, 0]).map(drop)
}

/// Takes what is kept under `name` out of the session's keyring: it can be had once. `None` where there is nothing, or its
/// life is over.
///
/// # Errors
/// What the kernel refused.
pub fn take(name: &CStr) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(key) = find(name)? else { return Ok(None) };
    // One byte more than a password may have, so that it is never moved, and one that is too long is seen.
    let mut secret = Zeroizing::new(vec![0; MAX_PASSWORD + 1]);
    let length = keyctl(READ, [key, secret.as_mut_ptr() as u64, secret.len() as u64, 0])?;
    drop_key(key)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_PASSWORD {
        return Err(ErrorKind::InvalidData.into());
    }
    secret.truncate(length);
    Ok(Some(secret))
}

/// Removes what is kept under `name`; nothing is as good.
///
/// # Errors
/// What the kernel refused.
pub fn forget(name: &CStr) -> Result<()> {
    find(name)?.map_or(Ok(()), drop_key)
}

fn find(name: &CStr) -> Result<Option<u64>> {
    let wanted = [special(SESSION_KEYRING), TYPE.as_ptr() as u64, name.as_ptr() as u64, 0];
    match keyctl(SEARCH, wanted) {
        Ok(key) => Ok(Some(key)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOKEY | libc::EKEYEXPIRED | libc::EKEYREVOKED) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Wipes it, and takes it out of the keyring.
fn drop_key(key: u64) -> Result<()> {
    keyctl(REVOKE, [key, 0, 0, 0])?;
    keyctl(UNLINK, [key, special(SESSION_KEYRING), 0, 0]).map(drop)
}

/// A keyring by its fixed number, as the kernel reads it: signed.
fn special(keyring: i32) -> u64 {
    i64::from(keyring).cast_unsigned()
}

fn keyctl(operation: i32, arguments: [u64; 4]) -> Result<u64> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: every pointer among the arguments is to memory of the callers above that lives until the call returns, its
    // length beside it where the kernel writes.
    number(unsafe { libc::syscall(libc::SYS_keyctl, libc::c_long::from(operation), first, second, third, fourth) })
}

fn number(outcome: libc::c_long) -> Result<u64> {
    u64::try_from(outcome).map_err(|_| Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: it has its own session keyring then, and the others keep theirs.
    fn in_a_session(work: impl FnOnce() + Send + 'static) {
        std::thread::spawn(|| {
            own_session().unwrap();
            work();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_kept_is_had_once() {
        in_a_session(|| {
            assert_eq!(take(c"entra:test").unwrap(), None);
            keep(c"entra:test", b"first", Duration::from_secs(60)).unwrap();
            keep(c"entra:test", b"secret", Duration::from_secs(60)).unwrap();
            assert_eq!(take(c"entra:other").unwrap(), None);
            assert_eq!(take(c"entra:test").unwrap().unwrap().as_slice(), b"secret");
            assert_eq!(take(c"entra:test").unwrap(), None);
            keep(c"entra:test", b"again", Duration::from_secs(60)).unwrap();
            forget(c"entra:test").unwrap();
            forget(c"entra:test").unwrap();
            assert_eq!(take(c"entra:test").unwrap(), None);
        });
    }

    #[test]
    fn its_life_ends() {
        in_a_session(|| {
            keep(c"entra:test", b"secret", Duration::from_secs(1)).unwrap();
            std::thread::sleep(Duration::from_millis(2100));
            assert_eq!(take(c"entra:test").unwrap(), None);
        });
    }

    #[test]
    fn who_joins_another_session_has_lost_it() {
        in_a_session(|| {
            keep(c"entra:test", b"secret", Duration::from_secs(60)).unwrap();
            let key = find(c"entra:test").unwrap().unwrap();
            own_session().unwrap();
            assert_eq!(take(c"entra:test").unwrap(), None);
            // Nor by its number, although this is the user who owns it: only a possessor reads.
            std::thread::spawn(move || {
                own_session().unwrap();
                let mut secret = [0_u8; 16];
                let read = keyctl(READ, [key, secret.as_mut_ptr() as u64, secret.len() as u64, 0]);
                assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EACCES));
            })
            .join()
            .unwrap();
        });
    }
}
