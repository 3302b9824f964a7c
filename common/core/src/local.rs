//! Who stands in `/etc/passwd` and `/etc/group`, read once per version of the files: lookups hide what is local, and the
//! shared cache never publishes it, so that the modules need not look at the files for an answer from the map.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use entra_wire::local::scan;

use crate::types::fold;

/// What tells one version of a file from the next.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// The local names and ids, as they were when this was read.
#[derive(Debug)]
pub(crate) struct LocalAccounts {
    files: [File; 2],
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    stamp: Stamp,
    /// Why it could not be read: everybody counts as local then.
    fault: Option<String>,
    names: HashSet<String>,
    ids: HashSet<u32>,
}

impl LocalAccounts {
    pub(crate) fn read(passwd: &Path, group: &Path) -> Self {
        Self { files: [File::read(passwd), File::read(group)] }
    }

    /// Whether a file is another one than the one that was read, or could not be read then.
    pub(crate) fn changed(&self) -> bool {
        self.files.iter().any(|file| file.fault.is_some() || stamp(&file.path) != file.stamp)
    }

    /// Why a file could not be read, with its path.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.files.iter().find_map(|file| file.fault.as_deref())
    }

    /// Whether a user of this folded name is local; everybody is where the file cannot be read.
    pub(crate) fn has_user(&self, name: &str) -> bool {
        self.files[0].has_name(name)
    }

    /// Whether a user of this uid is local.
    pub(crate) fn has_uid(&self, uid: u32) -> bool {
        self.files[0].has_id(uid)
    }

    /// Whether a group of this folded name is local.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        self.files[1].has_name(name)
    }

    /// Whether a group of this gid is local.
    pub(crate) fn has_gid(&self, gid: u32) -> bool {
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
        let fault = match read {
            Some(()) => None,
            None => Some(match std::fs::File::open(path) {
                Err(error) => format!("{}: {error}", path.display()),
                Ok(_) => format!("{} cannot be read", path.display()),
            }),
        };
        Self { path: path.to_owned(), stamp, fault, names, ids }
    }

    fn has_name(&self, name: &str) -> bool {
        self.fault.is_some() || self.names.contains(&fold(name))
    }

    fn has_id(&self, id: u32) -> bool {
        self.fault.is_some() || self.ids.contains(&id)
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size()))
}
