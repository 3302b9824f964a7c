//! Keytabs: the machine's long-term keys. FFI edge.

use std::ffi::CStr;
use std::path::Path;
use std::ptr::null_mut;
use std::time::{Duration, SystemTime};

use crate::context::{Context, c_string};
use crate::error::{Error, Kind};
use crate::ffi;
use crate::principal::unparse;

/// Most entries that are read: a keytab with more is not a machine's.
const MAX_ENTRIES: usize = 4096;

/// An opened keytab.
pub struct Keytab<'c> {
    context: &'c Context,
    raw: *mut ffi::Keytab,
}

/// What a keytab says of one key; never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeytabEntry {
    /// `HOST$@REALM`, `host/host.example@REALM` …
    pub principal: String,
    /// Key version number.
    pub kvno: u32,
    /// Name of the encryption type: `aes256-cts-hmac-sha1-96`.
    pub enctype: String,
    /// When the entry was written.
    pub written: SystemTime,
}

impl<'c> Keytab<'c> {
    /// The keytab in the file `path`. The file is read when keys are asked for.
    ///
    /// # Errors
    /// [`Kind::Input`] for a path that is no UTF-8 or holds a NUL.
    pub fn file(context: &'c Context, path: &Path) -> Result<Self, Error> {
        let path = path.to_str().ok_or_else(|| Error::ours(Kind::Input, "a keytab's path has to be UTF-8"))?;
        let name = c_string(&format!("FILE:{path}"))?;
        let mut raw = null_mut();
        // SAFETY: `name` is a C string, `raw` a place for the result, the context is live.
        context.check(unsafe { ffi::krb5_kt_resolve(context.raw(), name.as_ptr(), &raw mut raw) })?;
        Ok(Self { context, raw })
    }

    /// Every key, in the file's order.
    ///
    /// # Errors
    /// [`Kind::Keytab`], or an errno in libkrb5's words, when the file is missing, cannot be read, or is no keytab.
    pub fn entries(&self) -> Result<Vec<KeytabEntry>, Error> {
        let context = self.context;
        let mut cursor = null_mut();
        // SAFETY: context and keytab are live; `cursor` is a place for the result.
        let code = unsafe { ffi::krb5_kt_start_seq_get(context.raw(), self.raw, &raw mut cursor) };
        context.check(code).map_err(as_keytab)?;
        let mut entries = Vec::new();
        let mut outcome = Ok(());
        while entries.len() < MAX_ENTRIES {
            let mut raw = ffi::KeytabEntry::EMPTY;
            // SAFETY: as above; `raw` is filled by a success and then freed once, after its parts were copied.
            let code = unsafe { ffi::krb5_kt_next_entry(context.raw(), self.raw, &raw mut raw, &raw mut cursor) };
            if code != 0 {
                outcome = context.check(code);
                break;
            }
            // SAFETY: the entry is live until the second call frees it.
            let entry = unsafe {
                let entry = read_entry(context, &raw);
                ffi::krb5_free_keytab_entry_contents(context.raw(), &raw mut raw);
                entry
            };
            match entry {
                Ok(entry) => entries.push(entry),
                // The reading is ended all the same, below.
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // SAFETY: ends the reading that was started above, once.
        unsafe { ffi::krb5_kt_end_seq_get(context.raw(), self.raw, &raw mut cursor) };
        match outcome {
            Err(error) if !is_end(&error) => Err(as_keytab(error)),
            _ => Ok(entries),
        }
    }

    /// The machine's own principal in `realm`, `HOST$@REALM`: the one with the newest key.
    ///
    /// # Errors
    /// [`Kind::Keytab`] when there is none, or as [`Keytab::entries`].
    pub fn machine_principal(&self, realm: &str) -> Result<String, Error> {
        let suffix = format!("$@{realm}");
        self.entries()?
            .into_iter()
            .filter(|entry| entry.principal.ends_with(&suffix) && !entry.principal.contains('/'))
            .max_by_key(|entry| (entry.written, entry.kvno))
            .map(|entry| entry.principal)
            .ok_or_else(|| {
                Error::ours(Kind::Keytab, format!("the keytab has no key of this machine (HOST{suffix}): join again"))
            })
    }

    pub(crate) fn raw(&self) -> *mut ffi::Keytab {
        self.raw
    }
}

impl Drop for Keytab<'_> {
    fn drop(&mut self) {
        // SAFETY: the keytab is ours and the context is live.
        unsafe { ffi::krb5_kt_close(self.context.raw(), self.raw) };
    }
}

/// # Safety
/// `entry` was filled by libkrb5 and not freed yet.
unsafe fn read_entry(context: &Context, entry: &ffi::KeytabEntry) -> Result<KeytabEntry, Error> {
    Ok(KeytabEntry {
        // SAFETY: the entry's principal is live as long as the entry.
        principal: unsafe { unparse(context, entry.principal) }?,
        kvno: entry.vno,
        enctype: enctype_name(entry.key.enctype),
        written: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(entry.timestamp.cast_unsigned())),
    })
}

fn enctype_name(enctype: i32) -> String {
    let mut buffer = [0; 100];
    // SAFETY: the buffer is writable for the length given; libkrb5 ends the text with a NUL.
    let code = unsafe { ffi::krb5_enctype_to_name(enctype, 0, buffer.as_mut_ptr(), buffer.len()) };
    if code != 0 {
        return format!("enctype {enctype}");
    }
    // SAFETY: a success wrote a C string.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy().into_owned()
}

/// KRB5_KT_END: the regular end of a listing.
fn is_end(error: &Error) -> bool {
    error.code == -1_765_328_202
}

/// A missing or unreadable file is an errno in libkrb5; for our callers it is the keytab that fails.
fn as_keytab(error: Error) -> Error {
    if error.code > 0 { Error { kind: Kind::Keytab, ..error } } else { error }
}
