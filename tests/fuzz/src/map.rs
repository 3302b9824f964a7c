//! A shared cache as the daemon's own writer makes it, with words of it replaced.
//!
//! The input is a list of replacements and not the file: most of that is zeros that nobody reads. Six bytes each: which
//! word (two, little-endian; with the highest bit set any word of the file, else one of those that are not zero), and
//! what it becomes.

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use entra_core::cache::{Now, Settings, SharedCache};
use entra_core::types::{AccountState, GroupRecord, Sid, UserRecord};
use entra_wire::cache_map::layout::{HEADER, MAX_TEXT, header};
use entra_wire::cache_map::mapping::tick_and_beat;
use entra_wire::cache_map::{Key, View};

/// The uid of alice, whose primary group is the second number.
pub const ALICE: (u32, u32) = (674_001_103, 674_000_513);
/// The gid of staff.
pub const STAFF: u32 = 674_001_200;

/// The words of a sound map. It does not grow old.
pub fn sound() -> &'static [u32] {
    static WORDS: OnceLock<Vec<u32>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words: Vec<u32> = made().as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        words[header::STILLNESS as usize / 4] = u32::MAX;
        words
    })
}

/// The replacements that `data` asks for: index of a word, and its value.
pub fn replacements(data: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    static USED: OnceLock<Vec<usize>> = OnceLock::new();
    let sound = sound();
    let used = USED.get_or_init(|| (0..sound.len()).filter(|at| sound[*at] != 0).collect());
    data.as_chunks::<6>().0.iter().take(64).map(|[low, high, value @ ..]| {
        let index = usize::from(u16::from_le_bytes([*low, high & 0x7f]));
        let at = if high & 0x80 == 0 { used[index % used.len()] } else { index % sound.len() };
        (at, u32::from_le_bytes(*value))
    })
}

/// Seeds: nothing replaced, and single words of the header and of the log.
pub fn patches() -> Vec<Vec<u8>> {
    let one = |at: u16, value: u32| [&at.to_le_bytes()[..], &value.to_le_bytes()].concat();
    let raw = |at: u32, value: u32| one((at / 4) as u16 | 0x8000, value);
    vec![
        one(0, sound()[0]),
        raw(header::BUCKETS, 1),
        raw(header::BUCKETS_AT, HEADER + 8),
        raw(header::RING_SLOTS, 1 << 20),
        raw(header::RANGE_COUNT, 17),
        [one(40, HEADER), one(60, u32::MAX), one(61, 0)].concat(),
    ]
}

/// The reader, over such a map.
pub fn read(data: &[u8]) {
    let words: Vec<AtomicU32> = sound().iter().copied().map(AtomicU32::new).collect();
    for (at, value) in replacements(data) {
        words[at].store(value, Ordering::Relaxed);
    }
    let size = size_of_val(&words[..]);
    let beat = words[header::BEAT as usize / 4].load(Ordering::Relaxed);
    let Some(view) = View::open(&words[..], beat) else { return };
    let mut buffer = vec![MaybeUninit::uninit(); 4096];
    for key in [Key::UserName(b"alice"), Key::Uid(ALICE.0), Key::UserName(b"nobody"), Key::UserSid(&[1; 12])] {
        let _ = view.is_absent(&key);
        let Some(user) = view.user(&key) else { continue };
        if let Some(text) = user.copy(&mut buffer) {
            assert!([text.password, text.gecos, text.home, text.shell].iter().all(|at| text.text[at - 1] == 0));
            assert_eq!((text.text.last(), text.name().len() + 1), (Some(&0), text.password));
        }
        let _ = user.sid(&mut [MaybeUninit::uninit(); 68]);
    }
    for key in [Key::GroupName(b"research"), Key::Gid(STAFF)] {
        let Some(group) = view.group(&key, false) else { continue };
        assert!(group.text_length() <= MAX_TEXT.min(size) && group.member_count() * 2 <= group.text_length());
        assert!(group.member_offsets().count() <= group.member_count());
        if let Some(text) = group.copy(&mut buffer) {
            assert!(text.text.last() == Some(&0) && text.name_length < text.text.len());
        }
    }
    if let Some(groups) = view.groups_of(ALICE.0) {
        assert!(groups.count() * 4 <= size);
        assert_eq!(groups.gids().count(), groups.count());
    }
    let _ = (view.serves_id(ALICE.0), view.is_current());
}

/// The smallest map that the writer makes, with one of everything.
fn made() -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("entra-fuzz-map-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (empty, path) = (folder.join("empty"), folder.join("cache.map"));
    std::fs::write(&empty, "").unwrap();
    let ranges = vec![(200_000, 2_000_199_999)];
    let settings = Settings { path: path.clone(), max_size: 64 * 1024, ranges, passwd: empty.clone(), group: empty };
    let (tick, beat) = tick_and_beat();
    let cache = SharedCache::start(settings, Now { tick, beat });
    let sid = |rid| "S-1-5-21-1-2-3".parse::<Sid>().unwrap().with_rid(rid).unwrap();
    let user = UserRecord {
        domain: "aadds.contoso.com".into(),
        sid: sid(1103),
        former_sids: Vec::new(),
        guid: Vec::new(),
        dn: String::new(),
        sam: String::new(),
        upn: None,
        name: "alice".into(),
        uid: ALICE.0,
        gid: ALICE.1,
        primary_group: sid(513),
        gecos: "Alice Example".into(),
        home: "/home/alice".into(),
        shell: "/bin/bash".into(),
        state: AccountState::default(),
        ssh_keys: Vec::new(),
    };
    let (domain, guid, dn, sam) = (String::new(), Vec::new(), String::new(), String::new());
    let group = GroupRecord {
        domain,
        sid: sid(1200),
        former_sids: Vec::new(),
        guid,
        dn,
        sam,
        name: "research".into(),
        gid: STAFF,
    };
    cache.publish_user(&user, &["alice".into()], 3600, || true);
    cache.publish_groups_of(&user, &[STAFF, STAFF + 1], 3600, || true);
    cache.publish_group(&group, &["alice", "bob"], &["research".into()], (3600, 3600), || true);
    cache.publish_absent(&Key::UserName(b"nobody"), 3600, || true);
    let map = std::fs::read(&path).unwrap();
    drop(cache);
    let _ = std::fs::remove_dir_all(&folder);
    map
}
