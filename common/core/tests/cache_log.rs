//! The log of the shared cache against a model: whatever is published, withdrawn, renewed, aged and copied into a new
//! map, readers find what counts and nothing else.

#![allow(clippy::unwrap_used)] // Test code.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use entra_core::cache::append_log::{Geometry, Identity, Log};
use entra_core::cache::records::Record;
use entra_core::cache::{Key, Now};
use entra_core::types::{AccountState, GroupRecord, Sid, UserRecord};
use entra_wire::cache_map::{Memory, View};
use proptest::prelude::*;

type Map = Log<Arc<[AtomicU32]>>;

fn map(size: u32, now: u32) -> Map {
    let memory: Arc<[AtomicU32]> = (0..size / 4).map(|_| AtomicU32::new(0)).collect();
    let identity = Identity { generation: 77, seed: now, stillness: 60, ranges: vec![(200_000, 900_000_000)] };
    Log::format(memory, Geometry { buckets: 4, ring_slots: 2 }, &identity, Now { tick: now, beat: 5 })
}

fn sid(rid: u32) -> Sid {
    "S-1-5-21-1-2-3".parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

fn user(uid: u32, version: u32) -> UserRecord {
    UserRecord {
        domain: "aadds.contoso.com".into(),
        sid: sid(uid),
        former_sids: Vec::new(),
        guid: Vec::new(),
        dn: String::new(),
        sam: String::new(),
        upn: None,
        name: format!("user{uid}"),
        uid,
        gid: 674_000_513,
        primary_group: sid(513),
        gecos: "x".repeat(version as usize % 7),
        home: format!("/home/{uid}"),
        shell: "/bin/sh".into(),
        ssh_keys: Vec::new(),
        state: AccountState::default(),
    }
}

/// What a reader gets by a name: uid and display name.
fn ask<M: Memory>(memory: &M, name: &str) -> Option<(u32, String)> {
    let view = View::open(memory, 5).unwrap();
    let found = view.user(&Key::UserName(name.as_bytes()))?;
    let mut buffer = [MaybeUninit::uninit(); 200];
    let text = found.copy(&mut buffer).unwrap();
    assert_eq!(*text.name(), *format!("user{}", found.uid).as_bytes());
    assert_eq!((&text.text[text.password..text.gecos], &text.text[text.shell..]), (&b"*\0"[..], &b"/bin/sh\0"[..]));
    assert!(view.is_current());
    Some((found.uid, String::from_utf8(text.text[text.gecos..text.home - 1].to_vec()).unwrap()))
}

#[derive(Clone, Debug)]
enum Step {
    /// A user (of a few) with this version of its texts, under these names (of a few), for so long.
    Publish {
        uid: u32,
        version: u32,
        names: Vec<usize>,
        life: u32,
    },
    Withdraw {
        name: usize,
    },
    Absent {
        name: usize,
        life: u32,
    },
    Pass {
        time: u32,
    },
    Copy,
}

const NAMES: [&str; 6] = [
    "alice",
    "alice@contoso.com",
    "aadds\\alice",
    "zoë",
    "b",
    "a name of more than sixty-four bytes, which no negative answer can hold",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let step = prop_oneof![
        4 => (0..4_u32, 0..3_u32, prop::collection::vec(name.clone(), 0..4), 1..20_u32)
            .prop_map(|(uid, version, names, life)| Step::Publish { uid: 300_000 + uid, version, names, life }),
        1 => name.clone().prop_map(|name| Step::Withdraw { name }),
        2 => (name, 1..20_u32).prop_map(|(name, life)| Step::Absent { name, life }),
        1 => (0..8_u32).prop_map(|time| Step::Pass { time }),
        1 => Just(Step::Copy),
    ];
    prop::collection::vec(step, 0..40)
}

/// The same in plain words.
#[derive(Default)]
struct Model {
    tick: u32,
    /// uid, version, until when; in the order of publishing.
    records: Vec<(u32, u32, u32)>,
    by_name: HashMap<usize, usize>,
    by_uid: HashMap<u32, usize>,
    absent: HashMap<usize, u32>,
}

impl Model {
    fn counts(&self, record: usize) -> bool {
        self.records[record].2 > self.tick
    }

    fn publish(&mut self, uid: u32, version: u32, names: &[usize], life: u32) {
        let until = self.tick + life;
        // What expired is still there to be given a new life; what was withdrawn is not.
        let before = self.by_uid.get(&uid).copied().filter(|at| self.records[*at].2 != 0);
        let at = match before {
            Some(at) if self.records[at].1 == version => at,
            _ => {
                if let Some(at) = before {
                    self.records[at].2 = 0;
                }
                self.records.push((uid, version, 0));
                self.records.len() - 1
            }
        };
        self.records[at].2 = until;
        self.by_uid.insert(uid, at);
        for name in names {
            self.by_name.insert(*name, at);
            self.absent.remove(name);
        }
    }
}

proptest! {
    #[test]
    fn readers_find_what_counts(steps in steps()) {
        let mut map = map(1 << 16, 100);
        let mut model = Model { tick: 100, ..Model::default() };
        for step in steps {
            match step {
                Step::Publish { uid, version, names, life } => {
                    let record = Record::user(&user(uid, version), model.tick + life).unwrap();
                    let mut keys = vec![Key::Uid(uid)];
                    keys.extend(names.iter().map(|name| Key::UserName(NAMES[*name].as_bytes())));
                    map.publish(&record, &keys).unwrap();
                    model.publish(uid, version, &names, life);
                }
                Step::Withdraw { name } => {
                    map.withdraw(&Key::UserName(NAMES[name].as_bytes()));
                    if let Some(at) = model.by_name.get(&name) {
                        model.records[*at].2 = 0;
                    }
                }
                Step::Absent { name, life } => {
                    map.put_absent(&Key::UserName(NAMES[name].as_bytes()), model.tick + life);
                    model.absent.insert(name, model.tick + life);
                }
                Step::Pass { time } => {
                    model.tick += time;
                    map.tick(Now { tick: model.tick, beat: 5 });
                }
                Step::Copy => {
                    let mut next = self::map(1 << 16, model.tick);
                    map.copy_into(&mut next, u32::MAX);
                    map = next;
                    let gone: Vec<usize> = (0..model.records.len()).filter(|at| !model.counts(*at)).collect();
                    model.by_name.retain(|_, at| !gone.contains(at));
                    model.by_uid.retain(|_, at| !gone.contains(at));
                    model.absent.clear();
                }
            }
            let view = View::open(map.memory(), 5).unwrap();
            for (number, name) in NAMES.iter().enumerate() {
                let wanted = model.by_name.get(&number).filter(|at| model.counts(**at)).map(|at| {
                    let (uid, version, _) = model.records[*at];
                    (uid, user(uid, version).gecos)
                });
                prop_assert_eq!(ask(map.memory(), name), wanted.clone(), "{}", name);
                prop_assert_eq!(ask(map.memory(), &name.to_ascii_uppercase()), wanted, "{} in capitals", name);
                // Two slots for six names: some are overwritten, none is invented.
                let absent = view.is_absent(&Key::UserName(name.as_bytes()));
                prop_assert!(!absent || model.absent.get(&number).is_some_and(|until| *until > model.tick), "{}", name);
            }
        }
    }
}

#[test]
fn negative_answers_are_found_until_they_age_or_the_name_comes() {
    let mut map = map(1 << 16, 100);
    let (alice, long) = (Key::UserName(b"alice"), Key::UserName(NAMES[5].as_bytes()));
    map.put_absent(&long, 200);
    assert!(!View::open(map.memory(), 5).unwrap().is_absent(&long));
    map.put_absent(&alice, 110);
    assert!(View::open(map.memory(), 5).unwrap().is_absent(&Key::UserName(b"Alice")));
    assert!(!View::open(map.memory(), 5).unwrap().is_absent(&Key::GroupName(b"alice")), "a group is another question");
    map.tick(Now { tick: 110, beat: 5 });
    assert!(!View::open(map.memory(), 5).unwrap().is_absent(&alice));
    map.put_absent(&alice, 200);
    map.publish(&Record::user(&user(300_001, 1), 120).unwrap(), &[Key::Uid(300_001), alice]).unwrap();
    map.tick(Now { tick: 130, beat: 5 });
    assert!(!View::open(map.memory(), 5).unwrap().is_absent(&alice), "it was there, so it is not known to be absent");
}

#[test]
fn a_flood_of_unknown_names_takes_no_room_and_hides_nobody() {
    let mut map = map(1 << 16, 100);
    for number in 0..40 {
        let record = Record::user(&user(300_000 + number, number), 200).unwrap();
        map.publish(&record, &[Key::Uid(300_000 + number)]).unwrap();
    }
    let used = map.usage();
    for number in 0..20_000 {
        map.put_absent(&Key::UserName(format!("nobody{number}").as_bytes()), 200);
        map.put_absent(&Key::Uid(400_000 + number), 200);
    }
    assert_eq!(map.usage(), used);
    let view = View::open(map.memory(), 5).unwrap();
    assert!((0..40).all(|number| view.user(&Key::Uid(300_000 + number)).is_some()));
    assert!(view.is_absent(&Key::UserName(b"nobody19999")), "the newest are kept");
}

#[test]
fn a_group_is_whole_for_as_long_as_its_members_are_known() {
    let mut map = map(1 << 16, 100);
    let group = GroupRecord {
        domain: String::new(),
        sid: sid(1200),
        former_sids: Vec::new(),
        guid: Vec::new(),
        dn: String::new(),
        sam: String::new(),
        name: "linux admins".into(),
        gid: 674_001_200,
    };
    let members = ["alice", "bob", "zoë"];
    let keys = [Key::Gid(group.gid), Key::GroupName(b"linux admins")];
    map.publish(&Record::group(&group, &members, 200, 110).unwrap(), &keys).unwrap();
    let used = map.usage().1;
    map.publish(&Record::group(&group, &members, 300, 120).unwrap(), &keys).unwrap();
    assert_eq!(map.usage().1, used, "the same answer takes no new room");
    for (tick, whole) in [(100, true), (119, true), (120, false)] {
        map.tick(Now { tick, beat: 5 });
        let view = View::open(map.memory(), 5).unwrap();
        assert_eq!(view.group(&keys[1], true).is_some(), whole, "at {tick}");
        let found = view.group(&keys[0], false).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 100];
        let text = found.copy(&mut buffer).unwrap();
        let names: Vec<&[u8]> = found
            .member_offsets()
            .map(|at| text.text[at as usize..].split(|byte| *byte == 0).next().unwrap())
            .collect();
        assert_eq!(names, members.map(str::as_bytes));
        assert_eq!(&text.text[..text.name_length], b"linux admins");
        let mut binary = [MaybeUninit::uninit(); 68];
        assert_eq!(*found.sid(&mut binary).unwrap(), *group.sid.to_bytes());
    }
}

