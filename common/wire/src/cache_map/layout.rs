//! Where everything stands in `cache.map`: shared by the daemon, which writes it, and the modules, which read it. Drawn
//! byte by byte, with the reasons, in `docs/design/cache-map.md`.
//!
//! Everything is made of 32-bit words in the machine's byte order, at offsets that are multiples of 4, counted in bytes
//! from the start of the file. An offset of 0 means "none": the header is there.

/// First two words: "ENTRAMAP" where bytes and words have the order of this machine.
pub const MAGIC: [u32; 2] = [u32::from_ne_bytes(*b"ENTR"), u32::from_ne_bytes(*b"AMAP")];
/// Version of the layout. A reader leaves every other one alone.
pub const VERSION: u32 = 1;

/// Bytes of the header: a page of its own, which stays when the rest of a superseded file is punched out.
pub const HEADER: u32 = 4096;
/// Smallest file that is a map.
pub const MIN_SIZE: u32 = 64 * 1024;
/// Largest one: offsets and sums of two of them fit a word.
pub const MAX_SIZE: u32 = 1 << 30;

/// Most entries that a reader follows in one chain. Chains have one or two; a file that was damaged, or filled with
/// names chosen to collide, costs this much and a question to the daemon.
pub const MAX_CHAIN: usize = 64;
/// Longest key of a negative answer, in bytes.
pub const MAX_ABSENT_KEY: usize = 64;
/// Most id ranges in the header.
pub const MAX_RANGES: u32 = 16;
/// Longest text of a group, in bytes: as much as a reply of the socket.
pub const MAX_TEXT: usize = crate::protocol::MAX_REPLY;
/// Longest SID: 8 bytes and 15 sub-authorities (MS-DTYP 2.4.2.2).
pub const MAX_SID: usize = 68;

/// Offsets in the header.
pub mod header {
    /// Two words.
    pub const MAGIC: u32 = 0;
    /// [`super::VERSION`]
    pub const VERSION: u32 = 8;
    /// [`super::LIVE`] or [`super::SUPERSEDED`]; the only word of a file that its successor's writer changes.
    pub const STATE: u32 = 12;
    /// Two words that no other file of this host has.
    pub const GENERATION: u32 = 16;
    /// Size of the file in bytes.
    pub const SIZE: u32 = 24;
    /// Start value of the hashes.
    pub const SEED: u32 = 28;
    /// Seconds of CLOCK_BOOTTIME at the writer's last tick: what expiries are compared with.
    pub const TICK: u32 = 32;
    /// Seconds of CLOCK_MONOTONIC at the same moment: whether the writer still lives.
    pub const BEAT: u32 = 36;
    /// How long the tick may stand still before nothing in here counts any more, in seconds.
    pub const STILLNESS: u32 = 40;
    /// Number of buckets, a power of two.
    pub const BUCKETS: u32 = 44;
    /// Where the buckets are.
    pub const BUCKETS_AT: u32 = 48;
    /// Where the negative answers are.
    pub const RING_AT: u32 = 52;
    /// How many of them there are, a power of two.
    pub const RING_SLOTS: u32 = 56;
    /// Where the log begins.
    pub const LOG_AT: u32 = 60;
    /// Where its unwritten part begins.
    pub const LOG_END: u32 = 64;
    /// Number of id ranges.
    pub const RANGE_COUNT: u32 = 68;
    /// First and last id of each.
    pub const RANGES: u32 = 72;
}

/// The file answers.
pub const LIVE: u32 = 1;
/// Another file stands at the path.
pub const SUPERSEDED: u32 = 2;

/// What an item of the log is: the low bits of its first word, whose others are its size in bytes (a multiple of 8).
pub const TAG_MASK: u32 = 7;
/// A key and the record that it finds.
pub const TAG_ENTRY: u32 = 1;
/// A record.
pub const TAG_RECORD: u32 = 2;

/// Offsets in an index entry.
pub mod entry {
    /// The next older entry of the chain; always at a lower offset.
    pub const NEXT: u32 = 4;
    /// The record.
    pub const RECORD: u32 = 8;
    /// Low half of the key's hash.
    pub const HASH: u32 = 12;
    /// Kind of the key, and above 16 bits its length in bytes.
    pub const KIND: u32 = 16;
    /// The key, zeros behind it up to a whole word.
    pub const KEY: u32 = 20;
}

