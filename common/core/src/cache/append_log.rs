//! The append-only log of a map and the index over it. One writer; any number of readers at any moment.
//!
//! What is new is written where nothing leads to yet, then one store with release order makes it the head of its
//! bucket's chain. From then on its bytes never change, but for the expiry: a reader that follows the chain with
//! acquire order sees all of it or none of it.

use std::collections::HashMap;

use entra_wire::cache_map::View;
use entra_wire::cache_map::layout::{
    HEADER, Key, LIVE, MAGIC, MAX_ABSENT_KEY, MAX_RANGES, SUPERSEDED, TAG_ENTRY, TAG_MASK, TAG_RECORD, VERSION, absent,
    entry, group, header, record,
};

use super::records::Record;
use super::words::MemoryMut;

/// Seconds since the machine was started, and of those the ones that it was not suspended
/// (`entra_wire::cache_map::mapping::tick_and_beat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What expiries are given in.
    pub tick: u32,
    /// What readers compare with their own clock.
    pub beat: u32,
}

/// The map has no room for what is to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where the parts of a map stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Buckets, a power of two; they stand behind the header.
    pub buckets: u32,
    /// Negative answers, a power of two; they stand behind the buckets.
    pub ring_slots: u32,
}

impl Geometry {
    /// For a file of this size: a bucket for each 256 bytes, so that chains are short when the log is full of users
    /// (about 500 bytes with all of their keys), and as many negative answers as 4 % of the file hold, 8,192 at most.
    pub fn of_size(size: u32) -> Self {
        let power = |number: u32| 1 << number.max(1).ilog2();
        Self { buckets: power(size / 256), ring_slots: power(size / 2048).min(8192) }
    }

    fn ring_at(self) -> u32 {
        HEADER + self.buckets * 4
    }

    /// First byte of the log.
    pub fn log_at(self) -> u32 {
        self.ring_at().saturating_add(self.ring_slots.saturating_mul(absent::SIZE)).next_multiple_of(8)
    }
}

/// What tells one map from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// No other map of this host has it.
    pub generation: u64,
    /// Start value of the hashes.
    pub seed: u32,
    /// How long the tick may stand still, in seconds.
    pub stillness: u32,
    /// The ids that the daemon serves.
    pub ranges: Vec<(u32, u32)>,
}

/// The writer of one map.
#[derive(Debug)]
pub struct Log<M> {
    memory: M,
    geometry: Geometry,
    now: Now,
    end: u32,
}

impl<M: MemoryMut> Log<M> {
    /// Makes a map of memory that is all zero.
    pub fn format(memory: M, geometry: Geometry, identity: &Identity, now: Now) -> Self {
        let log = Self { end: geometry.log_at(), memory, geometry, now };
        let set = |at: u32, value: u32| log.memory.store(at, value);
        set(header::MAGIC, MAGIC[0]);
        set(header::MAGIC + 4, MAGIC[1]);
        set(header::VERSION, VERSION);
        set(header::GENERATION, identity.generation as u32);
        set(header::GENERATION + 4, (identity.generation >> 32) as u32);
        set(header::SIZE, log.memory.size());
        set(header::SEED, identity.seed);
        set(header::STILLNESS, identity.stillness);
        set(header::BUCKETS, geometry.buckets);
        set(header::BUCKETS_AT, HEADER);
        set(header::RING_AT, geometry.ring_at());
        set(header::RING_SLOTS, geometry.ring_slots);
        set(header::LOG_AT, geometry.log_at());
        set(header::LOG_END, log.end);
        let ranges = identity.ranges.iter().take(MAX_RANGES as usize);
        set(header::RANGE_COUNT, ranges.len() as u32);
        for (at, (low, high)) in (header::RANGES..).step_by(8).zip(ranges) {
            set(at, *low);
            set(at + 4, *high);
        }
        set(header::TICK, now.tick);
        set(header::BEAT, now.beat);
        log.memory.release(header::STATE, LIVE);
        log
    }

    /// Tells the readers what time it is, and that the writer lives.
    pub fn tick(&mut self, now: Now) {
        self.now = now;
        self.memory.store(header::TICK, now.tick);
        self.memory.store(header::BEAT, now.beat);
    }

    /// Tells the readers to look for another map.
    pub fn supersede(&self) {
        self.memory.release(header::STATE, SUPERSEDED);
    }

    /// What the map is written to.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Bytes of the log: all of it, and its part in use.
    pub fn usage(&self) -> (u32, u32) {
        let start = self.geometry.log_at();
        (self.memory.size().saturating_sub(start), self.end - start)
    }