#[test]
fn a_full_log_says_so_and_what_it_could_not_replace_no_longer_counts() {
    let mut map = map(1 << 14, 100);
    let own = Key::Uid(300_000);
    map.publish(&Record::user(&user(300_000, 0), 200).unwrap(), &[own]).unwrap();
    let full = (300_001..400_000)
        .find(|uid| map.publish(&Record::user(&user(*uid, 0), 200).unwrap(), &[Key::Uid(*uid)]).is_err());
    assert!(full.unwrap() > 300_050);
    assert!(map.publish(&Record::user(&user(300_000, 1), 200).unwrap(), &[own]).is_err());
    assert!(View::open(map.memory(), 5).unwrap().user(&own).is_none());
    assert!(View::open(map.memory(), 5).unwrap().user(&Key::Uid(300_001)).is_some());
}

#[test]
fn a_copy_within_a_budget_keeps_what_was_given_last() {
    let mut map = map(1 << 16, 100);
    for number in 0..40 {
        let record = Record::user(&user(300_000 + number, 0), 200 + number).unwrap();
        map.publish(&record, &[Key::Uid(300_000 + number)]).unwrap();
    }
    let mut next = self::map(1 << 16, 100);
    map.copy_into(&mut next, map.usage().1 / 2);
    let view = View::open(next.memory(), 5).unwrap();
    let kept: Vec<u32> = (0..40).filter(|number| view.user(&Key::Uid(300_000 + number)).is_some()).collect();
    assert_eq!(kept, (20..40).collect::<Vec<_>>());
}

#[test]
fn a_map_that_is_superseded_or_silent_answers_nothing() {
    let map = map(1 << 16, 100);
    assert!(View::open(map.memory(), 65).is_some());
    assert!(View::open(map.memory(), 66).is_none(), "the writer said nothing for longer than the map allows");
    let view = View::open(map.memory(), 5).unwrap();
    assert!(view.is_current());
    map.supersede();
    assert!(!view.is_current());
    assert!(View::open(map.memory(), 5).is_none());
}
