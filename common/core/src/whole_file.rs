//! Files that others read while they are written: each reader sees the old content or the new one, whole.
//!
//! For what is made anew after a crash. What has to outlive one is `machine`'s (`private_file`), the identity store's,
//! or `entractl`'s.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Replaces the file by one that holds `bytes` and has `mode`, whatever the umask is. What another writer left behind is
/// taken away; one writer at a time.
///
/// # Errors
/// When it cannot be written; the old content is still there then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_is_there_whole_or_the_old_one_is() {
        let folder = std::env::temp_dir().join(format!("entra-whole-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("kdcs");
        // A link that somebody planted is not followed.
        let elsewhere = folder.join("elsewhere");
        fs::write(&elsewhere, "theirs").unwrap();
        std::os::unix::fs::symlink(&elsewhere, beside(&path)).unwrap();
        replace(&path, b"first", 0o644).unwrap();
        replace(&path, b"second", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
        // A folder cannot be replaced by a file: nothing is left beside it.
        let blocked = folder.join("blocked");
        fs::create_dir(&blocked).unwrap();
        replace(&blocked, b"third", 0o644).unwrap_err();
        assert!(blocked.is_dir() && !beside(&blocked).exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
