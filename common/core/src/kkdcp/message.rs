//! `KDC-PROXY-MESSAGE` (MS-KKDCP 2.2.2), DER:
//!
//! ```text
//! KDC-PROXY-MESSAGE ::= SEQUENCE {
//!     kerb-message    [0] OCTET STRING,   -- four bytes of length, then the message, as over TCP (RFC 4120 7.2.2)
//!     target-domain   [1] KerberosString OPTIONAL,
//!     dclocator-hint  [2] INTEGER OPTIONAL
//! }
//! ```

use crate::ber::{self, Parsed};

/// Longest message that is read, in bytes: a ticket with the largest PAC stays far below.
const LONGEST: usize = 1024 * 1024;

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const GENERAL_STRING: u8 = 0x1b;
const KERB_MESSAGE: u8 = 0xa0;
const TARGET_DOMAIN: u8 = 0xa1;

/// The request that has the proxy ask a KDC of `realm`.
pub fn encode(message: &[u8], realm: &str) -> Vec<u8> {
    // Longer ones do not occur: a request is as long as the ticket in it, and that is bounded where it is read.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let framed = [&length.to_be_bytes()[..], message].concat();
    let message = ber::element(KERB_MESSAGE, &ber::element(OCTET_STRING, &framed));
    let realm = ber::element(TARGET_DOMAIN, &ber::element(GENERAL_STRING, realm.as_bytes()));
    ber::element(SEQUENCE, &[message, realm].concat())
}

/// The Kerberos message in a proxy's answer; `None` where it is no `KDC-PROXY-MESSAGE` with one message of the length that
/// it names. What else is in the sequence is not looked at.
pub fn decode(bytes: &[u8]) -> Option<&[u8]> {
    let Parsed::Element(SEQUENCE, content, []) = ber::parse(bytes, LONGEST) else { return None };
    let (_, field) = ber::children(content).next().filter(|(tag, _)| *tag == KERB_MESSAGE)?;
    let Parsed::Element(OCTET_STRING, framed, []) = ber::parse(field, LONGEST) else { return None };
    let (length, message) = framed.split_first_chunk::<4>()?;
    (!message.is_empty() && u32::from_be_bytes(*length) as usize == message.len()).then_some(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let expected = b"\x30\x12\xa0\x08\x04\x06\0\0\0\x02\x6c\x03\xa1\x06\x1b\x04A.EX";
        assert_eq!(encode(b"\x6c\x03", "A.EX"), expected);
    }

    #[test]
    fn an_answer_without_a_realm_is_one() {
        assert_eq!(decode(b"\x30\x09\xa0\x07\x04\x05\0\0\0\x01\x7e"), Some(&b"\x7e"[..]));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for wrong in [
            &b""[..],
            b"\x30\x00",
            b"\x30\x09\xa0\x07\x04\x05\0\0\0\x02\x7e",
            b"\x30\x09\xa0\x07\x04\x05\0\0\0\0\x7e",
            b"\x30\x08\xa0\x06\x04\x04\0\0\0\0",
            b"\x30\x09\xa1\x07\x04\x05\0\0\0\x01\x7e",
            b"\x30\x0a\xa0\x07\x04\x05\0\0\0\x01\x7e",
            b"\x30\x09\xa0\x07\x04\x05\0\0\0\x01\x7e!",
            b"<html><body>Sign in</body></html>",
            b"\x30\x84\x7f\xff\xff\xff\xa0",
        ] {
            assert_eq!(decode(wrong), None, "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in prop::collection::vec(any::<u8>(), 1..70_000), realm in "[A-Z.]{0,300}") {
            let bytes = encode(&message, &realm);
            prop_assert_eq!(decode(&bytes), Some(&message[..]));
        }

        #[test]
        fn a_part_of_it_is_none(message in prop::collection::vec(any::<u8>(), 1..500), cut in any::<usize>()) {
            let bytes = encode(&message, "A.EXAMPLE");
            prop_assert_eq!(decode(&bytes[..cut % bytes.len()]), None);
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let _ = decode(&ber::element(SEQUENCE, &ber::element(KERB_MESSAGE, &bytes)));
        }
    }
}
