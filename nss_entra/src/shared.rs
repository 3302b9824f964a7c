//! The shared cache in this process: asked before the socket.

use entra_wire::cache_map::{Key, Limits, Mapped, SharedMap, View, mapping};
use entra_wire::guard::name_may_be_ours;
use entra_wire::local_names::LocalNames;

use crate::settings::Settings;
use crate::status::Failure;

static MAP: SharedMap = SharedMap::new();

/// What `look` finds in the map, within the limits of this host. `None`: the daemon has to be asked.
///
/// No system call while there is a map that answers. Where there is none, the way to the socket is the moment to look
/// for one.
pub(crate) fn ask<T>(
    settings: &Settings,
    look: impl FnOnce(&View<'_, Mapped>, &Limits) -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    if settings.off {
        return Ok(None);
    }
    loop {
        if let Some((memory, limits)) = MAP.mapped()
            && let Some(view) = View::open(&memory, mapping::now())
        {
            return look(&view, limits);
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
    let (low, high, colon) = text.iter().fold((u8::MAX, 0, 0), |(low, high, colon), byte| {
        // NUL wraps around: it ends a string and breaks nothing.
        (low.min(byte.wrapping_sub(1)), high.max(*byte), colon | u8::from(*byte == b':'))
    });
    let has_control = low < 0x1f;
    if has_control || colon != 0 {
        return false;
    }
    high < 0x7f || (!text.contains(&0x7f) && std::str::from_utf8(text).is_ok())
}

/// Whether what stands in `text` from `at` on, up to a NUL, may be shown as a member: a name is all that is known of one,
/// so it must not be a local user's. The text itself is judged by [`fits_lines`].
#[inline]
pub(crate) fn begins_with_member(text: &[u8], at: usize, local: &LocalNames) -> bool {
    // Nearly always that is all there is to look at; a group may have thousands of them. What begins below the colon
    // may be empty or a number.
    text.get(at..at.saturating_add(4))
        .and_then(|head| head.first_chunk().copied())
        .is_some_and(|head| head[0] > b':' && !local.may_begin(head))
        || is_member(text.get(at..).unwrap_or_default(), local)
}

#[cold]
fn is_member(text: &[u8], local: &LocalNames) -> bool {
    let name = text.split(|byte| *byte == 0).next().unwrap_or_default();
    name_may_be_ours(name) && !local.have(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_judged_up_to_its_end() {
        let file = std::env::temp_dir().join(format!("entra-members-{}", std::process::id()));
        std::fs::write(&file, "localuser:x:1000:1000::/:/bin/sh\n").unwrap();
        let local = LocalNames::read(&file, 1000, |_| true).unwrap();
        std::fs::remove_file(&file).unwrap();
        for text in [&b"alice\0"[..], b"alice\0localuser\0", b"localuser2\0", b"1000\0", b"z\0"] {
            assert!(begins_with_member(&[b"x\0", text].concat(), 2, &local), "{text:?}");
        }
        for text in [&b""[..], b"\0alice\0", b"localuser\0alice\0", b"LocalUser\0", b"root\0", b"0\0", b"27\0x\0"] {
            assert!(!begins_with_member(&[b"x\0", text].concat(), 2, &local), "{text:?}");
        }
    }

    #[test]
    fn what_would_break_a_line_is_seen() {
        assert!(fits_lines(b"alice\0*\0/home/alice\0") && fits_lines("zoë".as_bytes()) && fits_lines(b""));
        for text in [&b"a:b"[..], b"a\nb", b"a\x01", b"\x1fa", b"a\x7f", "é\x7f".as_bytes(), b"\xff"] {
            assert!(!fits_lines(text), "{text:?}");
        }
    }
}
