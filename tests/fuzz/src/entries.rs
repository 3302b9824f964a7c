//! The NSS module's entry points, called as glibc calls them. FFI edge.
//!
//! Whatever the module says, a success gives strings that lie in the caller's buffer and end there, ids that the
//! configuration grants, and no name or field that breaks a line.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::path::Path;

use entra_fuzz_nss as _;

use crate::map::{ALICE, STAFF};

unsafe extern "C" {
    fn _nss_entra_getpwnam_r(
        name: *const c_char,
        result: *mut libc::passwd,
        buffer: *mut c_char,
        length: usize,
        errnop: *mut c_int,
    ) -> c_int;
    fn _nss_entra_getpwuid_r(
        uid: u32,
        result: *mut libc::passwd,
        buffer: *mut c_char,
        length: usize,
        errnop: *mut c_int,
    ) -> c_int;
    fn _nss_entra_getgrnam_r(
        name: *const c_char,
        result: *mut libc::group,
        buffer: *mut c_char,
        length: usize,
        errnop: *mut c_int,
    ) -> c_int;
    fn _nss_entra_getgrgid_r(
        gid: u32,
        result: *mut libc::group,
        buffer: *mut c_char,
        length: usize,
        errnop: *mut c_int,
    ) -> c_int;
    fn _nss_entra_setpwent(stay_open: c_int) -> c_int;
    fn _nss_entra_getpwent_r(
        result: *mut libc::passwd,
        buffer: *mut c_char,
        length: usize,
        errnop: *mut c_int,
    ) -> c_int;
    fn _nss_entra_setgrent(stay_open: c_int) -> c_int;
    fn _nss_entra_getgrent_r(result: *mut libc::group, buffer: *mut c_char, length: usize, errnop: *mut c_int)
    -> c_int;
    fn _nss_entra_initgroups_dyn(
        name: *const c_char,
        group: u32,
        start: *mut c_long,
        size: *mut c_long,
        groups: *mut *mut u32,
        limit: c_long,
        errnop: *mut c_int,
    ) -> c_int;
}

const SUCCESS: c_int = 1;
/// What the stage's configuration grants.
const GRANTED: std::ops::RangeInclusive<u32> = 200_000..=2_000_199_999;

/// Has the module use this folder. Before its first lookup, while no other thread of this process reads the environment.
pub fn point_at(folder: &Path) {
    // SAFETY: called once, before the thread that serves and before any lookup.
    unsafe {
        std::env::set_var("ENTRA_RUN_DIR", folder);
        std::env::set_var("ENTRA_CONFIG_DIR", folder);
    }
}

/// One call, with a buffer of exactly `size` bytes, and a look at what it gave.
pub fn call(entry: u8, size: usize) {
    let mut buffer = vec![0x55_u8; size].into_boxed_slice();
    let (start, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
    let within = start as usize..start as usize + length;
    let mut user = MaybeUninit::<libc::passwd>::zeroed();
    let mut group = MaybeUninit::<libc::group>::zeroed();
    let (into_user, into_group) = (user.as_mut_ptr(), group.as_mut_ptr());
    let mut code = 0;
    let errnop = &raw mut code;
    // SAFETY: the entries have these types (nss.h); names are C strings, records, buffer and errnop live for the call; a
    // success filled the record, whose zeroed bytes are valid besides.
    unsafe {
        match entry % 7 {
            0 if _nss_entra_getpwnam_r(c"alice".as_ptr(), into_user, start, length, errnop) == SUCCESS => {
                check_user(user.assume_init_ref(), &within);
            }
            1 if _nss_entra_getpwuid_r(ALICE.0, into_user, start, length, errnop) == SUCCESS => {
                check_user(user.assume_init_ref(), &within);
                assert_eq!(user.assume_init_ref().pw_uid, ALICE.0);
            }
            2 if _nss_entra_getgrnam_r(c"research".as_ptr(), into_group, start, length, errnop) == SUCCESS => {
                check_group(group.assume_init_ref(), &within);
            }
            3 if _nss_entra_getgrgid_r(STAFF, into_group, start, length, errnop) == SUCCESS => {
                check_group(group.assume_init_ref(), &within);
                assert_eq!(group.assume_init_ref().gr_gid, STAFF);
            }
            4 => initgroups(size % 64),
            5 => {
                _nss_entra_setpwent(0);
                if _nss_entra_getpwent_r(into_user, start, length, errnop) == SUCCESS {
                    check_user(user.assume_init_ref(), &within);
                }
                _nss_entra_setpwent(0);
            }
            6 => {
                _nss_entra_setgrent(0);
                if _nss_entra_getgrent_r(into_group, start, length, errnop) == SUCCESS {
                    check_group(group.assume_init_ref(), &within);
                }
                _nss_entra_setgrent(0);
            }
            _ => {}
        }
    }
}

fn check_user(user: &libc::passwd, within: &Range<usize>) {
    for field in [user.pw_name, user.pw_passwd, user.pw_gecos, user.pw_dir, user.pw_shell] {
        check_field(field, within);
    }
    assert!(GRANTED.contains(&user.pw_uid) && GRANTED.contains(&user.pw_gid), "{} {}", user.pw_uid, user.pw_gid);
}

fn check_group(group: &libc::group, within: &Range<usize>) {
    check_field(group.gr_name, within);
    check_field(group.gr_passwd, within);
    assert!(GRANTED.contains(&group.gr_gid), "{}", group.gr_gid);
    assert!(group.gr_mem.is_aligned(), "gr_mem is not aligned");
    let mut at = group.gr_mem;
    loop {
        let end = at as usize + size_of::<*mut c_char>();
        assert!(within.contains(&(at as usize)) && end <= within.end, "gr_mem leaves the buffer");
        // SAFETY: aligned, and in the buffer, which was zeros or written by the module.
        let member = unsafe { at.read() };
        if member.is_null() {
            return;
        }
        check_field(member, within);
        at = at.wrapping_add(1);
    }
}

fn check_field(field: *const c_char, within: &Range<usize>) {
    assert!(within.contains(&(field as usize)), "a field does not point into the buffer");
    let room = within.end - field as usize;
    // SAFETY: `room` bytes from `field` on are the buffer's.
    let bytes = unsafe { std::slice::from_raw_parts(field.cast::<u8>(), room) };
    let text = CStr::from_bytes_until_nul(bytes).expect("a field ends in the buffer").to_bytes();
    assert!(!text.iter().any(|byte| *byte == b':' || *byte == b'\n'), "{text:?} breaks its line");
    assert!(text != b"root", "a name of root's");
}

fn initgroups(room: usize) {
    let mut size = room.max(1) as c_long;
    let mut filled: c_long = 1;
    let mut code = 0;
    // SAFETY: an array from malloc with room for `size` ids, one of them filled, which the module may grow by realloc
    // and which is freed here, once.
    unsafe {
        let mut groups: *mut u32 = libc::malloc(room.max(1) * size_of::<u32>()).cast();
        groups.write(100);
        let name = c"alice".as_ptr();
        let known = 100;
        _nss_entra_initgroups_dyn(
            name,
            known,
            &raw mut filled,
            &raw mut size,
            &raw mut groups,
            (room % 7) as c_long * 9 - 1,
            &raw mut code,
        );
        assert!(filled >= 1 && filled <= size, "{filled} of {size}");
        let ids = std::slice::from_raw_parts(groups, filled as usize);
        assert!(ids[1..].iter().all(|id| GRANTED.contains(id)), "{ids:?}");
        libc::free(groups.cast());
    }
}
