//! The shared cache in this process: asked before the socket.

use entra_wire::cache_map::{Key, Mapped, SharedMap, View, mapping};
use entra_wire::ranges::Ranges;

use crate::settings::Settings;
use crate::status::Failure;

static MAP: SharedMap = SharedMap::new();

/// What `look` finds in the map, together with the ids that the configuration granted when it was mapped. `None`: the
/// daemon has to be asked.
///
/// No system call while there is a map that answers. Where there is none, the way to the socket is the moment to look
/// for one.
pub(crate) fn ask<T>(
    settings: &Settings,
    look: impl FnOnce(&View<'_, Mapped>, &Ranges) -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    if settings.off {
        return Ok(None);
    }
    loop {
        if let Some((memory, ranges)) = MAP.mapped()
            && let Some(view) = View::open(&memory, mapping::now())
        {
            return look(&view, ranges);
        }
        // Another one than before: each turn has a file of its own.
        if !settings.map.as_ref().is_some_and(|place| MAP.refresh(place)) {
            return Ok(None);
        }
    }
}

/// What it means that there is no record by this key: the directory has none, or the daemon has to be asked.
pub(crate) fn missing<T>(view: &View<'_, Mapped>, key: &Key<'_>) -> Result<Option<T>, Failure> {
    if view.is_absent(key) && view.is_current() { Err(Failure::NotFound) } else { Ok(None) }
}

/// Whether text that may hold NULs between its parts is UTF-8 and breaks no line of passwd or group. One pass without
/// branches, which the compiler makes sixteen bytes at a time of: a group's text may be long.
pub(crate) fn fits_lines(text: &[u8]) -> bool {
    let (breaks, high) = text.iter().fold((0, 0), |(breaks, high), byte| {
        // 1 to 31, that is: NUL wraps around.
        let is_control = byte.wrapping_sub(1) < 0x1f;
        (breaks | u8::from(is_control) | u8::from(*byte == b':') | u8::from(*byte == 0x7f), high | *byte)
    });
    breaks == 0 && (high < 0x80 || std::str::from_utf8(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_seen() {
        assert!(fits_lines(b"alice\0*\0/home/alice\0") && fits_lines("zoë".as_bytes()) && fits_lines(b""));
        for text in [&b"a:b"[..], b"a\nb", b"a\x7f", b"\xff"] {
            assert!(!fits_lines(text), "{text:?}");
        }
    }
}
