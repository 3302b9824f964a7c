//! Tickets for those who logged in offline: where the configuration allows it (`offline_keep_password`), the password that
//! was proven waits in the kernel until the domain is back, and is tried once.
//!
//! Here is only known of whom one waits. It goes with the last session, with an online login, with its first use whatever
//! comes of it, after [`LIFE`], and with the daemon.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entra_wire::pam::Outcome;
use lru::LruCache;

use crate::Error;
use crate::config::Domain;
use crate::lookup::{Freshness, Query};
use crate::types::{DomainId, UserRecord};

use super::login::{Login, TicketTo, request};
use super::tickets::{OPENING, Ticket};
use super::{AuthRequest, CcacheTarget, KdcVerdict, Kept, PasswordPipe};

/// How long a password waits at most.
const LIFE: Duration = Duration::from_secs(86_400);
/// Users whose password waits at once.
const MAX_USERS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How long the attempt may take: nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A password that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    kept: Kept,
    domain: DomainId,
    /// Where the sessions look for the ticket.
    ccache: String,
    /// When it was kept, in Unix seconds.
    since: u64,
}

/// Those that wait, by uid.
pub(super) struct KeptPasswords(Mutex<LruCache<u32, Waiting>>);

impl KeptPasswords {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MAX_USERS)))
    }

    /// The ccache that a user's ticket will lie in.
    pub(super) fn ccache(&self, uid: u32) -> Option<String> {
        self.lock().peek(&uid).map(|waiting| waiting.ccache.clone())
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<u32, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    /// Whether any domain lets passwords wait: else nothing ever does.
    pub fn may_keep_passwords(&self) -> bool {
        self.lookup.domains().iter().any(|domain| domain.config.offline_keep_password)
    }

    /// After an offline login: keeps the password where that is allowed, and says where its ticket will be.
    pub(super) async fn keep(&self, user: &UserRecord, domain: &Domain, password: PasswordPipe, outcome: &mut Outcome) {
        let kept = Kept { uid: user.uid, sid: user.sid.clone() };
        let life = LIFE.min(domain.offline_max_age);
        if let Err(error) = self.kdc.keep_password(kept.clone(), life, password).await {
            log::warn!("the password of {} cannot be kept for a ticket: {error}", user.name);
            return;
        }
        log::info!("the password of {} is kept in the kernel, for a ticket once the domain is back", user.name);
        let ccache = super::login::ccache_name(&domain.ccache, user.uid);
        outcome.env.push(format!("KRB5CCNAME={ccache}"));
        let waiting = Waiting { kept, domain: user.domain.clone(), ccache, since: self.lookup.now() };
        let displaced = self.kept.lock().push(user.uid, waiting);
        if let Some((uid, other)) = displaced
            && uid != user.uid
        {
            self.forget_in_kernel(other.kept).await;
        }
    }

    /// Nobody waits for this user's ticket any more.
    pub(super) async fn forget_kept(&self, uid: u32) {
        let waiting = self.kept.lock().pop(&uid);
        if let Some(waiting) = waiting {
            self.forget_in_kernel(waiting.kept).await;
        }
    }

    /// Gets the tickets of those who logged in offline, where their domain is back; and forgets the passwords of logins
    /// that opened no session. To be called every few seconds where [`Login::may_keep_passwords`].
    pub async fn get_missing_tickets(&self) {
        let waiting: Vec<Waiting> = self.kept.lock().iter().map(|(_, waiting)| waiting.clone()).collect();
        for one in waiting {
            let age = self.lookup.now().saturating_sub(one.since);
            if !self.sessions.has_one(one.kept.uid) {
                if age >= OPENING {
                    self.forget_kept(one.kept.uid).await;
                }
                continue;
            }
            if age >= LIFE.as_secs() {
                self.forget_kept(one.kept.uid).await;
                continue;
            }
            match self.get_missing_ticket(&one).await {
                // Still away.
                Err(Error::Offline(_) | Error::Busy(_)) => {}
                Err(error) => {
                    log::warn!("no ticket for uid {} from the password of its offline login: {error}", one.kept.uid);
                    self.forget_kept(one.kept.uid).await;
                }
                Ok(()) => {
                    // Taken out by its use; not where a login kept a newer one meanwhile.
                    let mut kept = self.kept.lock();
                    if kept.peek(&one.kept.uid) == Some(&one) {
                        kept.pop(&one.kept.uid);
                    }
                }
            }
        }
    }

    async fn get_missing_ticket(&self, waiting: &Waiting) -> Result<(), Error> {
        let domain = self.lookup.domain(&waiting.domain).ok_or_else(|| Error::Config("its domain is gone".into()))?;
        if !domain.directory.health().online {
            return Err(Error::Offline("not yet".into()));
        }
        let kdc = domain.directory.kdc().await?;
        let user = self.lookup.user(Query::Sid(waiting.kept.sid.clone()), Freshness::Fresh).await?;
        let user = user.ok_or_else(|| Error::Config("the account is gone".into()))?;
        let target = CcacheTarget { uid: waiting.kept.uid, gid: user.value.gid, name: waiting.ccache.clone() };
        let to = TicketTo { kdc, other_kdcs: Vec::new(), timeout: TIMEOUT, ccache: Some(target) };
        let request: AuthRequest = request(&user.value, &domain.config, to);
        let answer = self.kdc.ticket_from_kept(request).await?;
        let (name, uid) = (&user.value.name, waiting.kept.uid);
        match (answer.verdict, answer.ccache) {
            (KdcVerdict::Success, Some(ccache)) => {
                let target = CcacheTarget { uid, gid: user.value.gid, name: ccache };
                let ticket =
                    Ticket { target, domain: waiting.domain.clone(), got: self.lookup.now(), times: answer.times };
                log::info!("{name}, who logged in offline, has a ticket now");
                self.destroy(self.sessions.got(ticket)).await;
                self.wish_for_tickets(uid);
            }
            (KdcVerdict::Success, None) => log::warn!("{name}, who logged in offline, has no ticket: no ccache"),
            (KdcVerdict::WrongPassword, _) => {
                log::warn!("the password of {name} was changed elsewhere: there is no ticket until the next login");
            }
            (verdict, _) => {
                let refusal = self.refusal(verdict, &user.value).await.outcome();
                log::warn!("{name}, who logged in offline, has no ticket until the next login: {}", refusal.reason);
            }
        }
        Ok(())
    }

    async fn forget_in_kernel(&self, kept: Kept) {
        let uid = kept.uid;
        if let Err(error) = self.kdc.forget_password(kept).await {
            log::warn!("the password that is kept of uid {uid} could not be removed before its end: {error}");
        }
    }
}