    /// Bytes of the log that still count: reads all of it.
    pub fn living(&self) -> u32 {
        self.records().values().fold(0, |sum, (_, size)| sum.saturating_add(*size))
    }

    /// Publishes an answer under its keys, of which the first is its own: what was published under that before, and is
    /// not the same, no longer counts. The same answer is only given a new life.
    ///
    /// # Errors
    /// [`Full`]; what was published before and is not the same no longer counts then either.
    pub fn publish(&mut self, answer: &Record, keys: &[Key<'_>]) -> Result<(), Full> {
        let Some(own) = keys.first() else { return Ok(()) };
        let before = self.record_of(own).filter(|at| self.counts(*at));
        let same = before.filter(|at| self.holds(*at, answer));
        let stands = match same {
            Some(at) => {
                for offset in answer.renewed {
                    self.memory.store(at + offset, answer.words[*offset as usize / 4]);
                }
                Ok(at)
            }
            None => self.append(TAG_RECORD, &answer.words),
        };
        let published = stands.and_then(|at| {
            let missing = keys.iter().filter(|key| self.record_of(key) != Some(at)).copied().collect::<Vec<_>>();
            missing.iter().try_for_each(|key| self.index(key, at))
        });
        if same.is_none()
            && let Some(at) = before
        {
            self.withdraw_record(at);
        }
        for key in keys {
            self.forget_absent(key);
        }
        published
    }

    /// What this key leads to no longer counts, under any of its keys.
    pub fn withdraw(&mut self, key: &Key<'_>) {
        if let Some(at) = self.record_of(key).filter(|at| self.counts(*at)) {
            self.withdraw_record(at);
        }
    }

    /// The id in the record that this key leads to, if it was not withdrawn.
    pub fn id_of(&self, key: &Key<'_>) -> Option<u32> {
        let at = self.record_of(key).filter(|at| self.counts(*at))?;
        self.memory.word(at + record::ID)
    }

    /// The members of the group that this key leads to are not known to be all of them any more.
    pub fn withdraw_members(&mut self, key: &Key<'_>) {
        if let Some(at) = self.record_of(key).filter(|at| self.counts(*at)) {
            self.memory.store(at + group::WHOLE_UNTIL, 0);
        }
    }

    /// The directory has nothing by this key, until the tick `expiry`. Keys over 64 bytes are left out.
    pub fn put_absent(&mut self, key: &Key<'_>, expiry: u32) {
        let (Some(kind), Some(at)) = (key.kind(), self.slot_of(key)) else { return };
        if Key::length(kind) as usize > MAX_ABSENT_KEY {
            return;
        }
        let sequence = self.memory.word(at + absent::SEQUENCE).unwrap_or_default() & !1;
        self.memory.store(at + absent::SEQUENCE, sequence.wrapping_add(1));
        self.memory.fence_stores();
        self.memory.store(at + absent::KIND, kind);
        self.memory.store(at + absent::EXPIRY, expiry);
        for (place, word) in (at + absent::KEY..).step_by(4).zip(key.words()) {
            self.memory.store(place, word);
        }
        self.memory.release(at + absent::SEQUENCE, sequence.wrapping_add(2));
    }

    /// Copies what counts into another map, within `budget` bytes of its log: what was given last stays then.
    pub fn copy_into(&self, other: &mut Self, budget: u32) {
        let mut records = self.records();
        let mut by_expiry: Vec<(u32, u32, u32)> =
            records.iter().map(|(at, (expiry, size))| (*expiry, *size, *at)).collect();
        by_expiry.sort_unstable_by(|one, another| another.cmp(one));
        let mut left = budget;
        for (_, size, at) in by_expiry {
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => drop(records.remove(&at)),
            }
        }
        let mut moved: HashMap<u32, u32> = HashMap::with_capacity(records.len());
        for item in self.items() {
            let words: Option<Vec<u32>> =
                (item.at..item.at + item.size).step_by(4).map(|at| self.memory.word(at)).collect();
            let Some(words) = words else { return };
            if item.tag == TAG_RECORD {
                if records.contains_key(&item.at) {
                    let Ok(at) = other.append(TAG_RECORD, &words) else { return };
                    moved.insert(item.at, at);
                }
                continue;
            }
            let word = |offset: u32| words.get(offset as usize / 4).copied().unwrap_or_default();
            let Some(at) = moved.get(&word(entry::RECORD)) else { continue };
            let kind = word(entry::KIND);
            let bytes: Vec<u8> =
                words.iter().skip(entry::KEY as usize / 4).flat_map(|word| word.to_ne_bytes()).collect();
            let key = bytes.get(..Key::length(kind) as usize).and_then(|bytes| Key::from_parts(kind, bytes));
            // An entry that a newer one stands before stays behind: it must not come to light again.
            if let Some(key) = key
                && self.record_of(&key) == Some(word(entry::RECORD))
                && other.index(&key, *at).is_err()
            {
                return;
            }
        }
    }

