//! Options of the whole host as the modules find them in `/etc/entra/entra.toml`. They carry no TOML parser: this scanner
//! knows comments and the lines before the first table.

use crate::ranges::strip_comment;

/// What stands behind the `=` of the option `key` on its line, and the lines after it, without their comments. `None`
/// where no line before the first table begins with the key.
pub(crate) fn value<'t>(text: &'t str, key: &str) -> Option<(&'t str, impl Iterator<Item = &'t str>)> {
    let mut lines = text.lines().map(strip_comment).take_while(|line| !line.trim_start().starts_with('['));
    let first = lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim().trim_matches(['"', '\'']) == key).then_some(value)
    })?;
    Some((first, lines))
}
