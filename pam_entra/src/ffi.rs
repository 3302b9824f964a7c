//! Calls into libpam that pam-bindings lacks, on the same handle. FFI edge.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::time::Duration;

use pam::module::PamHandle;

/// `PAM_AUTHTOK` of `<security/_pam_types.h>`.
const AUTHTOK: c_int = 6;
/// `PAM_OLDAUTHTOK`.
const OLD_AUTHTOK: c_int = 7;
/// Name of the note under which [`note_must_change`] files its user.
const MUST_CHANGE: &str = "pam_entra_must_change";
/// Name of the note of [`note_unexpired`].
const UNEXPIRED: &str = "pam_entra_unexpired";

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_set_item(pamh: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(pamh: *mut PamHandle, pair: *const c_char) -> c_int;
    fn pam_fail_delay(pamh: *mut PamHandle, microseconds: c_uint) -> c_int;
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

/// Leaves a password for the modules behind this one (PAM_AUTHTOK); libpam keeps a copy of its own and wipes it.
///
/// A password with a NUL inside is cut there, as every C string is; the conversation gives none.
pub(crate) fn set_authtok(pamh: &mut PamHandle, password: &[u8]) {
    set_secret(pamh, AUTHTOK, password);
}

/// Leaves the password that is to be changed (PAM_OLDAUTHTOK), as [`set_authtok`] does.
pub(crate) fn set_old_authtok(pamh: &mut PamHandle, password: &[u8]) {
    set_secret(pamh, OLD_AUTHTOK, password);
}

fn set_secret(pamh: &mut PamHandle, item: c_int, secret: &[u8]) {
    let mut text = Vec::with_capacity(secret.len() + 1);
    text.extend_from_slice(secret);
    text.push(0);
    // SAFETY: `text` is a C string that lives through the call; libpam copies it.
    unsafe { pam_set_item(pamh, item, text.as_ptr().cast()) };
    // SAFETY: the bytes are ours and as many as said; unlike a plain store, the call is not optimised away.
    unsafe { libc::explicit_bzero(text.as_mut_ptr().cast(), text.len()) };
}

/// Puts `NAME=value` into the environment of the session to come (pam_putenv(3)).
pub(crate) fn put_env(pamh: &mut PamHandle, pair: &str) {
    let Ok(pair) = CString::new(pair) else { return };
    // SAFETY: a C string that lives through the call; libpam copies it.
    unsafe { pam_putenv(pamh, pair.as_ptr()) };
}

/// Asks libpam to wait about this long should the whole stack fail (pam_fail_delay(3)).
pub(crate) fn fail_delay(pamh: &mut PamHandle, delay: Duration) {
    let microseconds = c_uint::try_from(delay.as_micros()).unwrap_or(c_uint::MAX);
    // SAFETY: no pointer but the handle.
    unsafe { pam_fail_delay(pamh, microseconds) };
}

/// Writes one line to the system log, with libpam's own prefix (module, service, group); `priority` as in syslog(3).
pub(crate) fn log(pamh: &PamHandle, priority: c_int, line: &str) {
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: the format takes exactly one C string, which lives through the call.
    unsafe { pam_syslog(pamh, priority, c"%s".as_ptr(), line.as_ptr()) };
}

/// Remembers, for this PAM transaction, that `user` proved a password that must be changed; `None` forgets it.
pub(crate) fn note_must_change(pamh: &mut PamHandle, user: Option<&str>) {
    note(pamh, MUST_CHANGE, user);
}

/// Whether [`note_must_change`] was told about `user` last.
pub(crate) fn must_change(pamh: &PamHandle, user: &str) -> bool {
    is_noted(pamh, MUST_CHANGE, user)
}

/// Remembers, for this PAM transaction, that the password of `user` need not be changed; `None` forgets it.
pub(crate) fn note_unexpired(pamh: &mut PamHandle, user: Option<&str>) {
    note(pamh, UNEXPIRED, user);
}

/// Whether [`note_unexpired`] was told about `user` last.
pub(crate) fn unexpired(pamh: &PamHandle, user: &str) -> bool {
    is_noted(pamh, UNEXPIRED, user)
}

fn note(pamh: &mut PamHandle, name: &str, user: Option<&str>) {
    // Without memory for the note the daemon's own answers have to do.
    let _ = pamh.set_data::<Option<String>>(name, Box::new(user.map(str::to_owned)));
}

fn is_noted(pamh: &PamHandle, name: &str, user: &str) -> bool {
    // SAFETY: only `note` files something under these names, and always this type.
    let note = unsafe { pamh.get_data::<Option<String>>(name) };
    note.is_ok_and(|noted| noted.as_deref() == Some(user))
}
