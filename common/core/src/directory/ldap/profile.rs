//! The worker's private krb5.conf: the one KDC that was chosen, and nothing that makes libkrb5 look elsewhere.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Error;

/// The file that `KRB5_CONFIG` names in the worker. Owned by whoever connects; one at a time.
#[derive(Debug)]
pub(super) struct Profile {
    path: PathBuf,
    written: Option<String>,
    used: Option<u64>,
}

impl Profile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), written: None, used: None }
    }

    /// Makes the file name `kdc` as the realm's only KDC. Says how long to wait before the library is used: libkrb5
    /// looks at a file's time stamp once a second at most while another context holds it, so that a change within the
    /// second of the last use could go unseen.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub(super) fn choose(&mut self, realm: &str, kdc: SocketAddr) -> Result<Duration, Error> {
        let text = text(realm, kdc);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut wait = Duration::ZERO;
        if self.written.as_deref() != Some(text.as_str()) {
            replace(&self.path, &text).map_err(|error| Error::Io(format!("{}: {error}", self.path.display())))?;
            self.written = Some(text);
            if self.used == Some(now.as_secs()) {
                wait = Duration::from_secs(1).saturating_sub(Duration::from_nanos(u64::from(now.subsec_nanos())));
            }
        }
        self.used = Some((now + wait).as_secs());
        Ok(wait)
    }
}

fn text(realm: &str, kdc: SocketAddr) -> String {
    // plugin_base_dir: a locator plugin on the host (SSSD's) would answer before `kdc` is read, from stale files.
    format!(
        "# Written by entrad for its own use: names the domain controller that it is connected to.\n\
         [libdefaults]\n\
         \tdefault_realm = {realm}\n\
         \tdns_lookup_realm = false\n\
         \tdns_lookup_kdc = false\n\
         \tdns_canonicalize_hostname = false\n\
         \trdns = false\n\
         \tudp_preference_limit = 1\n\
         \tpermitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n\
         \tplugin_base_dir = /nonexistent\n\
         [realms]\n\
         \t{realm} = {{\n\
         \t\tkdc = {kdc}\n\
         \t}}\n"
    )
}

/// Readers see the old text or the new one, never a part.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_chosen_kdc_alone_and_is_left_alone_otherwise() {
        let dir = std::env::temp_dir().join(format!("entra-profile-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("krb5.conf");
        let mut profile = Profile::new(&path);
        let first = SocketAddr::from(([10, 0, 0, 1], 88));
        profile.choose("EXAMPLE.COM", first).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("kdc = 10.0.0.1:88"), "{text}");
        std::fs::write(&path, "left alone").unwrap();
        assert_eq!(profile.choose("EXAMPLE.COM", first).unwrap(), Duration::ZERO);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "left alone");
        profile.choose("EXAMPLE.COM", "[fd00::2]:88".parse().unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("kdc = [fd00::2]:88") && !text.contains("10.0.0.1"), "{text}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