    /// The records that count: where they are, until when, and their bytes with all of their entries.
    fn records(&self) -> HashMap<u32, (u32, u32)> {
        let mut records: HashMap<u32, (u32, u32)> = HashMap::new();
        for item in self.items() {
            if item.tag == TAG_RECORD {
                let expiry = self.memory.word(item.at + record::EXPIRY).unwrap_or_default();
                if expiry > self.now.tick {
                    records.insert(item.at, (expiry, item.size));
                }
            } else if let Some(at) = self.memory.word(item.at + entry::RECORD)
                && let Some((_, size)) = records.get_mut(&at)
            {
                *size += item.size;
            }
        }
        records
    }

    fn view(&self) -> Option<View<'_, M>> {
        View::open(&self.memory, self.now.beat)
    }

    fn record_of(&self, key: &Key<'_>) -> Option<u32> {
        self.view()?.record_of(key)
    }

    fn counts(&self, at: u32) -> bool {
        self.memory.word(at + record::EXPIRY).is_some_and(|expiry| expiry != 0)
    }

    /// Whether the record at `at` is this one, its life aside.
    fn holds(&self, at: u32, answer: &Record) -> bool {
        let size = item_size(answer.words.len());
        self.memory.word(at) == Some(size | TAG_RECORD)
            && answer
                .words
                .iter()
                .zip((0..).step_by(4))
                .skip(1)
                .all(|(word, offset)| answer.renewed.contains(&offset) || self.memory.word(at + offset) == Some(*word))
    }

    fn withdraw_record(&mut self, at: u32) {
        self.memory.store(at + record::EXPIRY, 0);
    }

    /// Writes an item; the first word, its size and tag, is made here.
    fn append(&mut self, tag: u32, words: &[u32]) -> Result<u32, Full> {
        let (at, size) = (self.end, item_size(words.len()));
        let end = at.checked_add(size).filter(|end| *end <= self.memory.size()).ok_or(Full)?;
        self.memory.store(at, size | tag);
        for (place, word) in (at..).step_by(4).zip(words).skip(1) {
            self.memory.store(place, *word);
        }
        self.end = end;
        self.memory.store(header::LOG_END, end);
        Ok(at)
    }

    /// Puts an entry in front of its chain.
    fn index(&mut self, key: &Key<'_>, at: u32) -> Result<(), Full> {
        let Some((kind, seed)) = key.kind().zip(self.memory.word(header::SEED)) else { return Ok(()) };
        let hash = key.hash(seed);
        let bucket = HEADER + ((hash >> 32) as u32 & (self.geometry.buckets - 1)) * 4;
        let older = self.memory.word(bucket).unwrap_or_default();
        let mut words = vec![0, older, at, hash as u32, kind];
        words.extend(key.words());
        let entry = self.append(TAG_ENTRY, &words)?;
        self.memory.release(bucket, entry);
        Ok(())
    }

    fn slot_of(&self, key: &Key<'_>) -> Option<u32> {
        let hash = key.hash(self.memory.word(header::SEED)?);
        let slot = (hash >> 32) as u32 & (self.geometry.ring_slots - 1);
        Some(self.geometry.ring_at() + slot * absent::SIZE)
    }

    fn forget_absent(&mut self, key: &Key<'_>) {
        if self.view().is_some_and(|view| view.is_absent(key)) {
            self.put_absent(key, 0);
        }
    }

    fn items(&self) -> impl Iterator<Item = Item> {
        let mut at = self.geometry.log_at();
        std::iter::from_fn(move || {
            if at >= self.end {
                return None;
            }
            let head = self.memory.word(at)?;
            let item = Item { at, size: head & !TAG_MASK, tag: head & TAG_MASK };
            at = at.checked_add(item.size).filter(|_| item.size > 0)?;
            Some(item)
        })
    }
}

struct Item {
    at: u32,
    size: u32,
    tag: u32,
}

/// Bytes of an item of so many words: whole pairs of them.
fn item_size(words: usize) -> u32 {
    u32::try_from(words.next_multiple_of(2) * 4).unwrap_or(!TAG_MASK)
}
