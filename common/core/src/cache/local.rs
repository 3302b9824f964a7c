//! Who stands in `/etc/passwd` and `/etc/group`: what is local is never published, and when the files change, the map
//! goes. So the modules need not look at the files for an answer from the map.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use entra_wire::local::scan;

use crate::types::fold;

/// What tells one version of a file from the next.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// The local names and ids, as they were when this was read.
#[derive(Debug)]
pub(super) struct LocalAccounts {
    files: [File; 2],
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    stamp: Stamp,
    /// Without that, everybody counts as local.
    is_read: bool,
    names: HashSet<String>,
    ids: HashSet<u32>,
}

impl LocalAccounts {
    pub(super) fn read(passwd: &Path, group: &Path) -> Self {
        Self { files: [File::read(passwd), File::read(group)] }
    }

    /// Whether a file is another one than the one that was read.
    pub(super) fn changed(&self) -> bool {
        self.files.iter().any(|file| stamp(&file.path) != file.stamp)
    }

    /// Whether a user of this folded name is local; everybody is where the file cannot be read.
    pub(super) fn has_user(&self, name: &str) -> bool {
        self.files[0].has_name(name)
    }

    /// Whether a user of this uid is local.
    pub(super) fn has_uid(&self, uid: u32) -> bool {
        self.files[0].has_id(uid)
    }

    /// Whether a group of this folded name is local.
    pub(super) fn has_group(&self, name: &str) -> bool {
        self.files[1].has_name(name)
    }

    /// Whether a group of this gid is local.
    pub(super) fn has_gid(&self, gid: u32) -> bool {
        self.files[1].has_id(gid)
    }
}

impl File {
    /// The stamp first: a change in between is seen the next time.
    fn read(path: &Path) -> Self {
        let stamp = stamp(path);
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        let read = scan(path, |name, id| {
            names.insert(fold(&String::from_utf8_lossy(name)));
            ids.extend(id);
            false
        });
        Self { path: path.to_owned(), stamp, is_read: read.is_some(), names, ids }
    }

    fn has_name(&self, name: &str) -> bool {
        !self.is_read || self.names.contains(&fold(name))
    }

    fn has_id(&self, id: u32) -> bool {
        !self.is_read || self.ids.contains(&id)
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size()))
}
