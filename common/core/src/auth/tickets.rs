//! What a login leaves for its sessions: where the ticket is, how long it is kept fresh, and when it goes.
//!
//! sshd authenticates in a child whose PAM data is lost, so the phases meet here. The count of sessions does not survive
//! a restart of the daemon: then tickets end by themselves, and none is taken from a session that still runs.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::types::DomainId;

use super::{CcacheTarget, TicketTimes};

/// Users whose ticket is remembered.
const MAX_USERS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// How long after an authentication its session may take to open, in seconds (sshd's LoginGraceTime is 120): so long a
/// ticket is not taken away because another session ended.
pub(super) const OPENING: u64 = 120;

/// A ticket of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whose, and its residual name.
    pub(super) target: CcacheTarget,
    /// The domain that issued it.
    pub(super) domain: DomainId,
    /// When it was got or renewed, in Unix seconds.
    pub(super) got: u64,
    /// Its life; `None` where nobody said.
    pub(super) times: Option<TicketTimes>,
}

impl Ticket {
    /// Whether it should be renewed now: half of its life is over, and it still can be.
    fn is_due(&self, now: u64) -> bool {
        self.times.is_some_and(|times| {
            let half = self.got + times.ends.saturating_sub(self.got) / 2;
            now >= half && now < times.ends && times.renew_till > times.ends
        })
    }
}

#[derive(Debug, Default)]
struct User {
    ticket: Option<Ticket>,
    sessions: u32,
    /// When a password was proven for which no session has opened yet.
    proven: Option<u64>,
    /// The last session is over, and the ticket waits for a login that was under way then.
    left: bool,
}

impl User {
    fn opening(&self, now: u64) -> bool {
        self.proven.is_some_and(|proven| now.saturating_sub(proven) < OPENING)
    }
}

