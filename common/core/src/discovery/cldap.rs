//! The "LDAP ping" (MS-ADTS 6.3.3): a question to UDP 389 that a domain controller answers without a bind, and what its
//! answer says. Pure functions over bytes: the answer comes from anybody, and proves nothing.

use crate::ber::{self, Parsed};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;

/// NETLOGON_NT_VERSION_5, 5EX and 5EX_WITH_IP (MS-ADTS 6.3.1.1), little-endian.
const VERSION: [u8; 4] = [0x16, 0, 0, 0];
/// LOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS 6.3.1.3)
const RESPONSE_EX: u16 = 23;
/// Where the names begin in NETLOGON_SAM_LOGON_RESPONSE_EX (6.3.1.9): behind opcode, padding, flags and GUID.
const NAMES: usize = 24;
/// Longest datagram that is looked at.
pub(super) const LONGEST: usize = 4096;
/// Longest name (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 255;
/// Most compression pointers in one name: each leads backwards, so this only bounds the work.
const MOST_POINTERS: usize = 16;

/// What a domain controller says of itself and of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netlogon {
    /// DNS name of its domain, in lower case.
    pub domain: String,
    /// Its own DNS name, in lower case.
    pub host: String,
    /// The AD site that it stands in.
    pub dc_site: String,
    /// The AD site of the address that asked; empty where none is known.
    pub client_site: String,
}

/// The question for the domain controllers of `domain`, as the LDAP message `id`.
pub fn question(id: u32, domain: &str) -> Vec<u8> {
    let equals = |name: &[u8], value: &[u8]| {
        ber::element(0xa3, &[ber::element(OCTETS, name), ber::element(OCTETS, value)].concat())
    };
    let filter = ber::element(0xa0, &[equals(b"DnsDomain", domain.as_bytes()), equals(b"NtVer", &VERSION)].concat());
    let search = [
        ber::element(OCTETS, b""),
        ber::integer(ENUMERATED, 0),
        ber::integer(ENUMERATED, 0),
        ber::integer(INTEGER, 0),
        ber::integer(INTEGER, 0),
        ber::element(0x01, &[0]),
        filter,
        ber::element(SEQUENCE, &ber::element(OCTETS, b"Netlogon")),
    ];
    let message = [ber::integer(INTEGER, id), ber::element(SEARCH_REQUEST, &search.concat())].concat();
    ber::element(SEQUENCE, &message)
}

/// Reads the answer to the LDAP message `id`. `None` where it is none, or tells no domain.
pub fn answer(datagram: &[u8], id: u32) -> Option<Netlogon> {
    let Parsed::Element(SEQUENCE, message, _) = ber::parse(datagram, LONGEST) else { return None };
    let mut parts = ber::children(message);
    let (INTEGER, seen) = parts.next()? else { return None };
    let (SEARCH_ENTRY, entry) = parts.next()? else { return None };
    if ber::unsigned(seen) != Some(id) {
        return None;
    }
    let (_, attributes) = ber::children(entry).nth(1)?;
    let mut values = ber::children(attributes).filter_map(|(_, attribute)| {
        let mut parts = ber::children(attribute);
        let (_, name) = parts.next()?;
        name.eq_ignore_ascii_case(b"netlogon").then_some(ber::children(parts.next()?.1).next()?.1)
    });
    netlogon(values.next()?)
}

/// Reads a NETLOGON_SAM_LOGON_RESPONSE_EX.
fn netlogon(bytes: &[u8]) -> Option<Netlogon> {
    if u16::from_le_bytes(*bytes.first_chunk()?) != RESPONSE_EX {
        return None;
    }
    let mut at = NAMES;
    let mut next = || {
        let (name, end) = name(bytes, at)?;
        at = end;
        Some(name)
    };
    let (_forest, domain, host) = (next()?, next()?, next()?);
    let (_netbios_domain, _netbios_host, _user) = (next()?, next()?, next()?);
    let (dc_site, client_site) = (next()?, next()?);
    let read = Netlogon { domain: domain.to_lowercase(), host: host.to_lowercase(), dc_site, client_site };
    (!read.domain.is_empty()).then_some(read)
}

