//! SIDs (MS-DTYP 2.4.2): as the bytes that a security descriptor holds, and as text.

use std::fmt::Write;

use entra_wire::cache_map::layout::MAX_SID;

/// Most sub-authorities.
const MAX_SUBS: usize = 15;

/// `struct entra_sid`: revision, count, authority (6 bytes, big-endian), sub-authorities (4 bytes each, little-endian);
/// zeros behind them. Whatever a caller puts there is checked by [`Sid::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Sid {
    bytes: [u8; MAX_SID],
}

impl Sid {
    /// The SID that `bytes` begins with. `None` where it is not whole.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..length(bytes)?)?;
        let mut sid = Self { bytes: [0; MAX_SID] };
        sid.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(sid)
    }

    /// Its bytes, without what stands behind them. `None` where this is no SID.
    #[inline]
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.bytes.get(..length(&self.bytes)?)
    }

    /// `S-1-5-21-…` (MS-DTYP 2.4.2.1), an authority of 2^32 and more in hexadecimal.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-"))?.split('-');
        let authority = authority(parts.next()?)?;
        let mut sid = Self { bytes: [0; MAX_SID] };
        let (head, subs) = sid.bytes.split_first_chunk_mut::<8>()?;
        let mut count = 0;
        for part in parts {
            let place = subs.get_mut(count * 4..count * 4 + 4)?;
            place.copy_from_slice(&u32::try_from(decimal(part)?).ok()?.to_le_bytes());
            count += 1;
        }
        head[2..].copy_from_slice(authority.to_be_bytes().get(2..)?);
        (head[0], head[1]) = (1, count as u8);
        (count > 0).then_some(sid)
    }

    /// The text that [`Sid::parse`] reads.
    pub(crate) fn text(&self) -> Option<String> {
        let (head, subs) = self.bytes()?.split_first_chunk::<8>()?;
        let authority = head[2..].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let mut text = String::from("S-1-");
        // Writing into a String cannot fail.
        let _ = if authority >> 32 == 0 { write!(text, "{authority}") } else { write!(text, "0x{authority:012X}") };
        for sub in subs.as_chunks::<4>().0 {
            let _ = write!(text, "-{}", u32::from_le_bytes(*sub));
        }
        Some(text)
    }
}

/// Bytes of the SID that `bytes` begins with, by its own head.
#[inline]
fn length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [1, count, ..] if (1..=MAX_SUBS).contains(&usize::from(*count)) => Some(8 + 4 * usize::from(*count)),
        _ => None,
    }
}

/// Digits alone: no sign, no space.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn authority(text: &str) -> Option<u64> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok()?,
        Some(_) => return None,
        None => decimal(text)?,
    };
    (value >> 48 == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_say_the_same() {
        let sid = Sid::parse(b"S-1-5-21-3623811015-3361044348-30300820-1103").unwrap();
        let bytes = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xc7, 0xf7, 0xfe, 0xd7, 0x7c, 0x77, 0x55, 0xc8, 0x94, 0x5a, 0xce, 1,
            0x4f, 4, 0, 0,
        ];
        assert_eq!(sid.bytes(), Some(&bytes[..]));
        assert_eq!(Sid::from_bytes(&bytes), Some(sid));
        for text in [
            "S-1-5-21-3623811015-3361044348-30300820-1103",
            "S-1-5-32-544",
            "S-1-1-0",
            "S-1-0x010000000000-7",
            "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-4294967295",
        ] {
            assert_eq!(Sid::parse(text.as_bytes()).unwrap().text().as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_sid_is_refused() {
        let many = format!("S-1-5{}", "-1".repeat(16));
        for text in [
            "",
            "S-1-5",
            "S-2-5-1",
            "S-1-5-",
            "S-1-5--1",
            "S-1-5-+1",
            "S-1-5-4294967296",
            "S-1-x-1",
            "S-1-5-1 ",
            "S-1-281474976710656-1",
            "S-1-0x-1",
            "alice",
            &many,
        ] {
            assert_eq!(Sid::parse(text.as_bytes()), None, "{text}");
        }
        for bytes in [&[][..], &[1], &[1, 0, 0, 0, 0, 0, 0, 5], &[1, 1, 0, 0, 0, 0, 0, 5, 1, 0, 0], &[2; 68], &[1; 11]]
        {
            assert_eq!(Sid::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(Sid { bytes: [0; MAX_SID] }.text(), None);
    }
}
