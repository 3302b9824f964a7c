//! What a domain controller sends, or who poses as one.

use entra_core::directory::ldap::fuzzing;
use entra_core::discovery::cldap;
use entra_core::discovery::srv::{SrvTarget, order};
use entra_core::kkdcp;
use entra_krb5::pac::account_sid;

use crate::block_on;

/// Bytes of an LDAP server before the connection is sealed.
pub fn bind(data: &[u8]) {
    block_on(fuzzing::unsealed(data));
}

/// Seeds of [`bind`].
pub fn binds() -> Vec<Vec<u8>> {
    fuzzing::write_unsealed().to_vec()
}

/// A search entry.
pub fn entry(data: &[u8]) {
    let _ = fuzzing::entry(data);
}

/// Seeds of [`entry`].
pub fn entries() -> Vec<Vec<u8>> {
    const SID: &[u8] = &[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x4f, 4, 0, 0];
    let user = fuzzing::write_entry(
        "CN=Alice,OU=AADDC Users,DC=x",
        &[
            ("objectClass", &[b"top", b"person", b"user"]),
            ("objectSid", &[SID]),
            ("objectGUID", &[&[0x80; 16]]),
            ("sAMAccountName", &[b"alice"]),
            ("userPrincipalName", &[b"alice@contoso.com"]),
            ("name", &["Alice Ångström".as_bytes()]),
            ("primaryGroupID", &[b"513"]),
            ("userAccountControl", &[b"512"]),
            ("accountExpires", &[b"9223372036854775807"]),
            ("uidNumber", &[b"1103"]),
            ("gidNumber", &[b"513"]),
        ],
    );
    let group = fuzzing::write_entry(
        "CN=staff,DC=x",
        &[
            ("objectClass", &[b"top", b"group"]),
            ("sAMAccountName", &[b"research"]),
            ("groupType", &[b"-2147483646"]),
            ("member", &[]),
            ("member;range=0-1499", &[b"CN=Alice,DC=x", b"CN=Bob,DC=x"]),
        ],
    );
    vec![user, group]
}

/// Sealed frames: the first byte says how they are cut.
pub fn sealed(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(1 << 16)];
    // A length that a frame may have costs its memory: eight of them are enough.
    if let Some(plain) = block_on(fuzzing::sealed(bytes, usize::from(*piece))) {
        let (mut rest, mut wanted) = (bytes, Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (body, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            wanted.extend_from_slice(body);
            rest = after;
        }
        assert!(plain == wanted, "what came out is not what the frames held");
    }
}

/// Seeds of [`sealed`].
pub fn sealed_frames() -> Vec<Vec<u8>> {
    let frame = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], body].concat();
    vec![
        [&[3][..], &frame(b"0\x0c\x02\x01\x01a\x07"), &frame(b"\n\x01\0\x04\0\x04\0")].concat(),
        [&[200][..], &frame(&[5; 300]), &frame(b"")].concat(),
    ]
}

/// A server's certificate.
pub fn certificate(data: &[u8]) {
    fuzzing::certificate(data);
}

/// Seeds of [`certificate`]: the frame of one, signed with SHA-384 and RSA, and with PSS.
pub fn certificates() -> Vec<Vec<u8>> {
    let element = |tag: u8, content: &[u8]| [&[tag, content.len() as u8][..], content].concat();
    let with = |algorithm: &[u8]| {
        let parts = [element(0x30, b"\x02\x01\x01"), element(0x30, algorithm), element(3, &[0; 9])];
        element(0x30, &parts.concat())
    };
    let rsa = element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12]);
    let pss = element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]);
    let sha512 = element(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]);
    let parameters = element(0x30, &element(0xa0, &element(0x30, &sha512)));
    vec![with(&[rsa, element(5, &[])].concat()), with(&[pss, parameters].concat())]
}

/// What came back from UDP 389, behind two bytes that say which message was asked.
pub fn ping(data: &[u8]) {
    let Some((id, datagram)) = data.split_first_chunk() else { return };
    let id = u32::from(u16::from_be_bytes(*id));
    let Some(told) = cldap::answer(datagram, id) else { return };
    assert!(!told.domain.is_empty(), "a controller of no domain");
    for name in [&told.domain, &told.host, &told.dc_site, &told.client_site] {
        assert!(name.len() <= 255 && !name.chars().any(char::is_control), "{name:?} goes into the log");
    }
    assert!(cldap::answer(datagram, id + 1).is_none(), "an answer to every question");
}

