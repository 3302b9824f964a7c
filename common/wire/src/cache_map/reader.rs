//! Finding and reading answers in a map: no lock, no system call, no allocation, and no offset that is believed.
//!
//! What is found is copied out first and judged in the copy. The copy counts if [`View::is_current`] says so after it:
//! a map that was superseded meanwhile may have been emptied under the reader.

use std::mem::MaybeUninit;

use super::layout::{
    HEADER, Key, LIVE, MAGIC, MAX_CHAIN, MAX_RANGES, MAX_SID, MAX_TEXT, VERSION, absent, entry, group, groups_of_user,
    header, record, user, whole_words,
};
use super::memory::Memory;

/// A map that answers now.
#[derive(Debug)]
pub struct View<'m, M: ?Sized> {
    memory: &'m M,
    generation: [u32; 2],
    tick: u32,
    seed: u32,
}

impl<M: ?Sized> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: ?Sized> Copy for View<'_, M> {}

impl<'m, M: Memory + ?Sized> View<'m, M> {
    /// The map in `memory`, where it is one of this version, not superseded, and its writer has been heard of within
    /// the time that the map itself states. `now` is CLOCK_MONOTONIC (or its coarse sister) in seconds.
    #[inline]
    pub fn open(memory: &'m M, now: u32) -> Option<Self> {
        let state = memory.acquire(header::STATE)?;
        let magic = [memory.word(header::MAGIC)?, memory.word(header::MAGIC + 4)?];
        if state != LIVE || magic != MAGIC || memory.word(header::VERSION)? != VERSION {
            return None;
        }
        // The beat may be a moment ahead of the coarse clock: that is no age.
        let silence = now.saturating_sub(memory.word(header::BEAT)?);
        if silence > memory.word(header::STILLNESS)? {
            return None;
        }
        Some(Self {
            memory,
            generation: generation(memory)?,
            tick: memory.word(header::TICK)?,
            seed: memory.word(header::SEED)?,
        })
    }

