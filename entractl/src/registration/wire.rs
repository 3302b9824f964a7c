//! The few DNS messages that a registration needs (RFC 1035 4, RFC 2136, RFC 2930, RFC 8945), written and read.

use std::net::IpAddr;

/// Types of records.
pub(super) const A: u16 = 1;
pub(super) const SOA: u16 = 6;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
pub(super) const TKEY: u16 = 249;
pub(super) const TSIG: u16 = 250;
/// Classes.
pub(super) const IN: u16 = 1;
pub(super) const NONE: u16 = 254;
pub(super) const ANY: u16 = 255;
/// Flags of an update (opcode 5).
const UPDATE: u16 = 5 << 11;
/// Flag of an answer by a server that has the zone itself.
const AUTHORITATIVE: u16 = 0x0400;
/// How long others may keep what is registered, in seconds: one that moves is found again within the hour.
const LIFE: u32 = 3600;
/// Bytes of a header.
const HEADER: usize = 12;

/// One change of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Every record of this name and type goes.
    Clear(String, u16),
    /// This record goes.
    Remove(String, u16, Vec<u8>),
    /// This record comes.
    Add(String, u16, Vec<u8>),
}

/// A message that is no DNS message, or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DNS server's answer cannot be read")]
pub(super) struct Unreadable;

/// Appends a name, without compression. A label that is too long is cut: the server refuses the name then.
pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let bytes = &label.as_bytes()[..label.len().min(63)];
        out.push(bytes.len() as u8);
        out.extend(bytes.to_ascii_lowercase());
    }
    out.push(0);
}

/// A name alone, as the data of a PTR record.
pub(super) fn name_data(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    put_name(&mut data, name);
    data
}

/// The type and data of an address record.
pub(super) fn address_data(addr: IpAddr) -> (u16, Vec<u8>) {
    match addr {
        IpAddr::V4(addr) => (A, addr.octets().to_vec()),
        IpAddr::V6(addr) => (AAAA, addr.octets().to_vec()),
    }
}