/// Offsets in every record.
pub mod record {
    /// One of the numbers below.
    pub const KIND: u32 = 4;
    /// The record counts while the tick is below this; 0: it was withdrawn. The one word that changes later.
    pub const EXPIRY: u32 = 8;
    /// uid or gid.
    pub const ID: u32 = 12;
    /// A `struct passwd`.
    pub const USER: u32 = 1;
    /// A `struct group`.
    pub const GROUP: u32 = 2;
    /// The gids of a user.
    pub const GROUPS_OF_USER: u32 = 3;
}

/// Offsets in a user's record.
pub mod user {
    /// Primary group.
    pub const GID: u32 = 16;
    /// Lengths of name and, above 16 bits, gecos; without the NULs.
    pub const NAME_GECOS: u32 = 20;
    /// Lengths of home and shell.
    pub const HOME_SHELL: u32 = 24;
    /// Length of the SID.
    pub const SID_LENGTH: u32 = 28;
    /// The SID up to a whole word, then `name NUL * NUL gecos NUL home NUL shell NUL`.
    pub const SID: u32 = 32;
}

/// Offsets in a group's record.
pub mod group {
    /// The members are all of them while the tick is below this: `getgrnam` is served then. Changes as EXPIRY does.
    pub const WHOLE_UNTIL: u32 = 16;
    /// Number of members.
    pub const COUNT: u32 = 20;
    /// Bytes of the text.
    pub const TEXT_LENGTH: u32 = 24;
    /// Lengths of name and, above 16 bits, SID.
    pub const NAME_SID: u32 = 28;
    /// The SID up to a whole word; where in the text each member begins; then `name NUL * NUL member NUL member NUL …`.
    pub const SID: u32 = 32;
}

/// Offsets in a record of a user's groups.
pub mod groups_of_user {
    /// Primary group.
    pub const PRIMARY: u32 = 16;
    /// Number of supplementary groups.
    pub const COUNT: u32 = 20;
    /// Their gids, ascending, the primary one not among them.
    pub const GIDS: u32 = 24;
}

/// Offsets in a negative answer.
pub mod absent {
    /// Odd while the slot is being written; goes up by two each time.
    pub const SEQUENCE: u32 = 0;
    /// As in a record.
    pub const EXPIRY: u32 = 4;
    /// As in an entry.
    pub const KIND: u32 = 8;
    /// The key, zeros behind it.
    pub const KEY: u32 = 12;
    /// Bytes of one slot.
    pub const SIZE: u32 = 80;
}

