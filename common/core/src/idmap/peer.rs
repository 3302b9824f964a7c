//! The arithmetic of the programs that gave a host its ids before, and our options that give the same ones.

use super::murmur::murmur3_32;
use super::sssd::{SEED, SLICE_SIZE};
use crate::config::{IdBlock, IdMapping};
use crate::types::Sid;
use entra_wire::guard::ID_FLOOR;

/// How another program gives ids to the accounts of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SSSD with `ldap_id_mapping = true` (sssd-ad(5), "ID MAPPING").
    Slices {
        /// `ldap_idmap_range_min` and the last id below `ldap_idmap_range_max`.
        range: (u32, u32),
        /// `ldap_idmap_range_size`.
        size: u32,
        /// The domain's own slice, counted from 0.
        slice: u32,
        /// Whether further slices are chosen by hash; with `ldap_idmap_autorid_compat` the first free one is taken, and
        /// nobody else can tell which.
        hashed: bool,
    },
    /// `idmap_rid(8)`.
    Rid {
        /// `range`.
        range: (u32, u32),
        /// `base_rid`.
        base_rid: u32,
    },
    /// `idmap_autorid(8)`: which ranges of ids it gave to which of the domain's RIDs.
    Autorid {
        /// Lowest id of its range.
        low: u32,
        /// `rangesize`.
        size: u32,
        /// Number of the range that RIDs from index · size on have, by index.
        ranges: Vec<(u32, u32)>,
    },
    /// uidNumber and gidNumber of the directory: nothing is computed.
    Attributes {
        /// Ids that are taken from there.
        range: (u32, u32),
    },
}

/// Options of a domain in entra.toml that decide its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `id_mapping`
    pub mapping: IdMapping,
    /// `id_range`; `None` = the default.
    pub range: Option<(u32, u32)>,
    /// `id_slice`; `None` = the one that the SID's hash gives.
    pub slice: Option<u32>,
    /// `id_blocks`
    pub blocks: Vec<IdBlock>,
}

impl Scheme {
    /// The id of an account by arithmetic. `None` where it has none, or where arithmetic cannot tell.
    pub fn id_of(&self, sid: &Sid) -> Option<u32> {
        let (domain, rid) = (sid.domain()?, sid.rid());
        match self {
            Self::Slices { range, size, slice, hashed } => {
                let within = rid % size;
                let slice = if rid < *size {
                    *slice
                } else if *hashed {
                    further(&domain, rid - within, *range, *size, *slice)?
                } else {
                    return None;
                };
                let id = range.0.checked_add(slice.checked_mul(*size)?)?.checked_add(within)?;
                (id <= range.1).then_some(id)
            }
            Self::Rid { range, base_rid } => {
                let id = range.0.checked_add(rid.checked_sub(*base_rid)?)?;
                (id <= range.1).then_some(id)
            }
            Self::Autorid { low, size, ranges } => {
                let (_, number) = ranges.iter().find(|(index, _)| *index == rid / size)?;
                low.checked_add(number.checked_mul(*size)?)?.checked_add(rid % size)
            }
            Self::Attributes { .. } => None,
        }
    }

