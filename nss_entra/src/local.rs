//! What stands in `/etc/passwd` and `/etc/group` is not ours: the files are looked at for every record that would be
//! given, so that neither a daemon's fault nor the order in nsswitch.conf puts the directory before a local account.

use std::path::Path;

use entra_wire::local;
use entra_wire::local_names::LocalNames;
use entra_wire::reserved::Reserved;

use crate::status::Failure;

pub(crate) use entra_wire::local::{group, passwd};

/// Says [`Failure::NotFound`] where one of `names`, in whatever letter case, or `id` has a line in `file`, and
/// [`Failure::TryLater`] where the file cannot be read: then nothing is known.
pub(crate) fn refuse_local(file: &Path, names: &[&[u8]], id: Option<u32>) -> Result<(), Failure> {
    let mut hit = false;
    let read = local::scan(file, |entry, number| {
        hit = names.iter().any(|name| name.eq_ignore_ascii_case(entry)) || (id.is_some() && number == id);
        hit
    });
    match (hit, read) {
        (true, _) => Err(Failure::NotFound),
        (false, Some(())) => Ok(()),
        (false, None) => Err(Failure::TryLater),
    }
}

/// The ids in `file` that `wanted` holds for: mostly none.
pub(crate) fn ids(file: &Path, wanted: impl Fn(u32) -> bool) -> Result<Vec<u32>, Failure> {
    let mut ids = Vec::new();
    let read = local::scan(file, |_, number| {
        ids.extend(number.filter(|id| wanted(*id)));
        false
    });
    read.map(|()| ids).ok_or(Failure::TryLater)
}

/// The names of a file, however many there are.
pub(crate) fn names(file: &Path) -> Result<LocalNames, Failure> {
    LocalNames::read(file, usize::MAX, &Reserved::NONE, |_| false).map_err(|_| Failure::TryLater)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_of_the_file_are_refused() {
        let file = std::env::temp_dir().join(format!("entra-refuse-{}", std::process::id()));
        std::fs::write(&file, "root:x:0:0::/:/bin/sh\nbob:x:300000:300000::/:/bin/sh\n").unwrap();
        assert_eq!(refuse_local(&file, &[b"alice", b"bob"], None), Err(Failure::NotFound));
        assert_eq!(refuse_local(&file, &[b"alice"], Some(300_000)), Err(Failure::NotFound));
        assert_eq!(refuse_local(&file, &[b"alice"], Some(300_001)), Ok(()));
        assert_eq!(ids(&file, |id| id > 1000), Ok(vec![300_000]));
        // sudo takes a group Sudo for %sudo.
        assert_eq!(refuse_local(&file, &[b"alice", b"BoB"], None), Err(Failure::NotFound));
        let local = names(&file).unwrap();
        assert!(local.have(b"root") && local.have(b"bob") && !local.have(b"alice") && !local.have(b""));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(refuse_local(&file, &[b"alice"], None), Err(Failure::TryLater));
        assert!(names(&file).is_err());
    }
}