/// What something is found by. Names are compared without regard to letter case: ASCII letters are folded here; whoever
/// writes a name has folded the others, and whoever reads one that is not folded finds nothing and asks the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A user, by a name in any form.
    UserName(&'a [u8]),
    /// A user, by uid.
    Uid(u32),
    /// A user, by binary SID.
    UserSid(&'a [u8]),
    /// A group, by a name in any form.
    GroupName(&'a [u8]),
    /// A group, by gid.
    Gid(u32),
    /// A group, by binary SID.
    GroupSid(&'a [u8]),
    /// The groups of a user, by uid.
    GroupsOfUid(u32),
}

impl Key<'_> {
    /// The key's bytes, 4 at a time, folded where it is a name.
    pub fn words(&self) -> impl Iterator<Item = u32> {
        let (bytes, id, folds) = match *self {
            Self::UserName(name) | Self::GroupName(name) => (name, None, true),
            Self::UserSid(sid) | Self::GroupSid(sid) => (sid, None, false),
            Self::Uid(id) | Self::Gid(id) | Self::GroupsOfUid(id) => (&[][..], Some(id), false),
        };
        let (whole, rest) = bytes.as_chunks::<4>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(last);
        let words = whole.iter().copied().chain(last).map(u32::from_ne_bytes);
        id.into_iter().chain(words.map(move |word| if folds { fold(word) } else { word }))
    }

    /// Kind and length as one word, as entries and negative answers carry it. `None` for a key that is too long.
    pub fn kind(&self) -> Option<u32> {
        let (kind, length) = match *self {
            Self::UserName(name) => (1, name.len()),
            Self::Uid(_) => (2, 4),
            Self::UserSid(sid) => (3, sid.len()),
            Self::GroupName(name) => (4, name.len()),
            Self::Gid(_) => (5, 4),
            Self::GroupSid(sid) => (6, sid.len()),
            Self::GroupsOfUid(_) => (7, 4),
        };
        Some(kind | u32::from(u16::try_from(length).ok()?) << 16)
    }

    /// The key of which an entry has this kind and these bytes.
    pub fn from_parts(kind: u32, bytes: &[u8]) -> Option<Key<'_>> {
        let id = || bytes.try_into().ok().map(u32::from_ne_bytes);
        match kind & 0xffff {
            1 => Some(Key::UserName(bytes)),
            2 => id().map(Key::Uid),
            3 => Some(Key::UserSid(bytes)),
            4 => Some(Key::GroupName(bytes)),
            5 => id().map(Key::Gid),
            6 => Some(Key::GroupSid(bytes)),
            7 => id().map(Key::GroupsOfUid),
            _ => None,
        }
    }

    /// The hash: its high half chooses bucket and slot, its low half stands in the entry.
    pub fn hash(&self, seed: u32) -> u64 {
        /// An odd number without a pattern (the golden ratio, as multiplicative hashing takes it).
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let start = (u64::from(seed) << 32 | u64::from(self.kind().unwrap_or_default())).wrapping_mul(FACTOR);
        let mixed = self.words().fold(start, |hash, word| {
            let hash = (hash ^ u64::from(word)).wrapping_mul(FACTOR);
            hash ^ hash >> 32
        });
        let mixed = mixed.wrapping_mul(FACTOR);
        mixed ^ mixed >> 29
    }

    /// Length of the key in bytes, from a word that [`Key::kind`] gave.
    pub fn length(kind: u32) -> u32 {
        kind >> 16
    }
}

/// Four bytes with ASCII letters in lower case.
fn fold(word: u32) -> u32 {
    const EACH: u32 = 0x0101_0101;
    let low = word & (0x7f * EACH);
    let from_a = low + (0x80 - u32::from(b'A')) * EACH;
    let beyond_z = low + (0x7f - u32::from(b'Z')) * EACH;
    let is_upper = from_a & !beyond_z & !word & (0x80 * EACH);
    word | is_upper >> 2
}

/// The next multiple of 4.
pub fn whole_words(length: u32) -> u32 {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn four_bytes_fold_as_ascii_does(bytes: [u8; 4]) {
            prop_assert_eq!(fold(u32::from_ne_bytes(bytes)).to_ne_bytes(), bytes.map(|byte| byte.to_ascii_lowercase()));
        }

        #[test]
        fn letter_case_makes_no_other_key(name in prop::collection::vec(any::<u8>(), 0..40), seed: u32) {
            let lower = name.to_ascii_lowercase();
            prop_assert_eq!(Key::UserName(&name).hash(seed), Key::UserName(&lower).hash(seed));
            prop_assert!(Key::GroupName(&name).words().eq(Key::GroupName(&lower).words()));
        }
    }

    #[test]
    fn keys_of_other_kinds_are_other_keys() {
        let keys = [Key::Uid(1103), Key::Gid(1103), Key::GroupsOfUid(1103), Key::UserName(b"a"), Key::GroupName(b"a")];
        let mut kinds: Vec<_> = keys.iter().map(|key| (key.kind(), key.hash(7))).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), keys.len());
    }

    #[test]
    fn hashes_of_a_domains_users_spread() {
        let mut buckets = [0_u32; 1024];
        for number in 0..10_240_u32 {
            let name = format!("user{number}");
            for hash in [Key::UserName(name.as_bytes()).hash(5), Key::Uid(674_000_000 + number).hash(5)] {
                buckets[(hash >> 32) as usize % 1024] += 1;
            }
        }
        assert!(buckets.iter().all(|count| *count < 60), "{:?}", buckets.iter().max());
    }
}
