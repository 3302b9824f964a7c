//! Answers as the words of a record (`docs/design/cache-map.md`). The first word, the item's size, is the log's to fill
//! in; expiries are given in ticks.

use entra_wire::cache_map::Key;
use entra_wire::cache_map::layout::{entry, group, groups_of_user, record, user};

use crate::types::{GroupRecord, UserRecord};

/// Words of a record up to where its kinds differ.
const HEAD: usize = record::ID as usize / 4;

/// A record, ready for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(super) words: Vec<u32>,
    /// The words that may change when the same answer is given again; every other one makes another record.
    pub(super) renewed: &'static [u32],
}

impl Record {
    fn new(kind: u32, expiry: u32, id: u32, renewed: &'static [u32]) -> Self {
        let mut words = vec![0; HEAD];
        words[record::KIND as usize / 4] = kind;
        words[record::EXPIRY as usize / 4] = expiry;
        words.push(id);
        Self { words, renewed }
    }

    /// A user. `None` where a text is too long for its length to be written down, which no passwd line is.
    pub fn user(of: &UserRecord, expiry: u32) -> Option<Self> {
        let texts = [&of.name, &of.gecos, &of.home, &of.shell];
        let mut lengths = [0_u32; 4];
        for (length, text) in lengths.iter_mut().zip(texts) {
            *length = u32::from(u16::try_from(text.len()).ok()?);
        }
        let sid = of.sid.to_bytes();
        let mut made = Self::new(record::USER, expiry, of.uid, &[record::EXPIRY]);
        made.words.extend([of.gid, lengths[0] | lengths[1] << 16, lengths[2] | lengths[3] << 16, sid.len() as u32]);
        debug_assert_eq!(made.words.len() * 4, user::SID as usize);
        made.bytes(&sid);
        let mut text = Vec::with_capacity(texts.iter().map(|text| text.len() + 1).sum::<usize>() + 2);
        for part in [of.name.as_str(), "*", &of.gecos, &of.home, &of.shell] {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        made.bytes(&text);
        Some(made)
    }

    /// A group with these members, which are all of them until `whole_until` (0: not known to be).
    pub fn group(of: &GroupRecord, members: &[&str], expiry: u32, whole_until: u32) -> Option<Self> {
        let sid = of.sid.to_bytes();
        let name_length = u32::from(u16::try_from(of.name.len()).ok()?);
        let mut text = Vec::with_capacity(of.name.len() + 3 + members.iter().map(|name| name.len() + 1).sum::<usize>());
        text.extend_from_slice(of.name.as_bytes());
        text.extend_from_slice(b"\0*\0");
        let mut offsets = Vec::with_capacity(members.len());
        for member in members {
            offsets.push(u32::try_from(text.len()).ok()?);
            text.extend_from_slice(member.as_bytes());
            text.push(0);
        }
        let (count, length) = (u32::try_from(members.len()).ok()?, u32::try_from(text.len()).ok()?);
        let mut made = Self::new(record::GROUP, expiry, of.gid, &[record::EXPIRY, group::WHOLE_UNTIL]);
        made.words.extend([whole_until, count, length, name_length | (sid.len() as u32) << 16]);
        debug_assert_eq!(made.words.len() * 4, group::SID as usize);
        made.bytes(&sid);
        made.words.extend(offsets);
        made.bytes(&text);
        Some(made)
    }

    /// The supplementary groups of a user: ascending, without the primary one.
    pub fn groups_of_user(uid: u32, primary: u32, gids: &[u32], expiry: u32) -> Option<Self> {
        let mut made = Self::new(record::GROUPS_OF_USER, expiry, uid, &[record::EXPIRY]);
        made.words.extend([primary, u32::try_from(gids.len()).ok()?]);
        debug_assert_eq!(made.words.len() * 4, groups_of_user::GIDS as usize);
        made.words.extend(gids);
        Some(made)
    }

    /// Bytes that the record takes in a log, with an entry for each of these keys.
    pub fn size(&self, keys: &[Key<'_>]) -> u32 {
        /// What rounding each item up to whole pairs of words may add.
        const PADDING: u32 = 8;
        let entries = keys.iter().map(|key| entry::KEY + Key::length(key.kind().unwrap_or_default()) + PADDING);
        let record = u32::try_from(self.words.len() * 4).unwrap_or(u32::MAX).saturating_add(PADDING);
        entries.fold(record, u32::saturating_add)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<4>();
        self.words.extend(whole.iter().map(|word| u32::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.words.push(u32::from_ne_bytes(last));
        }
    }
}
