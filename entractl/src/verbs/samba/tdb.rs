//! A few entries of a tdb file (tdb(3)), by the libtdb that Samba itself has loaded. FFI edge: no command of Samba begins
//! a secrets.tdb for a machine that is joined already.

use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The library's name since tdb 1.1.
const LIBRARY: &CStr = c"libtdb.so.1";
/// TDB_REPLACE of tdb.h: insert, or put in the place of what is there.
const REPLACE: c_int = 1;

/// `TDB_DATA` of tdb.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    bytes: *mut c_uchar,
    length: usize,
}

type Open = unsafe extern "C" fn(*const c_char, c_int, c_int, c_int, libc::mode_t) -> *mut c_void;
type Store = unsafe extern "C" fn(*mut c_void, Data, Data, c_int) -> c_int;
type Exists = unsafe extern "C" fn(*mut c_void, Data) -> c_int;
type Plain = unsafe extern "C" fn(*mut c_void) -> c_int;

/// An open tdb file.
pub(super) struct Tdb {
    library: *mut c_void,
    file: *mut c_void,
}

impl Tdb {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// Where the library or the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, String> {
        let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|_| "a NUL in the path".to_owned())?;
        // SAFETY: a C string; the library is the distribution's, its constructors do nothing to this process.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err("libtdb.so.1, which Samba uses, cannot be loaded".into());
        }
        let mut tdb = Self { library, file: std::ptr::null_mut() };
        let open = tdb.function(c"tdb_open")?;
        // SAFETY: tdb_open has this type in every version of libtdb.so.1 (tdb.h).
        let open: Open = unsafe { std::mem::transmute(open) };
        // SAFETY: a C string; no flags, so that the file is locked and mapped as Samba does.
        tdb.file = unsafe { open(c_path.as_ptr(), 0, 0, libc::O_RDWR | libc::O_CLOEXEC, 0o600) };
        if tdb.file.is_null() {
            return Err(format!("{}: {}", path.display(), std::io::Error::last_os_error()));
        }
        Ok(tdb)
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// Where the library lacks the function.
    pub fn has(&self, key: &str) -> Result<bool, String> {
        // SAFETY: the type of tdb_exists (tdb.h).
        let exists: Exists = unsafe { std::mem::transmute(self.function(c"tdb_exists")?) };
        // SAFETY: the file is open, the key is only read.
        Ok(unsafe { exists(self.file, data(key.as_bytes())) } != 0)
    }

    /// Stores all of the entries, or none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store(&self, entries: &[(String, Vec<u8>)]) -> Result<(), String> {
        // SAFETY: the types of these functions (tdb.h).
        let (start, commit, store): (Plain, Plain, Store) = unsafe {
            (
                std::mem::transmute::<*mut c_void, Plain>(self.function(c"tdb_transaction_start")?),
                std::mem::transmute::<*mut c_void, Plain>(self.function(c"tdb_transaction_commit")?),
                std::mem::transmute::<*mut c_void, Store>(self.function(c"tdb_store")?),
            )
        };
        let failed = || "secrets.tdb cannot be written".to_owned();
        // SAFETY: the file is open; a transaction that is not committed is undone when the file is closed.
        if unsafe { start(self.file) } != 0 {
            return Err(failed());
        }
        for (key, value) in entries {
            // SAFETY: the file is open; key and value are only read, and copied.
            if unsafe { store(self.file, data(key.as_bytes()), data(value), REPLACE) } != 0 {
                return Err(failed());
            }
        }
        // SAFETY: as above.
        if unsafe { commit(self.file) } == 0 { Ok(()) } else { Err(failed()) }
    }

    fn function(&self, name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: the handle is open, the name a C string.
        let found = unsafe { libc::dlsym(self.library, name.as_ptr()) };
        if found.is_null() { Err(format!("libtdb has no {}", name.to_string_lossy())) } else { Ok(found) }
    }
}

impl Drop for Tdb {
    fn drop(&mut self) {
        if !self.file.is_null()
            && let Ok(close) = self.function(c"tdb_close")
        {
            // SAFETY: the type of tdb_close (tdb.h); the file is open and not used afterwards.
            unsafe { std::mem::transmute::<*mut c_void, Plain>(close)(self.file) };
        }
        // SAFETY: the handle is from dlopen; nothing of the library is used afterwards.
        unsafe { libc::dlclose(self.library) };
    }
}

fn data(bytes: &[u8]) -> Data {
    Data { bytes: bytes.as_ptr().cast_mut(), length: bytes.len() }
}
