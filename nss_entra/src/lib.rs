//! `libnss_entra.so.2`: passwd, group and initgroups from `entrad`, through glibc's name service switch.
//!
//! The entry points are our own. `libnss` gives the C-facing types (`CPasswd`, `CGroup`, `NssStatus`), but not its
//! hooks: those (version 0.9.0) let a panic leave `extern "C"`, leave `*errnop` unset where they say "try again", give
//! `gr_mem` unaligned, shrink the array of initgroups and never check its `realloc`, clear the caller's whole buffer at
//! each call, and hold a whole enumeration in memory behind a lock that a fork leaves taken.
//!
//! | Module | Holds |
//! |---|---|
//! | [`passwd`], [`group`], [`initgroups`] | one database each: what is asked, what of the answer is ours |
//! | [`enumeration`] | where `getpwent` and `getgrent` stand |
//! | [`daemon`] | one question to the socket, one deadline |
//! | [`local`] | what stands in `/etc/passwd` and `/etc/group` and therefore is not ours |
//! | [`buffer`] | packing a record into the caller's memory |
//! | [`status`] | NSS and errno codes, and the frame around every entry point |
//! | [`shared`] | the shared cache, which is asked before the socket |
//!
//! # Safety
//!
//! Every entry point relies on what nsswitch promises its modules: a name is a C string; `result` points to a struct
//! that may be written; `buffer` to `length` bytes that nobody else uses during the call; `errnop` to an int.

#![deny(unsafe_code)]

mod buffer;
mod daemon;
mod enumeration;
mod group;
mod initgroups;
mod local;
mod passwd;
mod shared;
mod status;

/// The C edge: pointers become borrows here and nowhere else.
#[allow(unsafe_code)]
mod entries {
    use libc::{c_char, c_int, c_long, gid_t, size_t, uid_t};
    use libnss::group::CGroup;
    use libnss::passwd::CPasswd;

    use crate::buffer::{Destination, text};
    use crate::initgroups::GroupArray;
    use crate::status::{ErrnoSlot, entry};
    use crate::{group, initgroups, passwd};

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getpwnam_r(
        name: *const c_char,
        result: *mut CPasswd,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: what nsswitch promises (see the crate's head).
        let (name, into, errno) =
            unsafe { (text(name), Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || passwd::by_name(name, into))
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getpwuid_r(
        uid: uid_t,
        result: *mut CPasswd,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above.
        let (into, errno) = unsafe { (Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || passwd::by_uid(uid, into))
    }

    #[unsafe(no_mangle)]
    extern "C" fn _nss_entra_setpwent(_stay_open: c_int) -> c_int {
        entry(ErrnoSlot::none(), passwd::rewind)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getpwent_r(
        result: *mut CPasswd,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above.
        let (into, errno) = unsafe { (Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || passwd::next(into))
    }

    #[unsafe(no_mangle)]
    extern "C" fn _nss_entra_endpwent() -> c_int {
        entry(ErrnoSlot::none(), passwd::rewind)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getgrnam_r(
        name: *const c_char,
        result: *mut CGroup,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above.
        let (name, into, errno) =
            unsafe { (text(name), Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || group::by_name(name, into))
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getgrgid_r(
        gid: gid_t,
        result: *mut CGroup,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above.
        let (into, errno) = unsafe { (Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || group::by_gid(gid, into))
    }

    #[unsafe(no_mangle)]
    extern "C" fn _nss_entra_setgrent(_stay_open: c_int) -> c_int {
        entry(ErrnoSlot::none(), group::rewind)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_getgrent_r(
        result: *mut CGroup,
        buffer: *mut c_char,
        length: size_t,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above.
        let (into, errno) = unsafe { (Destination::new(result, buffer, length), ErrnoSlot::new(errnop)) };
        entry(errno, || group::next(into))
    }

    #[unsafe(no_mangle)]
    extern "C" fn _nss_entra_endgrent() -> c_int {
        entry(ErrnoSlot::none(), group::rewind)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn _nss_entra_initgroups_dyn(
        name: *const c_char,
        group: gid_t,
        start: *mut c_long,
        size: *mut c_long,
        groups: *mut *mut gid_t,
        limit: c_long,
        errnop: *mut c_int,
    ) -> c_int {
        // SAFETY: as above; `*groups` is memory from malloc with room for `*size` ids, `*start` of them filled.
        let (name, array, errno) =
            unsafe { (text(name), GroupArray::new(start, size, groups, limit), ErrnoSlot::new(errnop)) };
        entry(errno, || initgroups::of_user(name, group, array))
    }
}
