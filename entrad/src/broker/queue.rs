//! Requests that wait for a helper, and whose turn it is.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::helper::Request;

/// Most helpers at once that run Argon2id: each takes a processor and 64 MiB.
const MAX_HEAVY: usize = 2;
/// Most helpers at once that get service tickets: nobody waits for them, and each waits long where a KDC is away.
const MAX_FETCHES: usize = 2;
/// Helpers at once that change passwords before it is their turn: a change has a share of its own beside a crowd of
/// logins, and a crowd of changes leaves the rest to them.
const FIRST_CHANGES: usize = 2;
/// Beside all others: helpers at once that get the machine's ticket, and requests that wait for one. Without that ticket
/// there is no lookup, so no flood of logins may hold it up.
const FOR_MACHINE: (usize, usize) = (1, 16);

/// A request that waits for a free helper.
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) request: Request,
    pub(super) passwords: Vec<OwnedFd>,
    pub(super) deadline: Instant,
}

/// What a request asks of the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The machine's ticket: it has a place of its own.
    Machine,
    /// It waits for the network.
    Light,
    /// It changes a password, and waits for the network.
    Change,
    /// It runs Argon2id.
    Heavy,
    /// It waits for the network, and nobody waits for it: a service ticket.
    Fetch,
    /// It runs Argon2id, and nobody waits for it: a verifier for later. After a crowd of logins there is one for each.
    Later,
}

impl Weight {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::MachineTgt { .. } => Self::Machine,
            Request::CheckVerifier { .. } => Self::Heavy,
            Request::MakeVerifier { .. } => Self::Later,
            Request::Fetch(_) => Self::Fetch,
            Request::ChangePassword { .. } => Self::Change,
            _ => Self::Light,
        }
    }
}

