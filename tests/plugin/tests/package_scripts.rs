//! The maintainer scripts of libnss-entra on an `/etc/nsswitch.conf` of their own: what the first adds, and that the
//! second takes out exactly that. dpkg(1) gives such a root in DPKG_ROOT.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A root with nothing but nsswitch.conf.
struct Root {
    folder: PathBuf,
}

impl Root {
    fn new(test: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("entra-scripts-{}-{test}", std::process::id()));
        std::fs::create_dir_all(folder.join("etc")).unwrap();
        std::fs::write(folder.join("etc/nsswitch.conf"), text).unwrap();
        Self { folder }
    }

    fn run(&self, script: &str, arguments: &[&str], architectures: u32) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/deb/libnss-entra");
        let mut command = Command::new(scripts.join(script));
        command.args(arguments).env("DPKG_ROOT", &self.folder);
        command.env("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", architectures.to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script} {arguments:?}: {output:?}");
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.folder.join("etc/nsswitch.conf")).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_service_is_added_behind_files_and_systemd_and_goes_without_a_trace() {
    let cases = [
        ("passwd:         files systemd\n", "passwd:         files systemd entra\n"),
        ("group:\tfiles\n", "group:\tfiles entra\n"),
        ("passwd: compat\n", "passwd: compat entra\n"),
        ("passwd:files\n", "passwd:files entra\n"),
        ("passwd: files sss\n", "passwd: files entra sss\n"),
        ("group: files [SUCCESS=merge] systemd\n", "group: files [SUCCESS=merge] systemd entra\n"),
        (
            "group: files systemd [NOTFOUND=continue UNAVAIL=return] nis\n",
            "group: files systemd [NOTFOUND=continue UNAVAIL=return] entra nis\n",
        ),
        (
            "passwd:  files  systemd   # local choice: files\n",
            "passwd:  files  systemd entra   # local choice: files\n",
        ),
        ("passwd: files#systemd\n", "passwd: files entra#systemd\n"),
        ("passwd: sss # nothing else\n", "passwd: sss entra # nothing else\n"),
        ("initgroups: files\n", "initgroups: files entra\n"),
        ("passwd: files", "passwd: files entra"),
        // Not ours to touch.
        ("shadow: files\nhosts: files dns\nnetgroup: nis\n", "shadow: files\nhosts: files dns\nnetgroup: nis\n"),
        ("# passwd: files\n\n", "# passwd: files\n\n"),
        ("passwd_compat: files\n", "passwd_compat: files\n"),
    ];
    for (at, (before, after)) in cases.into_iter().enumerate() {
        let root = Root::new(&format!("add{at}"), before);
        root.run("postinst", &["configure", ""], 1);
        assert_eq!(root.text(), after, "added to {before:?}");
        root.run("postinst", &["configure", ""], 1);
        assert_eq!(root.text(), after, "added twice to {before:?}");
        root.run("prerm", &["remove"], 1);
        assert_eq!(root.text(), before, "removed from {after:?}");
    }
}

#[test]
fn a_line_that_names_the_service_stays_as_the_administrator_wrote_it() {
    let text = "passwd: entra files\ngroup: files entra [NOTFOUND=return] sss # entra\n";
    let root = Root::new("stays", text);
    root.run("postinst", &["configure", ""], 1);
    assert_eq!(root.text(), text);
    root.run("prerm", &["remove"], 1);
    assert_eq!(root.text(), "passwd: files\ngroup: files sss # entra\n");
}

#[test]
fn names_that_only_begin_alike_are_somebody_elses() {
    let root = Root::new("alike", "passwd: files entrance\ngroup: files libentra\n");
    root.run("postinst", &["configure", ""], 1);
    assert_eq!(root.text(), "passwd: files entra entrance\ngroup: files entra libentra\n");
    root.run("prerm", &["remove"], 1);
    assert_eq!(root.text(), "passwd: files entrance\ngroup: files libentra\n");
}

#[test]
fn only_the_first_installation_adds_and_only_the_last_removal_removes() {
    let (without, with) = ("passwd: files\ngroup: files\n", "passwd: files entra\ngroup: files entra\n");
    let root = Root::new("once", without);
    root.run("postinst", &["configure", "0.0.9-1"], 1);
    assert_eq!(root.text(), without, "an upgrade respects that somebody took it out");
    root.run("postinst", &["configure", ""], 2);
    assert_eq!(root.text(), without, "so does a second architecture");
    root.run("postinst", &["configure", ""], 1);
    assert_eq!(root.text(), with);
    root.run("prerm", &["upgrade", "0.2.0-1"], 1);
    assert_eq!(root.text(), with, "an upgrade");
    root.run("prerm", &["remove"], 2);
    assert_eq!(root.text(), with, "another architecture stays");
    root.run("prerm", &["remove"], 1);
    assert_eq!(root.text(), without);
    root.run("postinst", &["abort-remove"], 1);
    assert_eq!(root.text(), with, "a removal that failed");
}

#[test]
fn a_host_without_nsswitch_conf_is_left_without() {
    let root = Root::new("none", "");
    std::fs::remove_file(root.folder.join("etc/nsswitch.conf")).unwrap();
    root.run("postinst", &["configure", ""], 1);
    root.run("prerm", &["remove"], 1);
    assert!(!root.folder.join("etc/nsswitch.conf").exists());
}

#[test]
fn mode_and_symlink_of_the_file_stay() {
    use std::os::unix::fs::PermissionsExt;
    let root = Root::new("link", "");
    let (file, real) = (root.folder.join("etc/nsswitch.conf"), root.folder.join("etc/nsswitch.real"));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&real, "passwd: files\n").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("nsswitch.real", &file).unwrap();
    root.run("postinst", &["configure", ""], 1);
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "passwd: files entra\n");
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(file.is_symlink());
}
