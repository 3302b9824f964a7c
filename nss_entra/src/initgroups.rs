//! initgroups: the ids of a user's groups, into the array that glibc grows with its modules.
//!
//! glibc documents the call nowhere but in its source (`grp/initgroups.c`, `nss/nss_files/files-initgroups.c`):
//! `*start` ids stand in `*groups`, which has room for `*size` and came from malloc; a module appends, growing the
//! array by realloc up to `limit` (no bound where that is 0 or less), leaves out the group that the caller already
//! has, and reports success when the limit stops it.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use libc::{c_long, gid_t};

use entra_wire::cache_map::reader::GroupsOfUser;
use entra_wire::cache_map::{Key, Limits, Mapped, View};
use entra_wire::guard::{id_may_be_ours, name_may_be_ours};
use entra_wire::nss::{GroupIds, Request};
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::daemon::{Deadline, ask};
use crate::local::{self, refuse_local};
use crate::shared;
use crate::status::Failure;

/// Most groups that a process can have (NGROUPS_MAX): more are of no use to anybody.
const MOST: usize = 65_536;

/// Appends the groups of `name`, without `known`, which the caller has.
pub(crate) fn of_user(name: &[u8], known: gid_t, mut array: GroupArray<'_>) -> Result<(), Failure> {
    if !name_may_be_ours(name) {
        return Err(Failure::NotFound);
    }
    let settings = Settings::current();
    if shared::ask(settings, |view, limits| from_map(view, limits, name, known, &mut array))?.is_some() {
        return Ok(());
    }
    // A local account is asked for here too (glibc asks every source): its groups are /etc/group's alone.
    refuse_local(local::passwd(), &[name], None)?;
    let ranges = Stated::of_config(&settings.config).ranges;
    let mut body = Vec::new();
    let mut reader = ask(&Request::Initgroups(name), settings, Deadline::start(settings), &mut body)?;
    let groups = GroupIds::read(&mut reader)?;
    reader.end()?;
    let local = local::ids(local::group(), |gid| id_may_be_ours(gid, &ranges))?;
    for gid in std::iter::once(groups.primary).chain(groups.iter()) {
        if gid == known || !id_may_be_ours(gid, &ranges) || local.contains(&gid) {
            continue;
        }
        if !array.append(gid)? {
            break;
        }
    }
    Ok(())
}

/// The same from the shared cache.
fn from_map(
    view: &View<'_, Mapped>,
    limits: &Limits,
    name: &[u8],
    known: gid_t,
    array: &mut GroupArray<'_>,
) -> Result<Option<()>, Failure> {
    // A local account is asked for here too (glibc asks every source): its groups are /etc/group's alone.
    let Some(user) = limits.user(view, &Key::UserName(name))? else { return Ok(None) };
    let Some(groups) = view.groups_of(user.uid) else { return Ok(None) };
    let Some(filled) = array.place(&groups, limits, known)? else { return Ok(None) };
    // What was placed counts from here on.
    if !view.is_current() {
        return Ok(None);
    }
    array.keep(filled);
    Ok(Some(()))
}

/// glibc's growing array of group ids.
pub(crate) struct GroupArray<'a> {
    filled: &'a mut c_long,
    room: &'a mut c_long,
    ids: &'a mut *mut gid_t,
    limit: Option<usize>,
}

