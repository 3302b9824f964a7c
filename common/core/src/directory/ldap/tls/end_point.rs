//! The channel binding `tls-server-end-point` (RFC 5929 4): a hash of the server's certificate, which ties a bind inside
//! TLS to the one certificate that this side saw. A pure function over bytes, because the certificate is the peer's.

use ring::digest;

use crate::ber::{self, Parsed};

/// Longest certificate that is looked into.
const LONGEST: usize = 0x1_0000;

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;

/// 1.2.840.113549.1.1: PKCS #1 (RFC 8017 C), under which 4 is MD5, 5 SHA-1, 10 PSS, 11 to 13 SHA-256 to SHA-512.
const PKCS1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";
/// 1.2.840.10045.4: ECDSA (RFC 5758 3.2), under which 1 is SHA-1, 3.2 to 3.4 SHA-256 to SHA-512.
const ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04";
/// 2.16.840.1.101.3.4.2: hashes (RFC 5754 2), under which 1 to 3 are SHA-256 to SHA-512.
const SHA2: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02";
/// 1.3.14.3.2.26: SHA-1.
const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";

/// The `application-data` of the binding to a server with this certificate (DER, RFC 5280 4.1). `None` where the
/// certificate's signature has no single hash function that is known here: RFC 5929 defines no binding for it.
pub(super) fn binding(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = digest::digest(hash_function(certificate)?, certificate);
    Some([b"tls-server-end-point:", hash.as_ref()].concat())
}

/// The hash function of the certificate's signature, SHA-256 in place of MD5 and SHA-1 (RFC 5929 4.1).
fn hash_function(certificate: &[u8]) -> Option<&'static digest::Algorithm> {
    let Parsed::Element(SEQUENCE, certificate, _) = ber::parse(certificate, LONGEST) else { return None };
    let (_, algorithm) = ber::children(certificate).nth(1).filter(|(tag, _)| *tag == SEQUENCE)?;
    let mut parts = ber::children(algorithm);
    let oid = object_id(parts.next())?;
    match (oid.strip_prefix(PKCS1), oid.strip_prefix(ECDSA)) {
        (Some([10]), _) => pss(parts.next()?.1),
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(&digest::SHA256),
        (Some([12]), _) | (_, Some([3, 3])) => Some(&digest::SHA384),
        (Some([13]), _) | (_, Some([3, 4])) => Some(&digest::SHA512),
        _ => None,
    }
}

/// The hash function that `RSASSA-PSS-params` name (RFC 4055 3.1); absent, it is SHA-1.
fn pss(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    let Some((_, named)) = ber::children(parameters).find(|(tag, _)| *tag == 0xa0) else {
        return Some(&digest::SHA256);
    };
    let (_, algorithm) = ber::children(named).next()?;
    let oid = object_id(ber::children(algorithm).next())?;
    match oid.strip_prefix(SHA2) {
        Some([1]) => Some(&digest::SHA256),
        Some([2]) => Some(&digest::SHA384),
        Some([3]) => Some(&digest::SHA512),
        _ => (oid == SHA1).then_some(&digest::SHA256),
    }
}

fn object_id(element: Option<(u8, &[u8])>) -> Option<&[u8]> {
    element.filter(|(tag, _)| *tag == OID).map(|(_, oid)| oid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As much of a certificate as is looked at.
    fn certificate(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = ber::element(SEQUENCE, &[&ber::element(OID, oid), parameters].concat());
        let body = ber::element(SEQUENCE, b"what is signed");
        ber::element(SEQUENCE, &[body, algorithm, ber::element(3, b"\0signature")].concat())
    }

    fn hash_length(oid: &[u8], parameters: &[u8]) -> Option<usize> {
        binding(&certificate(oid, parameters)).map(|bytes| bytes.len() - b"tls-server-end-point:".len())
    }

    #[test]
    fn the_hash_is_the_signatures_and_never_a_broken_one() {
        for (oid, length) in [
            (&b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"[..], Some(32)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", Some(32)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Some(32)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Some(48)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Some(64)),
            (b"\x2a\x86\x48\xce\x3d\x04\x01", Some(32)),
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Some(32)),
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Some(48)),
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Some(64)),
            // Ed25519 hashes inside: no binding is defined.
            (b"\x2b\x65\x70", None),
        ] {
            assert_eq!(hash_length(oid, &[5, 0]), length, "{oid:x?}");
        }
    }

    #[test]
    fn pss_names_its_hash_in_parameters() {
        let oid = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
        let naming = |hash: &[u8]| {
            let algorithm = ber::element(SEQUENCE, &ber::element(OID, hash));
            ber::element(SEQUENCE, &ber::element(0xa0, &algorithm))
        };
        assert_eq!(hash_length(oid, &naming(b"\x60\x86\x48\x01\x65\x03\x04\x02\x03")), Some(64));
        assert_eq!(hash_length(oid, &naming(SHA1)), Some(32));
        assert_eq!(hash_length(oid, &naming(b"\x2a\x03")), None);
        assert_eq!(hash_length(oid, &ber::element(SEQUENCE, b"")), Some(32), "SHA-1 is the default");
    }

    #[test]
    fn all_of_the_certificate_is_hashed() {
        let given = certificate(b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"");
        let expected = digest::digest(&digest::SHA256, &given);
        assert_eq!(binding(&given).unwrap(), [b"tls-server-end-point:", expected.as_ref()].concat());
    }

    proptest! {
        #[test]
        fn garbage_has_no_binding_or_one_and_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = binding(&bytes);
            let _ = binding(&ber::element(SEQUENCE, &bytes));
        }
    }
}
