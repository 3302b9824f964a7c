//! A folder for a ticket and a krb5 configuration while a host joins or leaves.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that only root can enter, removed with its content when dropped.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes the folder anew; what a killed process left there goes. `path` must be in a folder that belongs to root,
    /// and the caller must hold the lock.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(path: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// A path in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_private_made_anew_and_goes_away() {
        let below = crate::host::file::tests::Folder::new();
        let path = below.0.join("private");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), "x").unwrap();
        let folder = PrivateFolder::make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!folder.file("old").exists());
        fs::write(folder.file("ccache"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
