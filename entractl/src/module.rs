//! Loading a module as glibc and libpam do, to see that it loads. FFI edge: std has no dlopen.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a library of this program's own architecture is installed: Debian's folder for it, or the plain ones. PAM
/// modules are in `security` below them.
pub fn find(name: &str) -> Option<PathBuf> {
    let triplet = match std::env::consts::ARCH {
        "x86" => "i386-linux-gnu".to_owned(),
        "arm" => "arm-linux-gnueabihf".into(),
        "powerpc64" if cfg!(target_endian = "little") => "powerpc64le-linux-gnu".into(),
        arch => format!("{arch}-linux-gnu"),
    };
    let folders = [format!("/usr/lib/{triplet}"), format!("/lib/{triplet}"), "/usr/lib64".into(), "/usr/lib".into()];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Loads the module and looks for one of its functions; unloads it again.
///
/// # Errors
/// What the dynamic loader said.
pub fn load(path: &Path, function: &str) -> Result<(), String> {
    let (Ok(c_path), Ok(c_function)) = (CString::new(path.as_os_str().as_bytes()), CString::new(function)) else {
        return Err("a NUL in the path".into());
    };
    // SAFETY: the string is NUL-terminated and lives for the call. The module is ours, as installed by root; its
    // constructors are those of a Rust library, which has none that touch this process.
    let handle = unsafe { libc::dlopen(c_path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the handle is from dlopen, the string NUL-terminated; the symbol is not called.
    let found = !unsafe { libc::dlsym(handle, c_function.as_ptr()) }.is_null();
    // SAFETY: the handle is from dlopen and not used afterwards.
    unsafe { libc::dlclose(handle) };
    if found { Ok(()) } else { Err(format!("it has no function {function}")) }
}

fn last_error() -> String {
    // SAFETY: no argument; the result is null or a string of this thread that lives until the next dl call.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the loader gives no reason".into();
    }
    // SAFETY: not null, NUL-terminated, copied before any other dl call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_loads_and_ones_that_do_not() {
        let libc = find("libc.so.6").unwrap();
        assert_eq!(load(&libc, "getpwnam"), Ok(()));
        assert!(load(&libc, "_nss_entra_getpwnam_r").unwrap_err().contains("no function"));
        assert!(load(Path::new("/nonexistent.so"), "x").unwrap_err().contains("/nonexistent.so"));
    }
}
