//! What was found of the program that gives the host its ids now.

use std::path::{Path, PathBuf};

use entra_core::idmap::{SLICE_SIZE, Scheme, natural_slice};
use entra_core::types::Sid;
use entra_wire::ranges;

use super::autorid::Range;
use crate::exit::Failure;

/// The verb that reads it, for failures.
pub(super) const VERB: &str = "idmap plan";
/// Ids behind the first one that TrueNAS takes with `sssd_compat`.
const COMPAT_SPAN: u32 = 100_000_000;

/// Settings as they were read.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The file.
    pub file: PathBuf,
    /// DNS name of the domain, where the file has it.
    pub domain: Option<String>,
    /// How ids are given.
    pub settings: Settings,
    /// What a reader should know of it.
    pub notes: Vec<String>,
}

/// How ids are given, before the domain's SID is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settings {
    /// SSSD's slices.
    Slices {
        /// First and last id.
        range: (u32, u32),
        /// Ids of a slice.
        size: u32,
        /// `ldap_idmap_default_domain_sid`: this domain has slice 0.
        default_sid: Option<Sid>,
        /// `ldap_idmap_autorid_compat`.
        autorid: bool,
        /// Slices of domains that its cache tells.
        cached: Vec<(Sid, Option<u32>)>,
    },
    /// winbind's `rid`.
    Rid {
        /// First and last id.
        range: (u32, u32),
        /// `base_rid`.
        base_rid: u32,
    },
    /// winbind's `autorid`.
    Autorid {
        /// First id.
        low: u32,
        /// Ids of a range.
        size: u32,
        /// Each range that it gave away; `None` where its file cannot be read.
        table: Option<Vec<Range>>,
    },
    /// TrueNAS's `rid` with `sssd_compat`.
    Compat,
    /// Ids of the directory.
    Attributes {
        /// First and last id.
        range: (u32, u32),
    },
}

impl Settings {
    /// The SID of the domain, where the host's own files tell it.
    pub fn sid(&self) -> Option<Sid> {
        match self {
            Self::Slices { cached, default_sid, .. } => match cached.as_slice() {
                [] => default_sid.clone(),
                [(sid, _)] => Some(sid.clone()),
                _ => None,
            },
            Self::Autorid { table: Some(table), .. } => match table.as_slice() {
                [(sid, ..), rest @ ..] if rest.iter().all(|(other, ..)| other == sid) => Some(sid.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The arithmetic for one domain.
    ///
    /// # Errors
    /// What is missing, with what to do.
    pub fn scheme(&self, domain: &Sid, notes: &mut Vec<String>) -> Result<Scheme, Failure> {
        Ok(match self {
            Self::Slices { range, size, default_sid, autorid, cached } => {
                let of_cache = cached.iter().find(|(sid, _)| sid == domain).and_then(|(_, slice)| *slice);
                let slice = match of_cache {
                    Some(slice) => slice,
                    None if default_sid.as_ref() == Some(domain) => 0,
                    None if *autorid => {
                        notes.push(
                            "ldap_idmap_autorid_compat gives slices in the order in which domains were met, and SSSD's \
                             cache could not be read: slice 0 is assumed"
                                .into(),
                        );
                        0
                    }
                    None => natural_slice(domain, *range, *size)
                        .ok_or_else(|| Failure::no(VERB, "the range of SSSD holds no slice"))?,
                };
                Scheme::Slices { range: *range, size: *size, slice, hashed: !autorid }
            }
            Self::Rid { range, base_rid } => Scheme::Rid { range: *range, base_rid: *base_rid },
            Self::Autorid { low, size, table } => {
                let Some(table) = table else {
                    return Err(Failure::no(
                        VERB,
                        "autorid gave ids in the order in which domains were met: its autorid.tdb is needed",
                    )
                    .remedy(
                        "install tdb-tools here, or give what `tdbdump /var/lib/samba/autorid.tdb` prints on the host \
                         that has it by --autorid FILE",
                    ));
                };
                let own = table.iter().filter(|(sid, ..)| sid == domain);
                Scheme::Autorid {
                    low: *low,
                    size: *size,
                    ranges: own.map(|(_, index, number)| (*index, *number)).collect(),
                }
            }
            Self::Compat => {
                let slice = natural_slice(domain, ranges::DEFAULT, SLICE_SIZE).unwrap_or_default();
                let low = ranges::DEFAULT.0 + slice * SLICE_SIZE;
                Scheme::Rid { range: (low, low + COMPAT_SPAN), base_rid: 0 }
            }
            Self::Attributes { range } => Scheme::Attributes { range: *range },
        })
    }
}

/// The text of a file that must be there.
///
/// # Errors
/// Which is missing.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::no(VERB, format!("{}: {error}", file.display()))
            .remedy("give the file by --config FILE, or the right program by --from")
    })
}

/// A number of an option.
///
/// # Errors
/// Where it is none.
pub(super) fn number(key: &str, value: &str) -> Result<u32, Failure> {
    value.trim().parse().map_err(|_| Failure::no(VERB, format!("{key} = {value} is no number of an id")))
}

/// `path` below `root`.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";

    fn slices(default_sid: Option<&str>, autorid: bool, cached: &[(&str, Option<u32>)]) -> Settings {
        Settings::Slices {
            range: ranges::DEFAULT,
            size: SLICE_SIZE,
            default_sid: default_sid.map(|sid| sid.parse().unwrap()),
            autorid,
            cached: cached.iter().map(|(sid, slice)| (sid.parse().unwrap(), *slice)).collect(),
        }
    }

    fn first_id(settings: &Settings) -> Option<u32> {
        let sid: Sid = AADDS.parse().unwrap();
        settings.scheme(&sid, &mut Vec::new()).unwrap().id_of(&sid.with_rid(1).unwrap())
    }

    #[test]
    fn what_the_host_wrote_down_comes_before_arithmetic() {
        assert_eq!(first_id(&slices(None, false, &[])), Some(674_000_001));
        assert_eq!(first_id(&slices(None, false, &[(AADDS, Some(3370))])), Some(674_200_001));
        assert_eq!(first_id(&slices(Some(AADDS), false, &[])), Some(200_001));
        assert_eq!(first_id(&slices(Some("S-1-5-21-1-2-3"), false, &[])), Some(674_000_001));
        assert_eq!(first_id(&slices(None, true, &[])), Some(200_001));
        assert_eq!(first_id(&Settings::Compat), Some(674_000_001));
    }

    #[test]
    fn autorid_without_its_file_says_what_is_needed() {
        let settings = Settings::Autorid { low: 1_000_000, size: 100_000, table: None };
        let failure = settings.scheme(&AADDS.parse().unwrap(), &mut Vec::new()).unwrap_err();
        assert!(failure.remedy.unwrap().contains("tdbdump"));
    }

    #[test]
    fn one_domain_that_is_known_is_the_domain() {
        assert_eq!(slices(None, false, &[(AADDS, None)]).sid().unwrap().to_string(), AADDS);
        assert_eq!(slices(None, false, &[(AADDS, None), ("S-1-5-21-1-2-3", Some(1))]).sid(), None);
    }
}
