//! Keys from a password, as the KDC derived them: for an account whose password is known and whose keytab is not yet
//! written. FFI edge.

use std::path::Path;
use std::ptr::null_mut;

use crate::context::{Context, c_string};
use crate::error::{Error, Kind};
use crate::ffi;
use crate::password::Password;
use crate::principal::Principal;

/// aes256-cts-hmac-sha1-96 (RFC 3962).
const AES256: i32 = 18;

/// aes128-cts-hmac-sha1-96 (RFC 3962).
const AES128: i32 = 17;

/// The keys of a computer account that are to be derived.
#[derive(Clone, Copy, Debug)]
pub struct NewKeys<'a> {
    /// Realm.
    pub realm: &'a str,
    /// sAMAccountName without `$`: the salt rests on it.
    pub computer: &'a str,
    /// Names of the entries, without the realm: `HOST$`, `host/host.example` … They share the account's keys.
    pub names: &'a [String],
    /// Key version number.
    pub kvno: u32,
}

/// Adds a computer account's AES-256 key to the keytab file at `path`, derived from its password; the file is made with
/// mode 0600 where it is missing. `computer` is the sAMAccountName without `$`. The key version is 1, whatever the
/// directory's is: the key serves to get tickets, not to open them.
///
/// # Errors
/// [`Kind::Input`] for names that are none, [`Kind::Keytab`] when the file cannot be written.
pub fn add_computer_key(realm: &str, computer: &str, password: &Password, path: &Path) -> Result<(), Error> {
    let names = [format!("{computer}$")];
    add(&NewKeys { realm, computer, names: &names, kvno: 1 }, &[AES256], password, path)
}

/// Adds the AES-256 and AES-128 keys for every name to the keytab file at `path`, as [`add_computer_key`] does.
///
/// # Errors
/// As [`add_computer_key`].
pub fn add_keys(keys: &NewKeys<'_>, password: &Password, path: &Path) -> Result<(), Error> {
    add(keys, &[AES256, AES128], password, path)
}

fn add(keys: &NewKeys<'_>, enctypes: &[i32], password: &Password, path: &Path) -> Result<(), Error> {
    let context = Context::without_realm()?;
    let path = path.to_str().ok_or_else(|| Error::ours(Kind::Input, "a keytab's path has to be UTF-8"))?;
    let file = c_string(&format!("FILE:{path}"))?;
    let mut keytab = null_mut();
    // SAFETY: `file` is a C string, `keytab` a place for the result.
    context.check(unsafe { ffi::krb5_kt_resolve(context.raw(), file.as_ptr(), &raw mut keytab) })?;
    let added = enctypes.iter().try_for_each(|enctype| {
        let mut key = derive(&context, *enctype, keys, password)?;
        let added = keys.names.iter().try_for_each(|name| {
            let principal = Principal::parse(&context, &format!("{name}@{}", keys.realm))?;
            let mut entry = ffi::KeytabEntry { principal: principal.raw(), vno: keys.kvno, ..ffi::KeytabEntry::EMPTY };
            // Borrowed: the key is freed below, once.
            entry.key =
                ffi::Keyblock { magic: key.magic, enctype: key.enctype, length: key.length, contents: key.contents };
            // SAFETY: keytab, principal and key are live for the call, which copies what it writes.
            let code = unsafe { ffi::krb5_kt_add_entry(context.raw(), keytab, &raw mut entry) };
            context.check(code).map_err(|error| Error { kind: Kind::Keytab, ..error })
        });
        // SAFETY: the key was filled by krb5_c_string_to_key; this zeroes and frees it.
        unsafe { ffi::krb5_free_keyblock_contents(context.raw(), &raw mut key) };
        added
    });
    // SAFETY: the keytab was resolved above and is not used afterwards.
    unsafe { ffi::krb5_kt_close(context.raw(), keytab) };
    added
}

/// A key of the account; the caller frees it.
fn derive(context: &Context, enctype: i32, keys: &NewKeys<'_>, password: &Password) -> Result<ffi::Keyblock, Error> {
    let mut salt = salt(keys.realm, keys.computer).into_bytes();
    let mut text = zeroize::Zeroizing::new(password.as_c_str().to_bytes().to_vec());
    let mut key = ffi::Keyblock { magic: 0, enctype: 0, length: 0, contents: null_mut() };
    let (text, salt) = (data(&mut text), data(&mut salt));
    // SAFETY: both buffers live and are only read; `key` is a place for the result.
    let code =
        unsafe { ffi::krb5_c_string_to_key(context.raw(), enctype, &raw const text, &raw const salt, &raw mut key) };
    context.check(code)?;
    Ok(key)
}

/// The salt of a computer account's keys (MS-KILE 3.1.1.2).
fn salt(realm: &str, computer: &str) -> String {
    format!("{}host{}.{}", realm.to_uppercase(), computer.to_lowercase(), realm.to_lowercase())
}

fn data(bytes: &mut [u8]) -> ffi::Data {
    ffi::Data { magic: 0, length: bytes.len() as u32, data: bytes.as_mut_ptr().cast() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use zeroize::Zeroizing;

    use super::*;
    use crate::keytab::Keytab;

    #[test]
    fn the_key_is_the_one_that_the_kdc_derives() {
        assert_eq!(salt("Example.COM", "WEB-1"), "EXAMPLE.COMhostweb-1.example.com");
        let path = std::env::temp_dir().join(format!("entra-derive-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let password = Password::new(Zeroizing::new(b"password".to_vec())).unwrap();
        add_computer_key("EXAMPLE.COM", "WEB1", &password, &path).unwrap();
        add_computer_key("EXAMPLE.COM", "WEB2", &password, &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        let context = Context::without_realm().unwrap();
        let seen = Keytab::file(&context, &path).unwrap().entries().unwrap();
        std::fs::remove_file(&path).unwrap();
        let names: Vec<_> = seen.iter().map(|entry| (entry.principal.as_str(), entry.enctype.as_str())).collect();
        let aes = "aes256-cts-hmac-sha1-96";
        assert_eq!(names, [("WEB1$@EXAMPLE.COM", aes), ("WEB2$@EXAMPLE.COM", aes)]);
        // PBKDF2-HMAC-SHA1 with 4096 rounds, then DK with "kerberos" (RFC 3962 4), computed apart from libkrb5.
        assert!(bytes.windows(32).any(|window| window == KEY), "another key than RFC 3962's");
    }

    const KEY: [u8; 32] = [
        0xf8, 0x13, 0x5f, 0x45, 0xf4, 0x10, 0x42, 0x9e, 0xc3, 0xfc, 0x9d, 0xce, 0x8e, 0x7d, 0x98, 0x46, 0x2f, 0x0f,
        0x04, 0x04, 0x33, 0x74, 0x00, 0x63, 0x75, 0x97, 0xa2, 0xbe, 0x47, 0xe4, 0xea, 0xd0,
    ];
}
