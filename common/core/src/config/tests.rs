//! What a configuration means, and where a wrong one is refused.

use proptest::prelude::*;

use super::options::{Kind, OPTIONS, Opt, Scope};
use super::*;

const HEADER: &str = "[domains.\"aadds.contoso.com\"]\n";

fn in_domain(line: &str) -> Result<Config, ConfigError> {
    parse(&format!("{HEADER}{line}\n"))
}

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

/// A file in which `line` stands in the table of `scope`.
fn placed(scope: Scope, line: &str) -> String {
    match scope {
        Scope::Global => format!("{line}\n{HEADER}"),
        Scope::Domain => format!("{HEADER}{line}\n"),
        Scope::Access => format!("{HEADER}[domains.\"aadds.contoso.com\".access]\n{line}\n"),
        Scope::Service => format!("{HEADER}[domains.\"aadds.contoso.com\".access.services.sshd]\n{line}\n"),
        Scope::Quota => format!("{HEADER}[quota.\"/srv/share\"]\n{line}\n"),
        Scope::QuotaGroup => format!("{HEADER}[quota.\"/srv/share\".groups.\"research\"]\n{line}\n"),
    }
}

fn with_option(opt: &Opt, value: &str) -> String {
    placed(opt.scope, &format!("{}{} = {value}", deny(opt.key), opt.key))
}

/// What a list of those who may log in, or of ids, needs beside it.
fn deny(key: &str) -> &'static str {
    if key.starts_with("id_blocks") {
        return "id_mapping = \"rid\"\n";
    }
    if key.starts_with("permit") || key.starts_with("allow_") { "default = \"deny\"\n" } else { "" }
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = in_domain("").unwrap();
    assert_eq!(config.cache_ttl, Duration::from_secs(5400));
    assert_eq!(config.negative_ttl, Duration::from_secs(15));
    assert_eq!(config.cache_map_size, 64 << 20);
    assert_eq!(config.lookup_deadline, Duration::from_secs(3));
    assert_eq!(config.log_level, log::LevelFilter::Info);
    for name in ["sudo", "wheel", "adm", "admin", "docker", "lxd", "disk", "shadow", "root"] {
        assert!(config.reserved_groups.iter().any(|reserved| reserved == name), "{name}");
    }
    assert_eq!(
        config.domains,
        [Domain {
            name: "aadds.contoso.com".into(),
            preset: Preset::ActiveDirectory,
            servers: vec![],
            dns_servers: vec![],
            base_dn: None,
            user_bases: vec![],
            group_bases: vec![],
            user_filter: None,
            group_filter: None,
            ldap_security: LdapSecurity::Seal,
            tls_ca: None,
            id_mapping: IdMapping::Sssd,
            id_range: entra_wire::ranges::DEFAULT,
            id_slice: None,
            id_blocks: Vec::new(),
            username_format: UsernameFormat::Sam,
            home: "/home/%u".into(),
            shell: "/bin/bash".into(),
            ssh_key_attributes: vec!["altSecurityIdentities".into(), "sshPublicKey".into()],
            primary_group: PrimaryGroup::Directory,
            enumerate: false,
            offline_login: true,
            offline_max_age: Duration::from_secs(30 * 86_400),
            offline_keep_password: false,
            keytab_max_age: Duration::from_secs(30 * 86_400),
            password_change_hint: None,
            password_warning: Duration::from_secs(14 * 86_400),
            fast: Fast::Try,
            ccache: "FILE:/tmp/krb5cc_%U".into(),
            service_tickets: vec![],
            service_ticket_groups: vec![],
            access: Access { default_allow: true, ..Access::default() },
        }]
    );
    assert!(parse("").unwrap().domains.is_empty());
}

