//! A libkrb5 context with a profile of ours. FFI edge.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::ptr::null_mut;

use crate::error::{Error, Kind};
use crate::ffi;
use crate::profile::Profile;

/// A libkrb5 context. Not `Send`: libkrb5 wants one per thread.
pub struct Context {
    raw: *mut ffi::Context,
    /// libkrb5 looks at its configuration file again now and then: it has to exist as long as the context does.
    _profile: File,
}

impl Context {
    /// A context that runs under `profile` alone; neither the host's krb5.conf nor any environment variable counts.
    ///
    /// # Errors
    /// [`Kind::Other`] when memory, descriptors or `/proc` are missing.
    pub fn new(profile: &Profile) -> Result<Self, Error> {
        Self::from_text(&profile.to_text(), None)
    }

    /// A context under `profile` first and the krb5.conf at `host` behind it, for tickets of other realms
    /// ([`Profile::to_text_before`]). A file that is not there says nothing. It loads the host's plugins: call it as nobody
    /// who has more rights than whom the tickets are for.
    ///
    /// # Errors
    /// As [`Context::new`], and where libkrb5 cannot make sense of the file; [`Kind::Input`] for a path with a colon.
    pub fn before_host(profile: &Profile, host: &Path) -> Result<Self, Error> {
        // libkrb5 separates the names of files by colons.
        let host = host.to_str().filter(|path| !path.contains(':'));
        let host = host.ok_or_else(|| Error::ours(Kind::Input, "a krb5.conf whose path has a colon"))?;
        Self::from_text(&profile.to_text_before(), Some(host))
    }

    /// A context without any realm or KDC: for reading keytabs and ccaches.
    ///
    /// # Errors
    /// As [`Context::new`].
    pub fn without_realm() -> Result<Self, Error> {
        Self::from_text("[libdefaults]\ndns_lookup_kdc = false\nplugin_base_dir = /nonexistent\n", None)
    }

    fn from_text(text: &str, behind: Option<&str>) -> Result<Self, Error> {
        let file = in_memory(text).map_err(|error| Error::ours(Kind::Other, format!("krb5 profile: {error}")))?;
        let mut path = format!("/proc/self/fd/{}", file.as_raw_fd());
        path.extend(behind.into_iter().flat_map(|file| [":", file]));
        let path = c_string(&path)?;
        let mut profile = null_mut();
        // SAFETY: `path` is a C string and `profile` a place for the result; on success it is ours to release.
        let code = unsafe { ffi::profile_init_path(path.as_ptr(), &raw mut profile) };
        if code != 0 {
            return Err(Error::of_code(code as i32, format!("libkrb5 cannot read its profile (code {code})")));
        }
        let mut raw = null_mut();
        // SAFETY: `profile` came from the call above; libkrb5 copies it, so it is released here exactly once.
        let code = unsafe {
            let code = ffi::krb5_init_context_profile(profile, ffi::INIT_CONTEXT_SECURE, &raw mut raw);
            ffi::profile_release(profile);
            code
        };
        if code != 0 {
            return Err(Error::of_code(code, format!("libkrb5 cannot be initialised (code {code})")));
        }
        Ok(Self { raw, _profile: file })
    }

    pub(crate) fn raw(&self) -> *mut ffi::Context {
        self.raw
    }

    /// Turns a code into a result, with libkrb5's words for it.
    pub(crate) fn check(&self, code: ffi::Code) -> Result<(), Error> {
        if code == 0 { Ok(()) } else { Err(Error::of_code(code, self.words(code))) }
    }

    /// libkrb5's words for a code, right after the call that gave it.
    fn words(&self, code: ffi::Code) -> String {
        // SAFETY: the context is live; the text is a C string of libkrb5's, copied and then freed once.
        unsafe {
            let text = ffi::krb5_get_error_message(self.raw, code);
            if text.is_null() {
                return format!("Kerberos error {code}");
            }
            let words = CStr::from_ptr(text).to_string_lossy().into_owned();
            ffi::krb5_free_error_message(self.raw, text);
            words
        }
    }

    /// The bytes of a `krb5_data` that libkrb5 allocated, which is freed.
    pub(crate) fn take_data(&self, mut data: ffi::Data) -> Vec<u8> {
        if data.data.is_null() {
            return Vec::new();
        }
        // SAFETY: libkrb5 filled `data` with `length` readable bytes that are ours to free, once.
        unsafe {
            let bytes = std::slice::from_raw_parts(data.data.cast::<u8>(), data.length as usize).to_vec();
            ffi::krb5_free_data_contents(self.raw, &raw mut data);
            bytes
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is ours; everything made with it borrows it and is gone by now.
        unsafe { ffi::krb5_free_context(self.raw) }
    }
}

/// A C string, or [`Kind::Input`] for text with a NUL inside.
pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::ours(Kind::Input, "a name with a NUL byte inside"))
}

/// A file without a name that holds `text`. The profile never touches a disk or a directory that others can write.
fn in_memory(text: &str) -> std::io::Result<File> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"krb5.conf".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the call above made this descriptor, and nobody else owns it.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(text.as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_contexts_leave_no_descriptor_behind() {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let profile = Profile::new("A.EXAMPLE", &[]).unwrap();
        drop(Context::new(&profile).unwrap());
        let before = count();
        for _ in 0..50 {
            Context::new(&profile).unwrap();
        }
        // Other tests open files meanwhile: far fewer than 50.
        assert!(count() < before + 40);
    }
}