/// Seeds of [`ping`]: a controller's answer with compressed names, and a question.
pub fn pongs() -> Vec<Vec<u8>> {
    let element = |tag: u8, content: &[u8]| [&[tag, content.len() as u8][..], content].concat();
    let mut blob = vec![23, 0];
    blob.resize(24, 0);
    blob.extend(b"\x01d\x07example\0\xc0\x18\x03DC1\xc0\x18\x07EXAMPLE\0\x03DC1\0\0\x04Here\0\x05There\0");
    blob.extend([5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    let values = element(0x31, &element(4, &blob));
    let attribute = element(0x30, &[element(4, b"netlogon"), values].concat());
    let entry = element(0x64, &[element(4, b""), element(0x30, &attribute)].concat());
    let message = element(0x30, &[element(2, &[77]), entry].concat());
    vec![[&[0, 77][..], &message].concat(), [&[0, 7][..], &cldap::question(7, "d.example")].concat()]
}

/// The first record of a server that was greeted.
pub fn tls_answer(data: &[u8]) {
    assert!(fuzzing::tls_answer(data) <= 1, "one answer agrees to several versions");
}

/// Seeds of [`tls_answer`]: a ServerHello of TLS 1.2, one of TLS 1.3, and an alert.
pub fn tls_answers() -> Vec<Vec<u8>> {
    let hello = |rest: &[u8]| {
        let body = [&[3, 3][..], &[0x5a; 32], &[0, 0xc0, 0x2f, 0], rest].concat();
        let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
        [&[22, 3, 3, 0, message.len() as u8][..], &message].concat()
    };
    vec![hello(&[]), hello(&[0, 6, 0, 43, 0, 2, 3, 4]), vec![21, 3, 3, 0, 2, 2, 70]]
}

/// A PAC's logon information.
pub fn pac(data: &[u8]) {
    if let Ok(sid) = account_sid(data) {
        assert!(entra_core::types::Sid::from_bytes(sid.as_bytes()).is_ok(), "{sid:?}");
    }
}

/// Seeds of [`pac`]: what Samba wrote.
pub fn pacs() -> Vec<Vec<u8>> {
    let hex: String =
        include_str!("../../../common/krb5/tests/data/logon-info-samba-4.17.hex").split_whitespace().collect();
    vec![(0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()]
}

/// A DNS server's answer to a registration.
pub fn dns(data: &[u8]) {
    if let Some(records) = entractl::registration::records_in(data) {
        assert!(records * 11 <= data.len(), "more records than the message has room for");
    }
}

/// Seeds of [`dns`].
pub fn answers() -> Vec<Vec<u8>> {
    let head = b"\0\x07\x84\0\0\x01\0\x01\0\0\0\x01\x01d\x07example\0\0\x06\0\x01";
    let soa = b"\xc0\x0c\0\x06\0\x01\0\0\x0e\x10\0\x1a\x02ns\xc0\x0c\x04host\xc0\x0c\0\0\0\x01\0\0\0\x02\0\0\0\x03";
    let tsig = b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x04\x01\x02\x03\x04";
    vec![[&head[..], soa, tsig].concat(), head.to_vec()]
}

/// SRV records: two bytes of priority and two of weight each, drawn as the first byte says.
pub fn srv(data: &[u8]) {
    let Some((seed, records)) = data.split_first() else { return };
    let targets: Vec<_> = records
        .as_chunks::<4>()
        .0
        .iter()
        .take(64)
        .enumerate()
        .map(|(index, [a, b, c, d])| SrvTarget {
            priority: u16::from_be_bytes([*a, *b]),
            weight: u16::from_be_bytes([*c, *d]),
            port: 389,
            host: index.to_string(),
        })
        .collect();
    let ordered = order(targets.clone(), |most| (u32::from(*seed) * 257).min(most.saturating_add(1)));
    assert!(ordered.windows(2).all(|pair| pair[0].priority <= pair[1].priority));
    assert_eq!(ordered.len(), targets.len());
}

/// Seeds of [`srv`].
pub fn targets() -> Vec<Vec<u8>> {
    vec![vec![7, 0, 0, 0, 100, 0, 0, 0, 0, 0, 10, 0xff, 0xff], vec![0xff; 33]]
}

/// A response of a KDC proxy, and the message in it.
pub fn kkdcp(data: &[u8]) {
    kkdcp::read_response(data);
    if let Some(message) = kkdcp::decode(data) {
        assert_eq!(kkdcp::decode(&kkdcp::encode(message, "A.EXAMPLE")), Some(message));
    }
}

/// Seeds of [`kkdcp`]: a message alone, in a response that names its length, and in one that does not.
pub fn proxied() -> Vec<Vec<u8>> {
    let message = kkdcp::encode(b"\x6d\x82\x01\x02", "A.EXAMPLE");
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", message.len());
    let bare = [b"HTTP/1.1 503 Remote unavailable\r\n\r\n", &message[..]].concat();
    vec![[head.as_bytes(), &message].concat(), bare, message]
}

/// A security template of SYSVOL.
pub fn gpo(data: &[u8]) {
    assert!(entractl::policy::rights_in(data) <= data.len());
}

/// Seeds of [`gpo`].
pub fn templates() -> Vec<Vec<u8>> {
    let text = "[Unicode]\r\nUnicode=yes\r\n[Privilege Rights]\r\nSeInteractiveLogonRight = *S-1-5-32-544\r\n";
    let wide = text.encode_utf16().flat_map(u16::to_le_bytes);
    vec![text.as_bytes().to_vec(), [0xff, 0xfe].into_iter().chain(wide).collect()]
}
