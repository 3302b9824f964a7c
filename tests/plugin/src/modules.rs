//! The modules, built as the tests were, under the names that glibc and libpam load.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder in which cargo put both modules: `target/debug` or `target/release`.
///
/// Builds them at the first call: cargo builds no cdylib for a test that depends on it.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/PROFILE/deps/nss-0123456789abcdef
        let program = std::env::current_exe().unwrap();
        let folder = program.parent().and_then(Path::parent).unwrap().to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "nss_entra", "--package", "pam_entra", "--target-dir"]);
        build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the modules do not build");
        folder
    })
}

/// Puts the NSS module into `folder` under its soname, for LD_LIBRARY_PATH; gives its path.
pub fn place_nss(folder: &Path) -> PathBuf {
    place(folder, "libnss_entra.so", "libnss_entra.so.2")
}

/// Puts the PAM module into `folder`; gives its path, which a PAM configuration may name.
pub fn place_pam(folder: &Path) -> PathBuf {
    place(folder, "libpam_entra.so", "pam_entra.so")
}

fn place(folder: &Path, built_as: &str, name: &str) -> PathBuf {
    let path = folder.join(name);
    // A copy and not a link: another user's process may have to read it.
    std::fs::copy(built().join(built_as), &path).unwrap_or_else(|error| panic!("{built_as}: {error}"));
    path
}
