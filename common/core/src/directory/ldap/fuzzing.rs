//! The readers of what a server sends, for tests/fuzz alone: each takes any bytes.

#![allow(clippy::missing_panics_doc)] // A broken promise ends the run.

use std::io;

use ldap3::ResultEntry;
use ldap3::asn1::parse_tag;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::entry::{Extras, Raw, ranged};
use super::messages::Messages;
use super::{filter, policy, sasl, seal, subtrees, tls};
use crate::ber;

/// Room in each direction of a connection.
const ROOM: usize = 1 << 20;

/// A search entry, as ldap3 hands it over: admitted, read, sorted, its ranges followed.
pub fn entry(bytes: &[u8]) -> bool {
    let message = ber::element(0x30, &[ber::integer(2, 1), bytes.to_vec()].concat());
    if Messages::default().admit(&message).is_err() {
        return false;
    }
    let Ok((_, tag)) = parse_tag(bytes) else { return false };
    let Some(raw) = Raw::parse(ResultEntry::new(tag)) else { return false };
    let (values, next) = ranged(&raw, "member");
    assert!(next != Some(0), "a range that would be read again from its start");
    let _ = values.len();
    let _ = raw.sid();
    let plain = raw.classify(Extras::default()).is_some();
    let ssh_keys = ["altSecurityIdentities".to_owned()];
    plain || raw.classify(Extras { posix: true, ssh_keys: &ssh_keys }).is_some()
}

/// A search entry of these attributes, as a server writes it: what [`entry`] begins with.
pub fn write_entry(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let octets = |bytes: &[u8]| ber::element(0x04, bytes);
    let attribute = |(name, values): &(&str, &[&[u8]])| {
        let values: Vec<u8> = values.iter().flat_map(|value| octets(value)).collect();
        ber::element(0x30, &[octets(name.as_bytes()), ber::element(0x31, &values)].concat())
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    ber::element(0x64, &[octets(dn.as_bytes()), ber::element(0x30, &attributes)].concat())
}

/// Any bytes of a server before its connection is sealed: as answers to a search of its rootDSE, to a bind, to StartTLS.
pub async fn unsealed(bytes: &[u8]) {
    for step in 0..3 {
        let (mut ours, mut theirs) = duplex(ROOM);
        if theirs.write_all(bytes).await.is_err() || theirs.shutdown().await.is_err() {
            return;
        }
        if step == 1 {
            let _ = sasl::bind_answers(&mut ours).await;
        } else if step == 2 {
            let _ = sasl::start_tls(&mut ours).await;
        } else if let Ok(name) = sasl::host_name(&mut ours).await {
            assert!(!name.contains(['/', '@', '\\', ':', '\0']), "{name:?} would change a principal");
        }
    }
}

/// An answer to the search and one to the bind: what [`unsealed`] begins with.
pub fn write_unsealed() -> [Vec<u8>; 2] {
    let message = |operation: Vec<u8>| ber::element(0x30, &[ber::integer(2, 1), operation].concat());
    let entry = write_entry("", &[("dnsHostName", &[b"dc1.example.com"])]);
    let done = [ber::integer(0x0a, 0), ber::element(4, b""), ber::element(4, b"")].concat();
    let bind = [ber::integer(0x0a, 14), ber::element(4, b""), ber::element(4, b""), ber::element(0x87, &[7, 1, 0, 0])];
    let search = [message(entry), message(ber::element(0x65, &done))].concat();
    [search, message(ber::element(0x61, &bind.concat()))]
}

/// Any bytes of a server once its connection is sealed, in pieces of `piece` bytes; a layer that takes everything opens
/// them. Gives what comes out for ldap3.
pub async fn sealed(bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
    struct Open;
    impl seal::Layer for Open {
        fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
            Ok(plain.to_vec())
        }

        fn open(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
            if sealed.first() == Some(&0xff) { Err(io::Error::other("not genuine")) } else { Ok(sealed.to_vec()) }
        }
    }
    let (ours, plain) = duplex(ROOM);
    let (wire, theirs) = duplex(piece.max(1));
    let (mut read, _write) = tokio::io::split(ours);
    let (_read, mut write) = tokio::io::split(theirs);
    let sending = async {
        let _ = write.write_all(bytes).await;
        let _ = write.shutdown().await;
    };
    let reading = async {
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.ok().map(|_| got)
    };
    let ended = async {
        let (pumped, ()) = tokio::join!(seal::pump(Open, 1000, plain, wire), sending);
        pumped.is_ok()
    };
    let (ended, got) = tokio::join!(ended, reading);
    got.filter(|_| ended)
}

/// A certificate, as a server shows it: the hash that binds a login to its channel, with its label.
pub fn certificate(bytes: &[u8]) {
    if let Some(binding) = tls::binding_of(bytes) {
        assert!(binding.len() > 40, "a binding of {} bytes", binding.len());
    }
}

/// A server's answer to a greeting: how many versions of TLS it takes for spoken. At most one is.
pub fn tls_answer(bytes: &[u8]) -> usize {
    tls::agreed_in(bytes)
}

/// Names and DNs of a directory, and a filter of the configuration.
pub fn names(first: &str, second: &str, third: &str) {
    subtrees::read_any(first, second);
    policy::read_any(first, second, third);
    let plain = filter::escape(first.as_bytes());
    assert!(!plain.contains(['(', ')', '*', '\0']), "{plain:?} would change a filter");
    if let Some(text) = filter::configured(third) {
        assert!(ldap3::parse_filter(filter::all_of([text, "(a=1)".into()])).is_ok(), "{third:?} breaks its neighbour");
    }
}
