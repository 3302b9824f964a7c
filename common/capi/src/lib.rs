//! `libentra.so.1`: the shared core for other programs, with a C ABI. `include/entra.h` is its documentation.
//!
//! The only crate beside the two modules that exports C names: an exported name in a library crate would end up in
//! every module that links it.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// `const char *entra_version(void)`: the version of the library, such as "0.1.0". Never NULL, never freed.
#[unsafe(no_mangle)]
pub extern "C" fn entra_version() -> *const c_char {
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_the_packages() {
        // SAFETY: the function gives a C string that is never freed.
        let version = unsafe { std::ffi::CStr::from_ptr(super::entra_version()) };
        assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
