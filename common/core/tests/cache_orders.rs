//! Publishing in the shared cache under every order in which a reader may see the writer's stores (loom explores them).

#![allow(clippy::unwrap_used)] // Test code.

use std::sync::Arc;

use entra_core::cache::append_log::{Geometry, Identity, Log};
use entra_core::cache::records::Record;
use entra_core::cache::{Key, MemoryMut, Now};
use entra_wire::cache_map::layout::HEADER;
use entra_wire::cache_map::{Memory, View};
use loom::sync::atomic::{AtomicU32, Ordering, fence};

/// The words that a small map uses: those of the header that mean something, and those from the buckets on.
struct Words(Vec<AtomicU32>);

const IN_HEADER: u32 = 72;
const BEHIND: u32 = 400;

impl Words {
    fn at(&self, at: u32) -> Option<&AtomicU32> {
        let place = if at < HEADER { Some(at).filter(|at| *at < IN_HEADER) } else { Some(at - HEADER + IN_HEADER) };
        self.0.get(place? as usize / 4)
    }
}

impl Memory for Words {
    fn word(&self, at: u32) -> Option<u32> {
        self.at(at).map(|word| word.load(Ordering::Relaxed))
    }

    fn acquire(&self, at: u32) -> Option<u32> {
        self.at(at).map(|word| word.load(Ordering::Acquire))
    }

    fn fence(&self) {
        fence(Ordering::Acquire);
    }
}

impl MemoryMut for Words {
    fn size(&self) -> u32 {
        HEADER + BEHIND
    }

    fn store(&self, at: u32, value: u32) {
        self.at(at).unwrap().store(value, Ordering::Relaxed);
    }

    fn release(&self, at: u32, value: u32) {
        self.at(at).unwrap().store(value, Ordering::Release);
    }

    fn fence_stores(&self) {
        fence(Ordering::Release);
    }
}

/// One bucket and one slot, so that everything meets everything.
fn map() -> (Log<Arc<Words>>, Arc<Words>) {
    let words = Arc::new(Words((0..(IN_HEADER + BEHIND) / 4).map(|_| AtomicU32::new(0)).collect()));
    let identity = Identity { generation: 1, seed: 3, stillness: 60, ranges: Vec::new() };
    let log =
        Log::format(Arc::clone(&words), Geometry { buckets: 1, ring_slots: 1 }, &identity, Now { tick: 10, beat: 1 });
    (log, words)
}

/// Every order of loads and stores with at most two switches between the threads at points of no wait: what goes wrong
/// with more goes wrong with two as well, as far as is known of such protocols, and two are done in seconds.
fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(scenario);
}

/// Every result that a scenario had in some order, each once: a scenario in which the threads never met would show.
fn outcomes<T: Ord + Clone + Send + 'static>(scenario: impl Fn() -> T + Send + Sync + 'static) -> Vec<T> {
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let add = Arc::clone(&seen);
    explore(move || {
        let outcome = scenario();
        add.lock().unwrap().insert(outcome);
    });
    let seen = seen.lock().unwrap();
    seen.iter().cloned().collect()
}

fn groups(uid: u32, gid: u32) -> Record {
    Record::groups_of_user(uid, gid, &[gid, gid], 100).unwrap()
}

/// Reads the groups of the user 7 while the map is written: their gid, which must be the same in each place.
fn reader_of_7(words: Arc<Words>) -> loom::thread::JoinHandle<Option<u32>> {
    loom::thread::spawn(move || {
        let view = View::open(&*words, 1)?;
        let found = view.groups_of(7)?;
        assert_eq!(found.gids().collect::<Vec<_>>(), [found.primary, found.primary]);
        Some(found.primary)
    })
}

#[test]
fn a_record_is_seen_whole_or_not_at_all() {
    let seen = outcomes(|| {
        let (mut log, words) = map();
        let reader = reader_of_7(words);
        log.publish(&groups(7, 5000), &[Key::GroupsOfUid(7)]).unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, [None, Some(5000)]);
}

#[test]
fn a_record_that_replaces_another_is_seen_whole() {
    let seen = outcomes(|| {
        let (mut log, words) = map();
        log.publish(&groups(7, 5000), &[Key::GroupsOfUid(7)]).unwrap();
        let reader = reader_of_7(words);
        log.publish(&groups(7, 6000), &[Key::GroupsOfUid(7)]).unwrap();
        reader.join().unwrap()
    });
    // None: the old one was found, and withdrawn before its expiry was looked at. The daemon is asked then.
    assert_eq!(seen, [None, Some(5000), Some(6000)]);
}

#[test]
fn a_negative_answer_is_never_a_mixture_of_two() {
    let seen = outcomes(|| {
        let (mut log, words) = map();
        // Known once, but too old by now.
        log.put_absent(&Key::Uid(7), 5);
        let reader = loom::thread::spawn(move || {
            let view = View::open(&*words, 1).unwrap();
            assert!(!view.is_absent(&Key::Uid(7)), "the key of one answer with the life of another");
            view.is_absent(&Key::Uid(8))
        });
        log.put_absent(&Key::Uid(8), 100);
        reader.join().unwrap()
    });
    assert_eq!(seen, [false, true]);
}

#[test]
fn a_copy_from_an_emptied_map_is_not_current() {
    let seen = outcomes(|| {
        let (mut log, words) = map();
        log.publish(&groups(7, 5000), &[Key::GroupsOfUid(7)]).unwrap();
        let reader = loom::thread::spawn(move || {
            let view = View::open(&*words, 1)?;
            let gids: Option<Vec<u32>> = view.groups_of(7).map(|found| found.gids().collect());
            view.is_current().then_some(gids)?
        });
        log.supersede();
        // What the kernel does when the map is punched: it only comes after superseding.
        log.memory().fence_stores();
        for at in (HEADER..HEADER + BEHIND).step_by(4) {
            log.memory().store(at, 0);
        }
        reader.join().unwrap()
    });
    assert_eq!(seen, [None, Some(vec![5000, 5000])]);
}
