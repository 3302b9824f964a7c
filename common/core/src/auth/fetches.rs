//! Who waits for which service tickets, and which service is left alone for a while because its KDC does not answer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Most users who wait; as many as have a ticket ([`super::tickets`]) would be more than log in at once anywhere.
const MAX_WAITING: usize = 1024;
/// How long a service is left alone after its KDC has not answered, in seconds; doubled by each further time.
const FIRST_PAUSE: u64 = 60;
/// The longest time that it is left alone, in seconds.
const LONGEST_PAUSE: u64 = 1800;

/// What one user waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Whose ccache the tickets go to.
    pub(super) uid: u32,
    /// When that ccache's ticket was got, in Unix seconds: with another one this wish is over.
    pub(super) got: u64,
    /// The services, `SERVICE/HOST`.
    pub(super) services: Vec<String>,
    /// Not before, in Unix seconds.
    pub(super) not_before: u64,
}

/// What a failure means for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It is left alone until then, in Unix seconds, for the first time since it worked.
    First(u64),
    /// As before, and it was said.
    Again(u64),
}

impl Pause {
    /// When it is over.
    pub(super) fn until(self) -> u64 {
        let (Self::First(until) | Self::Again(until)) = self;
        until
    }
}

#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    until: u64,
    /// Whose helper did not end in time: one person's may hang by what that person did to the ccache.
    late: Option<u32>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Wish>,
    /// By service; no more than the configuration names.
    troubles: HashMap<String, Trouble>,
}

/// The wishes of one host's users.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    state: Mutex<State>,
    news: Notify,
}

impl Fetches {
    /// Puts a wish at the end, in the place of an older one of the same user. False where too many wait.
    pub(super) fn put(&self, wish: Wish) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|other| other.uid != wish.uid);
        if state.waiting.len() >= MAX_WAITING {
            return false;
        }
        state.waiting.push_back(wish);
        drop(state);
        self.news.notify_one();
        true
    }

    /// The first wish whose time has come.
    pub(super) fn take(&self, now: u64) -> Option<Wish> {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|wish| wish.not_before <= now)?;
        state.waiting.remove(at)
    }

    /// Waits until a wish is put.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Until when a service is left alone; `None` where it is not.
    pub(super) fn paused(&self, service: &str, now: u64) -> Option<u64> {
        self.lock().troubles.get(service).map(|trouble| trouble.until).filter(|until| *until > now)
    }

    /// A ticket was got. Whether the service had been left alone.
    pub(super) fn works(&self, service: &str) -> bool {
        self.lock().troubles.remove(service).is_some_and(|trouble| trouble.failures > 0)
    }

    /// No KDC of the service answered.
    pub(super) fn unreachable(&self, service: &str, now: u64) -> Pause {
        let mut state = self.lock();
        let trouble = state.troubles.entry(service.to_owned()).or_default();
        if trouble.until > now {
            // It was under way when another one found that out, and says nothing new.
            return Pause::Again(trouble.until);
        }
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.until = now + pause(trouble.failures);
        if trouble.failures == 1 { Pause::First(trouble.until) } else { Pause::Again(trouble.until) }
    }

    /// The helper for this user did not end in time. `None`: that says nothing of the service yet.
    pub(super) fn late(&self, service: &str, uid: u32, now: u64) -> Option<Pause> {
        let another = {
            let mut state = self.lock();
            let late = &mut state.troubles.entry(service.to_owned()).or_default().late;
            late.replace(uid).is_some_and(|other| other != uid)
        };
        another.then(|| self.unreachable(service, now))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a service is left alone after so many failures, in seconds.
pub(super) fn pause(failures: u32) -> u64 {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(32)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: &str = "cifs/acct.file.core.windows.net";

    fn wish(uid: u32, not_before: u64) -> Wish {
        Wish { uid, got: 1, services: vec![SHARE.into()], not_before }
    }

    #[test]
    fn wishes_come_in_turn_and_in_time_and_one_per_user() {
        let fetches = Fetches::default();
        for one in [wish(1, 100), wish(2, 0), wish(3, 0), wish(2, 10)] {
            assert!(fetches.put(one));
        }
        assert_eq!(fetches.take(5), Some(wish(3, 0)));
        assert_eq!(fetches.take(5), None);
        assert_eq!((fetches.take(10), fetches.take(100)), (Some(wish(2, 10)), Some(wish(1, 100))));
    }

    #[test]
    fn a_crowd_is_bounded() {
        let fetches = Fetches::default();
        assert_eq!((0..5000).filter(|uid| fetches.put(wish(*uid, 0))).count(), MAX_WAITING);
        assert!(fetches.put(wish(7, 9)), "who waits already takes no further place");
    }

    #[test]
    fn a_service_that_does_not_answer_is_left_alone_longer_each_time() {
        let fetches = Fetches::default();
        assert_eq!(fetches.unreachable(SHARE, 1000), Pause::First(1060));
        assert_eq!(fetches.unreachable(SHARE, 1005), Pause::Again(1060), "found out twice at once, it counts once");
        assert_eq!((fetches.paused(SHARE, 1059), fetches.paused(SHARE, 1060)), (Some(1060), None));
        assert_eq!(fetches.paused("cifs/other.example", 1010), None);
        assert_eq!(fetches.unreachable(SHARE, 1060), Pause::Again(1180));
        let longest = (0..20).map(|_| fetches.unreachable(SHARE, 1_000_000_000).until()).max();
        assert_eq!(longest, Some(1_000_000_000 + 240));
        assert_eq!(pause(40), LONGEST_PAUSE);
        assert!(fetches.works(SHARE) && !fetches.works(SHARE));
        assert_eq!(fetches.unreachable(SHARE, 9000), Pause::First(9060));
    }

    #[test]
    fn one_users_late_helper_takes_the_service_from_nobody_else() {
        let fetches = Fetches::default();
        assert_eq!((fetches.late(SHARE, 1, 100), fetches.late(SHARE, 1, 200)), (None, None));
        assert_eq!(fetches.paused(SHARE, 200), None);
        assert_eq!(fetches.late(SHARE, 2, 300), Some(Pause::First(360)));
        let fresh = Fetches::default();
        assert_eq!(fresh.late(SHARE, 1, 100), None);
        assert!(!fresh.works(SHARE), "it was never left alone");
        assert_eq!(fresh.late(SHARE, 2, 200), None, "it worked between");
    }
}
