//! Writes a FILE ccache beside its final name and renames it over that: readers see the old one or the new one, whole.
//! Call it as the user who is to own the file: then no path, link or folder of theirs can make root write anywhere.

use std::fs;
use std::io::Read;

use entra_krb5::{Ccache, Context};

/// Letters of the suffix, as mkstemp(3) has them.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Length of the suffix.
const SUFFIX: usize = 10;

/// Copies `from` to a FILE ccache and gives the path that it has: `path`, or one beside it where `path` belongs to
/// somebody else in a sticky folder. libkrb5 makes the file with `O_EXCL` and mode 0600, following no link.
///
/// # Errors
/// A sentence with libkrb5's words.
pub(crate) fn write(context: &Context, from: &Ccache<'_>, path: &str) -> Result<String, String> {
    let beside = format!("{path}_{}", suffix().map_err(|error| format!("/dev/urandom: {error}"))?);
    let copy = || {
        let to = Ccache::resolve(context, &format!("FILE:{beside}"))?;
        from.copy_to(&to)
    };
    if let Err(error) = copy() {
        // Half a ccache is worse than none. Fails where nothing was made.
        let _ = fs::remove_file(&beside);
        return Err(format!("the ccache {beside} cannot be written: {error}"));
    }
    // rename replaces a link itself, never what it points to.
    match fs::rename(&beside, path) {
        Ok(()) => Ok(path.to_owned()),
        Err(_) => Ok(beside),
    }
}

fn suffix() -> std::io::Result<String> {
    let mut random = [0; SUFFIX];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}