/// Tickets and sessions of one host's users, by uid.
pub(super) struct Sessions(Mutex<LruCache<u32, User>>);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MAX_USERS)))
    }

    /// A password was proven, which gave this ticket.
    pub(super) fn proven(&self, ticket: Ticket, now: u64) {
        let uid = ticket.target.uid;
        let mut users = self.lock();
        let user = users.get_or_insert_mut(uid, User::default);
        (user.ticket, user.proven, user.left) = (Some(ticket), Some(now), false);
    }

    /// The name of the user's ccache, for KRB5CCNAME.
    pub(super) fn ccache(&self, uid: u32) -> Option<String> {
        self.lock().get(&uid)?.ticket.as_ref().map(|ticket| ticket.target.name.clone())
    }

    /// Where the user's next ticket goes whose ccache is to be `wanted`: into the one beside that, where an earlier login
    /// found the name taken by somebody else. All sessions share one then too, and the end of the last leaves none.
    pub(super) fn name_for(&self, uid: u32, wanted: String) -> String {
        let has = self.ccache(uid).filter(|has| {
            // One suffix, as the helper makes it: a name does not grow from login to login.
            has.strip_prefix(&wanted).and_then(|rest| rest.strip_prefix('_')).is_some_and(|rest| !rest.contains('_'))
        });
        has.unwrap_or(wanted)
    }

    /// The ticket of a user who has a session.
    pub(super) fn current(&self, uid: u32) -> Option<Ticket> {
        self.lock().peek(&uid).filter(|user| user.sessions > 0)?.ticket.clone()
    }

    /// Whether the user has a session that this daemon counts.
    pub(super) fn has_one(&self, uid: u32) -> bool {
        self.lock().peek(&uid).is_some_and(|user| user.sessions > 0)
    }

    /// A ticket came for sessions that had none. Gives it back where the last of them is over.
    pub(super) fn got(&self, ticket: Ticket) -> Option<Ticket> {
        match self.lock().peek_mut(&ticket.target.uid).filter(|user| user.sessions > 0) {
            Some(user) => {
                user.ticket = Some(ticket);
                None
            }
            None => Some(ticket),
        }
    }

    /// A session begins.
    pub(super) fn open(&self, uid: u32) {
        let mut users = self.lock();
        let user = users.get_or_insert_mut(uid, User::default);
        user.sessions = user.sessions.saturating_add(1);
        (user.proven, user.left) = (None, false);
    }

    /// A session ends. Gives the ticket that goes with it, where it was the last one.
    pub(super) fn close(&self, uid: u32, now: u64) -> Option<Ticket> {
        let mut users = self.lock();
        let user = users.get_mut(&uid)?;
        // One that began before this daemon did is none of ours to end.
        user.sessions = user.sessions.checked_sub(1)?;
        if user.sessions > 0 {
            return None;
        }
        if user.opening(now) {
            user.left = true;
            return None;
        }
        user.ticket.take()
    }

    /// The credentials of one session are to go (PAM_DELETE_CRED). Applications say so before the session's end (su) or
    /// after it (sshd), so this never takes what a counted session has: the end of the last one does. Gives the ticket
    /// of somebody who has no session at all.
    pub(super) fn delete(&self, uid: u32) -> Option<Ticket> {
        let mut users = self.lock();
        let user = users.get_mut(&uid)?;
        if user.sessions > 0 { None } else { user.ticket.take() }
    }

    /// Tickets of running sessions that should be renewed now.
    pub(super) fn due(&self, now: u64) -> Vec<Ticket> {
        let users = self.lock();
        let live = users.iter().filter(|(_, user)| user.sessions > 0).filter_map(|(_, user)| user.ticket.clone());
        live.filter(|ticket| ticket.is_due(now)).collect()
    }

    /// A ticket was renewed; no news where it was replaced or went meanwhile.
    pub(super) fn renewed(&self, ticket: &Ticket, times: TicketTimes, now: u64) {
        if let Some(user) = self.lock().peek_mut(&ticket.target.uid)
            && user.ticket.as_ref() == Some(ticket)
        {
            user.ticket = Some(Ticket { got: now, times: Some(times), ..ticket.clone() });
        }
    }

    /// Tickets whose last session is over, and for which the login under way then opened none.
    pub(super) fn left(&self, now: u64) -> Vec<Ticket> {
        let mut users = self.lock();
        let gone = users.iter_mut().filter(|(_, user)| user.left && user.sessions == 0 && !user.opening(now));
        gone.filter_map(|(_, user)| {
            user.left = false;
            user.ticket.take()
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<u32, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: u32 = 674_001_103;

    fn ticket(got: u64) -> Ticket {
        Ticket {
            target: CcacheTarget { uid: UID, gid: 1, name: "FILE:/tmp/krb5cc_1".into() },
            domain: "a.example".into(),
            got,
            times: Some(TicketTimes { ends: got + 100, renew_till: got + 1000 }),
        }
    }

    #[test]
    fn the_ticket_goes_with_the_last_session() {
        let sessions = Sessions::new();
        sessions.proven(ticket(10), 10);
        sessions.open(UID);
        sessions.open(UID);
        assert_eq!(sessions.delete(UID), None, "another session has it too");
        assert_eq!(sessions.close(UID, 20), None);
        assert_eq!(sessions.delete(UID), None, "said after the end of a session: the other one still has it");
        assert_eq!(sessions.ccache(UID).as_deref(), Some("FILE:/tmp/krb5cc_1"));
        assert_eq!(sessions.close(UID, 20), Some(ticket(10)));
        assert_eq!((sessions.ccache(UID), sessions.close(UID, 20)), (None, None));
    }

    #[test]
    fn logins_share_the_ccache_beside_a_name_that_is_taken() {
        let sessions = Sessions::new();
        let wanted = "FILE:/tmp/krb5cc_1";
        let beside = |name: &str| {
            let target = CcacheTarget { name: name.into(), ..ticket(10).target };
            sessions.proven(Ticket { target, ..ticket(10) }, 10);
            sessions.name_for(UID, wanted.into())
        };
        assert_eq!(sessions.name_for(UID, wanted.into()), wanted);
        for name in [wanted, "FILE:/tmp/krb5cc_1_abcdefghij"] {
            assert_eq!(beside(name), name);
        }
        // Of another configuration, and one beside that which was beside it.
        for name in ["FILE:/tmp/krb5cc_11", "KCM:1", "FILE:/tmp/krb5cc_1_abcdefghij_abcdefghij"] {
            assert_eq!(beside(name), wanted);
        }
    }

    #[test]
    fn a_login_under_way_keeps_its_ticket_and_a_login_that_never_came_does_not() {
        let sessions = Sessions::new();
        sessions.open(UID);
        sessions.proven(ticket(10), 10);
        assert_eq!(sessions.close(UID, 11), None);
        sessions.open(UID);
        assert_eq!(sessions.close(UID, 12), Some(ticket(10)));

        sessions.open(UID);
        sessions.proven(ticket(20), 20);
        assert_eq!(sessions.close(UID, 21), None);
        assert_eq!(sessions.left(20 + OPENING - 1), []);
        assert_eq!(sessions.left(20 + OPENING), [ticket(20)]);
        assert_eq!(sessions.left(20 + OPENING), []);
    }

    #[test]
    fn a_session_of_a_former_daemon_takes_nothing_away() {
        let sessions = Sessions::new();
        assert_eq!(sessions.close(UID, 0), None);
        sessions.proven(ticket(10), 10);
        assert_eq!(sessions.close(UID, 1000), None);
        assert!(sessions.ccache(UID).is_some());
    }

    #[test]
    fn tickets_are_renewed_for_sessions_and_while_it_is_possible() {
        let sessions = Sessions::new();
        sessions.proven(ticket(0), 0);
        assert_eq!(sessions.due(60), [], "nobody is there");
        sessions.open(UID);
        assert_eq!((sessions.due(49), sessions.due(50), sessions.due(100)), (vec![], vec![ticket(0)], vec![]));
        sessions.renewed(&ticket(0), TicketTimes { ends: 160, renew_till: 160 }, 60);
        assert_eq!(sessions.due(159), [], "it cannot be renewed any more");
        // What was replaced while it was renewed stays what it is.
        sessions.proven(ticket(200), 200);
        sessions.renewed(&ticket(0), TicketTimes { ends: 900, renew_till: 900 }, 201);
        assert_eq!(sessions.due(260), [ticket(200)]);
    }
}