impl<'a> GroupArray<'a> {
    /// Takes the caller's pointers.
    ///
    /// # Safety
    /// The three pointers are valid and nobody else uses what they point to; `*groups` came from malloc (or is null
    /// with no room), has room for `*size` ids, and `*start` of them are filled.
    pub(crate) unsafe fn new(
        start: *mut c_long,
        size: *mut c_long,
        groups: *mut *mut gid_t,
        limit: c_long,
    ) -> GroupArray<'a> {
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        // SAFETY: the caller's promise.
        unsafe { GroupArray { filled: &mut *start, room: &mut *size, ids: &mut *groups, limit } }
    }

    /// Appends `gid` where it does not stand already. False when no more are taken.
    fn append(&mut self, gid: gid_t) -> Result<bool, Failure> {
        let filled = usize::try_from(*self.filled).map_err(|_| Failure::NoMemory)?;
        let room = usize::try_from(*self.room).map_err(|_| Failure::NoMemory)?;
        if filled >= self.limit.unwrap_or(MOST).min(MOST) {
            return Ok(false);
        }
        if self.standing(filled).contains(&gid) {
            return Ok(true);
        }
        if filled >= room {
            self.grow(filled + 1)?;
        }
        // SAFETY: there is room for at least `filled + 1` ids.
        unsafe { self.ids.add(filled).write(gid) };
        *self.filled += 1;
        Ok(true)
    }

    /// Writes the groups behind those that stand, without those that stand already or `known`, and gives how many there
    /// would be then. They count when they are kept. `None`: the groups are not in order or not all in range, one of
    /// them is local, or they are more than the caller takes.
    fn place(
        &mut self,
        groups: &GroupsOfUser<'_, Mapped>,
        limits: &Limits,
        known: gid_t,
    ) -> Result<Option<usize>, Failure> {
        let filled = usize::try_from(*self.filled).map_err(|_| Failure::NoMemory)?;
        let room = usize::try_from(*self.room).map_err(|_| Failure::NoMemory)?;
        let limit = self.limit.unwrap_or(MOST).min(MOST);
        // The primary group stands apart.
        let needed = filled.saturating_add(groups.count()).saturating_add(1);
        // Which ones are left out then is decided one by one, with the daemon's answer.
        if needed > limit {
            return Ok(None);
        }
        if needed > room {
            self.grow(needed)?;
        }
        // SAFETY: there is room for `needed` ids, of which `filled` stand; nobody else uses the array (the promise of
        // `new`), and the two slices do not overlap. Ids that were not written yet are MaybeUninit.
        let (standing, free) = unsafe {
            let standing = if filled == 0 { &[][..] } else { std::slice::from_raw_parts(*self.ids, filled) };
            let free = self.ids.add(filled).cast::<MaybeUninit<gid_t>>();
            (standing, std::slice::from_raw_parts_mut(free, needed - filled))
        };
        let (primary, ranges, local) = (groups.primary, &limits.ranges, &limits.local.groups);
        let is_new = primary != known && id_may_be_ours(primary, ranges) && !standing.contains(&primary);
        let with_primary = usize::from(is_new);
        if let Some(first) = free.first_mut().filter(|_| with_primary == 1) {
            first.write(groups.primary);
        }
        let free = free.get_mut(with_primary..).unwrap_or_default();
        // SAFETY: the same memory as bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(free.as_mut_ptr().cast(), size_of_val(free)) };
        let Some(count) = groups.copy(bytes).map(|copied| copied.len() / size_of::<gid_t>()) else { return Ok(None) };
        // SAFETY: `count` ids were copied to the start of `free` right now.
        let gids = unsafe { std::slice::from_raw_parts_mut(free.as_mut_ptr().cast::<gid_t>(), count) };
        // Counted and not left at the first one, so that the compiler makes several at a time of it.
        let in_order = gids.iter().zip(gids.iter().skip(1)).filter(|(one, next)| one < next).count() + 1 >= count;
        // The common case first: all of them in the range of one domain.
        let is_ours = |gid: &gid_t| id_may_be_ours(*gid, ranges);
        let in_range = match &*gids {
            [first, .., last] if ranges.contain_all(*first, *last) => is_ours(first) && is_ours(last),
            others => others.iter().all(is_ours),
        };
        if !in_order || !in_range || gids.binary_search(&primary).is_ok() {
            return Ok(None);
        }
        // One by one, with the daemon's answer. Mostly no local group has an id in the ranges of the directory.
        if local.have_id(primary) || local.ids().iter().any(|gid| gids.binary_search(gid).is_ok()) {
            return Ok(None);
        }
        let mut kept = count;
        for gid in standing.iter().chain([&known]) {
            if let Ok(at) = gids[..kept].binary_search(gid) {
                gids[..kept].copy_within(at + 1.., at);
                kept -= 1;
            }
        }
        Ok(Some(filled + with_primary + kept))
    }

    /// So many ids stand there now.
    fn keep(&mut self, filled: usize) {
        *self.filled = c_long::try_from(filled).unwrap_or(*self.filled);
    }

    fn standing(&self, filled: usize) -> &[gid_t] {
        if filled == 0 || self.ids.is_null() {
            return &[];
        }
        // SAFETY: `filled` ids stand there, by the promise of `new` and by `append`.
        unsafe { std::slice::from_raw_parts(*self.ids, filled) }
    }

    /// Makes room for `needed` ids, and for as many more, up to the limit.
    fn grow(&mut self, needed: usize) -> Result<(), Failure> {
        let room = needed.saturating_mul(2).max(32).min(self.limit.unwrap_or(usize::MAX));
        let bytes = room.checked_mul(size_of::<gid_t>()).ok_or(Failure::NoMemory)?;
        let room = c_long::try_from(room).map_err(|_| Failure::NoMemory)?;
        // SAFETY: the array came from malloc or realloc, or is null. On failure it stays as it is, the caller's.
        let grown = unsafe { libc::realloc((*self.ids).cast(), bytes) };
        if grown.is_null() {
            return Err(Failure::NoMemory);
        }
        *self.ids = grown.cast();
        *self.room = room;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends `ids` to an array that has `first` in it and room for `room`; gives what stands there, and the room.
    fn append(first: &[gid_t], room: usize, limit: c_long, ids: &[gid_t]) -> (Vec<gid_t>, c_long) {
        // SAFETY: malloc'ed as glibc does, filled, and freed below.
        unsafe {
            let mut groups: *mut gid_t = libc::malloc((room * size_of::<gid_t>()).max(1)).cast();
            std::ptr::copy_nonoverlapping(first.as_ptr(), groups, first.len());
            let (mut start, mut size) = (first.len() as c_long, room as c_long);
            let mut array = GroupArray::new(&raw mut start, &raw mut size, &raw mut groups, limit);
            for gid in ids {
                if !array.append(*gid).unwrap() {
                    break;
                }
            }
            let standing = std::slice::from_raw_parts(groups, start.cast_unsigned() as usize).to_vec();
            libc::free(groups.cast());
            (standing, size)
        }
    }

    #[test]
    fn the_array_grows_from_one() {
        // Each is compared with all before it: under Miri thousands take minutes, and the array grows as often for a few.
        let count = if cfg!(miri) { 40 } else { 5000 };
        let ids: Vec<gid_t> = (300_000..300_000 + count).collect();
        let (standing, size) = append(&[100], 1, -1, &ids);
        assert_eq!(standing[0], 100);
        assert_eq!(standing[1..], ids);
        assert!(size > c_long::from(count));
    }

    #[test]
    fn the_limit_is_kept_and_nothing_shrinks() {
        let ids: Vec<gid_t> = (300_000..300_100).collect();
        let (standing, size) = append(&[100, 101], 2, 40, &ids);
        assert_eq!((standing.len(), size), (40, 40));
        let (standing, size) = append(&[100, 101], 64, 1, &ids);
        assert_eq!((standing, size), (vec![100, 101], 64), "the caller stands above the limit already");
    }

    #[test]
    fn a_group_that_stands_is_not_added() {
        let (standing, _) = append(&[100, 300_000], 2, 0, &[300_000, 300_001, 300_001, 100]);
        assert_eq!(standing, [100, 300_000, 300_001]);
    }
}
