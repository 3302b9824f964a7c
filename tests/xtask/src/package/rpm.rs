//! The packages for RHEL and Fedora, by rpmbuild from `packaging/rpm/entrad.spec`: it packs what cargo has built here.
//!
//! They run where libc is as new as the newest symbol version that the binaries ask for; rpm checks that, and
//! [`newest_libc`] tells whoever packs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{build, documents, folder_without, number, output, target};
use crate::needs;
use crate::run::{self, Outcome, root};

/// The packages that come out on every host; a policy of SELinux comes out beside them where the distribution has one.
const PACKAGES: [&str; 5] = ["entrad", "libnss-entra", "libpam-entra", "libentra", "libentra-devel"];

/// Where RHEL and Fedora have 64-bit libraries.
const LIBRARIES: &str = "lib64";

/// libc of RHEL 9, the oldest that the packages are for.
const OLDEST_LIBC: (u32, u32) = (2, 34);

/// Builds them.
///
/// # Errors
/// Which step failed.
pub(super) fn run() -> Outcome {
    let folder = folder_without("rpm")?;
    needs::rpm()?;
    build()?;
    documents(LIBRARIES)?;
    let top = root().join("target/rpm");
    if top.exists() {
        std::fs::remove_dir_all(&top).map_err(|error| format!("{}: {error}", top.display()))?;
    }
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet"]).current_dir(root());
    for (name, value) in [
        ("_topdir", top.display().to_string()),
        ("_rpmdir", folder.display().to_string()),
        ("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".into()),
        ("_libdir", format!("/usr/{LIBRARIES}")),
        ("entra_version", env!("CARGO_PKG_VERSION").into()),
        ("entra_source", root().display().to_string()),
        ("entra_built", target().join("release").display().to_string()),
        ("entra_docs", root().join("target/docs-gen").display().to_string()),
    ] {
        command.arg("--define").arg(format!("{name} {value}"));
    }
    run::run(command.arg("packaging/rpm/entrad.spec"))?;
    let mut newest = (0, 0);
    for package in PACKAGES {
        newest = newest.max(newest_libc(&find(&folder, package)?)?);
    }
    println!("{} packages in {}; they need glibc {}.{}", PACKAGES.len(), folder.display(), newest.0, newest.1);
    if newest > OLDEST_LIBC {
        println!("that is newer than RHEL 9's: for RHEL 9, build on RHEL 9");
    }
    Ok(())
}

/// The newest version of libc's symbols that a package asks for.
fn newest_libc(package: &Path) -> Result<(u32, u32), String> {
    let text = output(Command::new("rpm").args(["--query", "--requires", "--package"]).arg(package))?;
    Ok(asked(&text).unwrap_or_default())
}

/// The same in rpm's list: `libc.so.6(GLIBC_2.34)(64bit)`.
fn asked(requires: &str) -> Option<(u32, u32)> {
    let versions = requires.lines().filter_map(|line| line.split_once("(GLIBC_")?.1.split_once(')'));
    versions.filter_map(|(version, _)| number(version)).max()
}

/// The file of a package.
fn find(folder: &Path, package: &str) -> Result<PathBuf, String> {
    let start = format!("{package}-{}-", env!("CARGO_PKG_VERSION"));
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)))
        .ok_or_else(|| format!("rpmbuild made no {package} in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a Debian package has a file, and where the spec puts the same; what is Debian's alone is empty.
    const PLACES: [(&str, &str); 20] = [
        ("usr/lib/libnss_entra.so.2", "%{_libdir}/libnss_entra.so.2"),
        ("usr/lib/libentra.so.1", "%{_libdir}/libentra.so.1"),
        ("usr/lib/security/", "%{_libdir}/security/"),
        ("usr/lib/krb5/", "%{_libdir}/krb5/"),
        ("usr/lib/pkgconfig/", "%{_libdir}/pkgconfig/"),
        ("usr/lib/systemd/system/", "%{_unitdir}/"),
        ("usr/lib/sysusers.d/", "%{_sysusersdir}/"),
        ("usr/lib/tmpfiles.d/", "%{_tmpfilesdir}/"),
        ("usr/sbin/", "%{_sbindir}/"),
        ("usr/bin/", "%{_bindir}/"),
        ("usr/libexec/", "%{_libexecdir}/"),
        ("usr/include/", "%{_includedir}/"),
        ("usr/share/man/", "%{_mandir}/"),
        ("usr/share/zsh/vendor-completions/", "%{_datadir}/zsh/site-functions/"),
        ("usr/share/bash-completion/", "%{_datadir}/bash-completion/"),
        ("usr/share/fish/", "%{_datadir}/fish/"),
        ("etc/apparmor.d/", ""),
        ("usr/share/pam-configs/", ""),
        ("usr/share/lintian/", ""),
        ("etc/entra/", "/etc/entra/"),
    ];

    /// Sources and places of the assets in a crate's `[package.metadata.deb]`.
    fn assets(manifest: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("[\""));
        let words = lines.map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
        words.filter(|words| words.len() == 3).map(|words| (words[0].clone(), words[1].clone())).collect()
    }

    #[test]
    fn what_the_debian_packages_hold_the_others_hold_too() {
        let spec = std::fs::read_to_string(root().join("packaging/rpm/entrad.spec")).unwrap();
        let mut looked_at = 0;
        for manifest in ["entrad", "nss_entra", "pam_entra", "common/capi"] {
            for (source, place) in assets(&format!("{manifest}/Cargo.toml")) {
                let name = if place.ends_with('/') { source.rsplit('/').next().unwrap() } else { "" };
                let Some((debian, rpm)) = PLACES.iter().find(|(debian, _)| place.starts_with(debian)) else {
                    assert!(place.starts_with("usr/share/doc/"), "nobody says where {place} belongs in an RPM");
                    continue;
                };
                looked_at += 1;
                let wanted = format!("{rpm}{}{name}", &place[debian.len()..]);
                assert!(rpm.is_empty() || spec.contains(&wanted), "{wanted} is not in the spec");
            }
        }
        assert!(looked_at > 25, "{looked_at} files only: how the manifests are written has changed");
    }

    #[test]
    fn the_newest_libc_is_read_from_what_a_package_asks_for() {
        let text = "adcli\nlibc.so.6(GLIBC_2.4)(64bit)\nlibc.so.6(GLIBC_2.34)(64bit)\nlibm.so.6(GLIBC_2.29)(64bit)\n";
        assert_eq!(asked(text), Some((2, 34)));
        assert_eq!(asked("adcli\n"), None);
    }
}
