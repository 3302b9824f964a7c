//! `cargo xtask package deb|rpm`: the packages of the contract, into `target/packages`.
//!
//! For Debian, what is in a package stands in `[package.metadata.deb]` of its crate and in `packaging/`; this file builds the
//! binaries and the generated documents, runs cargo-deb for each package and checks what came out.

mod rpm;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;
use crate::run::{self, Outcome, root};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Kind of package
    #[arg(value_enum)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Debian and Ubuntu
    Deb,
    /// RHEL and Fedora
    Rpm,
}

/// One package: the crate that describes it, the variant of the description, and whether its libraries go to the
/// folder of the architecture, so that several architectures can be installed side by side.
struct Package {
    name: &'static str,
    from: &'static str,
    variant: Option<&'static str>,
    multiarch: bool,
}

const PACKAGES: [Package; 5] = [
    Package { name: "entrad", from: "entrad", variant: None, multiarch: false },
    Package { name: "libnss-entra", from: "nss_entra", variant: None, multiarch: true },
    Package { name: "libpam-entra", from: "pam_entra", variant: None, multiarch: true },
    Package { name: "libentra1", from: "entra-capi", variant: Some("lib"), multiarch: true },
    Package { name: "libentra-dev", from: "entra-capi", variant: Some("dev"), multiarch: true },
];

/// Shared objects whose file name in the package is not cargo's: staged under it, without symbols that nobody links.
const STAGED: [(&str, &str, &str); 2] =
    [("libnss_entra.so", "libnss_entra.so.2", "libnss-entra"), ("libentra.so", "libentra.so.1", "libentra1")];

/// Packages of the same version that a package asks for, beside the one that asks.
const SAME_VERSION: [(&str, &str); 3] =
    [("entrad", "libnss-entra"), ("entrad", "libpam-entra"), ("libentra-dev", "libentra1")];

/// Does it.
///
/// # Errors
/// Which step failed; the packages of an earlier run are gone then, so that none is taken for a new one.
pub fn run(options: &Options) -> Outcome {
    match options.format {
        Format::Deb => deb(),
        Format::Rpm => rpm::run(),
    }
}

/// The Debian packages.
///
/// # Errors
/// Which step failed.
pub fn deb() -> Outcome {
    let folder = folder_without("deb")?;
    needs::build()?;
    build()?;
    let triplet = output(Command::new("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH"))?;
    documents(&format!("lib/{}", triplet.trim()))?;
    stage()?;
    let cargo_deb = cargo_deb()?;
    for package in &PACKAGES {
        println!("packing {}", package.name);
        let mut command = Command::new(&cargo_deb);
        command.args(["deb", "--quiet", "--no-build", "--strip", "--package", package.from]);
        command.arg("--output").arg(&folder).current_dir(root());
        if let Some(variant) = package.variant {
            command.args(["--variant", variant]);
        }
        if package.multiarch {
            command.arg("--multiarch=same");
        }
        run::run(&mut command)?;
    }
    add_shlibs(&folder)?;
    enough_libc(&folder)?;
    let version = same_versions(&folder)?;
    println!("{} packages of version {version} in {}", PACKAGES.len(), folder.display());
    Ok(())
}

/// `target/packages` without the packages of one kind.
fn folder_without(ending: &str) -> Result<PathBuf, String> {
    let folder = root().join("target/packages");
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(wrong)?;
    for entry in std::fs::read_dir(&folder).map_err(wrong)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|found| found == ending) {
            std::fs::remove_file(&path).map_err(wrong)?;
        }
    }
    Ok(folder)
}

/// Everything that is packed, by one cargo run: features are unified in the same way for all.
fn build() -> Outcome {
    let mut command = cargo();
    command.args(["build", "--release", "--package", "entractl", "--package", "entra-krb5-plugin"]);
    for package in &PACKAGES {
        command.args(["--package", package.from]);
    }
    run::run(&mut command)
}

/// What is made from the code and from templates: man pages, the example configuration, completions, and entra.pc for
/// the folder of libraries below `/usr`.
fn documents(libraries: &str) -> Outcome {
    let folder = root().join("target/docs-gen");
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "entractl", "--example", "docs", "--"]).arg(&folder);
    run::run(&mut command)?;
    let template = root().join("packaging/pkgconfig/entra.pc.in");
    let text = std::fs::read_to_string(&template).map_err(|error| format!("{}: {error}", template.display()))?;
    let text = text.replace("@LIBDIR@", libraries).replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    let file = folder.join("entra.pc");
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// The shared objects of [`STAGED`].
fn stage() -> Outcome {
    let folder = root().join("target/deb-stage");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (built, staged, _) in STAGED {
        let from = target().join("release").join(built);
        run::run(Command::new("strip").arg("--strip-unneeded").arg("-o").arg(folder.join(staged)).arg(from))?;
    }
    Ok(())
}

