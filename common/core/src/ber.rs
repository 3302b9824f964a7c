//! The little BER (X.690, as LDAP restricts it: RFC 4511 5.1) that is spoken before ldap3 takes over, and inside control
//! values. Written by hand because these bytes come before the peer is authenticated: nothing here recurses or panics.

/// Writes one element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..0x80 => bytes.push(short as u8),
        long => {
            let length = long.to_be_bytes();
            let skip = length.iter().take_while(|byte| **byte == 0).count();
            bytes.push(0x80 | (length.len() - skip) as u8);
            bytes.extend_from_slice(&length[skip..]);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// Writes a non-negative INTEGER or ENUMERATED of at most 31 bits.
pub(crate) fn integer(tag: u8, value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // A set first bit would make the number negative: one zero byte stays before it.
    let skip = (0..3).take_while(|index| bytes[*index] == 0 && bytes[*index + 1] & 0x80 == 0).count();
    element(tag, &bytes[skip..])
}

/// What stands at the start of `input`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// One element with this tag and content, and what follows it.
    Element(u8, &'a [u8], &'a [u8]),
    /// More bytes are needed.
    Incomplete,
    /// No BER that LDAP allows, or an element longer than `most`.
    Invalid,
}

/// Reads one element whose content has at most `most` bytes.
pub(crate) fn parse(input: &[u8], most: usize) -> Parsed<'_> {
    match header(input) {
        Header::Read { length, .. } if length > most => Parsed::Invalid,
        Header::Read { tag, length, rest } => match rest.split_at_checked(length) {
            Some((content, rest)) => Parsed::Element(tag, content, rest),
            None => Parsed::Incomplete,
        },
        Header::Incomplete => Parsed::Incomplete,
        Header::Invalid => Parsed::Invalid,
    }
}

/// What an element begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    /// Its tag, the length of its content, and what follows the header.
    Read { tag: u8, length: usize, rest: &'a [u8] },
    /// More bytes are needed.
    Incomplete,
    /// No BER that LDAP allows.
    Invalid,
}

/// Reads tag and length of one element: six bytes at most.
pub(crate) fn header(input: &[u8]) -> Header<'_> {
    // Tags of more than one byte do not occur in LDAP.
    if input.first().is_some_and(|tag| tag & 0x1f == 0x1f) {
        return Header::Invalid;
    }
    let [tag, first, rest @ ..] = input else { return Header::Incomplete };
    if *first < 0x80 {
        return Header::Read { tag: *tag, length: usize::from(*first), rest };
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Header::Invalid;
    }
    let Some((length, rest)) = rest.split_at_checked(count) else { return Header::Incomplete };
    let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
    Header::Read { tag: *tag, length, rest }
}

/// Reads the elements of a constructed one, in turn; ends at the first that is broken.
pub(crate) fn children(content: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || match parse(rest, rest.len()) {
        Parsed::Element(tag, content, after) => {
            rest = after;
            Some((tag, content))
        }
        Parsed::Incomplete | Parsed::Invalid => None,
    })
}

/// The value of a non-negative INTEGER or ENUMERATED.
pub(crate) fn unsigned(content: &[u8]) -> Option<u32> {
    let (first, _) = content.split_first()?;
    if first & 0x80 != 0 || content.len() > 5 {
        return None;
    }
    u32::try_from(content.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(integer(2, 0), [2, 1, 0]);
        assert_eq!(integer(2, 127), [2, 1, 127]);
        assert_eq!(integer(2, 128), [2, 2, 0, 128]);
        assert_eq!(integer(2, 1000), [2, 2, 3, 232]);
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused_before_they_arrive() {
        assert_eq!(parse(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], 1 << 16), Parsed::Invalid);
        assert_eq!(parse(&[0x30, 0x80, 0, 0], 100), Parsed::Invalid);
        assert_eq!(parse(&[0x30, 0x82, 1], 1 << 16), Parsed::Incomplete);
        assert_eq!(parse(&[], 100), Parsed::Incomplete);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in prop::collection::vec(any::<u8>(), 0..70_000), cut in any::<usize>()) {
            let bytes = element(0x04, &content);
            prop_assert_eq!(parse(&bytes, 1 << 20), Parsed::Element(4, &content[..], &[][..]));
            prop_assert_eq!(parse(&bytes[..cut % bytes.len()], 1 << 20), Parsed::Incomplete);
        }

        #[test]
        fn numbers_are_read_back(value in 0..i32::MAX as u32) {
            let bytes = integer(2, value);
            prop_assert_eq!(unsigned(&bytes[2..]), Some(value));
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 150);
            let _ = children(&bytes).count();
            let _ = unsigned(&bytes);
        }
    }
}
