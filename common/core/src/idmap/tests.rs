//! Which ids a host gives, and that it keeps giving the same.

use proptest::prelude::*;

use super::*;
use crate::config;

const AADDS: &str = "S-1-5-21-3623811015-3361044348-30300820";

fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

fn account(domain: &str, rid: u32) -> Sid {
    sid(domain).with_rid(rid).unwrap()
}

/// The domains of a configuration whose tables are given as (name, options).
fn domains(tables: &[(&str, &str)]) -> Vec<config::Domain> {
    let tables: Vec<_> = tables
        .iter()
        .map(|(name, options)| {
            format!(
                "[domains.\"{name}\"]
{options}
"
            )
        })
        .collect();
    config::parse(&tables.concat()).unwrap().domains
}

fn mapper(tables: &[(&str, &str)]) -> IdMapper {
    IdMapper::open(SliceStore::temporary().unwrap(), &domains(tables)).unwrap()
}

fn learned(domain: &str, options: &str) -> IdMapper {
    let mapper = mapper(&[("a.example", options)]);
    mapper.learn_domain("a.example", &sid(domain)).unwrap();
    mapper
}

/// A folder of one test's own, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("entra-idmap-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn open(&self, tables: &[(&str, &str)]) -> Result<IdMapper, Error> {
        IdMapper::open(SliceStore::open(&self.0.join("idmap.db")).unwrap(), &domains(tables))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn ids_are_those_of_sssd() {
    for (domain, slice, rid_1103, rid_200001) in [
        (AADDS, 3369, 674_001_103, 1_787_200_001),
        ("S-1-5-21-2153326666-2176343378-3404031434", 3853, 770_801_103, 504_400_001),
        ("S-1-5-21-123-456-789", 9212, 1_842_601_103, 1_543_600_001),
    ] {
        let mapper = learned(domain, "");
        let first = 200_000 + slice * SLICE_SIZE;
        assert_eq!(mapper.own_range("a.example"), Some((first, first + SLICE_SIZE - 1)));
        for (rid, id) in [(1103, rid_1103), (200_001, rid_200001)] {
            // The reverse of the second one is foreseen before its slice was ever needed.
            assert_eq!(mapper.sid_of(id), Some(("a.example".into(), account(domain, rid))));
            assert_eq!(mapper.id_of(&account(domain, rid)), Some(id));
            assert_eq!(mapper.sid_of(id), Some(("a.example".into(), account(domain, rid))));
        }
    }
}

#[test]
fn two_domains_of_one_hash_get_two_slices() {
    let (one, two) = ("S-1-5-21-1000-2000-3006", "S-1-5-21-1000-2000-3168");
    for (first, second) in [(one, two), (two, one)] {
        let mapper = mapper(&[("a.example", ""), ("b.example", "")]);
        mapper.learn_domain("a.example", &sid(first)).unwrap();
        mapper.learn_domain("b.example", &sid(second)).unwrap();
        assert_eq!(mapper.id_of(&account(first, 500)), Some(200_000 + 7011 * SLICE_SIZE + 500));
        assert_eq!(mapper.id_of(&account(second, 500)), Some(200_000 + 7012 * SLICE_SIZE + 500));
    }
}

#[test]
fn a_slice_that_another_domain_pins_is_left_to_it() {
    let mapper = mapper(&[("a.example", ""), ("b.example", "id_slice = 3369")]);
    mapper.learn_domain("a.example", &sid(AADDS)).unwrap();
    mapper.learn_domain("b.example", &sid("S-1-5-21-1-2-3")).unwrap();
    assert_eq!(mapper.id_of(&account(AADDS, 1103)), Some(674_001_103 + SLICE_SIZE));
    assert_eq!(mapper.id_of(&account("S-1-5-21-1-2-3", 1103)), Some(674_001_103));
}

#[test]
fn a_pinned_slice_is_used() {
    assert_eq!(learned(AADDS, "id_slice = 0").id_of(&account(AADDS, 1103)), Some(201_103));
}

#[test]
fn what_has_no_id() {
    let mapper = mapper(&[("a.example", ""), ("b.example", "")]);
    assert_eq!(mapper.id_of(&account(AADDS, 1103)), None, "not learned yet");
    assert_eq!(mapper.own_range("a.example"), None);
    mapper.learn_domain("a.example", &sid(AADDS)).unwrap();
    for text in ["S-1-5-32-544", "S-1-5-11", "S-1-5-21-9-9-9-1103", "S-1-12-1-1-2-3-4", AADDS] {
        assert_eq!(mapper.id_of(&sid(text)), None, "{text}");
    }
    assert_eq!(mapper.id_of(&account(AADDS, 0)), None);
    for id in [0, 999, 1000, 199_999, 674_000_000, 674_000_000 - 1, 2_000_200_000, u32::MAX] {
        assert_eq!(mapper.sid_of(id), None, "{id}");
    }
}

