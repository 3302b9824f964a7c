//! The text of `/etc/entra/entra.toml` as the modules read it. They carry no TOML parser: what is here knows lines,
//! comments, and the options before the first table.

/// The line without its comment: a `#` outside of quotes.
pub(crate) fn strip_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, byte) in line.bytes().enumerate() {
        match (quote, byte) {
            (None, b'#') => return &line[..at],
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    line
}

/// What stands behind the `=` of the whole host's option `key` on its line, and the lines after it, without their comments.
/// `None` where no line before the first table begins with the key.
pub(crate) fn value<'t>(text: &'t str, key: &str) -> Option<(&'t str, impl Iterator<Item = &'t str>)> {
    let mut lines = text.lines().map(strip_comment).take_while(|line| !line.trim_start().starts_with('['));
    let first = lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim().trim_matches(['"', '\'']) == key).then_some(value)
    })?;
    Some((first, lines))
}
