//! How fast one asker's unknown names reach the directory. Known ones are answered without it, and what the directory has
//! costs nobody anything: only a question to which it said that there is none is counted, and only its asker waits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Lookup;
use super::Query;
use super::resolve::Subject;
use super::shelf::Found;
use crate::Error;

tokio::task_local! {
    static ASKER: u32;
}

/// Most askers that are counted apart at once; those beyond share one allowance.
const MOST: usize = 4096;
/// Whom those beyond are counted as: (uid_t)-1, which nobody has.
const OTHERS: u32 = u32::MAX;
/// Longest wait for a turn: behind it an answer would come too late for whoever asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pause between two lines of the log about somebody who has to wait.
const TELLING: Duration = Duration::from_secs(60);

/// What one uid may ask that nobody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many questions at once,
    pub burst: u32,
    /// and then one in so long.
    pub every: Duration,
}

/// What a listing of files of thousands who are gone does not notice, and is far below what a directory can take.
impl Default for Allowance {
    fn default() -> Self {
        Self { burst: 2000, every: Duration::from_millis(2) }
    }
}

/// Does `work` on behalf of a process of this uid: what it asks for in vain counts against that uid. Tasks that it spawns
/// are the daemon's own.
pub async fn asked_by<F: Future>(uid: u32, work: F) -> F::Output {
    ASKER.scope(uid, work).await
}

/// What every asker has used up: the generic cell rate algorithm, one instant per uid.
pub(super) struct Pace {
    allowance: Allowance,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each one's allowance is whole again.
    whole: HashMap<u32, Instant>,
    /// When the administrator was told of one.
    told: Option<Instant>,
}

impl Pace {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, state: Mutex::default() }
    }

    /// Takes one of `asker`'s questions: how long it has to wait for its turn.
    ///
    /// # Errors
    /// [`Error::Busy`] where that is too long; nothing is taken then.
    fn take(&self, asker: u32, now: Instant) -> Result<Duration, Error> {
        let Allowance { burst, every } = self.allowance;
        let mut state = self.lock();
        let State { whole: table, told } = &mut *state;
        if table.len() >= MOST && !table.contains_key(&asker) {
            table.retain(|_, whole| *whole > now);
        }
        let is_full = table.len() >= MOST && !table.contains_key(&asker);
        let whole = table.entry(if is_full { OTHERS } else { asker }).or_insert(now);
        let after = (*whole).max(now) + every;
        let wait = after.saturating_duration_since(now).saturating_sub(every.saturating_mul(burst));
        if !wait.is_zero() && told.is_none_or(|told| now.saturating_duration_since(told) >= TELLING) {
            *told = Some(now);
            log::warn!("uid {asker} is slowed: it asks for many names and ids that nobody has; see what it runs");
        }
        if wait > PATIENCE {
            return Err(Error::Busy(format!("uid {asker} asks for too many names that nobody has: it has to wait")));
        }
        *whole = after;
        Ok(wait)
    }

    /// The question was about somebody, or not answered: it does not count.
    fn give_back(&self, asker: u32) {
        let table = &mut self.lock().whole;
        let key = if table.contains_key(&asker) { asker } else { OTHERS };
        if let Some(whole) = table.get_mut(&key) {
            *whole = whole.checked_sub(self.allowance.every).unwrap_or(*whole);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookup {
    /// Asks the directory for what is not known, when it is the asker's turn.
    ///
    /// # Errors
    /// [`Error::Busy`] where that takes too long, else as the directory.
    pub(super) async fn ask_in_turn<T: Subject>(self: &std::sync::Arc<Self>, query: Query) -> Result<Found<T>, Error> {
        // Without one it is the daemon itself, which asks for what it was told of.
        let Ok(asker) = ASKER.try_with(|uid| *uid) else { return self.ask(query).await };
        let wait = self.pace.take(asker, Instant::now())?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let found = self.ask(query).await;
        if !matches!(found, Ok(None)) {
            self.pace.give_back(asker);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    fn pace() -> Pace {
        Pace::new(Allowance { burst: 5, every: EVERY })
    }

    #[test]
    fn a_burst_is_free_and_then_each_waits_behind_the_others() {
        let (pace, now) = (pace(), Instant::now());
        for _ in 0..5 {
            assert_eq!(pace.take(1000, now).unwrap(), Duration::ZERO);
        }
        assert_eq!(pace.take(1000, now).unwrap(), EVERY);
        assert_eq!(pace.take(1000, now).unwrap(), EVERY * 2, "those who wait do not go together");
        assert_eq!(pace.take(1001, now).unwrap(), Duration::ZERO, "others are others");
        let let_in = (0..1000).filter(|_| pace.take(1000, now).is_ok()).count();
        assert_eq!(let_in, 8, "no more than have their turn within a second");
        assert_eq!(pace.take(1000, now + EVERY * 20).unwrap(), Duration::ZERO);
    }

    #[test]
    fn what_was_about_somebody_does_not_count() {
        let (pace, now) = (pace(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(pace.take(1000, now).unwrap(), Duration::ZERO);
            pace.give_back(1000);
        }
    }

    #[test]
    fn the_table_has_a_bound_and_makes_room() {
        let (pace, now) = (pace(), Instant::now());
        for uid in 0..MOST as u32 + 4 {
            assert_eq!(pace.take(uid, now).unwrap(), Duration::ZERO);
        }
        assert_eq!(pace.lock().whole.len(), MOST + 1);
        assert_eq!(pace.take(u32::MAX - 1, now).unwrap(), Duration::ZERO);
        assert_eq!(pace.take(u32::MAX - 2, now).unwrap(), EVERY, "those beyond share what one has");
        assert_eq!(pace.take(7, now + EVERY * 9).unwrap(), Duration::ZERO);
        assert_eq!(pace.take(u32::MAX - 1, now + EVERY * 9).unwrap(), Duration::ZERO);
        assert!(pace.lock().whole.len() < 4);
    }
}