#[test]
fn what_is_no_domain_is_not_learned() {
    let mapper = mapper(&[("a.example", ""), ("b.example", "")]);
    for text in ["S-1-5-32", "S-1-5-21-1-2-3-1103", "S-1-5-21"] {
        assert!(matches!(mapper.learn_domain("a.example", &sid(text)), Err(Error::Config(_))), "{text}");
    }
    assert!(matches!(mapper.learn_domain("c.example", &sid(AADDS)), Err(Error::Config(_))));
    mapper.learn_domain("a.example", &sid(AADDS)).unwrap();
    let error = mapper.learn_domain("b.example", &sid(AADDS)).unwrap_err().to_string();
    assert!(error.contains("same domain"), "{error}");
}

#[test]
fn winbinds_rid_mapping() {
    let mapper = learned(AADDS, "id_mapping = \"rid\"\nid_range = \"100000001-200000000\"");
    assert_eq!(mapper.id_of(&account(AADDS, 513)), Some(100_000_514));
    assert_eq!(mapper.sid_of(100_000_514), Some(("a.example".into(), account(AADDS, 513))));
    assert_eq!(mapper.id_of(&account(AADDS, 99_999_999)), Some(200_000_000));
    assert_eq!(mapper.id_of(&account(AADDS, 100_000_000)), None, "beyond the range");
    assert_eq!(mapper.sid_of(100_000_001), None, "RID 0");
    assert_eq!(mapper.own_range("a.example"), Some((100_000_001, 200_000_000)));
}

#[test]
fn nobodys_ids_stay_nobodys() {
    let mapper = learned(AADDS, "id_mapping = \"rid\"\nid_range = \"10000-999999\"");
    assert_eq!(mapper.id_of(&account(AADDS, 55_534)), None, "65534");
    assert_eq!(mapper.id_of(&account(AADDS, 55_535)), None, "65535");
    assert_eq!(mapper.sid_of(65_534), None);
    assert_eq!(mapper.id_of(&account(AADDS, 55_536)), Some(65_536));
    assert!(!mapper.posix_id_allowed("a.example", 65_534));
}

#[test]
fn ids_of_the_directory_stay_in_the_range() {
    let mapper = learned(AADDS, "id_mapping = \"rfc2307\"\nid_range = \"10000-20000\"");
    assert_eq!(mapper.id_of(&account(AADDS, 1103)), None);
    assert_eq!(mapper.sid_of(10_000), None);
    for (id, allowed) in [(9999, false), (10_000, true), (20_000, true), (20_001, false), (0, false)] {
        assert_eq!(mapper.posix_id_allowed("a.example", id), allowed, "{id}");
    }
    assert!(!mapper.posix_id_allowed("b.example", 10_000));
}

#[test]
fn what_was_given_outlives_a_restart_and_the_order() {
    let folder = Folder::new("order");
    let (one, two) = ("S-1-5-21-1000-2000-3006", "S-1-5-21-1000-2000-3168");
    let tables = [("a.example", ""), ("b.example", "")];
    let before = folder.open(&tables).unwrap();
    before.learn_domain("a.example", &sid(one)).unwrap();
    before.learn_domain("b.example", &sid(two)).unwrap();
    let accounts = [account(one, 500), account(two, 500), account(one, 300_000), account(two, 1_000_000)];
    let ids: Vec<_> = accounts.iter().map(|sid| before.id_of(sid).unwrap()).collect();
    drop(before);
    // Nothing was learned in this run: ids are mapped before a directory is reached.
    let after = folder.open(&tables).unwrap();
    assert_eq!(accounts.iter().map(|sid| after.id_of(sid).unwrap()).collect::<Vec<_>>(), ids);
    assert_eq!(after.domain_sid("b.example"), Some(sid(two)));
    drop(after);
    let only_second = folder.open(&[("b.example", "")]).unwrap();
    assert_eq!(only_second.id_of(&accounts[1]), Some(ids[1]));
    assert_eq!(only_second.id_of(&accounts[0]), None, "not configured any more");
    assert_eq!(only_second.sid_of(ids[0]), None);
}

