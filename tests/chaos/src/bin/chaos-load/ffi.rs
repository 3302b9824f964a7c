//! glibc's lookups. FFI edge of the load.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// What a lookup said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The user's name, uid and gid.
    User(String, u32, u32),
    /// There is none.
    Absent,
    /// The error's number (errno).
    Error(i32),
}

/// Room for one user.
const ROOM: usize = 16384;
/// Room for the groups of one user.
const GROUPS: usize = 4096;

/// getpwnam_r(3).
pub fn user(name: &str) -> Found {
    let Ok(name) = CString::new(name) else { return Found::Absent };
    let (mut user, mut found, mut room) = (MaybeUninit::<libc::passwd>::uninit(), null_mut(), vec![0_u8; ROOM]);
    // SAFETY: the name is a C string; record, buffer and result are ours during the call.
    unsafe {
        let at = room.as_mut_ptr().cast::<c_char>();
        let code = libc::getpwnam_r(name.as_ptr(), user.as_mut_ptr(), at, room.len(), &raw mut found);
        result(code, found)
    }
}

/// getpwuid_r(3).
pub fn user_by_id(uid: u32) -> Found {
    let (mut user, mut found, mut room) = (MaybeUninit::<libc::passwd>::uninit(), null_mut(), vec![0_u8; ROOM]);
    // SAFETY: record, buffer and result are ours during the call.
    unsafe {
        let at = room.as_mut_ptr().cast::<c_char>();
        let code = libc::getpwuid_r(uid, user.as_mut_ptr(), at, room.len(), &raw mut found);
        result(code, found)
    }
}

/// getgrouplist(3), sorted. It has no way to say that it does not know: then the list is `gid` alone.
pub fn groups(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else { return Vec::new() };
    let mut list = vec![0; GROUPS];
    let mut count = i32::try_from(GROUPS).unwrap_or_default();
    // SAFETY: the name is a C string, and the list has room for `count` ids.
    unsafe { libc::getgrouplist(name.as_ptr(), gid, list.as_mut_ptr(), &raw mut count) };
    list.truncate(usize::try_from(count).unwrap_or_default());
    list.sort_unstable();
    list
}

/// # Safety
/// `found` is null or points to a user that glibc filled in, its text included.
unsafe fn result(code: i32, found: *const libc::passwd) -> Found {
    if code != 0 {
        return Found::Error(code);
    }
    // SAFETY: by the promise above.
    unsafe {
        found.as_ref().map_or(Found::Absent, |user| {
            Found::User(CStr::from_ptr(user.pw_name).to_string_lossy().into_owned(), user.pw_uid, user.pw_gid)
        })
    }
}
