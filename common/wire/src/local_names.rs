//! The names and ids of `/etc/passwd` or `/etc/group` as they were at one moment, for questions that cost neither a
//! system call nor an allocation.
//!
//! Letter case is left out of account (ASCII letters, as `strcasecmp` has it): sudo takes a group `Sudo` for `%sudo`
//! unless it is told not to, and the daemon gives no name whose lower case is local.

use std::cmp::Ordering;
use std::path::Path;

use crate::local;

/// One bit for each beginning of a name that there can be, of which five bits of each of three bytes count.
const MARKS: usize = 1 << 15;

/// What one file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNames {
    /// The names in lower case, one behind the other, shorter ones first.
    text: Box<[u8]>,
    /// Where each begins and ends.
    places: Box<[(u32, u32)]>,
    /// Which beginnings are there: most names of a directory are told apart from the local ones by one bit.
    marks: Box<[u64]>,
    /// Ascending.
    ids: Box<[u32]>,
}

impl LocalNames {
    /// Reads the names of the file at `path`, as many bytes of them as `most` at most, and the ids that `wanted` holds
    /// for. `root` is one of the names, whatever the file says.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn read(path: &Path, most: usize, wanted: impl Fn(u32) -> bool) -> Result<Self, Unknown> {
        let mut names = vec![b"root".to_vec()];
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
        let mut marks = vec![0; MARKS / 64];
        let mut places = Vec::with_capacity(names.len());
        let mut end = 0;
        for name in &names {
            let (word, bit) = mark(name);
            marks[word] |= bit;
            places.push((end, end + name.len() as u32));
            end += name.len() as u32;
        }
        Ok(Self { text: names.concat().into(), places: places.into(), marks: marks.into(), ids: ids.into() })
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
        let (word, bit) = mark(text);
        self.marks.get(word).is_none_or(|marks| marks & bit != 0)
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
        self.text.len() + size_of_val(&*self.places) + size_of_val(&*self.marks) + size_of_val(&*self.ids)
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

/// Where the bit of a name's beginning stands. The low five bits of a letter are the same in both cases.
#[inline]
fn mark(name: &[u8]) -> (usize, u64) {
    let [first, second, third] = match name {
        [] | [0, ..] => [0; 3],
        [first] | [first, 0, ..] => [*first, 0, 0],
        [first, second] => [*first, *second, 0],
        [first, second, third, ..] => [*first, *second, *third],
    };
    let bits = |byte: u8| usize::from(byte & 31);
    let at = bits(first) << 10 | bits(second) << 5 | bits(third);
    (at / 64, 1 << (at % 64))
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
        let names = LocalNames::read(&path, 1000, |id| id >= 1000).unwrap();
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
    }

    #[test]
    fn what_is_too_long_or_cannot_be_read_is_unknown() {
        let path = std::env::temp_dir().join(format!("entra-names-long-{}", std::process::id()));
        std::fs::write(&path, "alice:x:1000:\nbob:x:1001:\n").unwrap();
        let read = |most| LocalNames::read(&path, most, |_| true).map(|names| names.ids().len());
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
