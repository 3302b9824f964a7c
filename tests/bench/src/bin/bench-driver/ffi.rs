//! A module's entry points, called as glibc calls them, and glibc's own calls. FFI edge of the driver.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::mem::{MaybeUninit, transmute};
use std::ptr::null_mut;

/// What a lookup said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is one; for group lists the count of groups.
    Found(usize),
    /// There is none.
    Absent,
    /// The module does not know.
    Unavailable,
}

/// One lookup.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// `getpwnam`
    User(CString),
    /// `getpwuid`
    Uid(u32),
    /// `getgrnam`
    Group(CString),
    /// `getgrgid`
    Gid(u32),
    /// `initgroups`, or `getgrouplist` through glibc.
    Groups(CString),
}

type ByName<T> = unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type ById<T> = unsafe extern "C" fn(u32, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type Groups =
    unsafe extern "C" fn(*const c_char, u32, *mut c_long, *mut c_long, *mut *mut u32, c_long, *mut c_int) -> c_int;
type Set = unsafe extern "C" fn(c_int) -> c_int;
type Next = unsafe extern "C" fn(*mut libc::passwd, *mut c_char, usize, *mut c_int) -> c_int;
type End = unsafe extern "C" fn() -> c_int;

unsafe extern "C" {
    /// glibc, nss/nsswitch.c: sets the sources of a database for this process.
    fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
}

/// Where lookups go.
pub enum Way {
    /// The module's functions.
    Direct(Module),
    /// glibc with sources of our own.
    Glibc,
}

/// A loaded module.
pub struct Module {
    handle: *mut c_void,
    service: String,
    getpwnam: ByName<libc::passwd>,
    getpwuid: ById<libc::passwd>,
    getgrnam: ByName<libc::group>,
    getgrgid: ById<libc::group>,
    initgroups: Option<Groups>,
}

/// Room for a group with many thousand members: growing it is not what is measured.
const ROOM: usize = 4 << 20;
/// Room for the groups of one user.
const GROUPS: usize = 65536;

/// The caller's memory of a lookup, kept from one to the next.
pub struct Room {
    buffer: Vec<u8>,
    groups: Vec<u32>,
}

impl Room {
    /// As long as any answer of the bench.
    pub fn new() -> Self {
        Self { buffer: vec![0; ROOM], groups: vec![0; GROUPS] }
    }
}

impl Way {
    /// Loads `libnss_SERVICE.so.2` and finds its functions.
    ///
    /// # Errors
    /// What is missing.
    pub fn direct(service: &str) -> Result<Self, String> {
        let file = c_string(&format!("libnss_{service}.so.2"))?;
        // SAFETY: a C string; the module is one that the system installed, and stays loaded.
        let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW) };
        if handle.is_null() {
            return Err(format!("{file:?} cannot be loaded"));
        }
        let all = |name: &str| symbol(handle, service, name);
        // SAFETY: nss.h gives the functions of these names these types.
        unsafe {
            Ok(Self::Direct(Module {
                handle,
                service: service.into(),
                getpwnam: transmute::<*mut c_void, ByName<libc::passwd>>(all("getpwnam_r")?),
                getpwuid: transmute::<*mut c_void, ById<libc::passwd>>(all("getpwuid_r")?),
                getgrnam: transmute::<*mut c_void, ByName<libc::group>>(all("getgrnam_r")?),
                getgrgid: transmute::<*mut c_void, ById<libc::group>>(all("getgrgid_r")?),
                initgroups: all("initgroups_dyn").ok().map(|found| transmute::<*mut c_void, Groups>(found)),
            }))
        }
    }

    /// Has glibc ask these sources (as in nsswitch.conf) in this process.
    ///
    /// # Errors
    /// When glibc does not take them.
    pub fn glibc(sources: &str) -> Result<Self, String> {
        let sources = c_string(sources)?;
        for database in [c"passwd", c"group", c"initgroups"] {
            // SAFETY: both are C strings, which glibc copies.
            if unsafe { __nss_configure_lookup(database.as_ptr(), sources.as_ptr()) } != 0 {
                return Err(format!("glibc does not take {sources:?} for {database:?}"));
            }
        }
        Ok(Self::Glibc)
    }

    /// Does one lookup.
    pub fn call(&self, lookup: &Lookup, room: &mut Room) -> Outcome {
        match self {
            Self::Direct(module) => module.call(lookup, room),
            Self::Glibc => glibc(lookup, room),
        }
    }

    /// Lists all users: how many.
    ///
    /// # Errors
    /// When the module cannot list or breaks off.
    pub fn users(&self, room: &mut Room) -> Result<usize, String> {
        let Self::Direct(module) = self else {
            return Err("enumeration is measured at the module alone".into());
        };
        let all = |name: &str| symbol(module.handle, &module.service, name);
        let (set, next, end) = (all("setpwent")?, all("getpwent_r")?, all("endpwent")?);
        // SAFETY: nss.h gives the functions of these names these types; record, buffer and code are ours during each call.
        unsafe {
            let (set, next, end) = (
                transmute::<*mut c_void, Set>(set),
                transmute::<*mut c_void, Next>(next),
                transmute::<*mut c_void, End>(end),
            );
            set(0);
            let mut count = 0;
            let status = loop {
                let (mut record, mut code) = (MaybeUninit::<libc::passwd>::zeroed(), 0);
                match next(record.as_mut_ptr(), room.buffer.as_mut_ptr().cast(), room.buffer.len(), &raw mut code) {
                    1 => count += 1,
                    other => break other,
                }
            };
            end();
            if status == 0 { Ok(count) } else { Err(format!("status {status} after {count} users")) }
        }
    }
}