/// Reads a name with RFC 1035 4.1.4's compression from `at` on; gives it with dots, and where the next one begins.
fn name(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let (mut read, mut at, mut end) = (String::new(), at, None);
    let mut pointers = 0;
    loop {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some((read, end.unwrap_or(at + 1))),
            0xc0.. => {
                let to = usize::from(u16::from_be_bytes([length & 0x3f, *bytes.get(at + 1)?]));
                pointers += 1;
                if to >= at || pointers > MOST_POINTERS {
                    return None;
                }
                end = end.or(Some(at + 2));
                at = to;
            }
            0x40.. => return None,
            length => {
                let label = bytes.get(at + 1..at + 1 + usize::from(length))?;
                // Names go into log lines; a site's may hold letters of any script.
                let label = std::str::from_utf8(label).ok().filter(|label| !label.chars().any(char::is_control))?;
                if !read.is_empty() {
                    read.push('.');
                }
                read.push_str(label);
                if read.len() > LONGEST_NAME {
                    return None;
                }
                at += 1 + usize::from(length);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(name: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = name
            .split('.')
            .filter(|label| !label.is_empty())
            .flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat())
            .collect();
        bytes.push(0);
        bytes
    }

    /// A blob as a DC makes it: the host's domain and the second site are pointers.
    pub(in super::super) fn blob(domain: &str, client_site: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; NAMES];
        bytes[0] = RESPONSE_EX as u8;
        bytes.extend(labels(domain));
        bytes.extend([0xc0, NAMES as u8]);
        bytes.extend([&[3][..], b"DC1", &[0xc0, NAMES as u8]].concat());
        bytes.extend([labels("EXAMPLE"), labels("DC1"), labels("")].concat());
        bytes.extend(labels("Site-One"));
        bytes.extend(client_site);
        bytes.extend([5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes
    }

    pub(in super::super) fn datagram(id: u32, blob: &[u8]) -> Vec<u8> {
        let values = ber::element(0x31, &ber::element(OCTETS, blob));
        let attribute = ber::element(SEQUENCE, &[ber::element(OCTETS, b"netlogon"), values].concat());
        let entry = [ber::element(OCTETS, b""), ber::element(SEQUENCE, &attribute)].concat();
        ber::element(SEQUENCE, &[ber::integer(INTEGER, id), ber::element(SEARCH_ENTRY, &entry)].concat())
    }

    #[test]
    fn a_controller_tells_its_domain_and_sites() {
        let read = answer(&datagram(77, &blob("d.example", &labels("Site-Two"))), 77).unwrap();
        assert_eq!((read.domain.as_str(), read.host.as_str()), ("d.example", "dc1.d.example"));
        assert_eq!((read.dc_site.as_str(), read.client_site.as_str()), ("Site-One", "Site-Two"));
        assert_eq!(answer(&datagram(77, &blob("d.example", &[0])), 77).unwrap().client_site, "");
    }

    #[test]
    fn what_answers_another_question_is_no_answer() {
        let good = blob("d.example", &[0]);
        assert_eq!(answer(&datagram(78, &good), 77), None, "another message");
        assert_eq!(answer(&datagram(77, &[&[19, 0][..], &good[2..]].concat()), 77), None, "another kind");
        assert_eq!(answer(&datagram(77, &blob("", &[0])), 77), None, "no domain");
    }

    #[test]
    fn a_pointer_leads_backwards_or_nowhere() {
        assert_eq!(name(&[0xc0, 0], 0), None, "to itself");
        assert_eq!(name(&[0xc0, 2, 0xc0, 0], 2), None, "in a circle");
        assert_eq!(name(&[1, b'a', 0, 1, b'b', 0xc0, 0], 3), Some(("b.a".into(), 7)));
        assert_eq!(name(&[1, b'\n', 0], 0), None, "no line breaks");
    }

    proptest! {
        #[test]
        fn what_is_asked_can_be_read_back(id in 0..i32::MAX as u32, domain in "[a-z]{1,20}(\\.[a-z]{1,20}){1,3}") {
            let asked = question(id, &domain);
            let Parsed::Element(SEQUENCE, message, []) = ber::parse(&asked, LONGEST) else { panic!() };
            prop_assert_eq!(ber::unsigned(ber::children(message).next().unwrap().1), Some(id));
            prop_assert!(asked.windows(domain.len()).any(|part| part == domain.as_bytes()));
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300_usize) {
            let _ = answer(&bytes, 1);
            let _ = netlogon(&[&[RESPONSE_EX as u8, 0][..], &bytes].concat());
            let _ = answer(&datagram(1, &bytes), 1);
            if let Some((read, end)) = name(&bytes, at) {
                prop_assert!(read.len() <= LONGEST_NAME && end <= bytes.len());
            }
        }

        #[test]
        fn a_cut_or_bent_answer_does_no_harm(cut in any::<prop::sample::Index>(), bent in any::<u8>()) {
            let mut bytes = datagram(1, &blob("d.example", &labels("Site-Two")));
            let _ = answer(&bytes[..cut.index(bytes.len())], 1);
            let at = cut.index(bytes.len());
            bytes[at] = bent;
            let _ = answer(&bytes, 1);
        }
    }
}
