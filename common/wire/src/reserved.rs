//! Group names that local programs give rights to (`wheel`, `docker`): no group of the directory has one of them, whatever
//! the daemon says. From `reserved_groups` in `/etc/entra/entra.toml`.
//!
//! This scanner knows the one list of plain strings that the option is; where it is written in another way, the default
//! list counts: a name too many is refused, never one too few.

use crate::config_text;

/// The option's default, as TOML.
pub const DEFAULT: &str = r#"["root", "sudo", "wheel", "adm", "admin", "admins", "staff", "sys", "operator", "disk", "shadow", "kmem", "tty", "utmp", "backup", "input", "kvm", "libvirt", "docker", "podman", "lxc", "lxd", "incus", "incus-admin", "netdev", "plugdev", "systemd-journal", "entra", "nobody", "nogroup"]"#;
/// The option's name.
const KEY: &str = "reserved_groups";

/// Names in lower case, each with a newline behind it: one piece of memory, which is soon copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved(String);

impl Reserved {
    /// No name: for users, whose rights no name gives.
    pub const NONE: Self = Self(String::new());

    /// Those of a configuration's text; the default ones where it states none.
    pub fn parse(text: &str) -> Self {
        let names = names(text).or_else(|| strings(DEFAULT)).unwrap_or_default();
        Self(names.iter().flat_map(|name| [name.to_lowercase(), "\n".to_owned()]).collect())
    }

    /// Whether this is one of them, in whatever letter case.
    pub fn have(&self, name: &[u8]) -> bool {
        self.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
    }

    /// The names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_terminator('\n').map(str::as_bytes)
    }
}

/// The names that the text states for the whole host; `None` where it states none, or in a way that is not known here.
fn names(text: &str) -> Option<Vec<String>> {
    let (first, mut lines) = config_text::value(text, KEY)?;
    let mut value = first.to_owned();
    while !value.contains(']') {
        value.push(' ');
        value.push_str(lines.next()?);
    }
    strings(&value)
}

/// A list of strings without escapes, and nothing behind it.
fn strings(list: &str) -> Option<Vec<String>> {
    let mut rest = list.trim().strip_prefix('[')?.trim_start();
    let mut found = Vec::new();
    while rest != "]" {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (name, after) = rest[1..].split_once(quote)?;
        if name.is_empty() || name.contains('\\') {
            return None;
        }
        found.push(name.to_owned());
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after == "]" => after,
            None => return None,
        };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_the_default_counts() {
        let domain = "[domains.\"a.example\"]\n";
        // Written in ways that are not known here, and one of a domain's table, which is no option.
        let unknown = [
            "reserved_groups = [\"a\\u0062\"]\n",
            "reserved_groups = [\"\"\"a\"\"\"]\n",
            "reserved_groups = [\"open\n",
            "reserved_groups = \"a\"\n",
            "# reserved_groups = [\"a\"]\n",
            "[domains.\"a.example\"]\nreserved_groups = [\"a\"]\n",
        ];
        for text in ["", domain].into_iter().chain(unknown) {
            let reserved = Reserved::parse(text);
            for name in ["wheel", "Admin", "DOCKER", "incus-admin", "nogroup"] {
                assert!(reserved.have(name.as_bytes()), "{name} in {text:?}");
            }
            assert!(!reserved.have(b"a") && !reserved.have(b"") && !reserved.have(b"wheel@a.example"), "{text:?}");
        }
    }

    #[test]
    fn a_stated_list_replaces_the_default() {
        for text in [
            "reserved_groups = [\"Ops\", 'db']\n[domains.\"a.example\"]\n",
            "cache_ttl = \"1h\"\n  \"reserved_groups\"=[ # of this host\n  \"Ops\", # ours\n  \"db\",\n]\n",
        ] {
            let reserved = Reserved::parse(text);
            assert!(reserved.have(b"ops") && reserved.have(b"DB") && !reserved.have(b"wheel"), "{text:?}");
        }
        let none = Reserved::parse("reserved_groups = []\n");
        assert!(!none.have(b"wheel"));
    }
}
