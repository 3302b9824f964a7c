//! Files that only root may read, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

/// The content, `most` bytes at most.
///
/// # Errors
/// In words that name the file.
pub(super) fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(wrong)?;
    let length = file.metadata().map_err(wrong)?.len();
    if length > most {
        return Err(format!("{}: longer than {most} bytes", path.display()));
    }
    // With room to spare, so that no part is left behind by a buffer that grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(most).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Replaces the file by one with mode 0600; it is on the disk when the call returns.
///
/// # Errors
/// In words that name the file; the old content is still there then.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    // A rename would put a file in the place of a symbolic link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    remove(&beside)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(|error: std::io::Error| {
        let _ = fs::remove_file(&beside);
        format!("{}: {error}", path.display())
    })
}

/// Removes the file; one that is gone already is no error.
///
/// # Errors
/// In words that name the file.
pub(super) fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("{}: {error}", path.display())),
        _ => Ok(()),
    }
}
