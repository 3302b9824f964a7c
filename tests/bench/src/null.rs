//! The functions of the module that does nothing. FFI edge: the signatures are those of nss.h.

use std::ffi::{c_char, c_int, c_long};

const SUCCESS: c_int = 1;

/// An empty string behind the caller's buffer, which is not written.
const EMPTY: *mut c_char = c"".as_ptr().cast_mut();

/// A list without members.
struct None(#[allow(dead_code, reason = "C reads it")] *mut c_char);

// SAFETY: a null pointer that nobody changes.
unsafe impl Sync for None {}

static MEMBERS: None = None(std::ptr::null_mut());

/// A function of the module that gives the same record to whoever asks.
macro_rules! gives {
    ($name:ident, $key:ty, $record:ty, $value:expr) => {
        /// A lookup of the module.
        ///
        /// # Safety
        /// As nss.h says: `record` can be written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            _key: $key,
            record: *mut $record,
            _buffer: *mut c_char,
            _length: usize,
            _error: *mut c_int,
        ) -> c_int {
            // SAFETY: the caller's promise.
            unsafe { record.write($value) };
            SUCCESS
        }
    };
}

gives!(_nss_benchnull_getpwnam_r, *const c_char, libc::passwd, user());
gives!(_nss_benchnull_getpwuid_r, libc::uid_t, libc::passwd, user());
gives!(_nss_benchnull_getgrnam_r, *const c_char, libc::group, group());
gives!(_nss_benchnull_getgrgid_r, libc::gid_t, libc::group, group());

/// `initgroups_dyn` of the module: no group more.
#[unsafe(no_mangle)]
pub extern "C" fn _nss_benchnull_initgroups_dyn(
    _name: *const c_char,
    _group: libc::gid_t,
    _start: *mut c_long,
    _size: *mut c_long,
    _groups: *mut *mut libc::gid_t,
    _limit: c_long,
    _error: *mut c_int,
) -> c_int {
    SUCCESS
}

fn user() -> libc::passwd {
    libc::passwd {
        pw_name: EMPTY,
        pw_passwd: EMPTY,
        pw_uid: 1,
        pw_gid: 1,
        pw_gecos: EMPTY,
        pw_dir: EMPTY,
        pw_shell: EMPTY,
    }
}

fn group() -> libc::group {
    libc::group { gr_name: EMPTY, gr_passwd: EMPTY, gr_gid: 1, gr_mem: (&raw const MEMBERS).cast_mut().cast() }
}
