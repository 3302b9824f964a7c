//! How long to wait after offline attempts that failed. Offline nobody counts beside this host, so it counts for ever.

/// Failures that cost nothing: fingers slip.
const FREE: u32 = 3;
/// The wait after the last of them, in seconds; doubled by each further one.
const FIRST: u64 = 10;
/// The longest wait, in seconds.
const LONGEST: u64 = 900;
/// After this many failures in a row only an online login opens the account again.
pub(super) const LIMIT: u32 = 15;

/// Whether an attempt may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may.
    Now,
    /// Not before so many seconds are over.
    In(u64),
    /// Not any more.
    Never,
}

/// Judges an attempt at `now`, after so many `failures` in a row, the last one at `failed` (Unix seconds). A clock that
/// was set back shortens no wait.
pub(super) fn turn(failures: u32, failed: u64, now: u64) -> Turn {
    if failures >= LIMIT {
        return Turn::Never;
    }
    let Some(beyond) = failures.checked_sub(FREE) else { return Turn::Now };
    let wait = FIRST.saturating_mul(1 << beyond.min(32)).min(LONGEST);
    match wait.saturating_sub(now.saturating_sub(failed)) {
        0 => Turn::Now,
        left => Turn::In(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let at_once: Vec<_> = (0..=LIMIT).map(|failures| turn(failures, 1000, 1000)).collect();
        assert_eq!(at_once[..6], [Turn::Now, Turn::Now, Turn::Now, Turn::In(10), Turn::In(20), Turn::In(40)]);
        assert_eq!(at_once[LIMIT as usize - 1], Turn::In(LONGEST));
        assert_eq!(at_once[LIMIT as usize], Turn::Never);
    }

    #[test]
    fn a_wait_ends_with_its_last_second_and_a_clock_set_back_does_not_end_it() {
        assert_eq!(turn(3, 1000, 1009), Turn::In(1));
        assert_eq!(turn(3, 1000, 1010), Turn::Now);
        assert_eq!(turn(3, 1000, 5), Turn::In(10));
    }
}
