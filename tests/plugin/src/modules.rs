//! The modules and libentra, built as the tests were, under the names that programs load them by.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder in which cargo put them: `target/debug` or `target/release`.
///
/// Builds them at the first call: cargo builds no cdylib for a test that depends on it.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/PROFILE/deps/nss-0123456789abcdef
        let program = std::env::current_exe().unwrap();
        let folder = program.parent().and_then(Path::parent).unwrap().to_owned();
        build(folder.parent().unwrap(), folder.ends_with("release"));
        folder
    })
}

/// The same for a release build, whatever the tests are.
fn released() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = built().parent().unwrap();
        build(target, true);
        target.join("release")
    })
}

fn build(target: &Path, release: bool) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--package",
        "nss_entra",
        "--package",
        "pam_entra",
        "--package",
        "entra-capi",
        "--target-dir",
    ]);
    build.arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    if release {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the modules do not build");
}

/// Puts the NSS module into `folder` under its soname, for LD_LIBRARY_PATH; gives its path.
pub fn place_nss(folder: &Path) -> PathBuf {
    place(&built().join("libnss_entra.so"), &folder.join("libnss_entra.so.2"))
}

/// The same with the release build of it.
pub fn place_released_nss(folder: &Path) -> PathBuf {
    place(&released().join("libnss_entra.so"), &folder.join("libnss_entra.so.2"))
}

/// Puts the PAM module into `folder`; gives its path, which a PAM configuration may name.
pub fn place_pam(folder: &Path) -> PathBuf {
    place(&built().join("libpam_entra.so"), &folder.join("pam_entra.so"))
}

/// Puts libentra into `folder` under its soname; gives its path.
pub fn place_capi(folder: &Path) -> PathBuf {
    place(&built().join("libentra.so"), &folder.join("libentra.so.1"))
}

fn place(built: &Path, path: &Path) -> PathBuf {
    // A copy and not a link: another user's process may have to read it.
    std::fs::copy(built, path).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    path.to_owned()
}
