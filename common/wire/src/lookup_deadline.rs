//! How long a lookup may keep a process waiting: `lookup_deadline` of `/etc/entra/entra.toml`. It holds above all
//! where the daemon does not answer.

use std::time::Duration;

use crate::config_text;

/// The option's name.
const KEY: &str = "lookup_deadline";
/// The default, which is the most, too.
pub const DEFAULT: Duration = Duration::from_secs(3);
/// What the daemon keeps of it for the way of its answer.
pub const WAY: Duration = Duration::from_millis(250);

/// That of a configuration's text; the default where it states none, or none that is known here.
pub fn parse(text: &str) -> Duration {
    let seconds = config_text::value(text, KEY).and_then(|(value, _)| {
        let quoted = value.trim();
        let quote = quoted.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        quoted.strip_prefix(quote)?.strip_suffix(quote)?.strip_suffix('s')?.parse().ok()
    });
    seconds.map(Duration::from_secs).filter(|stated| !stated.is_zero() && *stated <= DEFAULT).unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_time_counts_within_its_bounds() {
        let domain = "[domains.\"a.example\"]\n";
        for (text, seconds) in [
            ("", 3),
            ("lookup_deadline = \"1s\"\n", 1),
            ("cache_ttl = \"1h\"\n lookup_deadline='2s' # slow\n", 2),
            ("lookup_deadline = \"9s\"\n", 3),
            ("lookup_deadline = \"0s\"\n", 3),
            ("lookup_deadline = 1\n", 3),
            ("# lookup_deadline = \"1s\"\n", 3),
        ] {
            assert_eq!(parse(&format!("{text}{domain}")), Duration::from_secs(seconds), "{text:?}");
        }
        assert_eq!(parse(&format!("{domain}lookup_deadline = \"1s\"\n")), DEFAULT, "a domain has none");
    }
}
