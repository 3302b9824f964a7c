//! The log: one line per message on standard error, with the journal's priority in front where systemd reads it
//! (sd-daemon(3)), and no more of a kind than somebody could want ([`places`]).

mod places;

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use entra_core::auth::ADMITTED;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Starts the log. Safe to call twice; the first call counts.
pub fn start(level: LevelFilter) {
    let journal = Journal { prefixed: is_journal(), places: Places::default() };
    if log::set_boxed_logger(Box::new(journal)).is_ok() {
        log::set_max_level(level);
    }
}

use places::Places;

struct Journal {
    prefixed: bool,
    places: Places,
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Libraries may print what they were given, names and bytes of the directory: only their warnings are ours to
        // show.
        let foreign = !record.target().starts_with("entra");
        if self.enabled(record.metadata()) && (!foreign || record.level() <= Level::Warn) {
            // Who asked for every detail gets it.
            let counts = record.level() <= Level::Info && record.target() != ADMITTED;
            let place = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
            let left_out = if counts { self.places.admit(place, Instant::now()) } else { Some(0) };
            let Some(left_out) = left_out else { return };
            let mut message = record.args().to_string();
            if left_out > 0 {
                // Writing to a String cannot fail.
                let _ = write!(message, " ({left_out} more like this one were left out before it)");
            }
            let line = line(record.level(), &message, self.prefixed);
            // One write, so that the lines of worker and broker do not mix. Nobody to tell if it fails.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Names come from outside: what could forge a line or drive a terminal is shown as an escape.
fn line(level: Level, message: &str, prefixed: bool) -> String {
    let mut line = String::with_capacity(message.len() + 16);
    let (priority, word) = match level {
        Level::Error => (3, "error"),
        Level::Warn => (4, "warning"),
        Level::Info => (6, "info"),
        Level::Debug | Level::Trace => (7, "debug"),
    };
    // Writing to a String cannot fail.
    let _ = if prefixed { write!(line, "<{priority}>") } else { write!(line, "entrad: {word}: ") };
    for character in message.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// Whether standard error is the journal's own socket: `JOURNAL_STREAM` names its device and inode.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line() {
        let text = line(Level::Warn, "no user \"x\n<3>fire\u{1b}[2J\u{202e}\"", true);
        assert_eq!(text, "<4>no user \"x\\n<3>fire\\u{1b}[2J\\u{202e}\"\n");
        assert_eq!(line(Level::Error, "Jürgen", false), "entrad: error: Jürgen\n");
    }
}