#[test]
fn every_option_is_read() {
    for opt in OPTIONS {
        let unset = parse(&placed(opt.scope, deny(opt.key))).unwrap();
        let set = parse(&with_option(opt, opt.example)).unwrap_or_else(|error| panic!("{}: {error}", opt.key));
        match opt.kind {
            Kind::Choice { served, later } => {
                let mut read: Vec<Config> = Vec::new();
                for word in served {
                    let config = parse(&with_option(opt, &format!("\"{word}\""))).unwrap();
                    assert!(!read.contains(&config), "{} = {word} means the same as another word", opt.key);
                    read.push(config);
                }
                assert!(
                    opt.default.is_some() == read.contains(&unset),
                    "{}: the default is none of its words",
                    opt.key
                );
                for word in later {
                    let error = refused(&with_option(opt, &format!("\"{word}\"")));
                    assert!(error.contains("not served by this version; use \"seal\""), "{error}");
                }
            }
            _ => assert_ne!(set, unset, "{} changes nothing", opt.key),
        }
    }
}

#[test]
fn keys_are_unique_in_their_table() {
    for (at, opt) in OPTIONS.iter().enumerate() {
        assert!(!OPTIONS[..at].iter().any(|other| other.key == opt.key && other.scope == opt.scope), "{}", opt.key);
    }
}

#[test]
fn the_example_sets_nothing() {
    let text = example();
    assert_eq!(parse(&text).unwrap(), parse("").unwrap());
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
}

#[test]
fn every_line_of_the_example_can_be_switched_on() {
    let text = example();
    let mut scope = Scope::Global;
    let mut seen = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' ')) {
        match line {
            "[domains.\"aadds.contoso.com\"]" => scope = Scope::Domain,
            "[domains.\"aadds.contoso.com\".access]" => scope = Scope::Access,
            "[domains.\"aadds.contoso.com\".access.services.sshd]" => scope = Scope::Service,
            "[quota.\"/srv/share\"]" => scope = Scope::Quota,
            "[quota.\"/srv/share\".groups.\"research\"]" => scope = Scope::QuotaGroup,
            option => {
                parse(&placed(scope, &format!("{}{option}", deny(option)))).unwrap();
                seen += 1;
            }
        }
    }
    assert_eq!(seen, OPTIONS.len());
}

#[test]
fn the_man_page_names_every_option() {
    let page = man_page();
    for opt in OPTIONS {
        assert!(page.contains(&format!(".BR {} ", opt.key)), "{}", opt.key);
    }
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        let known =
            [".TH", ".SH", ".TP", ".PP", ".BR", ".I ", ".RS", ".RE", ".nf", ".fi", ".br", ".nh", ".ad", ".\\\""];
        assert!(known.iter().any(|name| line.starts_with(name)), "{line}");
    }
}

