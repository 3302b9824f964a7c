//! The keytab file (format 0x0502, MIT krb5 "The keytab file format"): which keys are in it, and taking a realm's out.
//! Keys themselves are never copied out of the buffer.

use zeroize::Zeroizing;

/// What stands beside a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name without the realm, components joined by `/`.
    pub name: String,
    /// Realm.
    pub realm: String,
    /// Key version number.
    pub kvno: u32,
    /// Encryption type (RFC 3961 registry).
    pub enctype: u16,
}

impl Entry {
    /// Whether the key is AES with HMAC (RFC 3962: 17 and 18; RFC 8009: 19 and 20).
    pub fn is_aes(&self) -> bool {
        matches!(self.enctype, 17..=20)
    }
}

/// A file that is no keytab of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a keytab of format 0x0502, or cut off")]
pub struct NotAKeytab;

/// The entries, in the file's order; an empty file is an empty keytab.
///
/// # Errors
/// [`NotAKeytab`].
pub fn entries(file: &[u8]) -> Result<Vec<Entry>, NotAKeytab> {
    records(file)?.into_iter().filter_map(|record| record.entry).map(Ok).collect()
}

/// The entries of a realm.
///
/// # Errors
/// [`NotAKeytab`].
pub fn of_realm(file: &[u8], realm: &str) -> Result<Vec<Entry>, NotAKeytab> {
    Ok(entries(file)?.into_iter().filter(|entry| entry.realm.eq_ignore_ascii_case(realm)).collect())
}

/// The file without the entries of `realm`; every other byte stays. The header alone is left of a keytab that had
/// nothing else.
///
/// # Errors
/// [`NotAKeytab`].
pub fn without_realm(file: &[u8], realm: &str) -> Result<Zeroizing<Vec<u8>>, NotAKeytab> {
    without(file, |entry| entry.realm.eq_ignore_ascii_case(realm))
}

/// The file without those entries that `goes` picks; every other byte stays.
///
/// # Errors
/// [`NotAKeytab`].
pub fn without(file: &[u8], goes: impl Fn(&Entry) -> bool) -> Result<Zeroizing<Vec<u8>>, NotAKeytab> {
    let mut kept = Zeroizing::new(Vec::with_capacity(file.len()));
    kept.extend_from_slice(file.get(..2).unwrap_or_default());
    for record in records(file)? {
        if !record.entry.as_ref().is_some_and(&goes) {
            kept.extend_from_slice(record.bytes);
        }
    }
    Ok(kept)
}

/// The entries of both files in one; each may be empty.
///
/// # Errors
/// [`NotAKeytab`] where one of them is none.
pub fn merged(file: &[u8], more: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAKeytab> {
    entries(file)?;
    entries(more)?;
    let mut merged = Zeroizing::new(Vec::with_capacity(file.len() + more.len()));
    let (first, second) = if file.is_empty() { (more, &[][..]) } else { (file, more.get(2..).unwrap_or_default()) };
    merged.extend_from_slice(first);
    merged.extend_from_slice(second);
    Ok(merged)
}

/// One length-prefixed record; a hole (a deleted entry) has no entry in it.
struct Record<'a> {
    bytes: &'a [u8],
    entry: Option<Entry>,
}

fn records(file: &[u8]) -> Result<Vec<Record<'_>>, NotAKeytab> {
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let mut rest = file.strip_prefix(&[5, 2]).ok_or(NotAKeytab)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (head, body) = rest.split_at_checked(4).ok_or(NotAKeytab)?;
        let size = i32::from_be_bytes(head.try_into().map_err(|_| NotAKeytab)?);
        if size == 0 {
            // libkrb5 takes a size of 0 for the end.
            break;
        }
        let length = size.unsigned_abs() as usize;
        let entry = match body.get(..length).ok_or(NotAKeytab)? {
            body if size > 0 => Some(entry(body).ok_or(NotAKeytab)?),
            _ => None,
        };
        let (record, after) = rest.split_at(4 + length);
        records.push(Record { bytes: record, entry });
        rest = after;
    }
    Ok(records)
}

