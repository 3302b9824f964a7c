//! Asking again before an answer is past its life, for those that somebody asks for: nobody waits for what is used.
//!
//! The shared cache gives an answer until it is due, so who reads it there comes to the daemon once then, and is answered
//! from memory while the directory is asked. What nobody asks for is never asked for here, either.

use std::sync::Arc;

use crate::types::Sid;

use super::resolve::Subject;
use super::{Lookup, Query};

/// When an answer is due, in hundredths of its life: the first of them, and how many more there are. Accounts that were
/// met together are not due together.
const DUE: u64 = 70;
const SPREAD: u64 = 11;
/// Most searches at once on account of this: somebody may be waiting for another one.
pub(super) const AT_ONCE: usize = 4;
/// Most answers of one kind that wait for it; the others are tried when they are asked for again.
const MOST: usize = 256;

impl Lookup {
    /// The age in seconds at which an answer about this account is due.
    pub(super) fn due_age(&self, sid: &Sid) -> u64 {
        // Knuth's multiplicative hash: neighbours are spread.
        let part = u64::from(sid.rid().wrapping_mul(2_654_435_761) >> 16) % SPREAD;
        self.settings.cache_ttl.as_secs().saturating_mul(DUE + part) / 100
    }

    /// Whether it is time to ask again for an answer of that moment.
    pub(super) fn is_due(&self, sid: &Sid, fetched: u64, now: u64) -> bool {
        fetched > now || now - fetched >= self.due_age(sid)
    }

    /// Asks for this again, behind the back of whoever asks; once at a time, and not where too many wait.
    pub(super) fn refresh<T: Subject>(self: &Arc<Self>, query: Query) {
        if !T::shelf(self).begin_refresh(&query, MOST) {
            return;
        }
        let lookup = Arc::clone(self);
        tokio::spawn(async move {
            // Never closed.
            let _turn = lookup.refreshing.acquire().await;
            if let Err(error) = lookup.ask::<T>(query.clone()).await {
                log::debug!("{query:?} could not be asked for again: {error}");
            }
            T::shelf(&lookup).end_refresh(&query);
        });
    }
}