/// The requests that wait, in order.
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// Most that wait for a login or its end, and most verifiers that do; the machine's own aside.
    most: usize,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), most }
    }

    /// Puts a request at the end. False where too many wait: then it is gone, with its passwords.
    pub(super) fn push(&mut self, request: Waiting) -> bool {
        let kind = |weight| match weight {
            Weight::Machine => (0, FOR_MACHINE.1),
            Weight::Light | Weight::Heavy => (1, self.most),
            // No crowd of them keeps a change of a password out.
            Weight::Change => (4, self.most),
            // No crowd's verifiers keep its logins out, nor do its service tickets.
            Weight::Later => (2, self.most),
            Weight::Fetch => (3, self.most),
        };
        let (own, most) = kind(Weight::of(&request.request));
        if self.waiting.iter().filter(|one| kind(Weight::of(&one.request)).0 == own).count() >= most {
            return false;
        }
        self.waiting.push_back(request);
        true
    }

    /// The first request that may run beside `running` and `dying` helpers, where `most` may run at once: what runs
    /// Argon2id waits for its turn and lets the others by, the end of a session goes first and a few changes of passwords
    /// next, what nobody waits for lets everybody by, and the machine's ticket has a helper more.
    pub(super) fn next(&mut self, running: &[Weight], dying: usize, most: usize) -> Option<Waiting> {
        let all = running.len() + dying;
        let heavy = running.iter().filter(|one| matches!(one, Weight::Heavy | Weight::Later)).count();
        let fetches = running.iter().filter(|one| **one == Weight::Fetch).count();
        let may_run = |one: &Waiting| match Weight::of(&one.request) {
            Weight::Machine => all < most + FOR_MACHINE.0,
            Weight::Light | Weight::Change => all < most,
            Weight::Heavy | Weight::Later => all < most && heavy < MAX_HEAVY,
            Weight::Fetch => all < most && fetches < MAX_FETCHES,
        };
        let is_later = |one: &Waiting| matches!(Weight::of(&one.request), Weight::Later | Weight::Fetch);
        // What a session leaves behind goes first: it takes milliseconds, and would be left for good.
        let is_end =
            |one: &Waiting| matches!(one.request, Request::DestroyCcache { .. } | Request::ForgetPassword { .. });
        let end = self.waiting.iter().position(|one| is_end(one) && may_run(one));
        let changes = running.iter().filter(|one| **one == Weight::Change).count();
        let is_change = |one: &Waiting| changes < FIRST_CHANGES && Weight::of(&one.request) == Weight::Change;
        let change = || self.waiting.iter().position(|one| is_change(one) && may_run(one));
        let now = || self.waiting.iter().position(|one| !is_later(one) && may_run(one));
        let later = || if self.waiting.iter().all(is_later) { self.waiting.iter().position(may_run) } else { None };
        let at = end.or_else(change).or_else(now).or_else(later)?;
        self.waiting.remove(at)
    }

    /// A request whose time is over, taken out.
    pub(super) fn late(&mut self, now: Instant) -> Option<Waiting> {
        let at = self.waiting.iter().position(|one| one.deadline <= now)?;
        self.waiting.remove(at)
    }

    /// When the first of them is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn waiting(request: Request) -> Waiting {
        Waiting { id: 0, request, passwords: Vec::new(), deadline: Instant::now() + SECOND }
    }

    fn machine() -> Waiting {
        let kdc = "192.0.2.10:88".parse().unwrap();
        waiting(Request::MachineTgt { realm: "AADDS.CONTOSO.COM".into(), kdc, timeout: SECOND })
    }

    fn light() -> Waiting {
        let ccache = entra_core::auth::CcacheTarget { uid: 1, gid: 1, name: String::new() };
        waiting(Request::DestroyCcache { ccache, timeout: SECOND })
    }

    fn heavy() -> Waiting {
        waiting(Request::CheckVerifier { verifier: String::new(), turn: SECOND, timeout: SECOND })
    }

    fn login() -> Waiting {
        let kdc = "192.0.2.10:88".parse().unwrap();
        waiting(Request::Authenticate(entra_core::auth::AuthRequest {
            realm: String::new(),
            kdc,
            other_kdcs: Vec::new(),
            principal: String::new(),
            expected_sid: "S-1-5-21-1-2-3-4".parse().unwrap(),
            ccache: None,
            require_fast: false,
            timeout: SECOND,
        }))
    }

    fn change() -> Waiting {
        let kdc = "192.0.2.10:88".parse().unwrap();
        let (realm, principal) = (String::new(), String::new());
        let request = entra_core::auth::ChangeRequest {
            realm,
            kdc,
            kpasswd: kdc,
            principal,
            require_fast: false,
            timeout: SECOND,
        };
        waiting(Request::ChangePassword { request, change: true })
    }

    fn later() -> Waiting {
        waiting(Request::MakeVerifier { timeout: SECOND })
    }

    fn fetch() -> Waiting {
        waiting(Request::Fetch(entra_core::auth::FetchRequest {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            ccache: entra_core::auth::CcacheTarget { uid: 1, gid: 1, name: String::new() },
            service: "cifs/files.contoso.com".into(),
            timeout: SECOND,
        }))
    }

    fn next(queue: &mut Queue, running: &[Weight], dying: usize) -> Option<Weight> {
        queue.next(running, dying, 4).map(|one| Weight::of(&one.request))
    }

    #[test]
    fn a_flood_of_logins_leaves_a_place_for_the_machine() {
        let mut queue = Queue::new(8);
        let accepted = (0..20).filter(|_| queue.push(light())).count();
        assert_eq!(accepted, 8);
        assert!(queue.push(machine()), "the machine's request finds no room to wait");
        let full = [Weight::Light; 4];
        assert_eq!(next(&mut queue, &full, 0), Some(Weight::Machine));
        assert_eq!(next(&mut queue, &full, 0), None);
        assert_eq!(next(&mut queue, &full[1..], 1), None, "a helper that is dying takes its place");
        assert_eq!(next(&mut queue, &full[1..], 0), Some(Weight::Light));
    }

    #[test]
    fn the_machines_own_requests_are_bounded_too() {
        let mut queue = Queue::new(8);
        assert_eq!((0..100).filter(|_| queue.push(machine())).count(), FOR_MACHINE.1);
        assert!(queue.push(light()), "they take nobody else's place");
        assert_eq!(next(&mut queue, &[Weight::Machine; 5], 0), None);
    }

    #[test]
    fn verifiers_for_later_take_no_logins_place_and_let_all_of_them_by() {
        let mut queue = Queue::new(8);
        assert_eq!((0..20).filter(|_| queue.push(later())).count(), 8);
        assert!(queue.push(heavy()) && queue.push(light()));
        assert_eq!(next(&mut queue, &[], 0), Some(Weight::Light), "the end of a session goes first");
        // A login waits for a free helper: nothing is begun that would be in its way.
        assert_eq!(next(&mut queue, &[Weight::Light; 4], 0), None);
        assert_eq!(next(&mut queue, &[], 0), Some(Weight::Heavy));
        assert_eq!(next(&mut queue, &[], 0), Some(Weight::Later));
        assert_eq!(next(&mut queue, &[Weight::Later; MAX_HEAVY], 0), None);
    }

    #[test]
    fn service_tickets_are_got_by_two_and_hold_up_nobody() {
        let mut queue = Queue::new(8);
        assert_eq!((0..20).filter(|_| queue.push(fetch())).count(), 8);
        assert!(queue.push(later()) && queue.push(heavy()));
        assert_eq!(next(&mut queue, &[], 0), Some(Weight::Heavy));
        assert_eq!(next(&mut queue, &[Weight::Fetch; MAX_FETCHES], 0), Some(Weight::Later), "they hang; others go on");
        assert_eq!(next(&mut queue, &[Weight::Later; 1], 0), Some(Weight::Fetch));
        assert_eq!(next(&mut queue, &[Weight::Fetch; MAX_FETCHES], 0), None);
    }

    #[test]
    fn a_change_of_a_password_has_its_share_beside_a_crowd_of_logins() {
        let mut queue = Queue::new(8);
        for _ in 0..8 {
            assert!(queue.push(login()));
        }
        assert!(!queue.push(login()));
        for _ in 0..3 {
            assert!(queue.push(change()), "a crowd of logins leaves it no room");
        }
        assert_eq!(next(&mut queue, &[Weight::Light; 3], 0), Some(Weight::Change));
        assert_eq!(next(&mut queue, &[Weight::Light, Weight::Light, Weight::Change], 0), Some(Weight::Change));
        // A third one is one of the crowd.
        assert_eq!(next(&mut queue, &[Weight::Change; FIRST_CHANGES], 0), Some(Weight::Light));
    }

    #[test]
    fn what_computes_waits_its_turn_and_lets_others_by() {
        let mut queue = Queue::new(8);
        for one in [heavy(), light()] {
            assert!(queue.push(one));
        }
        let running = [Weight::Heavy; MAX_HEAVY];
        assert_eq!(next(&mut queue, &running, 0), Some(Weight::Light));
        assert_eq!(next(&mut queue, &running, 0), None);
        assert_eq!(next(&mut queue, &running[1..], 0), Some(Weight::Heavy));
    }

    #[test]
    fn who_waited_too_long_is_taken_out() {
        let mut queue = Queue::new(8);
        assert!(queue.push(light()));
        assert!(queue.late(Instant::now()).is_none());
        let later = queue.deadline().unwrap();
        assert!(queue.late(later).is_some() && queue.deadline().is_none());
    }
}
