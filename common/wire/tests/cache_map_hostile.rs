//! Readers of maps that no writer made: whatever the words say, reading ends, stays inside, and gives no id or text that
//! was not there.

#![allow(clippy::unwrap_used)] // Test code.

use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU32;

use entra_wire::cache_map::layout::{HEADER, LIVE, MAGIC, MAX_TEXT, VERSION, header};
use entra_wire::cache_map::{Key, View};
use proptest::prelude::*;

const BUFFER: usize = 4096;

/// Asks for everything.
fn read(words: &[AtomicU32], now: u32) {
    let Some(view) = View::open(words, now) else { return };
    let names: [&[u8]; 4] = [b"", b"a", b"alice@contoso.com", &[b'x'; 300]];
    let ids = [0, 1, 7, 1103, u32::MAX];
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let users = names.map(Key::UserName).into_iter().chain(ids.map(Key::Uid)).chain([Key::UserSid(&[1, 2, 3])]);
    for key in users {
        let _ = view.is_absent(&key);
        let Some(user) = view.user(&key) else { continue };
        if let Some(text) = user.copy(&mut buffer) {
            assert_eq!(text.text.len(), user.text_length());
            assert!([text.password, text.gecos, text.home, text.shell].iter().all(|at| text.text[at - 1] == 0));
            assert_eq!(text.text.last(), Some(&0));
            assert_eq!(text.name().len() + 1, text.password);
        }
        let _ = user.sid(&mut [MaybeUninit::uninit(); 68]);
    }
    for key in names.map(Key::GroupName).into_iter().chain(ids.map(Key::Gid)) {
        let _ = view.is_absent(&key);
        let Some(group) = view.group(&key, false) else { continue };
        assert!(group.text_length() <= MAX_TEXT.min(size_of_val(words)));
        assert!(group.member_count() * 2 <= group.text_length());
        assert!(group.member_offsets().count() <= group.member_count());
        if let Some(text) = group.copy(&mut buffer) {
            assert_eq!(text.text.last(), Some(&0));
            assert!(text.name_length < text.text.len());
        }
    }
    for uid in ids {
        if let Some(groups) = view.groups_of(uid) {
            assert!(groups.count() * 4 <= size_of_val(words));
            assert_eq!(groups.gids().count(), groups.count());
        }
        let _ = view.serves_id(uid);
    }
    let _ = view.is_current();
}

/// Words of which most look like offsets, sizes and small numbers, so that reading gets far.
fn words(count: usize) -> impl Strategy<Value = Vec<u32>> {
    let size = count as u32 * 4;
    let word = prop_oneof![
        6 => (0..size / 8).prop_map(|at| at * 8),
        3 => 0..16_u32,
        2 => (1..8_u32, 0..40_u32).prop_map(|(kind, length)| kind | length << 16),
        1 => any::<u32>(),
        1 => Just(u32::from_ne_bytes(*b"a\0*\0")),
    ];
    prop::collection::vec(word, count)
}

fn header_of(mut words: Vec<u32>) -> Vec<AtomicU32> {
    let mut set = |at: u32, value: u32| words[at as usize / 4] = value;
    set(header::MAGIC, MAGIC[0]);
    set(header::MAGIC + 4, MAGIC[1]);
    set(header::VERSION, VERSION);
    set(header::STATE, LIVE);
    set(header::TICK, 0);
    set(header::BEAT, 5);
    set(header::STILLNESS, 60);
    words.into_iter().map(AtomicU32::new).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_words_are_read_to_an_end(words in words(2048), buckets in 0..12_u32) {
        // Somebody else's header, too, is only words: the geometry is as wild as the rest, or plausible.
        let map = header_of(words);
        read(&map, 5);
        for (at, value) in [(header::BUCKETS, 1 << buckets), (header::BUCKETS_AT, HEADER), (header::RING_AT, HEADER), (header::RING_SLOTS, 16)] {
            map[at as usize / 4].store(value, std::sync::atomic::Ordering::Relaxed);
        }
        read(&map, 5);
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read_to_its_end(words in words(1100), end in 0..1100_usize) {
        let map = header_of(words);
        read(&map[..end], 5);
    }
}

#[test]
fn a_chain_in_a_circle_ends() {
    // Every word leads to every bucket and to itself.
    let map = header_of(vec![HEADER; 2048]);
    map[header::BUCKETS as usize / 4].store(1, std::sync::atomic::Ordering::Relaxed);
    read(&map, 5);
}

#[test]
fn what_is_no_map_is_not_opened() {
    let zeros: Vec<AtomicU32> = (0..2048).map(|_| AtomicU32::new(0)).collect();
    assert!(View::open(&zeros[..], 0).is_none());
    let map = header_of(vec![0; 2048]);
    assert!(View::open(&map[..], 5).is_some());
    for (at, value) in [(header::MAGIC, 0), (header::VERSION, VERSION + 1), (header::STATE, 0), (header::STATE, 2)] {
        let before = map[at as usize / 4].swap(value, std::sync::atomic::Ordering::Relaxed);
        assert!(View::open(&map[..], 5).is_none(), "word {at} is {value}");
        map[at as usize / 4].store(before, std::sync::atomic::Ordering::Relaxed);
    }
}
