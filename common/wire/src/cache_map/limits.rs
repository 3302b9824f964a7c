//! What no map can go beyond, whatever it says: ids that the configuration does not grant, and names and ids that are
//! local. Taken from root's files when a map is mapped, and kept beside it.

use std::path::{Path, PathBuf};

use crate::local_names::{LocalNames, Unknown};
use crate::ranges::Ranges;

/// Most bytes of local names in one file, NULs not counted: some 100,000 accounts. Beyond that this process does
/// without the map, and the socket answers.
const MAX_NAMES: usize = 1 << 20;

/// The files that limits come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) config: PathBuf,
    pub(super) passwd: PathBuf,
    pub(super) group: PathBuf,
}

/// The limits of one map in one process.
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ids that the configuration grants.
    pub ranges: Ranges,
    /// Who is local.
    pub local: Local,
}

/// The local accounts when the map was mapped. The daemon empties its map when they change, so that a later one comes
/// with later ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Local {
    /// `/etc/passwd`, with the ids that are in the ranges.
    pub users: LocalNames,
    /// `/etc/group`, likewise.
    pub groups: LocalNames,
}

impl Limits {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unknown`]: then no answer of a map can be judged.
    pub(super) fn read(sources: &Sources) -> Result<Self, Unknown> {
        let ranges = Ranges::of_config(&sources.config);
        let names = |path: &Path| LocalNames::read(path, MAX_NAMES, |id| ranges.contains(id));
        let local = Local { users: names(&sources.passwd)?, groups: names(&sources.group)? };
        Ok(Self { ranges, local })
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.local.users.size() + self.local.groups.size()
    }
}
