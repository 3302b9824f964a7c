//! autorid.tdb: which ranges idmap_autorid(8) gave to which domain. Its keys are `SID` and `SID#INDEX`, its values the
//! number of the range in four bytes, little-endian.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use entra_core::types::Sid;

use super::peer::{below, text};
use crate::exit::Failure;
use crate::process;
use crate::verbs::samba::programs::find;

/// Longest run of tdbdump.
const LIMIT: Duration = Duration::from_secs(20);

/// Domain, index and number of a range.
pub(super) type Range = (Sid, u32, u32);

/// Every range; `None` where neither a dump nor the file can be read.
///
/// # Errors
/// Where the dump that was named is not there.
pub(super) fn table(root: &Path, dump: Option<&Path>) -> Result<Option<Vec<Range>>, Failure> {
    if let Some(dump) = dump {
        return Ok(Some(parse(&text(dump)?)));
    }
    let file = below(root, "/var/lib/samba/autorid.tdb");
    let (true, Some(program)) = (file.exists(), find("tdbdump")) else { return Ok(None) };
    let done = process::run(Command::new(program).arg(&file), LIMIT, &|| false);
    Ok(done.ok().filter(|done| done.success).map(|done| parse(&done.output)))
}

/// The ranges in what tdbdump(8) prints: `key(41) = "…"`, then `data(4) = "…"`, each with `\XX` for what is no letter.
fn parse(dump: &str) -> Vec<Range> {
    let mut found = Vec::new();
    let mut key = None;
    for line in dump.lines().map(str::trim) {
        if let Some(bytes) = quoted(line, "key(") {
            key = String::from_utf8(bytes).ok();
        } else if let (Some(bytes), Some(key)) = (quoted(line, "data("), key.take())
            && let Ok(number) = <[u8; 4]>::try_from(bytes.as_slice())
        {
            let key = key.trim_end_matches('\0');
            let (sid, index) = key.split_once('#').unwrap_or((key, "0"));
            // "ALLOC" and the well-known SIDs have ranges too, which belong to no domain.
            if let (Ok(sid), Ok(index)) = (sid.parse::<Sid>(), index.parse())
                && sid.is_of_a_domain()
            {
                found.push((sid, index, u32::from_le_bytes(number)));
            }
        }
    }
    found
}

fn quoted(line: &str, kind: &str) -> Option<Vec<u8>> {
    let (_, text) = line.strip_prefix(kind)?.split_once("= \"")?;
    let mut rest = text.strip_suffix('"')?.as_bytes();
    let mut bytes = Vec::new();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = (*first == b'\\').then(|| tail.split_at_checked(2)).flatten();
        let value = escaped
            .and_then(|(digits, after)| Some((std::str::from_utf8(digits).ok()?, after)))
            .and_then(|(digits, after)| Some((u8::from_str_radix(digits, 16).ok()?, after)));
        match value {
            Some((value, after)) => {
                bytes.push(value);
                rest = after;
            }
            None => bytes.push(*first),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_dump() {
        let dump = "{\nkey(13) = \"NEXT RANGE\\00\"\ndata(4) = \"\\07\\00\\00\\00\"\n}\n\
                    {\nkey(40) = \"S-1-5-21-3623811015-3361044348-30300820\\00\"\ndata(4) = \"\\02\\00\\00\\00\"\n}\n\
                    {\nkey(42) = \"S-1-5-21-3623811015-3361044348-30300820#2\\00\"\ndata(4) = \"\\05\\00\\00\\00\"\n}\n\
                    {\nkey(11) = \"S-1-5-32\\00\"\ndata(4) = \"\\01\\00\\00\\00\"\n}\n\
                    {\nkey(2) = \"2\\00\"\ndata(40) = \"S-1-5-21-3623811015-3361044348-30300820\\00\"\n}\n";
        let sid: Sid = "S-1-5-21-3623811015-3361044348-30300820".parse().unwrap();
        assert_eq!(parse(dump), [(sid.clone(), 0, 2), (sid, 2, 5)]);
        assert_eq!(quoted("key(3) = \"a\\5Cb\"", "key("), Some(b"a\\b".to_vec()));
        assert!(parse("nothing").is_empty());
    }
}