#[test]
fn refused_with_line_column_and_remedy() {
    for (line, column, remedy) in [
        ("shel = \"/bin/sh\"", 1, "did you mean shell?"),
        ("id_maping = \"sssd\"", 1, "did you mean id_mapping?"),
        ("zzz = 1", 1, "this table knows preset, servers"),
        ("cache_ttl = \"1h\"", 1, "at the top of the file"),
        ("permit = []", 1, "into the domain's access table"),
        ("enumerate = \"yes\"", 13, "a text where true or false belongs"),
        ("shell = 3", 9, "a number where an absolute path in quotes belongs"),
        ("offline_max_age = \"30\"", 19, "such as \"90m\""),
        ("offline_max_age = \"30m1h\"", 19, "is no duration"),
        ("offline_max_age = \"1h1h\"", 19, "is no duration"),
        ("offline_max_age = \"1h30\"", 19, "is no duration"),
        ("offline_max_age = \"30y\"", 19, "units s, m, h and d"),
        ("offline_max_age = \"0s\"", 19, "write \"1s\" to \"3650d\""),
        ("offline_max_age = \"99999999999999999999d\"", 19, "is no duration"),
        ("id_mapping = \"autorid\"", 14, "write \"sssd\" or \"rid\" or \"rfc2307\""),
        ("id_range = \"999-5000000\"", 12, "begin at 1000"),
        ("id_range = \"200000-4294967294\"", 12, "end at 4294967293"),
        ("id_range = \"9-5\"", 12, "write the first and the last id"),
        ("id_range = [200000, 400000]", 12, "a range in quotes"),
        ("id_range = \"\"\"200000-900000\"\"\"", 12, "plain string"),
        ("id_range = \"200000\\u002d900000\"", 12, "plain string"),
        ("id_range = \"200000-300000\"", 12, "widen it"),
        ("id_slice = 10000", 12, "slices 0 to 9999"),
        ("id_slice = -1", 12, "a whole number from 0"),
        ("home = \"home/%u\"", 8, "begin it with a slash"),
        ("home = \"/home/%f\"", 8, "unknown placeholder %f"),
        ("home = \"/home/%u:x\"", 8, "without one"),
        ("home = \"\"", 8, "leave the line out"),
        ("home = \"/home/%u\\nroot\"", 8, "control character"),
        ("ccache = \"KEYRING:session:x%U\"", 10, "keyring of the helper"),
        ("ccache = \"KEYRING:persistent:0\"", 10, "own ccache"),
        ("ccache = \"KEYRING:thread:%U\"", 10, "own ccache"),
        ("ccache = \"KCM:\"", 10, "own ccache"),
        ("ccache = \"/tmp/krb5cc_%U\"", 10, "names no ccache type"),
        ("ccache = \"FILE:krb5cc_%U\"", 10, "begin it with a slash"),
        ("ccache = \"FILE:/tmp/krb5cc\"", 10, "put %U into it"),
        ("ccache = \"FILE:/tmp/krb5cc_%u_%U\"", 10, "use %U alone"),
        ("servers = [\"dc1\", \"dc 2\"]", 19, "\"dc 2\" is no host"),
        ("servers = [\"dc1:0\"]", 12, "is no host"),
        ("dns_servers = [\"dns.example\"]", 16, "is no address"),
        ("dns_servers = \"10.0.0.4\"", 15, "a list in brackets"),
        ("base_dn = \"contoso.com\"", 11, "is no distinguished name"),
        ("user_filter = \"cn=a\"", 15, "LDAP filter"),
        ("user_filter = \"(cn=a)(cn=b)\"", 15, "one LDAP filter"),
        ("user_filter = \"(&(cn=a)\"", 15, "LDAP filter"),
        ("preset = \"entra-ds\"\nid_mapping = \"rfc2307\"", 14, "no uidNumber"),
        ("id_mapping = \"rid\"\nid_slice = 3", 12, "remove it"),
        ("id_blocks = [\"0:200000-299999\"]", 13, "with id_mapping = \"rid\" only"),
        ("id_mapping = \"rid\"\nid_blocks = [\"200000-299999\"]", 14, "is no block of ids"),
        ("id_mapping = \"rid\"\nid_blocks = [\"4294967295:200000-200001\"]", 14, "beyond the last RID"),
        ("id_mapping = \"rid\"\nid_blocks = [\"0:1000-200001\"]", 13, "outside of id_range"),
        ("id_mapping = \"rid\"\nid_blocks = [\"0:200000-299999\", \"9:400000-400001\"]", 13, "in common"),
        ("id_mapping = \"rid\"\nid_blocks = [\"0:200000-299999\", \"100000:299999-300000\"]", 13, "in common"),
    ] {
        let error = in_domain(line).expect_err(line);
        let expected = 2 + line.matches('\n').count();
        assert!(error.message.contains(remedy), "{line}: {error}");
        assert_eq!((error.line, error.column), (expected, column), "{line}: {error}");
        assert!(error.to_string().starts_with(&format!("entra.toml:{expected}:{column}: ")), "{error}");
    }
}

#[test]
fn a_service_is_one_of_a_host() {
    let config = in_domain("service_tickets = [\"Acct.file.core.windows.net\", \"http/www.contoso.com\"]").unwrap();
    assert_eq!(config.domains[0].service_tickets, ["cifs/acct.file.core.windows.net", "http/www.contoso.com"]);
    for wrong in ["acct", "cifs/acct", "cifs/a.b/c", "cifs/a.b@R", "/a.b", "ci fs/a.b", "cifs/10.0.0.1", "cifs/a..b"] {
        let error = in_domain(&format!("service_tickets = [\"{wrong}\"]")).expect_err(wrong);
        assert!(error.message.contains("is no service of a host"), "{error}");
        assert_eq!((error.line, error.column), (2, 20));
    }
}

