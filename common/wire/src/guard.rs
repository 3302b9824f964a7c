//! What cannot be ours, decided without any call: the modules ask here first, so that a foreign uid in `ls` or a
//! hostile name costs nothing and reaches nobody.

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
}