    /// Options that give the same ids, as far as there are any. `domain` is the domain's SID.
    ///
    /// # Errors
    /// Why there are none, in one sentence.
    pub fn choice(&self, domain: &Sid) -> Result<Choice, String> {
        let whole = |(low, high): (u32, u32)| {
            if low < ID_FLOOR {
                return Err(format!(
                    "the range begins with {low}, and no id below {ID_FLOOR} is ever given to a domain"
                ));
            }
            Ok(Choice { mapping: IdMapping::Rid, range: Some((low, high)), slice: None, blocks: Vec::new() })
        };
        match *self {
            Self::Slices { range, size, slice, .. } if size == SLICE_SIZE => {
                if range.0 < ID_FLOOR {
                    return Err(format!(
                        "ldap_idmap_range_min is below {ID_FLOOR}, which no domain gets ids from here"
                    ));
                }
                let default = range == entra_wire::ranges::DEFAULT;
                let pinned = natural_slice(domain, range, size) != Some(slice);
                Ok(Choice {
                    mapping: IdMapping::Sssd,
                    range: (!default).then_some(range),
                    slice: pinned.then_some(slice),
                    blocks: Vec::new(),
                })
            }
            // Slices of another size: the domain's own one as a range of its own.
            Self::Slices { range, size, slice, .. } => {
                let first = slice.checked_mul(size).and_then(|ids| range.0.checked_add(ids));
                let first = first.ok_or("the slice lies outside of the range")?;
                whole((first, first.saturating_add(size - 1).min(range.1)))
            }
            Self::Rid { range, base_rid } => {
                let low = range.0.checked_sub(base_rid).ok_or("base_rid is higher than the lowest id")?;
                whole((low, range.1))
            }
            Self::Autorid { low, size, ref ranges } => {
                let block = |&(index, number): &(u32, u32)| {
                    let first_id = low.checked_add(number.checked_mul(size)?)?;
                    Some(IdBlock {
                        first_rid: index.checked_mul(size)?,
                        first_id,
                        last_id: first_id.checked_add(size - 1)?,
                    })
                };
                let blocks = ranges.iter().map(block).collect::<Option<Vec<_>>>();
                let mut blocks = blocks.ok_or("a range lies outside of all ids")?;
                blocks.sort_by_key(|block| block.first_rid);
                match blocks.as_slice() {
                    [] => Err("autorid gave no range of ids to this domain yet".into()),
                    // One distance: what every other program can compute, too.
                    [IdBlock { first_rid: 0, first_id, last_id }] => whole((*first_id, *last_id)),
                    all => {
                        let first = all.iter().map(|block| block.first_id).min().unwrap_or_default();
                        let last = all.iter().map(|block| block.last_id).max().unwrap_or_default();
                        whole((first, last)).map(|choice| Choice { blocks, ..choice })
                    }
                }
            }
            Self::Attributes { range } => {
                let range = Some((range.0.max(ID_FLOOR), range.1));
                Ok(Choice { mapping: IdMapping::Rfc2307, range, slice: None, blocks: Vec::new() })
            }
        }
    }
}

/// The slice that the hash of a domain's SID chooses, while nobody else has it. `None` where the range holds none.
pub fn natural_slice(domain: &Sid, range: (u32, u32), size: u32) -> Option<u32> {
    hashed(&domain.to_string(), count(range, size)?)
}

/// The slice of RIDs from `first_rid` on, where the domain's own one is the only one that is taken.
fn further(domain: &Sid, first_rid: u32, range: (u32, u32), size: u32, own: u32) -> Option<u32> {
    let count = count(range, size)?;
    let slice = hashed(&format!("{domain}-{first_rid}"), count)?;
    if slice != own {
        return Some(slice);
    }
    let next = (slice + 1) % count;
    (next != own).then_some(next)
}

fn count(range: (u32, u32), size: u32) -> Option<u32> {
    let ids = u64::from(range.1).checked_sub(u64::from(range.0))? + 1;
    u32::try_from(ids.checked_div(u64::from(size))?).ok()
}

