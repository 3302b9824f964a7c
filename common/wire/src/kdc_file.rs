//! The KDC in use, for Kerberos programs: a file per realm in `/run/entra`, `kdc.REALM`, that holds an address with its
//! port. The worker writes it anew while the directory answers; a reader believes it only while it is young, so that a
//! daemon that died steers nobody.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the worker writes the file.
pub const PERIOD: Duration = Duration::from_secs(20);
/// How long it is believed: a worker under load may be late, and a clock be set.
pub const LIFE: Duration = Duration::from_secs(90);
/// Longest file, in bytes.
const LONGEST: u64 = 128;

/// Whether `realm` is a name that a file can have: 1 to 200 letters, digits, `.`, `-` and `_`, not beginning with a dot.
pub fn is_realm(realm: &str) -> bool {
    (1..=200).contains(&realm.len())
        && !realm.starts_with('.')
        && realm.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// The file of a realm in the folder `run`; `None` where the realm cannot be in a file's name.
pub fn path(run: &Path, realm: &str) -> Option<PathBuf> {
    is_realm(realm).then(|| run.join(format!("kdc.{realm}")))
}

/// What stands in the file.
pub fn text(address: SocketAddr) -> String {
    format!("{address}\n")
}

/// The KDC of a realm at the time `now`. `None` where there is no file, it is old, or it is somebody's who is neither
/// root nor the folder's owner.
pub fn read(run: &Path, realm: &str, now: SystemTime) -> Option<SocketAddr> {
    let owner = std::fs::metadata(run).ok().filter(|folder| folder.mode() & 0o022 == 0)?.uid();
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path(run, realm)?).ok()?;
    let meta = file.metadata().ok()?;
    let trusted = meta.is_file() && meta.mode() & 0o022 == 0 && (meta.uid() == 0 || meta.uid() == owner);
    if !trusted || !is_young(meta.modified().ok()?, now) {
        return None;
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

/// A little in the future is young too: whoever writes and whoever reads may see different ticks of one clock.
fn is_young(written: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(written) {
        Ok(age) => age <= LIFE,
        Err(ahead) => ahead.duration() <= Duration::from_secs(2),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_young_file_names_the_kdc_and_nothing_else_does() {
        let run = std::env::temp_dir().join(format!("entra-kdc-file-{}", std::process::id()));
        std::fs::create_dir_all(&run).unwrap();
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
        let address: SocketAddr = "[2001:db8::1]:88".parse().unwrap();
        let file = path(&run, "A.EXAMPLE").unwrap();
        let now = SystemTime::now();
        assert_eq!(read(&run, "A.EXAMPLE", now), None);
        std::fs::write(&file, text(address)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&run, "A.EXAMPLE", SystemTime::now()), Some(address));
        assert_eq!(read(&run, "B.EXAMPLE", SystemTime::now()), None);
        assert_eq!(read(&run, "A.EXAMPLE", SystemTime::now() + LIFE + Duration::from_secs(9)), None, "old");
        assert_eq!(read(&run, "A.EXAMPLE", now - Duration::from_secs(60)), None, "from the future");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(read(&run, "A.EXAMPLE", SystemTime::now()), None, "anybody's");
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert_eq!(read(&run, "A.EXAMPLE", SystemTime::now()), None, "a link");
        std::fs::remove_dir_all(&run).unwrap();
    }

    #[test]
    fn a_realm_names_no_other_file() {
        for wrong in ["", "..", "../cache", "a/b", ".hidden", "a b", "a\0", &"a".repeat(201)] {
            assert_eq!(path(Path::new("/run/entra"), wrong), None, "{wrong:?}");
        }
    }
}
