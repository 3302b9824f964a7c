//! How many lines each place of the program may write: what a client can have written, it can have written without end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of one place that are written however fast they come: two hundred people who log in at once are no flood.
const BURST: u32 = 1000;
/// And then one in so long.
const EVERY: Duration = Duration::from_millis(100);

/// A place of the program: file and line. There are as many as the program has, so the table needs no other bound.
type Place = (&'static str, u32);

/// What was written at each place: the generic cell rate algorithm.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<Place, Written>>);

#[derive(Clone, Copy, Debug)]
struct Written {
    /// When the allowance is whole again.
    whole: Instant,
    /// Lines that were not written since the last one that was.
    left_out: u64,
}

impl Places {
    /// Whether a line of `place` is written, and how many before it were not.
    pub(super) fn admit(&self, place: Place, now: Instant) -> Option<u64> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = table.entry(place).or_insert(Written { whole: now, left_out: 0 });
        let whole = written.whole.max(now) + EVERY;
        if whole.saturating_duration_since(now) > EVERY * BURST {
            written.left_out += 1;
            return None;
        }
        written.whole = whole;
        Some(std::mem::take(&mut written.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_and_hides_nothing_else() {
        let (places, now) = (Places::default(), Instant::now());
        let (noisy, quiet) = (("pam.rs", 89), ("pam.rs", 90));
        let lines = (0..5000).filter_map(|_| places.admit(noisy, now)).count();
        assert_eq!(lines, BURST as usize);
        assert_eq!(places.admit(quiet, now), Some(0));
        assert_eq!(places.admit(noisy, now + EVERY), Some(4000), "one more, and it tells of the others");
        assert_eq!(places.admit(noisy, now + EVERY), None);
        assert_eq!(places.admit(noisy, now + EVERY * 2), Some(1));
    }
}
