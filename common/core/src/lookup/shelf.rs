//! The memory of one kind of answer: positive and negative apart, so that a flood of unknown names evicts nobody.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::Query;
use super::flight::Flights;

/// Keys that are known to name nothing.
const MAX_NEGATIVE: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// What a flight brings back.
pub(super) type Found<T> = Option<Arc<T>>;

/// A value, and when the directory gave it (Unix seconds).
pub(super) type Dated<T> = (Arc<T>, u64);

/// Memory and flights of one kind of answer.
pub(super) struct Shelf<T> {
    positive: Mutex<LruCache<Query, Dated<T>>>,
    /// Until when each key is known to name nothing.
    negative: Mutex<LruCache<Query, u64>>,
    /// What is to be asked for again.
    due: Mutex<HashSet<Query>>,
    pub(super) flights: Flights<Query, Found<T>>,
}

impl<T: Send + Sync + 'static> Shelf<T> {
    /// Keeps positive answers under so many keys: what is asked for again and again, because the shared cache serves the
    /// rest of what is fresh, and the disk all of it.
    pub(super) fn of(keys: NonZeroUsize) -> Self {
        Self {
            positive: Mutex::new(bounded(keys)),
            negative: Mutex::new(bounded(MAX_NEGATIVE)),
            due: Mutex::new(HashSet::new()),
            flights: Flights::new(),
        }
    }

    pub(super) fn get(&self, key: &Query) -> Option<Dated<T>> {
        lock(&self.positive).get(key).cloned()
    }

    /// Remembers a value under all of its keys, and that none of them names nothing.
    pub(super) fn put(&self, keys: Vec<Query>, value: &Arc<T>, fetched: u64) {
        self.are_somebody(&keys);
        let mut positive = lock(&self.positive);
        for key in keys {
            positive.put(key, (Arc::clone(value), fetched));
        }
    }

    /// Replaces what is remembered under these keys; where nothing is, nothing will be.
    pub(super) fn renew(&self, keys: Vec<Query>, value: &Arc<T>, fetched: u64) {
        self.are_somebody(&keys);
        let mut positive = lock(&self.positive);
        for key in keys {
            if let Some(held) = positive.peek_mut(&key) {
                *held = (Arc::clone(value), fetched);
            }
        }
    }

    /// Forgets that these keys named nothing.
    fn are_somebody(&self, keys: &[Query]) {
        let mut negative = lock(&self.negative);
        for key in keys {
            negative.pop(key);
        }
    }

    pub(super) fn forget(&self, keys: &[Query]) {
        let mut positive = lock(&self.positive);
        for key in keys {
            positive.pop(key);
        }
    }

    pub(super) fn put_absent(&self, key: Query, until: u64) {
        lock(&self.negative).put(key, until);
    }

    /// Remembers what the disk had, except under keys that know something newer.
    pub(super) fn put_older(&self, keys: Vec<Query>, value: &Arc<T>, fetched: u64) {
        let mut positive = lock(&self.positive);
        for key in keys {
            if positive.peek(&key).is_none_or(|(_, known)| *known <= fetched) {
                positive.put(key, (Arc::clone(value), fetched));
            }
        }
    }

    /// Whether this key names nothing, as asked at most `life` seconds ago (a clock that was ahead makes no answer
    /// last longer).
    pub(super) fn is_absent(&self, key: &Query, now: u64, life: u64) -> bool {
        let mut negative = lock(&self.negative);
        match negative.get(key) {
            Some(until) if (now + 1..=now + life).contains(until) => true,
            Some(_) => {
                negative.pop(key);
                false
            }
            None => false,
        }
    }

    /// Until when this key is known to name nothing.
    pub(super) fn absent_until(&self, key: &Query) -> Option<u64> {
        lock(&self.negative).peek(key).copied()
    }

    /// Whether this very value is what is remembered under `key`.
    pub(super) fn holds(&self, key: &Query, value: &Arc<T>) -> bool {
        lock(&self.positive).peek(key).is_some_and(|(held, _)| Arc::ptr_eq(held, value))
    }

    pub(super) fn clear(&self) {
        lock(&self.positive).clear();
        lock(&self.negative).clear();
    }

    /// Takes a note that this will be asked for again: not a second one, and not more than `most`.
    pub(super) fn begin_refresh(&self, key: &Query, most: usize) -> bool {
        let mut due = lock(&self.due);
        due.len() < most && due.insert(key.clone())
    }

    pub(super) fn end_refresh(&self, key: &Query) {
        lock(&self.due).remove(key);
    }

    /// Keys in memory: positive, negative.
    pub(super) fn counts(&self) -> (u64, u64) {
        (lock(&self.positive).len() as u64, lock(&self.negative).len() as u64)
    }
}

/// A cache of that many entries which takes memory as it fills (`LruCache::new` takes all of it at once).
fn bounded<V>(most: NonZeroUsize) -> LruCache<Query, V> {
    let mut cache = LruCache::unbounded();
    cache.resize(most);
    cache
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_unknown_keys_is_bounded_and_evicts_nobody() {
        const KNOWN: u32 = 64;
        let shelf = Shelf::<u32>::of(NonZeroUsize::new(KNOWN as usize).unwrap());
        for id in 0..KNOWN {
            shelf.put(vec![Query::Id(id)], &Arc::new(id), 100);
        }
        for id in 0..MAX_NEGATIVE.get() as u32 + 1000 {
            shelf.put_absent(Query::Id(1000 + id), 200);
        }
        assert_eq!(shelf.counts(), (u64::from(KNOWN), MAX_NEGATIVE.get() as u64));
        assert!((0..KNOWN).all(|id| shelf.get(&Query::Id(id)).is_some_and(|(value, _)| *value == id)));
        assert!(shelf.is_absent(&Query::Id(1000 + MAX_NEGATIVE.get() as u32 + 999), 150, 100), "the newest are kept");
    }
}