fn hashed(name: &str, count: u32) -> Option<u32> {
    murmur3_32(name.as_bytes(), SEED).checked_rem(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";
    const DEFAULT: (u32, u32) = entra_wire::ranges::DEFAULT;

    fn sid(text: &str) -> Sid {
        text.parse().unwrap()
    }

    fn id(scheme: &Scheme, rid: u32) -> Option<u32> {
        scheme.id_of(&sid(AADDS).with_rid(rid).unwrap())
    }

    fn slices(range: (u32, u32), size: u32, slice: u32) -> Scheme {
        Scheme::Slices { range, size, slice, hashed: true }
    }

    #[test]
    fn sssd_as_it_comes() {
        for (domain, rid_1103, rid_200001) in [
            (AADDS, 674_001_103, 1_787_200_001),
            ("S-1-5-21-2153326666-2176343378-3404031434", 770_801_103, 504_400_001),
            ("S-1-5-21-123-456-789", 1_842_601_103, 1_543_600_001),
        ] {
            let domain = sid(domain);
            let scheme = slices(DEFAULT, SLICE_SIZE, natural_slice(&domain, DEFAULT, SLICE_SIZE).unwrap());
            assert_eq!(scheme.id_of(&domain.with_rid(1103).unwrap()), Some(rid_1103));
            assert_eq!(scheme.id_of(&domain.with_rid(200_001).unwrap()), Some(rid_200001));
            let choice = Choice { mapping: IdMapping::Sssd, range: None, slice: None, blocks: Vec::new() };
            assert_eq!(scheme.choice(&domain), Ok(choice), "no option is needed");
        }
    }

    #[test]
    fn sssd_with_settings() {
        let first = slices(DEFAULT, SLICE_SIZE, 0);
        assert_eq!(id(&first, 1103), Some(201_103));
        assert_eq!(first.choice(&sid(AADDS)).unwrap().slice, Some(0));
        let small = slices((1_000_000, 2_000_999_999), 1_000_000, 5);
        assert_eq!(id(&small, 200_001), Some(6_200_001));
        let choice = small.choice(&sid(AADDS)).unwrap();
        assert_eq!((choice.mapping, choice.range), (IdMapping::Rid, Some((6_000_000, 6_999_999))));
        let compat = Scheme::Slices { range: DEFAULT, size: SLICE_SIZE, slice: 0, hashed: false };
        assert_eq!(id(&compat, 200_001), None, "the first free slice is known to that host alone");
        assert!(slices((500, 2_000_000), SLICE_SIZE, 0).choice(&sid(AADDS)).is_err());
    }

    #[test]
    fn winbind() {
        let rid = Scheme::Rid { range: (100_000_001, 200_000_000), base_rid: 0 };
        assert_eq!(id(&rid, 513), Some(100_000_514));
        assert_eq!(id(&rid, 100_000_000), None);
        assert_eq!(rid.choice(&sid(AADDS)).unwrap().range, Some((100_000_001, 200_000_000)));
        let based = Scheme::Rid { range: (10_000, 999_999), base_rid: 1000 };
        assert_eq!(id(&based, 1103), Some(10_103));
        assert_eq!(id(&based, 513), None);
        assert_eq!(based.choice(&sid(AADDS)).unwrap().range, Some((9_000, 999_999)));
        assert!(Scheme::Rid { range: (10_000, 999_999), base_rid: 9_500 }.choice(&sid(AADDS)).is_err());
        assert!(Scheme::Rid { range: (10_000, 999_999), base_rid: 10_500 }.choice(&sid(AADDS)).is_err());
    }

    #[test]
    fn autorid() {
        let autorid = Scheme::Autorid { low: 1_000_000, size: 100_000, ranges: vec![(0, 2), (2, 5)] };
        assert_eq!(id(&autorid, 1103), Some(1_201_103));
        assert_eq!(id(&autorid, 200_007), Some(1_500_007));
        assert_eq!(id(&autorid, 100_007), None, "that range was never needed");
        let choice = autorid.choice(&sid(AADDS)).unwrap();
        assert_eq!(choice.range, Some((1_200_000, 1_599_999)));
        let blocks: Vec<String> = choice.blocks.iter().map(ToString::to_string).collect();
        assert_eq!(blocks, ["0:1200000-1299999", "200000:1500000-1599999"]);
        let one = Scheme::Autorid { low: 1_000_000, size: 100_000, ranges: vec![(0, 2)] };
        let choice = one.choice(&sid(AADDS)).unwrap();
        assert_eq!(
            (choice.range, choice.blocks.len()),
            (Some((1_200_000, 1_299_999)), 0),
            "plain arithmetic is enough"
        );
    }
}
