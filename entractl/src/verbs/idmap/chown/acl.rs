//! POSIX access lists as the kernel keeps them in extended attributes (linux/posix_acl_xattr.h): a version, then tag,
//! permissions and id of each entry, little-endian.

use crate::verbs::idmap::compare::Moves;

/// The list of a file.
pub(super) const ACCESS: &str = "system.posix_acl_access";
/// The list that files of a folder begin with.
pub(super) const DEFAULT: &str = "system.posix_acl_default";

const VERSION: u32 = 2;
const ENTRY: usize = 8;
/// Tags of entries that name somebody.
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;

/// The list with the ids that move replaced, each once. `None` where nothing moves, or where it is of another version.
pub(super) fn moved(list: &[u8], moves: &Moves) -> Option<Vec<u8>> {
    let entries = list.strip_prefix(&VERSION.to_le_bytes())?;
    if entries.len() % ENTRY != 0 {
        return None;
    }
    let mut new: Vec<(u16, u32, u16)> = Vec::with_capacity(entries.len() / ENTRY);
    let mut any = false;
    for entry in entries.chunks_exact(ENTRY) {
        let &[t0, t1, p0, p1, i0, i1, i2, i3] = entry else { return None };
        let (tag, permissions, id) =
            (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([p0, p1]), u32::from_le_bytes([i0, i1, i2, i3]));
        let to = match tag {
            USER => moves.uids.get(&id),
            GROUP => moves.gids.get(&id),
            _ => None,
        };
        any |= to.is_some();
        new.push((tag, to.copied().unwrap_or(id), permissions));
    }
    // Named entries stand in the order of their ids, as setfacl writes them.
    new.sort_unstable_by_key(|(tag, id, _)| (*tag, *id));
    let entry = |(tag, id, permissions): (u16, u32, u16)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    any.then(|| VERSION.to_le_bytes().into_iter().chain(new.into_iter().flat_map(entry)).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A list of (tag, permissions, id).
    pub fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend([&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat());
        }
        bytes
    }

    #[test]
    fn named_users_and_groups_move_and_may_swap() {
        let moves = Moves { uids: BTreeMap::from([(5, 7), (7, 5)]), gids: BTreeMap::from([(5, 1)]) };
        let before = list(&[
            (1, 7, u32::MAX),
            (USER, 6, 5),
            (USER, 4, 7),
            (4, 5, u32::MAX),
            (GROUP, 2, 5),
            (16, 7, u32::MAX),
            (32, 0, u32::MAX),
        ]);
        let after = list(&[
            (1, 7, u32::MAX),
            (USER, 4, 5),
            (USER, 6, 7),
            (4, 5, u32::MAX),
            (GROUP, 2, 1),
            (16, 7, u32::MAX),
            (32, 0, u32::MAX),
        ]);
        assert_eq!(moved(&before, &moves), Some(after));
        assert_eq!(moved(&list(&[(1, 7, 5), (USER, 6, 6)]), &moves), None, "an owner's entry names nobody");
        for broken in [&b""[..], &[2, 0, 0], &[2, 0, 0, 0, 1], &[9, 0, 0, 0]] {
            assert_eq!(moved(broken, &moves), None);
        }
    }
}
