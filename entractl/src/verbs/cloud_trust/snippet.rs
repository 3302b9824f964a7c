//! The krb5 settings of a cloud trust: a file of our own below krb5.conf.d (krb5.conf(5)), and what others say of the same.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::shares::REALM;
use crate::host::Paths;

/// Name of the file. libkrb5's includedir reads names that end in `.conf`.
const FILE: &str = "entra-cloud-trust.conf";

/// How the file begins.
const HEADER: &str = "# Written by `entractl cloud-trust configure`";

/// Where the file is.
pub(super) fn path(paths: &Paths) -> PathBuf {
    paths.krb5_dir.join(FILE)
}

/// The file: the KDC proxy and the hosts.
pub(super) fn text(kdc: &str, hosts: &[String]) -> String {
    let mut text = format!(
        "{HEADER}; `entractl cloud-trust configure --remove` removes it.\n\
         [realms]\n    {REALM} = {{\n        kdc = {kdc}\n    }}\n\
         [domain_realm]\n"
    );
    for host in hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {host} = {REALM}");
    }
    text
}

/// Whether a file is one of ours.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(HEADER)
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Says {
    /// URLs of KDC proxies of the realm.
    pub(super) kdcs: Vec<String>,
    /// Values of `http_anchors` of the realm: who may vouch for the proxy.
    pub(super) anchors: Vec<String>,
    /// Whether the realm is described at all.
    pub(super) realm: bool,
    /// Hosts of `[domain_realm]` with their realms.
    pub(super) hosts: Vec<(String, String)>,
}

/// Reads a krb5.conf, as far as it is about the realm and about hosts.
pub(super) fn read(text: &str) -> Says {
    let (mut says, mut section, mut inside) = (Says::default(), "", false);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[') {
            (section, inside) = (name.split(']').next().unwrap_or_default(), false);
        }
        if line.starts_with('}') {
            inside = false;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().trim_end_matches('*'), value.trim());
        match section {
            "realms" if value.starts_with('{') => {
                inside = key == REALM;
                says.realm |= inside;
                // All on one line.
                let kdc = value.trim_matches(['{', '}', ' ']).strip_prefix("kdc");
                let kdc = kdc.and_then(|rest| rest.trim_start().strip_prefix('=')).filter(|_| inside);
                says.kdcs.extend(kdc.map(|kdc| kdc.trim().to_owned()));
                inside &= !value.ends_with('}');
            }
            "realms" if inside && key == "kdc" => says.kdcs.push(value.to_owned()),
            "realms" if inside && key == "http_anchors" => says.anchors.push(value.to_owned()),
            "domain_realm" => says.hosts.push((key.to_ascii_lowercase(), value.to_owned())),
            _ => {}
        }
    }
    says
}

/// What all of libkrb5's files say together, in the order in which it reads them.
pub(super) fn read_all(paths: &Paths) -> Says {
    let mut all = Says::default();
    for bytes in files(paths).into_iter().filter_map(|file| fs::read(file).ok()) {
        let says = read(&String::from_utf8_lossy(&bytes));
        all.kdcs.extend(says.kdcs);
        all.anchors.extend(says.anchors);
        all.hosts.extend(says.hosts);
        all.realm |= says.realm;
    }
    all
}

/// What stands in the way of our file: another description of the realm, whose KDCs libkrb5 would ask too, or another
/// realm for the same hosts. Each with the file that says so.
pub(super) fn foreign(paths: &Paths, hosts: &[String]) -> Vec<String> {
    let own = path(paths);
    let mut found = Vec::new();
    for file in files(paths).into_iter().filter(|file| *file != own) {
        let Ok(bytes) = fs::read(&file) else { continue };
        let says = read(&String::from_utf8_lossy(&bytes));
        let shown = file.display();
        if says.realm {
            found.push(format!("{shown} describes {REALM}"));
        }
        let other = says.hosts.iter().filter(|(host, realm)| hosts.contains(host) && realm != REALM);
        found.extend(other.map(|(host, realm)| format!("{shown} gives {host} to {realm}")));
    }
    found
}

/// The files that libkrb5 reads: krb5.conf, and in the folder names of letters, digits, `-`, `_`, or that end in `.conf`.
fn files(paths: &Paths) -> Vec<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let counts =
        |name: &str| name.chars().all(plain) || (name.strip_suffix(".conf").is_some() && !name.starts_with('.'));
    let below = fs::read_dir(&paths.krb5_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |file: &Path| file.file_name().and_then(|name| name.to_str()).is_some_and(counts);
    let mut files: Vec<_> = below.filter(|file| named(file)).collect();
    files.sort();
    files.insert(0, paths.krb5_conf.clone());
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    const KDC: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/kerberos";

    #[test]
    fn what_is_written_can_be_read() {
        let hosts = vec![".file.core.windows.net".to_owned()];
        let text = text(KDC, &hosts);
        assert!(is_ours(&text));
        let says = read(&text);
        assert_eq!(says.kdcs, [KDC]);
        assert_eq!(says.hosts, [(".file.core.windows.net".to_owned(), REALM.to_owned())]);
    }

    #[test]
    fn other_peoples_ways_of_writing_count() {
        let one_line = format!("[realms]\n {REALM} = {{ kdc = {KDC} }}\n OTHER = {{\n kdc = x\n }}\n");
        assert_eq!(read(&one_line), Says { kdcs: vec![KDC.into()], realm: true, ..Says::default() });
        let capaths = format!("[capaths]\n {REALM} = {{\n  A = .\n }}\n# {REALM} = {{\n");
        assert!(!read(&capaths).realm);
    }

    #[test]
    fn a_second_tenant_and_another_realm_are_in_the_way() {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        fs::create_dir_all(&paths.krb5_dir).unwrap();
        let hosts = vec![".file.core.windows.net".to_owned()];
        fs::write(path(&paths), text(KDC, &hosts)).unwrap();
        fs::write(&paths.krb5_conf, "[libdefaults]\n").unwrap();
        assert!(foreign(&paths, &hosts).is_empty(), "our own file is in our way");
        fs::write(paths.krb5_dir.join("other.conf~"), text(KDC, &hosts)).unwrap();
        assert!(foreign(&paths, &hosts).is_empty(), "libkrb5 does not read that name");
        fs::write(paths.krb5_dir.join("tenant2"), text(KDC, &[])).unwrap();
        fs::write(&paths.krb5_conf, "[domain_realm]\n .file.core.windows.net = AADDS.CONTOSO.COM\n").unwrap();
        let found = foreign(&paths, &hosts);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("krb5.conf gives .file.core.windows.net to AADDS.CONTOSO.COM"), "{found:?}");
        assert!(found[1].contains("tenant2 describes"), "{found:?}");
    }
}
