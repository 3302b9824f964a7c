//! How often passwords may be tried: by one uid that asks for itself, and wrongly for one user. Both tables are bounded.
//!
//! A limit on a user's wrong passwords is a nuisance to the user as well, so it is far above what a person types, and
//! the domain's own lockout comes first where there is one. It bounds what a guesser who has all night costs the
//! directory, and what they may hope for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most keys that are counted at once. Beyond that nobody new is: whoever fills the table with accounts has a
/// directory's worth of them.
const MOST: usize = 4096;

/// A rate with room for a burst: the generic cell rate algorithm, one instant per key.
pub(super) struct Limit {
    burst: u32,
    every: Duration,
    /// When each key's allowance is whole again.
    whole: HashMap<u32, Instant>,
}

impl Limit {
    /// `burst` at once, and then one in `every`.
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, whole: HashMap::new() }
    }

    /// How long until `key` may have one more; `None`: now.
    pub(super) fn wait(&self, key: u32, now: Instant) -> Option<Duration> {
        let behind = self.whole.get(&key)?.saturating_duration_since(now) + self.every;
        behind.checked_sub(self.every * self.burst).filter(|wait| !wait.is_zero())
    }

    /// Counts one of `key`, whether there was room for it or not; more than the burst and one is not held against it.
    pub(super) fn count(&mut self, key: u32, now: Instant) {
        if self.whole.len() >= MOST && !self.whole.contains_key(&key) {
            self.whole.retain(|_, whole| *whole > now);
            if self.whole.len() >= MOST {
                return;
            }
        }
        let whole = self.whole.entry(key).or_insert(now);
        *whole = (*whole).max(now) + self.every;
        *whole = (*whole).min(now + self.every * (self.burst + 1));
    }

    /// Whether nothing is counted of anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Forgets what was counted of `key`.
    pub(super) fn forgive(&mut self, key: u32) {
        self.whole.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let mut limit = Limit::new(3, SECOND);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.wait(7, now), None);
            limit.count(7, now);
        }
        assert_eq!(limit.wait(7, now), Some(SECOND));
        assert_eq!(limit.wait(8, now), None, "others are others");
        assert_eq!(limit.wait(7, now + SECOND), None);
        limit.count(7, now + SECOND);
        assert!(limit.wait(7, now + SECOND).is_some());
        assert_eq!(limit.wait(7, now + SECOND * 10), None, "it is whole again");
        limit.forgive(7);
        assert_eq!(limit.wait(7, now), None);
    }

    #[test]
    fn whoever_goes_on_waits_no_longer_for_it() {
        let mut limit = Limit::new(3, SECOND);
        let now = Instant::now();
        for _ in 0..1000 {
            limit.count(7, now);
        }
        assert!(limit.wait(7, now).unwrap() <= SECOND * 2);
    }

    #[test]
    fn the_table_has_a_bound_and_makes_room() {
        let mut limit = Limit::new(1, SECOND);
        let now = Instant::now();
        for key in 0..MOST as u32 + 10 {
            limit.count(key, now);
        }
        assert_eq!(limit.whole.len(), MOST);
        limit.count(u32::MAX, now + SECOND * 5);
        assert_eq!(limit.whole.len(), 1);
    }
}
