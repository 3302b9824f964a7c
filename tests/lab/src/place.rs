//! Where the lab keeps things: built roots on disk, running nodes in memory, one lock over both.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};

/// Folder of what is built once and kept: roots, layers, the directory's snapshot, downloaded packages.
/// `ENTRA_LAB_DIR`, else `/var/cache/entra-lab`.
pub fn cache_dir() -> PathBuf {
    std::env::var_os("ENTRA_LAB_DIR").map_or_else(|| PathBuf::from("/var/cache/entra-lab"), PathBuf::from)
}

/// Folder of a running lab: pid files and the nodes' writable layers, in memory because disk flushes differ by ten
/// times from minute to minute. `ENTRA_LAB_RUN`, else `/dev/shm/entra-lab`, with the lab's name below it.
pub fn run_dir(lab: &str) -> PathBuf {
    let base = std::env::var_os("ENTRA_LAB_RUN").map_or_else(|| PathBuf::from("/dev/shm/entra-lab"), PathBuf::from);
    base.join(lab)
}

/// A short name for a recipe: it changes when any part of the recipe does.
pub fn recipe_key(parts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// An exclusive lock, held until dropped; the kernel drops it with the process too.
pub(crate) struct Lock(#[allow(dead_code, reason = "holding the file is holding the lock")] File);

impl Lock {
    /// Waits for the lock `name` in the cache folder (created where missing).
    pub(crate) fn take(name: &str) -> Result<Self> {
        let dir = cache_dir();
        fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
        let path = dir.join(format!("{name}.lock"));
        let file = File::create(&path).doing(|| format!("create {}", path.display()))?;
        // SAFETY: flock takes a descriptor, which `file` keeps open during the call, and touches no memory of ours.
        let status = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
        if status == 0 { Ok(Self(file)) } else { Err(std::io::Error::last_os_error()).doing(|| format!("lock {name}")) }
    }
}

/// Removes a tree; one that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_key_depends_on_where_its_parts_end() {
        assert_ne!(recipe_key(&["ab", "c"]), recipe_key(&["a", "bc"]));
        assert_eq!(recipe_key(&["ab", "c"]), recipe_key(&["ab", "c"]));
    }
}
