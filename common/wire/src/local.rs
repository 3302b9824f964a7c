//! Who stands in `/etc/passwd` and `/etc/group`: local accounts win over the directory, decided here without NSS.
//!
//! The files are read line by line into one bounded buffer, as `nss_files` would see them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line that is looked at, in bytes; longer ones are skipped.
const MAX_LINE: u64 = 64 * 1024;

/// The name, and the id in the third field, of each line of a passwd or group file. Gives `None` when the file cannot
/// be read.
///
/// `found` returns true to stop.
pub fn scan(path: &Path, mut found: impl FnMut(&[u8], Option<u32>) -> bool) -> Option<()> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
        if read == 0 {
            return Some(());
        }
        let mut fields = line.strip_suffix(b"\n").unwrap_or(&line).split(|byte| *byte == b':');
        let name = fields.next().unwrap_or_default();
        let id = fields.nth(1).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        if name.is_empty() || name.starts_with(b"#") || matches!(name[0], b'+' | b'-') {
            continue;
        }
        if found(name, id) {
            return Some(());
        }
    }
}

/// Whether `name` has a line in the passwd or group file at `path`.
///
/// An unreadable file counts as "yes": nobody gains a local name because a file could not be opened.
pub fn has_name(path: &Path, name: &[u8]) -> bool {
    let mut hit = false;
    let read = scan(path, |entry, _| {
        hit = entry == name;
        hit
    });
    hit || read.is_none()
}

/// Local users.
pub fn passwd() -> &'static Path {
    Path::new("/etc/passwd")
}

/// Local groups.
pub fn group() -> &'static Path {
    Path::new("/etc/group")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_found() {
        let path = std::env::temp_dir().join(format!("entra-local-{}", std::process::id()));
        std::fs::write(&path, "root:x:0:0::/root:/bin/sh\n# note\n+nis\nbob:x:1000:1000::/:/bin/sh").unwrap();
        assert!(has_name(&path, b"root") && has_name(&path, b"bob"));
        assert!(!has_name(&path, b"bo") && !has_name(&path, b"+nis") && !has_name(&path, b"x"));
        let mut ids = Vec::new();
        scan(&path, |_, id| {
            ids.extend(id);
            false
        });
        assert_eq!(ids, [0, 1000]);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_nobody() {
        assert!(has_name(Path::new("/nonexistent/passwd"), b"alice"));
    }
}