/// The name under which an address is found in the reverse zones (RFC 1035 3.5, RFC 3596 2.5).
pub(super) fn reverse_name(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => {
            let [a, b, c, d] = addr.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(addr) => {
            let nibbles = addr.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<_> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

/// Appends a record.
pub(super) fn put_record(out: &mut Vec<u8>, name: &str, kind: u16, class: u16, ttl: u32, data: &[u8]) {
    put_name(out, name);
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    out.extend(ttl.to_be_bytes());
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
}

/// A question for one record.
pub(super) fn question(id: u16, name: &str, kind: u16, class: u16) -> Vec<u8> {
    let mut out = header(id, 0, [1, 0, 0, 0]);
    put_name(&mut out, name);
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    out
}

/// An update of one zone (RFC 2136 2).
pub(super) fn update(id: u16, zone: &str, changes: &[Change]) -> Vec<u8> {
    let mut out = header(id, UPDATE, [1, 0, changes.len() as u16, 0]);
    put_name(&mut out, zone);
    out.extend(SOA.to_be_bytes());
    out.extend(IN.to_be_bytes());
    for change in changes {
        match change {
            Change::Clear(name, kind) => put_record(&mut out, name, *kind, ANY, 0, &[]),
            Change::Remove(name, kind, data) => put_record(&mut out, name, *kind, NONE, 0, data),
            Change::Add(name, kind, data) => put_record(&mut out, name, *kind, IN, LIFE, data),
        }
    }
    out
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for field in [id, flags].into_iter().chain(counts) {
        out.extend(field.to_be_bytes());
    }
    out
}

/// One record was appended, and belongs to the additional section.
pub(super) fn count_additional(message: &mut [u8]) {
    if let Some(count) = message.get_mut(10..HEADER) {
        let now = u16::from_be_bytes([count[0], count[1]]).saturating_add(1);
        count.copy_from_slice(&now.to_be_bytes());
    }
}

/// A message that came.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// What the server says of the request (RFC 6895 2.3).
    pub(super) code: u16,
    pub(super) authoritative: bool,
    /// Answer, authority and additional section.
    pub(super) sections: [Vec<Record<'a>>; 3],
}

/// A record that came.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    /// In lower case, without a final dot.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes a message apart.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader { bytes, at: 0 };
        let _id = reader.u16()?;
        let flags = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        for _ in 0..counts[0] {
            reader.name()?;
            reader.take(4)?;
        }
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip(&counts[1..]) {
            for _ in 0..*count {
                section.push(reader.record()?);
            }
        }
        Ok(Self { code: flags & 15, authoritative: flags & AUTHORITATIVE != 0, sections })
    }
}

/// Reads fields one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let end = self.at.checked_add(count).ok_or(Unreadable)?;
        let taken = self.bytes.get(self.at..end).ok_or(Unreadable)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unreadable> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name; what it points back to is followed, a bounded number of times.
    pub(super) fn name(&mut self) -> Result<String, Unreadable> {
        let mut labels = Vec::new();
        let mut reader = *self;
        let mut end = None;
        for _ in 0..128 {
            let length = reader.take(1)?[0];
            match length {
                0 => {
                    self.at = end.unwrap_or(reader.at);
                    return Ok(labels.join("."));
                }
                1..=63 => {
                    labels.push(String::from_utf8_lossy(reader.take(length.into())?).to_lowercase());
                }
                0xc0..=0xff => {
                    let low = reader.take(1)?[0];
                    end.get_or_insert(reader.at);
                    reader.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                }
                _ => return Err(Unreadable),
            }
        }
        Err(Unreadable)
    }

    fn record(&mut self) -> Result<Record<'a>, Unreadable> {
        let name = self.name()?;
        let kind = self.u16()?;
        self.take(6)?;
        let length = self.u16()?;
        Ok(Record { name, kind, data: self.take(length.into())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_as_rfc_2136_has_it() {
        let changes = [Change::Clear("w.d".into(), A), Change::Add("W.d".into(), A, vec![10, 0, 0, 1])];
        let wanted: &[u8] = b"\x12\x34\x28\0\0\x01\0\0\0\x02\0\0\x01d\0\0\x06\0\x01\
            \x01w\x01d\0\0\x01\0\xff\0\0\0\0\0\0\
            \x01w\x01d\0\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\0\0\x01";
        assert_eq!(update(0x1234, "d", &changes), wanted);
        let gone = update(1, "d", &[Change::Remove("w.d".into(), PTR, name_data("x."))]);
        assert!(gone.ends_with(b"\x01w\x01d\0\0\x0c\0\xfe\0\0\0\0\0\x03\x01x\0"));
    }

    #[test]
    fn addresses_backwards() {
        assert_eq!(reverse_name("10.53.0.20".parse().unwrap()), "20.0.53.10.in-addr.arpa");
        let six = reverse_name("2001:db8::1".parse().unwrap());
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
        assert_eq!(six.split('.').count(), 34);
    }

    #[test]
    fn pointers_are_followed_and_circles_end() {
        let mut message = question(7, "D.example", SOA, IN);
        message[2..4].copy_from_slice(&0x8403u16.to_be_bytes());
        message[7] = 1;
        message.extend(b"\x03web\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x02hi");
        let read = Message::read(&message).unwrap();
        assert_eq!((read.code, read.authoritative), (3, true));
        let record = &read.sections[0][0];
        assert_eq!((record.name.as_str(), record.kind, record.data), ("web.d.example", SOA, &b"hi"[..]));
        for cut in 0..message.len() {
            assert!(Message::read(&message[..cut]).is_err(), "cut at {cut}");
        }
        let circle = b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x06\0\x01";
        assert!(Message::read(circle).is_err());
    }
}