/// libentra1's `shlibs` (deb-shlibs(5)), which cargo-deb does not write: packages of programs that link with the library
/// find their dependency by it.
fn add_shlibs(folder: &Path) -> Outcome {
    let file = find(folder, "libentra1")?;
    let unpacked = root().join("target/deb-stage/libentra1");
    if unpacked.exists() {
        std::fs::remove_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    }
    run::run(Command::new("dpkg-deb").arg("--raw-extract").arg(&file).arg(&unpacked))?;
    let shlibs = unpacked.join("DEBIAN/shlibs");
    let line = concat!("libentra 1 libentra1 (>= ", env!("CARGO_PKG_VERSION"), ")\n");
    std::fs::write(&shlibs, line).map_err(|error| format!("{}: {error}", shlibs.display()))?;
    let mut build = Command::new("dpkg-deb");
    // xz, as cargo-deb packs: a dpkg of Debian 11 reads no zstd, which is the default elsewhere.
    run::run(build.args(["-Zxz", "--root-owner-group", "--build"]).arg(&unpacked).arg(&file))
}

/// That the packages of [`STAGED`] ask for a libc that has every symbol version which they need.
fn enough_libc(folder: &Path) -> Outcome {
    for (_, staged, package) in STAGED {
        let object = root().join("target/deb-stage").join(staged);
        let text = output(Command::new("readelf").args(["--wide", "--version-info"]).arg(object))?;
        let needed = text
            .split(|c: char| c.is_whitespace())
            .filter_map(|word| number(word.strip_prefix("GLIBC_")?))
            .max()
            .ok_or_else(|| format!("readelf names no symbol version of libc in {staged}"))?;
        let depends = field(folder, package, "Depends")?;
        let asked = depends.split(", ").find_map(|one| number(one.strip_prefix("libc6 (>= ")?.strip_suffix(')')?));
        if asked.is_none_or(|asked| asked < needed) {
            return Err(format!(
                "{staged} needs libc6 {}.{}: change `depends` in {package}'s [package.metadata.deb]; it says `{depends}`",
                needed.0, needed.1
            ));
        }
    }
    Ok(())
}

/// `2.34` as numbers that compare.
fn number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// cargo-deb as installed, or installed now into `target/tools`.
fn cargo_deb() -> Result<PathBuf, String> {
    let own = root().join("target/tools/bin/cargo-deb");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("cargo-deb")).find(|file| file.is_file());
    if let Some(found) = installed.or_else(|| own.is_file().then(|| own.clone())) {
        return Ok(found);
    }
    println!("installing cargo-deb into target/tools");
    let mut command = cargo();
    command.args(["install", "--quiet", "--locked", "cargo-deb", "--root"]).arg(root().join("target/tools"));
    run::run(&mut command)?;
    Ok(own)
}

/// That every package asks for exactly the version of the others that was built with it: the numbers stand in
/// `[package.metadata.deb]`, which knows no variables. Gives the version.
fn same_versions(folder: &Path) -> Result<String, String> {
    let version = field(folder, "entrad", "Version")?;
    for (package, other) in SAME_VERSION {
        let depends = field(folder, package, "Depends")?;
        let wanted = format!("{other} (= {version})");
        if !depends.split(", ").any(|one| one == wanted) {
            return Err(format!(
                "{package} must depend on `{wanted}`: change `depends` in its [package.metadata.deb]; it says `{depends}`"
            ));
        }
    }
    Ok(version)
}

fn field(folder: &Path, package: &str, field: &str) -> Result<String, String> {
    let file = find(folder, package)?;
    Ok(output(Command::new("dpkg-deb").arg("--field").arg(file).arg(field))?.trim().to_owned())
}

/// The file of a package.
fn find(folder: &Path, package: &str) -> Result<PathBuf, String> {
    let prefix = format!("{package}_");
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .ok_or_else(|| format!("cargo-deb made no {package} in {}", folder.display()))
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| format!("cannot start {name} (packages dpkg-dev, binutils): {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
