//! What names a trust claims: FOREST_TRUST_INFO in `msDS-TrustForestTrustInfo` (MS-ADTS 6.1.6.9.3).

/// Most records that are read.
const MOST: u32 = 4096;
/// ForestTrustTopLevelName (MS-ADTS 6.1.6.9.3.1)
const TOP_LEVEL_NAME: u8 = 0;
/// ForestTrustTopLevelNameEx: a name below one of these that is not the trust's.
const EXCLUSION: u8 = 1;
/// LSA_TLN_DISABLED_NEW, _ADMIN and _CONFLICT: the name does not count.
const DISABLED: u32 = 1 | 2 | 4;
/// LSA_TLN_DISABLED_CONFLICT: another trust has the name.
const CONFLICT: u32 = 4;

/// One name that a trust claims, or leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopLevelName {
    /// The name and everything below it, such as `windows.net`.
    pub name: String,
    /// Whether it is left out of a wider one.
    pub excluded: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it is switched off because another trust claims it.
    pub conflict: bool,
}

/// The names in the attribute's value; records about domains are passed over. `None` where the value is no such structure.
pub fn top_level_names(value: &[u8]) -> Option<Vec<TopLevelName>> {
    let mut rest = value;
    let (version, count) = (number(&mut rest)?, number(&mut rest)?);
    if version != 1 || count > MOST {
        return None;
    }
    let mut names = Vec::new();
    for _ in 0..count {
        let length = number(&mut rest)?;
        let mut record = take(&mut rest, length)?;
        let flags = number(&mut record)?;
        take(&mut record, 8)?;
        let [kind] = take(&mut record, 1)? else { return None };
        if matches!(*kind, TOP_LEVEL_NAME | EXCLUSION) {
            let length = number(&mut record)?;
            names.push(TopLevelName {
                name: String::from_utf8(take(&mut record, length)?.to_vec()).ok()?,
                excluded: *kind == EXCLUSION,
                disabled: flags & DISABLED != 0,
                conflict: flags & CONFLICT != 0,
            });
        }
    }
    Some(names)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let bytes = take(rest, 4)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(flags: u32, kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(4 + 8 + 1 + data.len()).unwrap();
        [&length.to_le_bytes()[..], &flags.to_le_bytes(), &[7; 8], &[kind], data].concat()
    }

    fn named(name: &str) -> Vec<u8> {
        [&u32::try_from(name.len()).unwrap().to_le_bytes()[..], name.as_bytes()].concat()
    }

    fn value(records: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(records.len()).unwrap().to_le_bytes();
        [&1u32.to_le_bytes()[..], &count, &records.concat()].concat()
    }

    #[test]
    fn names_exclusions_and_conflicts_are_told_apart() {
        let records = [
            record(0, TOP_LEVEL_NAME, &named("windows.net")),
            record(0, 2, b"a domain's record, of whatever form"),
            record(CONFLICT, TOP_LEVEL_NAME, &named("contoso.com")),
            record(2, EXCLUSION, &named("a.windows.net")),
        ];
        let names = top_level_names(&value(&records)).unwrap();
        let told: Vec<_> = names.iter().map(|it| (it.name.as_str(), it.excluded, it.disabled, it.conflict)).collect();
        assert_eq!(
            told,
            [
                ("windows.net", false, false, false),
                ("contoso.com", false, true, true),
                ("a.windows.net", true, true, false)
            ]
        );
    }

    #[test]
    fn what_ends_too_early_is_nothing() {
        let whole = value(&[record(0, TOP_LEVEL_NAME, &named("windows.net"))]);
        for end in 0..whole.len() {
            assert_eq!(top_level_names(&whole[..end]), None, "{end} bytes");
        }
        let other_version = [&2u32.to_le_bytes()[..], &[0; 4]].concat();
        assert_eq!(top_level_names(&other_version), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(names in prop::collection::vec("[a-z]{1,20}(\\.[a-zä]{1,20})*", 0..12)) {
            let records: Vec<_> = names.iter().map(|name| record(0, TOP_LEVEL_NAME, &named(name))).collect();
            let read: Vec<_> = top_level_names(&value(&records)).unwrap().into_iter().map(|it| it.name).collect();
            prop_assert_eq!(read, names);
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0u32..9) {
            let framed = [&1u32.to_le_bytes()[..], &count.to_le_bytes(), &bytes].concat();
            let _ = (top_level_names(&bytes), top_level_names(&framed));
        }
    }
}