#[test]
fn a_configuration_that_would_change_ids_is_refused() {
    for (before, after, remedy) in [
        ("", "id_mapping = \"rid\"", "id_mapping = \"sssd\""),
        ("", "id_slice = 7", "id_slice = 3369"),
        ("", "id_range = \"300000-2000299999\"", "674000000 begins a slice"),
        ("", "id_range = \"200000-400199999\"", "674000000 begins a slice"),
        ("id_mapping = \"rid\"", "id_mapping = \"rid\"\nid_range = \"200001-2000199999\"", "begins with 200000"),
        ("id_mapping = \"rfc2307\"", "", "id_mapping = \"rfc2307\""),
    ] {
        let folder = Folder::new("changed");
        folder.open(&[("a.example", before)]).unwrap().learn_domain("a.example", &sid(AADDS)).unwrap();
        let error = folder.open(&[("a.example", after)]).unwrap_err();
        assert!(matches!(&error, Error::Config(text) if text.contains(remedy)), "{before} -> {after}: {error}");
        // The same domain under another name keeps its ids too.
        let renamed = folder.open(&[("b.example", after)]).unwrap();
        assert!(matches!(renamed.learn_domain("b.example", &sid(AADDS)), Err(Error::Config(_))));
    }
}

#[test]
fn a_range_may_grow_at_its_end() {
    let folder = Folder::new("grow");
    for (options, highest) in [("10000-20000", 20_000), ("10000-30000", 30_000), ("10000-15000", 15_000)] {
        let options = format!("id_mapping = \"rid\"\nid_range = \"{options}\"");
        let mapper = folder.open(&[("a.example", &options)]).unwrap();
        mapper.learn_domain("a.example", &sid(AADDS)).unwrap();
        assert_eq!(mapper.id_of(&account(AADDS, 500)), Some(10_500));
        assert_eq!(mapper.id_of(&account(AADDS, highest - 10_000)), Some(highest));
        assert_eq!(mapper.id_of(&account(AADDS, highest - 9_999)), None);
    }
}

#[test]
fn ids_of_a_former_domain_are_not_given_away_again() {
    let rebuilt = "S-1-5-21-1-2-3";
    let folder = Folder::new("former");
    let rid = [("a.example", "id_mapping = \"rid\"\nid_range = \"10000-99999\"")];
    folder.open(&rid).unwrap().learn_domain("a.example", &sid(AADDS)).unwrap();
    let mapper = folder.open(&rid).unwrap();
    let error = mapper.learn_domain("a.example", &sid(rebuilt)).unwrap_err().to_string();
    assert!(error.contains("never given away again"), "{error}");

    let folder = Folder::new("former-slice");
    let pinned = [("a.example", "id_slice = 5")];
    folder.open(&pinned).unwrap().learn_domain("a.example", &sid(AADDS)).unwrap();
    let mapper = folder.open(&pinned).unwrap();
    let error = mapper.learn_domain("a.example", &sid(rebuilt)).unwrap_err().to_string();
    assert!(error.contains("pin another id_slice"), "{error}");

    // Without a pin the rebuilt domain has a slice of its own, also after a restart.
    let folder = Folder::new("former-hash");
    folder.open(&[("a.example", "")]).unwrap().learn_domain("a.example", &sid(AADDS)).unwrap();
    let mapper = folder.open(&[("a.example", "")]).unwrap();
    mapper.learn_domain("a.example", &sid(rebuilt)).unwrap();
    let id = mapper.id_of(&account(rebuilt, 1103)).unwrap();
    assert_eq!(mapper.id_of(&account(AADDS, 1103)), None);
    drop(mapper);
    assert_eq!(folder.open(&[("a.example", "")]).unwrap().id_of(&account(rebuilt, 1103)), Some(id));
}

