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

#[cfg(test)]
mod tests {
    use super::*;
    use entra_krb5::Principal;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn in_folder(work: impl FnOnce(&std::path::Path)) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("entra-ticket-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        work(&folder);
        fs::remove_dir_all(&folder).unwrap();
    }

    fn write_to(path: &std::path::Path) -> Result<String, String> {
        let context = Context::without_realm().unwrap();
        let ccache = Ccache::memory(&context).unwrap();
        ccache.initialize(&Principal::parse(&context, "alice@A.EXAMPLE").unwrap()).unwrap();
        write(&context, &ccache, path.to_str().unwrap())
    }

    fn owner_in(path: &str) -> String {
        let context = Context::without_realm().unwrap();
        Ccache::resolve(&context, &format!("FILE:{path}")).unwrap().owner().unwrap().to_string()
    }

    #[test]
    fn an_old_file_is_replaced_whole() {
        in_folder(|folder| {
            let path = folder.join("krb5cc");
            fs::write(&path, "old").unwrap();
            assert_eq!(write_to(&path).as_deref(), Ok(path.to_str().unwrap()));
            assert_eq!(owner_in(path.to_str().unwrap()), "alice@A.EXAMPLE");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
            assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        });
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        in_folder(|folder| {
            let (path, precious) = (folder.join("krb5cc"), folder.join("precious"));
            fs::write(&precious, "precious").unwrap();
            symlink(&precious, &path).unwrap();
            write_to(&path).unwrap();
            assert_eq!(fs::read(&precious).unwrap(), b"precious");
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
        });
    }

    #[test]
    fn a_name_that_cannot_be_had_gets_one_beside_it() {
        in_folder(|folder| {
            // A folder stands for somebody else's file in a sticky folder: neither can be renamed over.
            let path = folder.join("krb5cc");
            fs::create_dir(&path).unwrap();
            let written = write_to(&path).unwrap();
            assert!(written.starts_with(path.to_str().unwrap()) && written.len() > path.to_str().unwrap().len());
            assert_eq!(owner_in(&written), "alice@A.EXAMPLE");
        });
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = write_to(std::path::Path::new("/nonexistent/krb5cc")).unwrap_err();
        assert!(error.contains("/nonexistent/krb5cc"), "{error}");
    }
}
