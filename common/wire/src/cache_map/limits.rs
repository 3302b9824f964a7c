//! What no map can go beyond, whatever it says: ids that the configuration does not grant, and names and ids that are
//! local. Taken from root's files when a map is mapped, and kept beside it; every record is looked up through them.

use std::path::{Path, PathBuf};

use super::layout::Key;
use super::memory::Memory;
use super::reader::{Group, User, View};
use crate::guard::{id_may_be_ours, name_may_be_ours};
use crate::local_names::{LocalNames, Unknown};
use crate::ranges::Ranges;
use crate::reserved::Reserved;
use crate::stated::Stated;

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
    /// `/etc/group`, likewise, and the reserved names.
    pub groups: LocalNames,
}

/// The directory has no such record, or it cannot be the directory's: nobody need be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nobody;

impl Limits {
    /// The user that the map has by this key. A name that is asked for must have passed [`name_may_be_ours`]. `None`: the
    /// daemon has to be asked, also where the record is one that an honest daemon would not have published. Whoever gives
    /// the user's gid, name or text on judges them too ([`Self::serves`], [`Self::names_user`]).
    ///
    /// # Errors
    /// [`Nobody`].
    #[inline]
    pub fn user<'m, M: Memory + ?Sized>(
        &self,
        view: &View<'m, M>,
        key: &Key<'_>,
    ) -> Result<Option<User<'m, M>>, Nobody> {
        self.may_be_asked(view, key, &self.local.users)?;
        self.stored_user(view, key)
    }

    /// The same for groups; with `whole` only one that has all of its members.
    ///
    /// # Errors
    /// [`Nobody`].
    #[inline]
    pub fn group<'m, M: Memory + ?Sized>(
        &self,
        view: &View<'m, M>,
        key: &Key<'_>,
        whole: bool,
    ) -> Result<Option<Group<'m, M>>, Nobody> {
        self.may_be_asked(view, key, &self.local.groups)?;
        self.stored_group(view, key, whole)
    }

    /// Whether a user of the directory can have this name: the asked one may be another than the record's.
    #[inline]
    pub fn names_user(&self, name: &[u8]) -> bool {
        name_may_be_ours(name) && !self.local.users.have(name)
    }

    /// Whether a group of the directory can have this name.
    #[inline]
    pub fn names_group(&self, name: &[u8]) -> bool {
        name_may_be_ours(name) && !self.local.groups.have(name)
    }

    /// Whether both the configuration and the map grant this id.
    #[inline]
    pub fn serves<M: Memory + ?Sized>(&self, view: &View<'_, M>, id: u32) -> bool {
        id_may_be_ours(id, &self.ranges) && view.serves_id(id)
    }

    #[inline]
    fn may_be_asked<M: Memory + ?Sized>(
        &self,
        view: &View<'_, M>,
        key: &Key<'_>,
        local: &LocalNames,
    ) -> Result<(), Nobody> {
        let may_be_ours = match *key {
            Key::UserName(name) | Key::GroupName(name) => !local.have(name),
            Key::Uid(id) | Key::Gid(id) | Key::GroupsOfUid(id) => self.serves(view, id) && !local.have_id(id),
            Key::UserSid(_) | Key::GroupSid(_) => true,
        };
        if may_be_ours { Ok(()) } else { Err(Nobody) }
    }

    /// Out of line: a foreign id, which most questions are about, does not pay for the search.
    #[inline(never)]
    fn stored_user<'m, M: Memory + ?Sized>(
        &self,
        view: &View<'m, M>,
        key: &Key<'_>,
    ) -> Result<Option<User<'m, M>>, Nobody> {
        let Some(user) = view.user(key) else { return missing(view, key) };
        Ok(self.fits(view, key, user.uid, &self.local.users).then_some(user))
    }

    #[inline(never)]
    fn stored_group<'m, M: Memory + ?Sized>(
        &self,
        view: &View<'m, M>,
        key: &Key<'_>,
        whole: bool,
    ) -> Result<Option<Group<'m, M>>, Nobody> {
        let Some(group) = view.group(key, whole) else { return missing(view, key) };
        Ok(self.fits(view, key, group.gid, &self.local.groups).then_some(group))
    }

    /// Whether a record with this id answers the key: one that was asked for by its id was judged then.
    #[inline]
    fn fits<M: Memory + ?Sized>(&self, view: &View<'_, M>, key: &Key<'_>, id: u32, local: &LocalNames) -> bool {
        match *key {
            Key::Uid(asked) | Key::Gid(asked) => asked == id,
            _ => self.serves(view, id) && !local.have_id(id),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`Unknown`]: then no answer of a map can be judged.
    pub(super) fn read(sources: &Sources) -> Result<Self, Unknown> {
        let stated = Stated::of_config(&sources.config);
        let ranges = stated.ranges;
        let names =
            |path: &Path, reserved: &Reserved| LocalNames::read(path, MAX_NAMES, reserved, |id| ranges.contains(id));
        let users = names(&sources.passwd, &Reserved::NONE)?;
        let local = Local { users, groups: names(&sources.group, &stated.reserved)? };
        Ok(Self { ranges, local })
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.local.users.size() + self.local.groups.size()
    }
}

/// What it means that there is no record by this key: the directory has none, or the daemon has to be asked.
#[inline]
fn missing<T, M: Memory + ?Sized>(view: &View<'_, M>, key: &Key<'_>) -> Result<Option<T>, Nobody> {
    // That a SID is nobody's is not published: it could be of either kind.
    let is_final = !matches!(key, Key::UserSid(_) | Key::GroupSid(_));
    if is_final && view.is_absent(key) && view.is_current() { Err(Nobody) } else { Ok(None) }
}
