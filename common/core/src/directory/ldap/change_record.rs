//! When an attribute was changed, and by which domain controller: as Windows tells it in XML (`msDS-ReplAttributeMetaData`,
//! MS-ADTS 3.1.1.4.5.18) and as Samba stores it (`replPropertyMetaData`, an NDR blob of version 1).

/// The attribute's number in `replPropertyMetaData` (MS-DRSR 5.16.4): unicodePwd.
const UNICODE_PWD: u32 = 0x0009_005a;
/// Length of the blob's head, and of each record in it.
const HEAD: usize = 16;
const RECORD: usize = 48;
/// Seconds from 1601 to 1970.
const EPOCH: u64 = 11_644_473_600;

/// A change of an attribute, as its originator wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in Unix seconds; `None` where it was written in another form.
    pub at: Option<u64>,
    /// How often the attribute was changed.
    pub version: u32,
    /// The originator's update sequence number.
    pub usn: u64,
    /// The originator: DN of its settings, or its invocation id.
    pub origin: String,
}

/// The last change of `unicodePwd` in the blob.
pub(super) fn of_blob(blob: &[u8]) -> Option<Change> {
    let (head, rest) = blob.split_at_checked(HEAD)?;
    if head[..4] != 1u32.to_le_bytes() {
        return None;
    }
    let (records, _) = rest.as_chunks::<RECORD>();
    let long = |record: &[u8; RECORD], at: usize| record[at..at + 8].try_into().ok().map(u64::from_le_bytes);
    let short = |record: &[u8; RECORD], at: usize| record[at..at + 4].try_into().ok().map(u32::from_le_bytes);
    let found = records.iter().find(|record| short(record, 0) == Some(UNICODE_PWD))?;
    Some(Change {
        at: long(found, 8)?.checked_sub(EPOCH),
        version: short(found, 4)?,
        usn: long(found, 32)?,
        origin: guid(found[16..32].try_into().ok()?),
    })
}

/// The last change of `unicodePwd` among the values, one of XML per attribute.
pub(super) fn of_xml<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Change> {
    values.into_iter().find_map(|value| {
        let text = String::from_utf8_lossy(value);
        let field = |name: &str| {
            let (_, behind) = text.split_once(&format!("<{name}>"))?;
            behind.split_once("</").map(|(inside, _)| inside.trim().to_owned())
        };
        if !field("pszAttributeName")?.eq_ignore_ascii_case("unicodePwd") {
            return None;
        }
        let origin = field("pszLastOriginatingDsaDN").filter(|dn| !dn.is_empty());
        Some(Change {
            at: field("ftimeLastOriginatingChange").and_then(|time| unix(&time)),
            version: field("dwVersion")?.parse().ok()?,
            usn: field("usnOriginatingChange")?.parse().ok()?,
            origin: origin.or_else(|| field("uuidLastOriginatingDsaInvocationID"))?,
        })
    })
}

/// `2026-11-20T10:15:27Z` in Unix seconds.
fn unix(time: &str) -> Option<u64> {
    let digits: String = time.strip_suffix('Z')?.chars().filter(char::is_ascii_digit).collect();
    super::root_dse::generalized_time(&format!("{digits}Z")).and_then(|seconds| u64::try_from(seconds).ok())
}

/// A GUID as it is written: the first three groups are little-endian numbers (MS-DTYP 2.3.4.2).
fn guid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes([
        bytes[3], bytes[2], bytes[1], bytes[0], bytes[5], bytes[4], bytes[7], bytes[6], bytes[8], bytes[9], bytes[10],
        bytes[11], bytes[12], bytes[13], bytes[14], bytes[15],
    ]);
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(attribute: u32, version: u32, at: u64, usn: u64) -> Vec<u8> {
        let origin: Vec<u8> = (0..16).collect();
        let parts = [
            &attribute.to_le_bytes()[..],
            &version.to_le_bytes(),
            &(at + EPOCH).to_le_bytes(),
            &origin,
            &usn.to_le_bytes(),
            &9u64.to_le_bytes(),
        ];
        parts.concat()
    }

    fn blob(records: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(records.len()).unwrap().to_le_bytes();
        [&1u32.to_le_bytes()[..], &[0; 4], &count, &[0; 4], &records.concat()].concat()
    }

    #[test]
    fn the_key_has_its_own_record() {
        let read = of_blob(&blob(&[record(0, 1, 5, 5), record(UNICODE_PWD, 3, 1_795_169_727, 4711)])).unwrap();
        assert_eq!((read.at, read.version, read.usn), (Some(1_795_169_727), 3, 4711));
        assert_eq!(read.origin, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(of_blob(&blob(&[record(0, 1, 5, 5)])), None);
    }

    #[test]
    fn windows_tells_it_in_xml() {
        let one = |name: &str| {
            format!(
                "<DS_REPL_ATTR_META_DATA>\n\t<pszAttributeName>{name}</pszAttributeName>\n\t<dwVersion>2</dwVersion>\n\t\
                 <ftimeLastOriginatingChange>2026-11-20T10:15:27Z</ftimeLastOriginatingChange>\n\t\
                 <uuidLastOriginatingDsaInvocationID>03020100-0504-0706-0809-0a0b0c0d0e0f\
                 </uuidLastOriginatingDsaInvocationID>\n\t<usnOriginatingChange>4711</usnOriginatingChange>\n\t\
                 <pszLastOriginatingDsaDN>CN=NTDS Settings,CN=DC1</pszLastOriginatingDsaDN>\n</DS_REPL_ATTR_META_DATA>\0"
            )
        };
        let values = [one("cn"), one("unicodePwd")];
        let read = of_xml(values.iter().map(String::as_bytes)).unwrap();
        assert_eq!((read.at, read.version, read.usn), (Some(1_795_169_727), 2, 4711));
        assert_eq!(read.origin, "CN=NTDS Settings,CN=DC1");
        assert_eq!(of_xml([one("cn").as_bytes()]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (of_blob(&bytes), of_blob(&blob(std::slice::from_ref(&bytes))), of_xml([bytes.as_slice()]));
        }
    }
}
