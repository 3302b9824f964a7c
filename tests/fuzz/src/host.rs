//! Files of the host, and what people type.

use std::path::PathBuf;
use std::sync::OnceLock;

use entra_core::config::{self, TemplateValues, expand};
use entra_core::directory::ldap::fuzzing;
use entra_core::types::{NameForm, Sid, fold};
use entra_wire::guard::name_may_be_ours;
use entra_wire::local;
use entra_wire::ranges::Ranges;

/// A configuration: what the daemon grants its domains is what the modules read out of the same text.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let granted = Ranges::parse(text);
    let Ok(config) = config::parse(text) else { return };
    // The modules keep sixteen ranges.
    if config.domains.len() > 16 {
        return;
    }
    let ranges: Vec<_> = config.domains.iter().map(|domain| domain.id_range).collect();
    assert_eq!(granted.is_empty(), ranges.is_empty(), "{text}");
    for (first, last) in &ranges {
        assert!(granted.contain_all(*first, *last), "the modules refuse ids that the daemon gives:\n{text}");
        for outside in [first.wrapping_sub(1), last.wrapping_add(1)] {
            let other = ranges.iter().any(|(first, last)| (first..=last).contains(&&outside));
            assert!(other || !granted.contains(outside), "the modules allow {outside}, which no domain has:\n{text}");
        }
    }
}

/// Seeds of [`config`].
pub fn configs() -> Vec<Vec<u8>> {
    let small = "# ours\n[domains.\"aadds.contoso.com\"] # main\nid_range = \"300000-399999\"\nservers = [\"dc1\", \"192.0.2.1\"]\n\
                 home = \"/home/%d/%u\"\n[domains.\"aadds.contoso.com\".access]\ndefault = \"deny\"\npermit = ['a#b']\n";
    let two = "cache_ttl = \"10m\"\n[domains.'a.example']\nid_mapping = \"rid\"\nid_range = '1000000-1999999'\n\
               [domains.\"b.example\"]\nid_mapping = \"rfc2307\"\nid_range = \"2000000-2999999\"\n";
    vec![config::example().into_bytes(), small.into(), two.into(), Vec::new()]
}

/// A keytab.
pub fn keytab(data: &[u8]) {
    let path = scratch("keytab");
    std::fs::write(&path, data).unwrap();
    if let Ok(entries) = entra_krb5::list_keytab(&path) {
        assert!(entries.len() <= 4096);
    }
}

/// Seeds of [`keytab`]: version 5.2 with one key (MIT's keytab file format), and an empty one.
pub fn keytabs() -> Vec<Vec<u8>> {
    let counted = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let mut entry = vec![0, 1];
    entry.extend(counted("AADDS.CONTOSO.COM"));
    entry.extend(counted("WEB1$"));
    // Type of the name, time, version, type of the key, the key, version again.
    entry.extend([0, 0, 0, 1, 0x65, 0, 0, 0, 3, 0, 18, 0, 32]);
    entry.extend([0x11; 32]);
    entry.extend([0, 0, 0, 3]);
    let file = [&[5, 2][..], &(entry.len() as u32).to_be_bytes(), &entry].concat();
    vec![file, vec![5, 2]]
}

/// Names of people and of the directory, one to a line.
pub fn names(data: &[u8]) {
    let _ = name_may_be_ours(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (first, second, third) = (next(), next(), next());
    match NameForm::parse(first) {
        None => {}
        Some(NameForm::Short(name)) => assert_eq!(name, first),
        Some(NameForm::DownLevel { domain, account }) => assert_eq!(format!("{domain}\\{account}"), first),
        Some(NameForm::At { account, suffix }) => assert_eq!(format!("{account}@{suffix}"), first),
    }
    let _ = fold(first);
    fuzzing::names(first, second, third);
    let filled = expand("/home/%d/%u", &TemplateValues { user: first, domain: second, uid: 1103, sam: third });
    assert!(filled.matches('/').count() == 3 && !filled.contains(char::is_control), "{filled:?} leads elsewhere");
    assert!(!filled.split('/').any(|part| part == ".." || part == "."), "{filled:?} leads elsewhere");
}

/// Seeds of [`names`].
pub fn typed() -> Vec<Vec<u8>> {
    let gp_link =
        "[LDAP://cn={31B2F340-016D-11D2-945F-00C04FB984F9},cn=policies,cn=system,DC=x;2][LDAP://cn={B},DC=x;1]";
    vec![
        format!("CN=WEB\\,1,OU=a\\\\,OU=b,DC=d,DC=example\nDC=d,DC=example\n{gp_link}").into_bytes(),
        b"AADDS\\alice\nou=b, dc=d\n(&(department=IT)(!(cn=a\\2a)))".to_vec(),
        "zo\u{eb}@contoso.com\n..\ndepartment=IT".into(),
    ]
}

/// A SID, as bytes and as text.
pub fn sid(data: &[u8]) {
    if let Ok(sid) = Sid::from_bytes(data) {
        assert_eq!(sid.to_bytes(), data);
        assert_eq!(sid.to_string().parse::<Sid>().as_ref(), Ok(&sid));
        if let Some(domain) = sid.domain() {
            assert_eq!(domain.with_rid(sid.rid()).as_ref(), Some(&sid));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(sid) = text.parse::<Sid>() {
        assert_eq!(Sid::from_bytes(&sid.to_bytes()).as_ref(), Ok(&sid));
    }
}

/// Seeds of [`sid`].
pub fn sids() -> Vec<Vec<u8>> {
    let texts = ["S-1-5-21-3623811015-3361044348-30300820-1013", "S-1-5-32-544", "S-1-281474976710655-0"];
    let bytes = texts.iter().map(|text| text.parse::<Sid>().unwrap().to_bytes());
    bytes.chain(texts.iter().map(|text| text.as_bytes().to_vec())).collect()
}

/// `/etc/passwd` or `/etc/group`.
pub fn accounts(data: &[u8]) {
    let path = scratch("accounts");
    std::fs::write(&path, data).unwrap();
    let mut names = Vec::new();
    local::scan(&path, |name, _| {
        names.push(name.to_vec());
        false
    })
    .unwrap();
    for name in names.iter().take(20) {
        assert!(!name.contains(&b'\n') && local::has_name(&path, name));
    }
}

/// Seeds of [`accounts`].
pub fn account_files() -> Vec<Vec<u8>> {
    vec![
        b"root:x:0:0:root:/root:/bin/bash\n# comment\n+nis\nalice:x:1103:100:Alice,,,:/home/alice:/bin/sh".to_vec(),
        b"root:x:0:\nstaff:x:50:alice,bob\n::\n\nbad:x:notanumber:\n".to_vec(),
    ]
}

fn scratch(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("entra-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    });
    let thread = format!("{:?}", std::thread::current().id());
    folder.join(format!("{name}-{}", thread.trim_start_matches("ThreadId(").trim_end_matches(')')))
}