#[test]
fn a_copy_gives_the_same_ids_and_writes_nothing() {
    let folder = Folder::new("copy");
    let path = folder.0.join("idmap.db");
    let tables = [("a.example", ""), ("b.example", "")];
    let original = folder.open(&tables).unwrap();
    original.learn_domain("a.example", &sid("S-1-5-21-1000-2000-3006")).unwrap();
    let before = std::fs::read(&path).unwrap();
    let copy = IdMapper::open(SliceStore::copy_of(&path).unwrap(), &domains(&tables)).unwrap();
    copy.learn_domain("b.example", &sid("S-1-5-21-1000-2000-3168")).unwrap();
    assert_eq!(copy.blocks().len(), 2);
    assert_eq!(copy.blocks()[0], original.blocks()[0]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    assert!(SliceStore::copy_of(&folder.0.join("none.db")).unwrap().read().unwrap().1.is_empty());
}

#[test]
fn a_full_range_gives_no_id() {
    let mapper = learned("S-1-5-21-1-2-3", "id_range = \"200000-599999\"");
    let first = mapper.id_of(&account("S-1-5-21-1-2-3", 1103)).unwrap();
    let second = mapper.id_of(&account("S-1-5-21-1-2-3", 201_103)).unwrap();
    assert_eq!(first.abs_diff(second), SLICE_SIZE);
    assert_eq!(mapper.id_of(&account("S-1-5-21-1-2-3", 401_103)), None);
    assert_eq!(mapper.id_of(&account("S-1-5-21-1-2-3", u32::MAX)), None);
}

#[test]
fn the_highest_rid_has_an_id_that_outlives_a_restart() {
    let folder = Folder::new("highest");
    let mapper = folder.open(&[("a.example", "")]).unwrap();
    mapper.learn_domain("a.example", &sid(AADDS)).unwrap();
    let account = account(AADDS, u32::MAX);
    let id = mapper.id_of(&account).unwrap();
    assert_eq!(mapper.sid_of(id), Some(("a.example".into(), account.clone())));
    assert_eq!(mapper.sid_of(id + 1), None, "there is no RID behind the last one");
    drop(mapper);
    assert_eq!(folder.open(&[("a.example", "")]).unwrap().id_of(&account), Some(id));
}

#[test]
fn threads_agree() {
    let mapper = learned(AADDS, "");
    let of_threads: Vec<Vec<_>> = std::thread::scope(|scope| {
        let ask = || (0..20).map(|slice| mapper.id_of(&account(AADDS, slice * SLICE_SIZE + 7))).collect();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(of_threads.iter().all(|ids| *ids == of_threads[0] && ids.iter().all(Option::is_some)));
}

proptest! {
    #[test]
    fn no_two_accounts_share_an_id(
        a: u32, b: u32, c: u32,
        options in prop::sample::select(vec!["", "id_slice = 42", "id_mapping = \"rid\"\nid_range = \"1000-4294967293\""]),
        rids in prop::collection::hash_set(prop_oneof![1u32..3000, 199_990u32..200_010, 1u32..5_000_000, any::<u32>()], 1..40),
    ) {
        let domain = format!("S-1-5-21-{a}-{b}-{c}");
        let mapper = learned(&domain, options);
        let mut seen = std::collections::HashSet::new();
        for rid in rids {
            let account = account(&domain, rid);
            if let Some(id) = mapper.id_of(&account) {
                prop_assert!(id >= ID_FLOOR && seen.insert(id), "{id}");
                prop_assert_eq!(mapper.sid_of(id), Some(("a.example".into(), account)));
            } else {
                prop_assert!(rid == 0 || options.contains("rid"), "{rid} has no id");
            }
        }
    }

    #[test]
    fn every_id_that_means_somebody_comes_back(id: u32) {
        let mapper = learned(AADDS, "");
        for id in [id, 674_000_000 + id % 200_000] {
            if let Some((_, sid)) = mapper.sid_of(id) {
                prop_assert_eq!(mapper.id_of(&sid), Some(id));
            }
        }
    }
}

const BLOCKS: &str = "id_mapping = \"rid\"\nid_range = \"1000000-1999999\"\n\
                      id_blocks = [\"0:1200000-1299999\", \"100000:1700000-1799999\", \"200000:1400000-1499999\"]";

#[test]
fn ids_of_autorid_are_those_of_its_blocks() {
    let mapper = learned(AADDS, BLOCKS);
    for (rid, id) in [(1103, 1_201_103), (99_999, 1_299_999), (100_000, 1_700_000), (200_001, 1_400_001)] {
        assert_eq!(mapper.id_of(&account(AADDS, rid)), Some(id));
        assert_eq!(mapper.sid_of(id), Some(("a.example".into(), account(AADDS, rid))));
    }
    assert_eq!(mapper.id_of(&account(AADDS, 300_000)), None, "no block was given for it");
    for nobody in [1_000_001, 1_300_000, 1_800_000] {
        assert_eq!(mapper.sid_of(nobody), None);
    }
    assert_eq!(mapper.own_range("a.example"), Some((1_200_000, 1_299_999)));
}

#[test]
fn blocks_may_be_added_and_none_may_move() {
    let folder = Folder::new("blocks");
    let two = BLOCKS.replace(", \"200000:1400000-1499999\"", "");
    let open = |options: &str| {
        let mapper = folder.open(&[("a.example", options)])?;
        mapper.learn_domain("a.example", &sid(AADDS)).map(|()| mapper)
    };
    assert_eq!(open(&two).unwrap().id_of(&account(AADDS, 200_001)), None);
    assert_eq!(open(BLOCKS).unwrap().id_of(&account(AADDS, 200_001)), Some(1_400_001));
    // What stands there no more is still its owner's.
    assert_eq!(open(&two).unwrap().id_of(&account(AADDS, 200_001)), Some(1_400_001));
    for (from, to) in [
        ("100000:1700000-1799999", "100000:1800000-1899999"),
        ("100000:1700000-1799999", "150000:1750000-1799999"),
        ("0:1200000-1299999", "0:1400000-1499999"),
    ] {
        let error = open(&two.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains("id_blocks"), "{to}: {error}");
    }
}