    /// Whether what was read since [`View::open`] was all read from the map that was opened.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.memory.fence();
        self.memory.word(header::STATE) == Some(LIVE) && generation(self.memory) == Some(self.generation)
    }

    /// Whether an id lies in the ranges that the daemon serves.
    #[inline]
    pub fn serves_id(&self, id: u32) -> bool {
        let count = self.memory.word(header::RANGE_COUNT).unwrap_or_default().min(MAX_RANGES);
        (0..count).any(|number| {
            let at = header::RANGES + number * 8;
            let (low, high) = (self.memory.word(at), self.memory.word(at + 4));
            low.is_some_and(|low| low <= id) && high.is_some_and(|high| id <= high)
        })
    }

    /// The user that has this key.
    #[inline]
    pub fn user(&self, key: &Key<'_>) -> Option<User<'m, M>> {
        let at = self.find(key, record::USER)?;
        let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
        let (names, places, sid) = (word(user::NAME_GECOS)?, word(user::HOME_SHELL)?, word(user::SID_LENGTH)?);
        let sid = usize::try_from(sid).ok().filter(|length| *length <= MAX_SID)?;
        Some(User {
            memory: self.memory,
            uid: word(record::ID)?,
            gid: word(user::GID)?,
            lengths: [names & 0xffff, names >> 16, places & 0xffff, places >> 16],
            sid: Span { at: at.wrapping_add(user::SID), length: sid },
        })
    }

    /// The group that has this key. `whole`: only if all of its members are in it.
    #[inline]
    pub fn group(&self, key: &Key<'_>, whole: bool) -> Option<Group<'m, M>> {
        let at = self.find(key, record::GROUP)?;
        let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
        if whole && word(group::WHOLE_UNTIL)? <= self.tick {
            return None;
        }
        let (lengths, count) = (word(group::NAME_SID)?, word(group::COUNT)?);
        let sid = Span { at: at.wrapping_add(group::SID), length: usize::try_from(lengths >> 16).ok()? };
        if sid.length > MAX_SID {
            return None;
        }
        let offsets_at = sid.end();
        // A member takes at least two bytes of text, and the text's last byte is in the file: no length is believed for
        // which the caller would be asked for more memory than the file has.
        let text_at = offsets_at.checked_add(count.checked_mul(4)?)?;
        let length = word(group::TEXT_LENGTH)?;
        self.memory.word(text_at.checked_add(length.checked_sub(1)?)? & !3)?;
        let text = Span { at: text_at, length: usize::try_from(length).ok()? };
        if text.length > MAX_TEXT || text.length < usize::try_from(count).ok()?.checked_mul(2)? {
            return None;
        }
        let name_length = usize::try_from(lengths & 0xffff).ok()?;
        Some(Group { memory: self.memory, gid: word(record::ID)?, name_length, count, offsets_at, text, sid })
    }

    /// The gids of the user with this uid.
    #[inline]
    pub fn groups_of(&self, uid: u32) -> Option<GroupsOfUser<'m, M>> {
        let at = self.find(&Key::GroupsOfUid(uid), record::GROUPS_OF_USER)?;
        let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
        let (count, gids_at) = (word(groups_of_user::COUNT)?, at.wrapping_add(groups_of_user::GIDS));
        // The last one is there, so all are.
        if word(record::ID)? != uid {
            return None;
        }
        if let Some(last) = count.checked_sub(1) {
            self.memory.word(gids_at.checked_add(last.checked_mul(4)?)?)?;
        }
        Some(GroupsOfUser { memory: self.memory, primary: word(groups_of_user::PRIMARY)?, count, gids_at })
    }

    /// Whether the directory is known to have nothing by this key. Ask for the record first: one that is there wins.
    #[inline]
    pub fn is_absent(&self, key: &Key<'_>) -> bool {
        self.absent(key).unwrap_or_default()
    }

    fn absent(&self, key: &Key<'_>) -> Option<bool> {
        let kind = key.kind()?;
        let slots = self.memory.word(header::RING_SLOTS)?;
        let slot = (key.hash(self.seed) >> 32) as u32 & slots.wrapping_sub(1);
        let at = self.memory.word(header::RING_AT)?.checked_add(slot.checked_mul(absent::SIZE)?)?;
        let before = self.memory.acquire(at.checked_add(absent::SEQUENCE)?)?;
        let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
        let same = word(absent::KIND)? == kind
            && word(absent::EXPIRY)? > self.tick
            && self.has_key(at.wrapping_add(absent::KEY), key);
        self.memory.fence();
        Some(same && before & 1 == 0 && word(absent::SEQUENCE)? == before)
    }

    /// The record of this kind that the newest entry with this key leads to, while it counts.
    fn find(&self, key: &Key<'_>, kind: u32) -> Option<u32> {
        let at = self.record_of(key)?;
        let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
        (word(record::EXPIRY)? > self.tick && word(record::KIND)? == kind).then_some(at)
    }

    /// Where the record stands that the newest entry with this key leads to, whether it still counts or not.
    pub fn record_of(&self, key: &Key<'_>) -> Option<u32> {
        let kind = key.kind()?;
        let hash = key.hash(self.seed);
        let bucket = (hash >> 32) as u32 & self.memory.word(header::BUCKETS)?.wrapping_sub(1);
        let bucket = self.memory.word(header::BUCKETS_AT)?.checked_add(bucket.checked_mul(4)?)?;
        let mut at = self.memory.acquire(bucket)?;
        for _ in 0..MAX_CHAIN {
            if at < HEADER.min(bucket) {
                return None;
            }
            let word = |offset: u32| self.memory.word(at.wrapping_add(offset));
            if word(entry::HASH)? == hash as u32
                && word(entry::KIND)? == kind
                && self.has_key(at.wrapping_add(entry::KEY), key)
            {
                return word(entry::RECORD);
            }
            // Older entries stand at lower offsets: a chain that turns back is damage.
            at = word(entry::NEXT).filter(|next| *next < at)?;
        }
        None
    }

    #[inline]
    fn has_key(&self, at: u32, key: &Key<'_>) -> bool {
        let mut at = at;
        key.words().all(|word| {
            let same = self.memory.word(at) == Some(word);
            at = at.wrapping_add(4);
            same
        })
    }
}

#[inline]
fn generation<M: Memory + ?Sized>(memory: &M) -> Option<[u32; 2]> {
    Some([memory.word(header::GENERATION)?, memory.word(header::GENERATION + 4)?])
}

/// Bytes of a record.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: u32,
    length: usize,
}

impl Span {
    /// The next whole word behind it.
    fn end(self) -> u32 {
        self.at.wrapping_add(whole_words(self.length as u32))
    }

    fn copy<'b, M: Memory + ?Sized>(self, memory: &M, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        memory.copy(self.at, into.get_mut(..self.length)?)
    }
}

/// A user's record, found but not yet copied.
#[derive(Debug)]
pub struct User<'m, M: ?Sized> {
    memory: &'m M,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name, gecos, home, shell; each below 65,536.
    lengths: [u32; 4],
    sid: Span,
}

/// A user's texts in the reader's own memory. Each ends with NUL; otherwise they hold what the file held.
#[derive(Debug)]
pub struct UserText<'b> {
    /// All of them, one behind the other, the login name first.
    pub text: &'b mut [u8],
    /// Where `*` begins, which is also the login name's length and NUL.
    pub password: usize,
    /// Where the display name begins.
    pub gecos: usize,
    /// Where the home directory begins.
    pub home: usize,
    /// Where the login shell begins.
    pub shell: usize,
}

impl UserText<'_> {
    /// The login name, without its NUL.
    #[inline]
    pub fn name(&self) -> &[u8] {
        self.text.get(..self.password - 1).unwrap_or_default()
    }
}

