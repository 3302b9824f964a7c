//! libkrb5's plugin for TLS, k5tls: without it a KDC with an `https:` URL counts as one that does not answer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Where it is below a folder of libraries.
const PLUGIN: &str = "krb5/plugins/tls/k5tls.so";
/// Folders of libraries; Debian has one of the architecture's name below.
const FOLDERS: [&str; 3] = ["usr/lib64", "usr/lib", "lib"];

/// Where the plugin is installed below `root`.
///
/// # Errors
/// Where it is not, with what brings it.
pub(super) fn find(root: &Path) -> Result<PathBuf, Failure> {
    let folders = FOLDERS.iter().map(|folder| root.join(folder));
    let below = |folder: &PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut places =
        folders.flat_map(|folder| std::iter::once(folder.clone()).chain(below(&folder).collect::<Vec<_>>()));
    places.find_map(|folder| Some(folder.join(PLUGIN)).filter(|file| file.is_file())).ok_or_else(|| {
        Failure::no("k5tls", "libkrb5 cannot speak TLS: its plugin k5tls is missing")
            .remedy("`apt-get install krb5-k5tls`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    #[test]
    fn it_is_found_below_the_architecture() {
        let folder = Folder::new();
        assert!(find(&folder.0).unwrap_err().remedy.unwrap().contains("krb5-k5tls"));
        let tls = folder.0.join("usr/lib/x86_64-linux-gnu/krb5/plugins/tls");
        fs::create_dir_all(&tls).unwrap();
        assert!(find(&folder.0).is_err(), "an empty folder is no plugin");
        fs::write(tls.join("k5tls.so"), "").unwrap();
        assert_eq!(find(&folder.0).unwrap(), tls.join("k5tls.so"));
    }
}