fn entry(body: &[u8]) -> Option<Entry> {
    let mut fields = Fields(body);
    let components = fields.u16()?;
    let realm = fields.text()?;
    let name = (0..components).map(|_| fields.text()).collect::<Option<Vec<_>>>()?.join("/");
    fields.bytes(4)?; // name type
    fields.bytes(4)?; // time
    let short_kvno = fields.bytes(1)?[0];
    let enctype = fields.u16()?;
    let key = fields.u16()?;
    fields.bytes(usize::from(key))?;
    // A kvno of 32 bits follows where there is room for one; 0 there means that the short one counts.
    let long_kvno = fields.bytes(4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let kvno = if long_kvno == 0 { u32::from(short_kvno) } else { long_kvno };
    Some(Entry { name, realm, kvno, enctype })
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        self.bytes(length).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One record of a keytab.
    pub(crate) fn record(name: &str, realm: &str, kvno: u32, enctype: u16) -> Vec<u8> {
        let mut body = Vec::new();
        let parts: Vec<_> = name.split('/').collect();
        body.extend((parts.len() as u16).to_be_bytes());
        for text in std::iter::once(realm).chain(parts) {
            body.extend((text.len() as u16).to_be_bytes());
            body.extend(text.as_bytes());
        }
        body.extend([0, 0, 0, 1, 0, 0, 0, 0, kvno as u8]);
        body.extend(enctype.to_be_bytes());
        body.extend([0, 4, 1, 2, 3, 4]);
        body.extend(kvno.to_be_bytes());
        let mut record = (body.len() as i32).to_be_bytes().to_vec();
        record.extend(body);
        record
    }

    #[test]
    fn a_realm_goes_and_the_rest_stays_byte_for_byte() {
        let other = record("nfs/host.example", "EXAMPLE", 3, 23);
        let hole = [&(-6i32).to_be_bytes()[..], &[0; 6]].concat();
        let ours = record("HOST$", "AADDS.CONTOSO.COM", 300, 18);
        let file = [&[5, 2][..], &other, &ours, &hole, &ours].concat();
        let seen = entries(&file).unwrap();
        assert_eq!(seen.len(), 3);
        let expected = Entry { name: "HOST$".into(), realm: "AADDS.CONTOSO.COM".into(), kvno: 300, enctype: 18 };
        assert_eq!(seen[1], expected);
        assert!(seen[1].is_aes() && !seen[0].is_aes());
        assert_eq!(seen[0].name, "nfs/host.example");
        let left = without_realm(&file, "AADDS.CONTOSO.COM").unwrap();
        assert_eq!(*left, [&[5, 2][..], &other, &hole].concat());
        assert_eq!(*without_realm(&file, "NOBODY").unwrap(), file);
    }

    #[test]
    fn entries_of_two_files() {
        let (one, two) = (record("nfs/h", "A", 1, 18), record("HOST$", "B", 2, 17));
        let file = |records: &[&[u8]]| [&[5, 2], records.concat().as_slice()].concat();
        assert_eq!(*merged(&file(&[&one]), &file(&[&two])).unwrap(), file(&[&one, &two]));
        assert_eq!(*merged(b"", &file(&[&two])).unwrap(), file(&[&two]));
        assert_eq!(*merged(&file(&[&one]), b"").unwrap(), file(&[&one]));
        assert_eq!(merged(b"x", &file(&[&two])), Err(NotAKeytab));
    }

    #[test]
    fn what_is_no_keytab_is_refused_at_every_cut() {
        assert_eq!(entries(b""), Ok(Vec::new()));
        assert_eq!(entries(b"hello"), Err(NotAKeytab));
        let file = [&[5, 2][..], &record("HOST$", "R", 1, 18)].concat();
        for cut in 3..file.len() {
            assert_eq!(entries(&file[..cut]), Err(NotAKeytab), "cut at {cut}");
        }
    }
}
