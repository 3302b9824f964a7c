//! The names and ids of `/etc/passwd` or `/etc/group` as they were at one moment, for questions that cost neither a
//! system call nor an allocation.
//!
//! Letter case is left out of account (ASCII letters, as `strcasecmp` has it): sudo takes a group `Sudo` for `%sudo`
//! unless it is told not to, and the daemon gives no name whose lower case is local.

use std::cmp::Ordering;
use std::path::Path;

use crate::local;
use crate::reserved::Reserved;

/// Bytes of a name's beginning that count in the marks.
const HEAD: usize = 4;
/// Bits of the marks, which fit the processor's nearest cache.
const MARKS: usize = 1 << 15;
/// What a beginning holds of each byte: the bits in which both cases of a letter are the same.
const SHARED_BITS: u8 = 0x1f;

/// What one file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNames {
    /// The names in lower case, one behind the other, shorter ones first.
    text: Box<[u8]>,
    /// Where each begins and ends.
    places: Box<[(u32, u32)]>,
    /// Which beginnings are there: most names of a directory are told apart from the local ones by one bit.
    marks: Box<[u64; MARKS / 64]>,
    /// Ascending.
    ids: Box<[u32]>,
}

impl LocalNames {
    /// Reads the names of the file at `path`, as many bytes of them as `most` at most, and the ids that `wanted` holds
    /// for. `root` is one of the names, whatever the file says, and so are those that are `reserved`.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn read(path: &Path, most: usize, reserved: &Reserved, wanted: impl Fn(u32) -> bool) -> Result<Self, Unknown> {
        let mut names = vec![b"root".to_vec()];
        names.extend(reserved.iter().map(<[u8]>::to_ascii_lowercase));
        let (mut ids, mut size) = (Vec::new(), 0);
        let read = local::scan(path, |name, id| {
            size += name.len();
            names.push(name.to_ascii_lowercase());
            ids.extend(id.filter(|id| wanted(*id)));
            size > most
        });
        read.ok_or(Unknown::Unreadable)?;
        if size > most.min(u32::MAX as usize) {
            return Err(Unknown::TooLong);
        }
        names.sort_unstable_by(|one, other| order(one, other));
        names.dedup();
        ids.sort_unstable();
        ids.dedup();
        let mut marks = Box::new([0; MARKS / 64]);
        let mut places = Vec::with_capacity(names.len());
        let mut end = 0;
        for name in &names {
            set_marks(&mut marks, name);
            places.push((end, end + name.len() as u32));
            end += name.len() as u32;
        }
        Ok(Self { text: names.concat().into(), places: places.into(), marks, ids: ids.into() })
    }

    /// Whether this is one of the names, in whatever letter case.
    #[inline]
    pub fn have(&self, name: &[u8]) -> bool {
        self.may_have(name) && self.search(name)
    }

    /// False where the name that stands at the start of `text`, up to a NUL or the end, is certainly none of them: for
    /// those who have not looked for its end yet.
    #[inline]
    pub fn may_have(&self, text: &[u8]) -> bool {
        let head = text.first_chunk().copied().unwrap_or_else(|| {
            let mut head = [0; HEAD];
            head.iter_mut().zip(text).for_each(|(slot, byte)| *slot = *byte);
            head
        });
        self.may_begin(head)
    }

    /// The same for a name of which the first four bytes are read, what stands behind its end included.
    #[inline]
    pub fn may_begin(&self, head: [u8; HEAD]) -> bool {
        let (word, bit) = mark(head);
        self.marks[word] & bit != 0
    }

    /// Whether this is one of the ids.
    #[inline]
    pub fn have_id(&self, id: u32) -> bool {
        // Mostly there is none: local ids lie below the ranges of the directory.
        !self.ids.is_empty() && self.ids.binary_search(&id).is_ok()
    }

    /// The ids, ascending.
    #[inline]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.text.len() + size_of_val(&*self.places) + size_of_val(&self.marks[..]) + size_of_val(&*self.ids)
    }

    #[cold]
    fn search(&self, name: &[u8]) -> bool {
        let at = |(from, to): &(u32, u32)| self.text.get(*from as usize..*to as usize).unwrap_or_default();
        self.places.binary_search_by(|place| order(at(place), name)).is_ok()
    }
}

/// Why nothing is known of a file: then anybody may be local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It cannot be opened or read; perhaps it can a moment later.
    Unreadable,
    /// It has more names than the caller wants to keep.
    TooLong,
}