#[test]
fn columns_count_characters() {
    let error = in_domain("servers = [\"dc-é\", 3]").unwrap_err();
    assert_eq!((error.line, error.column), (2, 12));
    let error = in_domain("user_bases = [\"OU=é\", 3]").unwrap_err();
    assert_eq!((error.line, error.column), (2, 23));
}

#[test]
fn domain_names() {
    for (text, remedy) in [
        ("[domains.aadds.contoso.com]\n", "aadds.contoso is a domain's name without quotes"),
        ("[domains.AADDS]\n", "\"AADDS\" is no DNS name"),
        ("[domains.\"contoso.com.\"]\n", "is no DNS name"),
        ("[domains.\"10.0.0.1\"]\n", "is no DNS name"),
        ("[domains.\"contoso .com\"]\n", "is no DNS name"),
        ("[domains.\"contoso.com\"]\n[domains.\"CONTOSO.com\"]\n", "stands here twice"),
        ("domains = 3\n", "table of tables"),
        ("[domains]\n\"contoso.com\" = 3\n", "is no table"),
        ("[[domains]]\nname = \"contoso.com\"\n", "table of tables"),
        ("[domain.\"contoso.com\"]\n", "did you mean domains?"),
        ("[domains.\"contoso.com\"]\naccess = 3\n", "access is a table"),
        ("[domains.\"contoso.com\".acess]\n", "did you mean access?"),
    ] {
        let error = refused(text);
        assert!(error.contains(remedy), "{text}: {error}");
    }
    let config = parse("[domains.\"AADDS.Contoso.COM\"]\n").unwrap();
    assert_eq!(config.domains[0].name, "aadds.contoso.com");
    assert_eq!(config.domains[0].realm(), "AADDS.CONTOSO.COM");
}

#[test]
fn a_permit_list_that_narrows_nothing_is_refused() {
    let error = refused("[domains.\"a.example\".access]\npermit = [\"staff\"]\n");
    assert!(error.contains("entra.toml:2:10:") && error.contains("add default = \"deny\""), "{error}");
    let config = parse("[domains.\"a.example\".access]\ndefault = \"deny\"\npermit = [\"staff\"]\n").unwrap();
    assert_eq!(config.domains[0].access, Access { permit: vec!["staff".into()], ..Access::default() });
}

