//! Reading and replacing the files that join changes: whole files, atomically, mode and owner kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A file as it was: content, mode and owner.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
}

impl Snapshot {
    /// The file at `path`, `None` where there is none. Symbolic links are followed.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = fs::read(path)?;
        Ok(Some(Self { bytes, mode: meta.permissions().mode() & 0o7777, owner: (meta.uid(), meta.gid()) }))
    }

    /// Puts the file back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn restore(&self, path: &Path) -> io::Result<()> {
        write(path, &self.bytes, self.mode, Some(self.owner))
    }
}

impl Snapshot {
    /// The content alone.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Snapshot {
    // The bytes may be a keytab.
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for Snapshot {
    // The bytes may be a keytab.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Snapshot({} bytes, mode {:o})", self.bytes.len(), self.mode)
    }
}

/// Replaces the content of `path` and keeps its mode and owner; a new file gets `mode`.
///
/// # Errors
/// When it cannot be written; the old content is still there then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) => write(path, bytes, meta.permissions().mode() & 0o7777, Some((meta.uid(), meta.gid()))),
        Err(error) if error.kind() == ErrorKind::NotFound => write(path, bytes, mode, None),
        Err(error) => Err(error),
    }
}

/// Removes a file; one that is gone already is no error.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the folders down to `path` (0755) and gives those that were missing, outermost first.
///
/// # Errors
/// When one cannot be made.
pub fn make_folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).map(Path::to_path_buf).collect();
    for folder in missing.iter().rev() {
        DirBuilder::new().mode(0o755).create(folder)?;
        // The mode above is cut by the umask.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(missing.into_iter().rev().collect())
}

/// Writes beside the file and renames, so that a reader sees the old or the new content and nothing between.
fn write(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    // A rename would put a file in the place of a symbolic link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    // libkrb5's includedir skips names that start with a dot.
    let beside = path.with_file_name(format!(".{name}.entractl-{}", std::process::id()));
    remove(&beside)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        if let Some((uid, gid)) = owner {
            let meta = file.metadata()?;
            if (meta.uid(), meta.gid()) != (uid, gid) {
                chown(&beside, Some(uid), Some(gid))?;
            }
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder of its own for one test, removed at the end.
    pub(crate) struct Folder(pub PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("entractl-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn replacing_keeps_mode_and_link_and_leaves_nothing_beside() {
        let folder = Folder::new();
        let (real, link) = (folder.0.join("real"), folder.0.join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        replace(&link, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
    }

    #[test]
    fn a_snapshot_puts_everything_back() {
        let folder = Folder::new();
        let path = folder.0.join("keytab");
        assert!(Snapshot::take(&path).unwrap().is_none());
        fs::write(&path, [5, 2, 0xff]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let before = Snapshot::take(&path).unwrap().unwrap();
        fs::write(&path, "other").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        before.restore(&path).unwrap();
        assert_eq!(Snapshot::take(&path).unwrap().unwrap(), before);
        assert_eq!(format!("{before:?}"), "Snapshot(3 bytes, mode 600)");
    }
}