/// `stored` is in lower case; `name` need not be.
fn order(stored: &[u8], name: &[u8]) -> Ordering {
    let folded = || name.iter().map(u8::to_ascii_lowercase);
    stored.len().cmp(&name.len()).then_with(|| stored.iter().copied().cmp(folded()))
}

/// Marks the beginning of `name`; of a short one each that there can be, as nobody who asks looks for its end first.
fn set_marks(marks: &mut [u64; MARKS / 64], name: &[u8]) {
    let mut heads = vec![[0; HEAD]];
    // The NUL behind the name is known, what follows it is not.
    for place in 0..HEAD {
        match name.get(place) {
            Some(byte) => heads.iter_mut().for_each(|head| head[place] = *byte),
            None if place == name.len() => {}
            None => {
                let with = |head: [u8; HEAD], byte| {
                    let mut head = head;
                    head[place] = byte;
                    head
                };
                heads = heads.iter().flat_map(|head| (0..=SHARED_BITS).map(|byte| with(*head, byte))).collect();
            }
        }
    }
    for head in heads {
        let (word, bit) = mark(head);
        marks[word] |= bit;
    }
}

/// Where the bit of a name's beginning stands. Without a branch, a few instructions: a group asks for each member.
#[inline]
fn mark(head: [u8; HEAD]) -> (usize, u64) {
    /// An odd number without a pattern (the golden ratio, as multiplicative hashing takes it).
    const FACTOR: u32 = 0x9e37_79b1;
    let bits = u32::from_le_bytes(head) & u32::from_ne_bytes([SHARED_BITS; HEAD]);
    let at = bits.wrapping_mul(FACTOR) >> (u32::BITS - MARKS.ilog2());
    (at as usize / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &[u8]) -> LocalNames {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("entra-names-{}-{number}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let names = LocalNames::read(&path, 1000, &Reserved::NONE, |id| id >= 1000).unwrap();
        std::fs::remove_file(&path).unwrap();
        names
    }

    #[test]
    fn names_are_found_in_any_letter_case_and_others_are_not() {
        let names = of(b"sudo:x:27:localuser\nBackup:x:34:\na:x:1001:\nab:x:1000:\n");
        for name in [&b"sudo"[..], b"SUDO", b"Sudo", b"backup", b"root", b"ROOT", b"a", b"ab", b"AB"] {
            assert!(names.have(name), "{name:?}");
        }
        for name in [&b""[..], b"sud", b"sudoers", b"abc", b"b", b"x", "\u{212a}".as_bytes()] {
            assert!(!names.have(name), "{name:?}");
        }
        assert_eq!((names.ids(), names.have_id(1000), names.have_id(27)), (&[1000, 1001][..], true, false));
    }

    #[test]
    fn a_name_in_a_longer_text_is_seen_by_its_beginning() {
        let names = of(b"ab:x:1:\n");
        for text in [&b"ab\0zoe\0"[..], b"AB\0", b"ab"] {
            assert!(names.may_have(text), "{text:?}");
        }
        assert!(!names.may_have(b"zoe\0ab\0"));
        let short = of(b"a:x:1:\nbc:x:1:\n");
        for behind in 0..=u16::MAX {
            let [one, other] = behind.to_le_bytes();
            assert!(short.may_begin([b'A', 0, one, other]) && short.may_begin([b'b', b'C', 0, other]));
        }
    }

    #[test]
    fn what_is_too_long_or_cannot_be_read_is_unknown() {
        let path = std::env::temp_dir().join(format!("entra-names-long-{}", std::process::id()));
        std::fs::write(&path, "alice:x:1000:\nbob:x:1001:\n").unwrap();
        let read = |most| LocalNames::read(&path, most, &Reserved::NONE, |_| true).map(|names| names.ids().len());
        assert_eq!((read(7), read(8)), (Err(Unknown::TooLong), Ok(2)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(8), Err(Unknown::Unreadable));
    }

    proptest! {
        #[test]
        fn it_says_what_a_plain_list_says(
            stored in prop::collection::vec("[a-cA-C\u{e9}1.]{1,4}", 0..40),
            asked in "[a-cA-C\u{e9}1.]{0,4}",
        ) {
            let lines: Vec<String> = stored.iter().map(|name| format!("{name}:x:1:")).collect();
            let wanted = stored.iter().any(|name| name.eq_ignore_ascii_case(&asked));
            let names = of(lines.join("\n").as_bytes());
            prop_assert_eq!(names.have(asked.as_bytes()), wanted);
            let text = [asked.as_bytes(), b"\0other\0"].concat();
            prop_assert!(names.may_have(&text) || !wanted);
        }
    }
}