#[test]
fn rules_of_access_are_read_and_wrong_ones_have_a_place() {
    let access = |text: &str| parse(&format!("[domains.\"a.example\".access]\n{text}\n"));
    let config = access(
        "default = \"deny\"\nallow_users = [\"al\", \"A\\\\bob\"]\nfilter = \"(a=1)\"\n\
         [domains.\"a.example\".access.services.SSHD]\ndeny_groups = [\"s-1-5-21-1-2-3-1200\"]\ndefault = \"allow\"",
    )
    .unwrap();
    let read = &config.domains[0].access;
    assert_eq!((read.default_allow, read.rules.allow_users.len()), (false, 2));
    let sshd = read.service("sshd").unwrap();
    assert_eq!((sshd.default_allow, sshd.rules.deny_groups[0].as_str()), (Some(true), "S-1-5-21-1-2-3-1200"));
    assert!(read.service("login").is_none());
    let service = "[domains.\"a.example\".access.services.sshd]\n";
    for (text, line, column, remedy) in [
        ("deny_user = [\"x\"]", 2, 1, "did you mean deny_users?"),
        ("allow_users = [\"x\"]", 2, 15, "add default = \"deny\""),
        ("allow_groups = [\"x\"]", 2, 16, "add default = \"deny\""),
        ("deny_users = \"x\"", 2, 14, "a list in brackets"),
        ("deny_users = [\"x\", \"@y\"]", 2, 20, "names nobody"),
        ("deny_groups = [\"S-1-5-21-x\"]", 2, 16, "is no SID"),
        ("deny_groups = [\"S-1-5-32-544\"]", 2, 16, "no account of a domain"),
        ("filter = \"(a=1)(b=2)\"", 2, 10, "one LDAP filter"),
        ("filter = \"(a~b=)\"", 2, 10, "no LDAP filter"),
        ("services = 3", 2, 12, "table of tables"),
        ("services.sshd = 3", 2, 10, "sshd is no table"),
        ("services.\"a/b\".default = \"deny\"", 2, 10, "no name of a PAM service"),
        (&format!("{service}default = \"no\""), 3, 11, "write \"allow\" or \"deny\""),
        (&format!("{service}permit = []"), 3, 1, "into the domain's access table"),
        (&format!("{service}allow_users = [\"x\"]"), 3, 15, "add default = \"deny\""),
        (&format!("{service}[domains.\"a.example\".access.services.SSHD]"), 3, 38, "stands here twice"),
    ] {
        let error = access(text).expect_err(text);
        assert!(error.message.contains(remedy), "{text}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn ranges_between_domains() {
    let two = |first: &str, second: &str| {
        parse(&format!("[domains.\"a.example\"]\n{first}\n[domains.\"b.example\"]\n{second}\n"))
    };
    assert!(two("", "").is_ok(), "slices keep two sssd domains apart");
    assert!(two("id_mapping = \"rid\"\nid_range = \"10000-99999\"", "").is_ok());
    for (first, second, line) in [
        ("id_slice = 7", "id_slice = 7", 4),
        ("id_mapping = \"rid\"", "", 3),
        ("id_mapping = \"rid\"", "id_mapping = \"rid\"", 3),
        ("id_mapping = \"rfc2307\"", "id_mapping = \"rfc2307\"", 3),
        ("id_mapping = \"rid\"\nid_range = \"10000-99999\"", "id_mapping = \"rid\"\nid_range = \"99999-200000\"", 6),
        ("", "id_range = \"200000-1000000\"", 4),
    ] {
        let error = two(first, second).expect_err("overlap");
        assert_eq!(error.line, line + usize::from(first.contains('\n') && line == 3), "{first} {second}: {error}");
        assert!(error.message.contains("b.example") || error.message.contains("a.example"), "{error}");
    }
}

#[test]
fn a_file_that_the_modules_would_read_differently_is_refused() {
    for text in [
        // Ranges that the scanner sees and TOML does not.
        "[domains.\"a.example\"]\nhome = '''/home'''\nuser_filter = '''(cn=id_range = \"1000-2000\")'''\n",
        // Ranges that TOML sees and the scanner does not.
        "[domains.\"a.example\"]\n\"id\\u005frange\" = \"10000-999999\"\n",
        "domains = { \"a.example\" = { id_mapping = \"rid\", id_range = \"10000-99999\" }, \"b.example\" = { } }\n",
        "domains.\"a.example\" = { id_mapping = \"rid\", id_range = \"10000-99999\" }\ndomains.\"b.example\".enumerate = true\n",
    ] {
        let error = refused(text);
        assert!(error.contains("modules would read"), "{text}: {error}");
    }
    // Shapes that both read alike.
    for text in [
        "domains.\"a.example\".id_mapping = \"rid\"\ndomains.\"a.example\".id_range = \"10000-99999\"\n",
        "[domains.\"a.example\"]\nid_range='10_000-999_999' # winbind's\n",
        "[domains.\"a.example\".access]\n",
    ] {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn broken_toml_has_a_place() {
    let error = parse("[domains.\"a.example\"]\nshell = /bin/sh\n").unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.message.starts_with("not TOML: ") && !error.message.contains('\n'), "{error}");
    let error = parse("cache_ttl = \"1h\"\ncache_ttl = \"2h\"\n").unwrap_err();
    assert_eq!(error.line, 2, "{error}");
}

#[test]
fn a_file_without_a_domain_that_seems_to_have_one_is_refused_with_a_place() {
    for (text, place) in [("[domains]\n", "1:1"), ("\n[domains]\n# none\n", "2:1"), ("domains = {}\n", "1:11")] {
        let error = refused(text);
        assert!(error.starts_with(&format!("entra.toml:{place}: domains names none; write [domains.")), "{error}");
    }
    let error = refused(&format!("\u{feff}{HEADER}"));
    assert!(error.starts_with("entra.toml:1:1: the file begins with a byte order mark"), "{error}");
}

#[test]
fn durations_of_several_units_add_up() {
    let config = parse("cache_ttl = \"1h30m\"\n[domains.\"a.example\"]\noffline_max_age = \"1d12h0m5s\"\n").unwrap();
    assert_eq!(config.cache_ttl.as_secs(), 5_400);
    assert_eq!(config.domains[0].offline_max_age.as_secs(), 36 * 3600 + 5);
}

#[test]
fn too_long_a_file_is_refused() {
    let text = "#".repeat(256 * 1024 + 1);
    assert!(parse(&text).unwrap_err().message.contains("256 KiB"));
    assert!(parse(&text[1..]).is_ok());
}

mod files {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::super::load;

    fn file(name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = std::env::temp_dir().join(format!("entra-config-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_missing_file_is_told_from_a_wrong_one() {
        let error = load(std::path::Path::new("/nonexistent/entra.toml")).unwrap_err();
        assert!(error.missing);
        assert!(error.to_string().starts_with("/nonexistent/entra.toml: there is no such file"), "{error}");
        assert!(!load(&std::env::temp_dir()).unwrap_err().missing);
    }

    #[test]
    fn errors_name_the_file() {
        let path = file("wrong", b"log_level = \"loud\"\n", 0o644);
        let error = load(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:1:13: \"loud\" is not known here", path.display())), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let path = file("loose", b"", 0o664);
        assert!(load(&path).unwrap_err().message.contains("chmod 0644"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn bytes_that_are_no_text_have_a_line() {
        let path = file("latin1", b"# one\n# caf\xe9\n", 0o644);
        let error = load(&path).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.message.contains("UTF-8"));
        std::fs::remove_file(path).unwrap();
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_arrangement_of_its_parts_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "[domains.\"a.example\"]", "[domains.\"b.example\".access]", "id_range", " = ", "\"1000-9999999\"", "\n", "{", "}",
        "'", "\"\"\"", "domains", ".", "[", "]", "id_slice", "3", "#", "permit", "é", "default", "\"deny\"", ",",
    ]), 0..24)) {
        let _ = parse(&parts.concat());
    }
}

#[test]
fn quotas_are_kibibytes_and_in_the_order_of_the_file() {
    let text = "[quota.\"/srv/a b\"]\nsoft = \"10G\"\nhard = \"1T\"\n\
                [quota.\"/srv/a b\".groups.\"AADDS\\\\Research Staff\"]\nhard = \"500M\"\n[quota.\"/\"]\nsoft = \"1K\"\n";
    let quotas = parse(text).unwrap().quotas;
    let limits = |soft, hard| Limits { soft, hard };
    let first = Quota {
        path: "/srv/a b".into(),
        limits: limits(10 << 20, 1 << 30),
        groups: vec![("AADDS\\Research Staff".into(), limits(0, 500 << 10))],
    };
    assert_eq!(quotas, [first, Quota { path: "/".into(), limits: limits(1, 0), groups: vec![] }]);
    for (text, remedy) in [
        ("[quota.srv]\nsoft = \"1G\"\n", "is no absolute path; write where the file system is mounted"),
        ("[quota.\"/srv/\"]\n", "is no absolute path"),
        ("[quota.\"/srv\"]\nsoft = \"1.5G\"\n", "is no size; write a whole number"),
        ("[quota.\"/srv\"]\nsoft = 10\n", "a number where a size in quotes"),
        ("[quota.\"/srv\"]\nsoft = \"99999999999T\"\n", "is no size"),
        ("[quota.\"/srv\"]\nsoft = \"2G\"\nhard = \"1G\"\n", "soft is above hard"),
        ("[quota.\"/srv\".group.\"x\"]\nsoft = \"2G\"\n", "did you mean groups?"),
        ("quota = \"1G\"\n", "write [quota.\"/srv/share\"]"),
        ("soft = \"1G\"\n", "into the table of a file system"),
    ] {
        assert!(refused(text).contains(remedy), "{text}{}", refused(text));
    }
}
