//! SSSD's algorithm (`ldap_id_mapping = true`): a range is cut into slices, a domain's SID is hashed to choose one, and
//! id = first id of the slice + RID. RIDs beyond a slice get further slices, chosen from SID and first RID.

use super::murmur::murmur3_32;
use crate::types::Sid;

/// Ids of one slice: SSSD's `ldap_idmap_range_size`.
pub const SLICE_SIZE: u32 = 200_000;
/// Further slices of a domain that are tried when an id is to become a SID: SSSD's `ldap_idmap_helper_table_size`.
pub(super) const HELPERS: u32 = 10;
/// Seed of SSSD's hash (`src/lib/idmap/sss_idmap.c`).
pub(super) const SEED: u32 = 0xdead_beef;

/// How many slices a range holds; a rest at its end is not used.
pub(super) fn slices(range: (u32, u32)) -> u32 {
    let ids = u64::from(range.1) - u64::from(range.0) + 1;
    (ids / u64::from(SLICE_SIZE)) as u32
}

/// First and last id of a slice.
pub(super) fn ids_of(range: (u32, u32), slice: u32) -> (u32, u32) {
    let first = range.0 + slice * SLICE_SIZE;
    (first, first + SLICE_SIZE - 1)
}

/// The first RID of the slice in which `rid` lies.
pub(super) fn first_rid(rid: u32) -> u32 {
    rid - rid % SLICE_SIZE
}

/// The slice for RIDs from `first_rid` of `domain`: the hash's, or the next one round the range that is not `taken`.
/// `None` when all are.
pub(super) fn choose(
    domain: &Sid,
    first_rid: u32,
    range: (u32, u32),
    taken: impl Fn((u32, u32)) -> bool,
) -> Option<u32> {
    let count = slices(range);
    let name = if first_rid == 0 { domain.to_string() } else { format!("{domain}-{first_rid}") };
    let start = murmur3_32(name.as_bytes(), SEED).checked_rem(count)?;
    (start..count).chain(0..start).find(|slice| !taken(ids_of(range, *slice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_a_domain() {
        assert_eq!(murmur3_32(b"S-1-5-21-2153326666-2176343378-3404031434", SEED), 93_103_853);
        assert_eq!(murmur3_32(b"S-1-5-21-3623811015-3361044348-30300820", SEED), 703_413_369);
        assert_eq!(murmur3_32(b"S-1-5-21-123-456-789", SEED), 1_457_089_212);
    }

    #[test]
    fn slices_of_a_range() {
        assert_eq!(slices(entra_wire::ranges::DEFAULT), 10_000);
        assert_eq!(slices((1000, 200_998)), 0);
        assert_eq!(slices((1000, 200_999)), 1);
        assert_eq!(ids_of(entra_wire::ranges::DEFAULT, 9999), (2_000_000_000, 2_000_199_999));
    }

    #[test]
    fn probing_goes_round_and_ends() {
        let domain: Sid = "S-1-5-21-123-456-789".parse().unwrap();
        let range = (200_000, 200_000 + 3 * SLICE_SIZE - 1);
        let first = choose(&domain, 0, range, |_| false).unwrap();
        assert_eq!(first, 1_457_089_212 % 3);
        let second = choose(&domain, 0, range, |ids| ids == ids_of(range, first));
        assert_eq!(second, Some((first + 1) % 3));
        assert_eq!(choose(&domain, 0, range, |_| true), None);
        assert_eq!(choose(&domain, 0, (1000, 1999), |_| false), None);
    }
}
