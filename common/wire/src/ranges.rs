//! The id ranges that `/etc/entra/entra.toml` grants: a forged socket or cache can name no id outside them.
//!
//! This scanner knows comments, strings, table headers and the key `id_range`, and grants the default range wherever a
//! domain states none. The daemon's parser refuses files that the two could read differently (`id_range` is a plain string
//! on one line).

use crate::config_text::strip_comment;

/// Range of a domain that states none: SSSD's, 200,000 up to and with 2,000,199,999.
pub const DEFAULT: (u32, u32) = (200_000, 2_000_199_999);
/// Most ranges that are kept; a configuration with more is treated as granting the first ones.
const MAX_RANGES: usize = 16;

/// A set of inclusive id ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    list: [(u32, u32); MAX_RANGES],
    count: usize,
}

impl Ranges {
    const EMPTY: Self = Self { list: [(1, 0); MAX_RANGES], count: 0 };

    /// The ranges that a configuration's text grants. None where it names no domain: on a host that has not joined, every
    /// id is somebody else's.
    pub fn parse(text: &str) -> Self {
        let mut ranges = Self::EMPTY;
        let mut domains = 0;
        // A domain may also be named by a table below it, or by a dotted key alone.
        let mut mentioned = false;
        for line in text.lines() {
            let code = strip_comment(line);
            let trimmed = code.trim_start();
            mentioned |= trimmed.trim_start_matches(['[', ' ', '\t']).starts_with("domains");
            if trimmed.starts_with('[') && !trimmed.starts_with("[[") {
                domains += usize::from(is_domain_header(trimmed));
                continue;
            }
            if let Some(range) = id_range(code) {
                ranges.push(range);
            }
        }
        if ranges.count < domains.max(usize::from(mentioned)) {
            ranges.push(DEFAULT);
        }
        ranges
    }

    /// Whether nothing is granted: no domain is configured.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `id` lies in one of the ranges.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.list[..self.count].iter().any(|(low, high)| (*low..=*high).contains(&id))
    }

    /// Whether one of the ranges holds everything from `first` up to and with `last`.
    #[inline]
    pub fn contain_all(&self, first: u32, last: u32) -> bool {
        self.list[..self.count].iter().any(|(low, high)| *low <= first && last <= *high)
    }

    fn push(&mut self, range: (u32, u32)) {
        if let Some(slot) = self.list.get_mut(self.count) {
            *slot = range;
            self.count += 1;
        }
    }
}

/// `[domains.x]`, `[domains."x"]`: a table of a domain, not one below it.
fn is_domain_header(trimmed: &str) -> bool {
    let Some(inner) = trimmed.trim_start_matches('[').trim_start().strip_prefix("domains") else { return false };
    let Some(name) = inner.trim_start().strip_prefix('.') else { return false };
    let name = name.trim_start();
    match name.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            name[1..].split_once(quote).is_some_and(|(_, after)| after.trim_start().starts_with(']'))
        }
        _ => name.split_once(']').is_some_and(|(bare, _)| !bare.contains('.')),
    }
}

/// `id_range = "LOW-HIGH"` anywhere in a line (also in an inline table).
fn id_range(code: &str) -> Option<(u32, u32)> {
    let (before, after) = code.split_once("id_range")?;
    if before.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '-') {
        return None;
    }
    let value = after.trim_start_matches(['"', '\'']).trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let (text, _) = value[1..].split_once(quote)?;
    parse_range(text)
}

/// `LOW-HIGH`, both inclusive, decimal, underscores allowed.
pub fn parse_range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-')?;
    let number = |part: &str| part.trim().replace('_', "").parse::<u32>().ok();
    let (low, high) = (number(low)?, number(high)?);
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_range_the_default_is_granted() {
        let ranges = Ranges::parse("[domains.\"a.example\"]\npreset = \"entra-ds\"\n");
        assert!(ranges.contains(674_001_103));
        assert!(!ranges.contains(199_999));
        assert!(!ranges.contains(2_000_200_000));
    }

    #[test]
    fn without_a_domain_nothing_is_granted() {
        for text in ["", "cache_ttl = \"1h\"\n", "# [domains.\"a.example\"]\n"] {
            assert!(Ranges::parse(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_stated_range_replaces_the_default() {
        let ranges = Ranges::parse("[domains.\"a.example\"]\nid_range = \"10000-999999\" # winbind's\n");
        assert!(ranges.contains(10_000) && ranges.contains(999_999));
        assert!(!ranges.contains(1_000_000));
        assert!(ranges.contain_all(10_000, 999_999) && !ranges.contain_all(9999, 10_000));
        assert!(!ranges.contain_all(999_999, 1_000_000));
    }

    #[test]
    fn each_domain_without_a_range_keeps_the_default() {
        let text = "[domains.\"a.example\"]\nid_range = \"5000-5999\"\n[domains.\"b.example\"]\n[domains.\"b.example\".access]\n";
        let ranges = Ranges::parse(text);
        assert!(ranges.contains(5000) && ranges.contains(674_001_103));
    }

    #[test]
    fn comments_and_other_keys_grant_nothing() {
        let ranges = Ranges::parse("[domains.x]\n# id_range = \"1000-4000\"\nold_id_range = \"1000-4000\"\n");
        assert!(!ranges.contains(2000));
    }

    #[test]
    fn a_range_upside_down_grants_nothing() {
        assert_eq!(parse_range("9-5"), None);
        assert_eq!(parse_range("5-9-"), None);
        assert_eq!(parse_range("1_000-2_000"), Some((1000, 2000)));
    }
}