impl<M: Memory + ?Sized> User<'_, M> {
    /// Copies the login name alone, without its NUL. `None` where `into` is too short or the file ends before it.
    #[inline]
    pub fn name<'b>(&self, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        Span { at: self.sid.end(), length: self.lengths[0] as usize }.copy(self.memory, into)
    }

    /// Bytes that [`User::copy`] needs.
    #[inline]
    pub fn text_length(&self) -> usize {
        /// The NULs, and the star.
        const MORE: usize = 6;
        self.lengths.iter().map(|length| *length as usize).sum::<usize>() + MORE
    }

    /// Copies the texts. `None` where `into` is too short or the file ends before them or
    /// a NUL is missing.
    #[inline]
    pub fn copy<'b>(&self, into: &'b mut [MaybeUninit<u8>]) -> Option<UserText<'b>> {
        let span = Span { at: self.sid.end(), length: self.text_length() };
        let text = span.copy(self.memory, into)?;
        let [name, gecos, home, shell] = self.lengths.map(|length| length as usize);
        let password = name + 1;
        let gecos_at = password + 2;
        let home_at = gecos_at + gecos + 1;
        let shell_at = home_at + home + 1;
        let ends = [password, gecos_at, home_at, shell_at, shell_at + shell + 1];
        let is_sound = ends.iter().all(|end| text.get(end - 1) == Some(&0));
        is_sound.then_some(UserText { text, password, gecos: gecos_at, home: home_at, shell: shell_at })
    }

    /// Copies the binary SID.
    pub fn sid<'b>(&self, into: &'b mut [MaybeUninit<u8>; MAX_SID]) -> Option<&'b mut [u8]> {
        self.sid.copy(self.memory, into)
    }
}

/// A group's record, found but not yet copied.
#[derive(Debug)]
pub struct Group<'m, M: ?Sized> {
    memory: &'m M,
    /// Group id.
    pub gid: u32,
    name_length: usize,
    count: u32,
    offsets_at: u32,
    text: Span,
    sid: Span,
}

/// A group's texts in the reader's own memory.
#[derive(Debug)]
pub struct GroupText<'b> {
    /// All of the text; its last byte is NUL.
    pub text: &'b mut [u8],
    /// The name is the first so many bytes; NUL, `*` and NUL follow.
    pub name_length: usize,
}

impl<M: Memory + ?Sized> Group<'_, M> {
    /// Copies the name alone, without its NUL. `None` where `into` is too short or the file ends before it.
    #[inline]
    pub fn name<'b>(&self, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        Span { length: self.name_length.min(self.text.length), ..self.text }.copy(self.memory, into)
    }

    /// Bytes that [`Group::copy`] needs.
    #[inline]
    pub fn text_length(&self) -> usize {
        self.text.length
    }

    /// Number of members; never more than the text has room for.
    #[inline]
    pub fn member_count(&self) -> usize {
        self.count as usize
    }

    /// Copies the texts, each with the NUL behind it. `None` as for [`User::copy`].
    #[inline]
    pub fn copy<'b>(&self, into: &'b mut [MaybeUninit<u8>]) -> Option<GroupText<'b>> {
        let text = self.text.copy(self.memory, into)?;
        let head = text.get(self.name_length..self.name_length.checked_add(3)?)?;
        (head == b"\0*\0" && text.last() == Some(&0)).then_some(GroupText { text, name_length: self.name_length })
    }

    /// Where in the text each member begins; ends early where the file does. What is behind the last byte of the text
    /// is not looked at here.
    #[inline]
    pub fn member_offsets(&self) -> impl Iterator<Item = u32> {
        self.memory.words(self.offsets_at, self.count)
    }

    /// Copies the binary SID.
    pub fn sid<'b>(&self, into: &'b mut [MaybeUninit<u8>; MAX_SID]) -> Option<&'b mut [u8]> {
        self.sid.copy(self.memory, into)
    }
}

/// The gids of a user.
#[derive(Debug)]
pub struct GroupsOfUser<'m, M: ?Sized> {
    memory: &'m M,
    /// Primary group.
    pub primary: u32,
    count: u32,
    gids_at: u32,
}

impl<M: Memory + ?Sized> GroupsOfUser<'_, M> {
    /// Number of supplementary groups.
    #[inline]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Copies the supplementary groups, as many as `into` has room for: 4 bytes each, in the machine's order.
    #[inline]
    pub fn copy<'b>(&self, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        let length = self.count().checked_mul(4)?.min(into.len());
        self.memory.copy(self.gids_at, into.get_mut(..length)?)
    }

    /// The supplementary groups, ascending where the file is sound.
    #[inline]
    pub fn gids(&self) -> impl Iterator<Item = u32> {
        self.memory.words(self.gids_at, self.count)
    }
}
