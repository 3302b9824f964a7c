//! What cannot be ours, decided without any call: the modules ask here first, so that a foreign uid in `ls` or a
//! hostile name costs nothing and reaches nobody.

use crate::local_names::LocalNames;
use crate::protocol::MAX_NAME;
use crate::ranges::Ranges;

/// No id below this is ever ours, whatever the daemon or a file says.
pub const ID_FLOOR: u32 = 1000;

/// Whether a name could be one of the directory's: 1 to [`MAX_NAME`] bytes of UTF-8 without control characters and
/// without `:` (which no passwd line can carry), not `root` in any letter case, and not a number below [`ID_FLOOR`]: `chown 0 file` looks
/// for a user of that name before it takes the number.
pub fn name_may_be_ours(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.eq_ignore_ascii_case(b"root")
        && !name.iter().any(|byte| *byte < 0x20 || *byte == 0x7f || *byte == b':')
        && std::str::from_utf8(name).is_ok_and(|text| !is_low_number(text))
}

fn is_low_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit()) && name.trim_start_matches('0').parse().unwrap_or(0) < ID_FLOOR
}

/// Whether an id lies in a range that the root-owned configuration grants, and not below [`ID_FLOOR`].
#[inline]
pub fn id_may_be_ours(id: u32, ranges: &Ranges) -> bool {
    (ID_FLOOR..u32::MAX - 1).contains(&id) && ranges.contains(id)
}

/// Whether text that may hold NULs between its parts is UTF-8 and breaks no line of passwd or group. One pass without
/// branches, which the compiler makes sixteen bytes at a time of: a group's text may be long.
#[inline]
pub fn fits_lines(text: &[u8]) -> bool {
    let (low, high, colon) = text.iter().fold((u8::MAX, 0, 0), |(low, high, colon), byte| {
        // NUL wraps around: it ends a string and breaks nothing.
        (low.min(byte.wrapping_sub(1)), high.max(*byte), colon | u8::from(*byte == b':'))
    });
    let has_control = low < 0x1f;
    if has_control || colon != 0 {
        return false;
    }
    high < 0x7f || (!text.contains(&0x7f) && std::str::from_utf8(text).is_ok())
}

/// Whether what stands in `text` from `at` on, up to a NUL, may be shown as a member: a name is all that is known of one,
/// so it must not be a local user's. The text itself is judged by [`fits_lines`].
#[inline]
pub fn begins_with_member(text: &[u8], at: usize, local: &LocalNames) -> bool {
    // Nearly always that is all there is to look at; a group may have thousands of them. What begins below the colon
    // may be empty or a number.
    text.get(at..at.saturating_add(4))
        .and_then(|head| head.first_chunk().copied())
        .is_some_and(|head| head[0] > b':' && !local.may_begin(head))
        || is_member(text.get(at..).unwrap_or_default(), local)
}

#[cold]
fn is_member(text: &[u8], local: &LocalNames) -> bool {
    let name = text.split(|byte| *byte == 0).next().unwrap_or_default();
    name_may_be_ours(name) && !local.have(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_ours() {
        let long = [b'a'; MAX_NAME + 1];
        for name in
            [&b""[..], b"root", b"Root", b"a:b", b"a\nb", b"\xff\xfe", b"a\x7f", b"0", b"0000", b"27", b"0999", &long]
        {
            assert!(!name_may_be_ours(name), "{name:?}");
        }
        for name in [
            &b"alice"[..],
            b"AADDS\\alice",
            b"alice@contoso.com",
            "zoë".as_bytes(),
            b"o'hara (ext)",
            b"1000",
            b"4711815",
        ] {
            assert!(name_may_be_ours(name), "{name:?}");
        }
    }

    #[test]
    fn low_and_special_ids_are_never_ours() {
        let everything = Ranges::parse("[domains.\"x\"]\nid_range = \"0-4294967295\"\n");
        for id in [0, 27, 999, u32::MAX, u32::MAX - 1] {
            assert!(!id_may_be_ours(id, &everything), "{id}");
        }
        assert!(id_may_be_ours(1000, &everything));
    }

    #[test]
    fn a_member_is_judged_up_to_its_end() {
        let file = std::env::temp_dir().join(format!("entra-members-{}", std::process::id()));
        std::fs::write(&file, "localuser:x:1000:1000::/:/bin/sh\n").unwrap();
        let local = LocalNames::read(&file, 1000, &crate::reserved::Reserved::NONE, |_| true).unwrap();
        std::fs::remove_file(&file).unwrap();
        for text in [&b"alice\0"[..], b"alice\0localuser\0", b"localuser2\0", b"1000\0", b"z\0"] {
            assert!(begins_with_member(&[b"x\0", text].concat(), 2, &local), "{text:?}");
        }
        for text in [&b""[..], b"\0alice\0", b"localuser\0alice\0", b"LocalUser\0", b"root\0", b"0\0", b"27\0x\0"] {
            assert!(!begins_with_member(&[b"x\0", text].concat(), 2, &local), "{text:?}");
        }
    }

    #[test]
    fn what_would_break_a_line_is_seen() {
        assert!(fits_lines(b"alice\0*\0/home/alice\0") && fits_lines("zoë".as_bytes()) && fits_lines(b""));
        for text in [&b"a:b"[..], b"a\nb", b"a\x01", b"\x1fa", b"a\x7f", "é\x7f".as_bytes(), b"\xff"] {
            assert!(!fits_lines(text), "{text:?}");
        }
    }
}
