//! The maintainer scripts on a root of their own, which dpkg(1) names in DPKG_ROOT: what libnss-entra adds to
//! `/etc/nsswitch.conf` and takes out again, and what a purge of entrad undoes.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A root with nothing but an nsswitch.conf at first.
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

    /// `architectures` of the package are unpacked or set up.
    fn run(&self, script: &str, arguments: &[&str], architectures: u32) {
        self.run_of("libnss-entra", script, arguments, architectures);
    }

    fn run_of(&self, package: &str, script: &str, arguments: &[&str], architectures: u32) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/deb").join(package);
        let mut command = Command::new(scripts.join(script));
        command.args(arguments).env("DPKG_ROOT", &self.folder).env("DPKG_ADMINDIR", self.folder.join("var/lib/dpkg"));
        command.env("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", architectures.to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script} {arguments:?}: {output:?}");
    }

    /// What dpkg knows of another architecture of the module.
    fn sibling(&self, state: &str) {
        let text = format!(
            "Package: libnss-entra\nStatus: install ok {state}\nArchitecture: i386\nMulti-Arch: same\n\
             Version: 0.1.0-1\nMaintainer: x <x@localhost>\nDescription: x\n\n"
        );
        self.put("var/lib/dpkg/status", &text);
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn get(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
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
        ("group: compat [!UNAVAIL=return] # old\n", "group: compat [!UNAVAIL=return] entra # old\n"),
        ("group: files[SUCCESS=merge]systemd\n", "group: files[SUCCESS=merge]systemd entra\n"),
        ("group: files[NOTFOUND=return] nis\n", "group: files[NOTFOUND=return] entra nis\n"),
        ("group: files [NOTFOUND=return]nis\n", "group: files [NOTFOUND=return]nis entra\n"),
        ("  passwd :\tfiles\n", "  passwd :\tfiles entra\n"),
        ("passwd: files\r\ngroup: files\r\n", "passwd: files entra\r\ngroup: files entra\r\n"),
        ("passwd:\n", "passwd: entra\n"),
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
    // As often as it stands there, at any place.
    let root = Root::new("often", "passwd:entra files entra [NOTFOUND=return] sss entra\ngroup: files [A=b]entra\n");
    root.run("prerm", &["remove"], 1);
    assert_eq!(root.text(), "passwd: files sss\ngroup: files [A=b]\n");
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
    root.sibling("installed");
    root.run("postinst", &["configure", ""], 2);
    assert_eq!(root.text(), without, "so does a second architecture");
    root.sibling("unpacked");
    root.run("postinst", &["configure", ""], 2);
    assert_eq!(root.text(), with, "the first of two that are installed in one go");
    root.run("postinst", &["configure", ""], 2);
    assert_eq!(root.text(), with, "and the second");
    root.run("prerm", &["upgrade", "0.2.0-1"], 1);
    assert_eq!(root.text(), with, "an upgrade");
    root.run("prerm", &["remove"], 2);
    assert_eq!(root.text(), with, "another architecture stays");
    root.run("prerm", &["remove"], 1);
    assert_eq!(root.text(), without);
    root.run("postinst", &["abort-remove"], 1);
    assert_eq!(root.text(), with, "a removal that failed");
}

/// A join's journal as entractl writes it.
fn journal(changes: &[(&str, Option<&str>, &str)]) -> String {
    let bytes = |text: &str| format!("{:?}", text.as_bytes()).replace(' ', "");
    let changes: Vec<_> = changes
        .iter()
        .map(|(kind, before, after)| {
            let before =
                before.map_or("null".into(), |text| format!(r#"{{"bytes":{},"mode":416,"owner":[0,0]}}"#, bytes(text)));
            format!(r#"{{"kind":"{kind}","before":{before},"after":{}}}"#, bytes(after))
        })
        .collect();
    format!(
        r#"{{"version":1,"state":"joined","domain":"d.example","keytab_mode":null,"service_enabled":false,"dns":{{"name":"a \"b\"","addresses":[]}},"changes":[{}],"folders":["/etc/krb5.conf.d"]}}"#,
        changes.join(",")
    )
}

const INCLUDE: &str = "includedir /etc/krb5.conf.d/\n";

#[test]
fn a_purge_undoes_the_krb5_settings_of_a_join_that_was_not_left() {
    let (old, new) = ("[libdefaults]\n", "includedir /etc/krb5.conf.d/\n[libdefaults]\n");
    let edited = "# mine\nincludedir /etc/krb5.conf.d/\n[libdefaults]\n[logging]\n";
    for (what, before, now, wanted) in [
        ("untouched since", Some(old), new, Some(old)),
        ("edited since", Some(old), edited, Some("# mine\n[libdefaults]\n[logging]\n")),
        ("undone by hand", Some(old), old, Some(old)),
        ("made by join", None, INCLUDE, None),
        ("made by join, and filled since", None, new, Some(old)),
    ] {
        let root = Root::new("purge", "");
        let after = format!("{INCLUDE}{}", before.unwrap_or_default());
        root.put("etc/krb5.conf", now);
        root.put("etc/krb5.conf.d/entra.conf", "ours\n");
        let changes = [("krb5-snippet", None, "ours\n"), ("krb5-conf", before, after.as_str()), ("config", None, "x")];
        root.put("etc/entra/join.json", &journal(&changes));
        root.put("etc/krb5.keytab", "keys");
        root.put("var/lib/entra/store", "answers");
        root.run_of("entrad", "postrm", &["remove"], 1);
        assert_eq!(root.get("etc/krb5.conf").as_deref(), Some(now), "{what}: a removal is no purge");
        root.run_of("entrad", "postrm", &["purge"], 1);
        assert_eq!(root.get("etc/krb5.conf").as_deref(), wanted, "{what}");
        for gone in ["etc/krb5.conf.d", "etc/entra", "var/lib/entra"] {
            assert!(!root.folder.join(gone).exists(), "{what}: {gone} stays");
        }
        assert_eq!(root.get("etc/krb5.keytab").as_deref(), Some("keys"), "{what}");
    }
}

#[test]
fn a_purge_leaves_what_others_have_put_beside_it_or_changed() {
    let root = Root::new("beside", "");
    root.put("etc/krb5.conf.d/entra.conf", "ours\n");
    root.put("etc/krb5.conf.d/other.conf", "theirs\n");
    root.put("etc/entra/join.json", &journal(&[("krb5-snippet", Some("before\n"), "ours\n")]));
    root.put("etc/resolv.conf", "nameserver 192.0.2.9\n");
    root.put(
        "etc/entra/dns.json",
        r#"{"ruler":"nobody","before":{"bytes":[10],"mode":420,"owner":[0,0]},"after":[35]}"#,
    );
    root.run_of("entrad", "postrm", &["purge"], 1);
    assert_eq!(root.get("etc/krb5.conf.d/entra.conf").as_deref(), Some("before\n"), "somebody's of the same name");
    assert_eq!(root.get("etc/krb5.conf.d/other.conf").as_deref(), Some("theirs\n"));
    assert_eq!(root.get("etc/resolv.conf").as_deref(), Some("nameserver 192.0.2.9\n"), "set anew by somebody");
    assert!(!root.folder.join("etc/entra").exists());
}

#[test]
fn a_purge_takes_back_the_dns_servers_and_survives_a_note_that_is_broken() {
    let root = Root::new("dns", "");
    root.put("etc/systemd/resolved.conf.d/entra.conf", "#\n");
    root.put("etc/entra/dns.json", r#"{"ruler":"resolved","before":null,"after":[35,10]}"#);
    root.put("etc/entra/join.json", r#"{"version":1,"changes":[{"kind":"krb5-conf","before"#);
    root.put("etc/krb5.conf", INCLUDE);
    root.run_of("entrad", "postrm", &["purge"], 1);
    assert!(!root.folder.join("etc/systemd/resolved.conf.d/entra.conf").exists());
    assert_eq!(root.get("etc/krb5.conf").as_deref(), Some(INCLUDE));
    assert!(root.folder.join("etc/entra/join.json").exists(), "for whoever has to do it by hand");
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
