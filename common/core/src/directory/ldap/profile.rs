//! The krb5.conf that libkrb5's GSSAPI reads in this process. It says that there is nothing to look for: the service ticket
//! is got before GSSAPI is asked ([`entra_krb5::gss`]), from the KDC of the server that is being connected to.

use std::path::Path;

use crate::whole_file;

/// Names no realm and no KDC, so that it serves every domain, and nothing is ever asked behind our back. The host's own
/// file could name a plugin that answers from stale files (SSSD's locator), or be broken.
const TEXT: &str = "# Written by entrad for its own use.\n\
    [libdefaults]\n\
    \tdns_lookup_realm = false\n\
    \tdns_lookup_kdc = false\n\
    \tdns_canonicalize_hostname = false\n\
    \trdns = false\n\
    \tpermitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha384-192 \
    aes128-cts-hmac-sha256-128\n\
    \tplugin_base_dir = /nonexistent\n";

/// Puts the file where `KRB5_CONFIG` names it. A reader sees it whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(path: &Path) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == TEXT.as_bytes()) {
        return Ok(());
    }
    whole_file::replace(path, TEXT.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_file_is_written_when_it_is_missing_or_wrong_and_left_alone_otherwise() {
        let dir = std::env::temp_dir().join(format!("entra-profile-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("krb5.conf");
        write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
        let first = std::fs::metadata(&path).unwrap();
        write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), first.ino(), "left alone");
        std::fs::write(&path, "[realms]\nX = {\n kdc = 192.0.2.1\n}\n").unwrap();
        write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
