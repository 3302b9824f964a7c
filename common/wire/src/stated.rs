//! What `/etc/entra/entra.toml` says of what a module may give, read by the modules themselves: it holds whatever the
//! daemon says, and where it says nothing.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::lookup_deadline;
use crate::ranges::Ranges;
use crate::reserved::Reserved;

/// Longest configuration that is read.
const MAX_CONFIG: u64 = 256 * 1024;

/// What the configuration states, or the defaults.
#[derive(Clone, Debug)]
pub struct Stated {
    /// The ids that a domain may have.
    pub ranges: Ranges,
    /// The names that no group of a domain has.
    pub reserved: Reserved,
    /// How long a lookup may keep a process waiting.
    pub lookup_deadline: Duration,
}

impl Stated {
    /// What the configuration at `path` states, remembered until the file changes. The defaults, and no range, where the
    /// file is missing, is neither root's nor this process's own, or can be written by others.
    pub fn of_config(path: &Path) -> Self {
        static LAST: Mutex<Option<(Stamp, Stated)>> = Mutex::new(None);
        let Ok(meta) = std::fs::metadata(path) else { return Self::parse("") };
        let stamp = Stamp::of(&meta);
        // try_lock: after a fork in the middle of another thread's call the lock stays taken; reading again is right.
        if let Ok(last) = LAST.try_lock()
            && let Some((known, stated)) = &*last
            && *known == stamp
        {
            return stated.clone();
        }
        let stated = Self::parse(&read(path).unwrap_or_default());
        if let Ok(mut last) = LAST.try_lock() {
            *last = Some((stamp, stated.clone()));
        }
        stated
    }

    fn parse(text: &str) -> Self {
        Self {
            ranges: Ranges::parse(text),
            reserved: Reserved::parse(text),
            lookup_deadline: lookup_deadline::parse(text),
        }
    }
}

/// What tells one version of the file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), changed: (meta.ctime(), meta.ctime_nsec()), size: meta.size() }
    }
}

/// The configuration's text, where it is a file of root's or of this process's own that nobody else can write.
fn read(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let own = std::fs::metadata("/proc/self").map(|process| process.uid()).unwrap_or_default();
    if !meta.is_file() || (meta.uid() != 0 && meta.uid() != own) || meta.mode() & 0o022 != 0 {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    Some(text)
}