impl Module {
    fn call(&self, lookup: &Lookup, room: &mut Room) -> Outcome {
        let (buffer, length) = (room.buffer.as_mut_ptr().cast::<c_char>(), room.buffer.len());
        let (mut user, mut group) = (MaybeUninit::<libc::passwd>::uninit(), MaybeUninit::<libc::group>::uninit());
        let mut code = 0;
        // SAFETY: names are C strings; record, buffer and code are ours during the call. nss.h allows initgroups_dyn to
        // grow the array by realloc, so that one comes from malloc.
        let status = unsafe {
            match lookup {
                Lookup::User(name) => (self.getpwnam)(name.as_ptr(), user.as_mut_ptr(), buffer, length, &raw mut code),
                Lookup::Uid(uid) => (self.getpwuid)(*uid, user.as_mut_ptr(), buffer, length, &raw mut code),
                Lookup::Group(name) => {
                    (self.getgrnam)(name.as_ptr(), group.as_mut_ptr(), buffer, length, &raw mut code)
                }
                Lookup::Gid(gid) => (self.getgrgid)(*gid, group.as_mut_ptr(), buffer, length, &raw mut code),
                Lookup::Groups(name) => return self.groups(name),
            }
        };
        outcome(status, 1)
    }

    fn groups(&self, name: &CString) -> Outcome {
        let Some(initgroups) = self.initgroups else { return Outcome::Unavailable };
        // As getgrouplist begins: the first place is the primary group's.
        let (mut start, mut size, mut code) = (1, 4096, 0);
        // SAFETY: an array from malloc with room for `size` ids, freed here wherever the call moved it.
        unsafe {
            let mut array = libc::malloc(4096 * size_of::<u32>()).cast::<u32>();
            let status = initgroups(name.as_ptr(), 0, &raw mut start, &raw mut size, &raw mut array, -1, &raw mut code);
            libc::free(array.cast());
            outcome(status, usize::try_from(start).unwrap_or(0).saturating_sub(1))
        }
    }
}

fn glibc(lookup: &Lookup, room: &mut Room) -> Outcome {
    let (buffer, length) = (room.buffer.as_mut_ptr().cast::<c_char>(), room.buffer.len());
    let (mut user, mut group) = (MaybeUninit::<libc::passwd>::uninit(), MaybeUninit::<libc::group>::uninit());
    let (mut found_user, mut found_group) = (null_mut(), null_mut());
    // SAFETY: names are C strings; record, buffer and result are ours during the call.
    let code = unsafe {
        match lookup {
            Lookup::User(name) => {
                libc::getpwnam_r(name.as_ptr(), user.as_mut_ptr(), buffer, length, &raw mut found_user)
            }
            Lookup::Uid(uid) => libc::getpwuid_r(*uid, user.as_mut_ptr(), buffer, length, &raw mut found_user),
            Lookup::Group(name) => {
                libc::getgrnam_r(name.as_ptr(), group.as_mut_ptr(), buffer, length, &raw mut found_group)
            }
            Lookup::Gid(gid) => libc::getgrgid_r(*gid, group.as_mut_ptr(), buffer, length, &raw mut found_group),
            Lookup::Groups(name) => {
                let mut count = GROUPS as c_int;
                // SAFETY: the array has room for `count` ids.
                libc::getgrouplist(name.as_ptr(), 0, room.groups.as_mut_ptr(), &raw mut count);
                return Outcome::Found(usize::try_from(count).unwrap_or(0).saturating_sub(1));
            }
        }
    };
    match code {
        0 if found_user.is_null() && found_group.is_null() => Outcome::Absent,
        0 => Outcome::Found(1),
        _ => Outcome::Unavailable,
    }
}

/// The meaning of a status of nss.h.
fn outcome(status: c_int, count: usize) -> Outcome {
    match status {
        1 => Outcome::Found(count),
        0 => Outcome::Absent,
        _ => Outcome::Unavailable,
    }
}

fn symbol(handle: *mut c_void, service: &str, name: &str) -> Result<*mut c_void, String> {
    let full = c_string(&format!("_nss_{service}_{name}"))?;
    // SAFETY: the handle is from dlopen, the name a C string.
    let found = unsafe { libc::dlsym(handle, full.as_ptr()) };
    if found.is_null() { Err(format!("the module has no {full:?}")) } else { Ok(found) }
}

/// The text as C wants it.
///
/// # Errors
/// When it holds a NUL.
pub fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} holds a NUL"))
}
