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

/// The same with one that is built for ThreadSanitizer: in a folder of its own below cargo's, because everything but the
/// standard library is compiled anew for it. The switch is rustc's unstable one, so the compiler is told to take it.
pub fn place_watched_capi(folder: &Path) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let built = FOLDER.get_or_init(|| {
        let target = built().parent().unwrap().join("watched");
        std::fs::create_dir_all(&target).unwrap();
        let object = target.join("tsan-memory.o");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/tsan-memory.c");
        let compiled =
            Command::new("cc").args(["-O1", "-fPIC", "-fno-builtin", "-c", source, "-o"]).arg(&object).status();
        assert!(compiled.unwrap().success(), "{source} does not compile");
        let flags = format!(
            "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer -Clink-arg={} -Clink-arg=-ltsan",
            object.display()
        );
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // With a target that is named, flags are not for build scripts.
        let machine = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "entra-capi", "--target", &machine, "--target-dir"]).arg(&target);
        build.current_dir(env!("CARGO_MANIFEST_DIR")).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
        assert!(build.status().unwrap().success(), "libentra does not build for ThreadSanitizer");
        target.join(machine).join("debug")
    });
    place(&built.join("libentra.so"), &folder.join("libentra.so.1"))
}
