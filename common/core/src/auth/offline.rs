//! Logins while the domain is away: against what the last online login left, within limits, and said to be offline.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Outcome};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::Error;
use crate::config::Domain;
use crate::lookup::Answer;
use crate::store::{Credential, CredentialStore};
use crate::types::{Sid, UserRecord};

use super::sentence::Refusal;
use super::state::Workstation;
use super::waits::{self, Turn};
use super::{Kdc, PasswordPipe, date, state, verifier};

/// Most verifiers that wait to be made, each with a pipe: as many logins as a busy host sees at once. Who comes beyond
/// that gets one at their next login.
const MAX_WAITING: usize = 256;
/// Verifiers of logins that are asked for at once; the broker has the same bound for all of its Argon2id.
const AT_ONCE: usize = 2;
/// How long the comparison itself may take, once it is its turn.
const COMPARING: Duration = Duration::from_secs(8);
/// Longest wait of an attempt for the others of its account, and then for those of a crowd: what the broker lets ask for.
const TURN: Duration = Duration::from_secs(25);
/// The least that is left to the crowd's turns.
const TURN_LEAST: Duration = Duration::from_secs(1);

/// Offline logins of one host.
pub(super) struct Offline {
    store: Arc<CredentialStore>,
    kdc: Arc<dyn Kdc>,
    places: Arc<Semaphore>,
    making: Arc<Semaphore>,
    turns: Turns,
}

impl Offline {
    pub(super) fn new(store: Arc<CredentialStore>, kdc: Arc<dyn Kdc>) -> Self {
        Self {
            store,
            kdc,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            making: Arc::new(Semaphore::new(AT_ONCE)),
            turns: Turns::default(),
        }
    }

    /// After a KDC accepted the password: keeps a verifier of it, behind the login. Where the account's password is the
    /// one that a verifier of today's cost is kept of, only the date changes.
    pub(super) fn keep(self: &Arc<Self>, user: &UserRecord, now: u64, password: PasswordPipe) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            log::warn!("offline logins: too many verifiers wait; {} gets one at the next login", user.name);
            return;
        };
        let (this, sid, domain) = (Arc::clone(self), user.sid.clone(), user.domain.clone());
        let (name, password_set) = (user.name.clone(), user.state.password_last_set);
        tokio::spawn(async move {
            if let Err(error) = this.keep_now(&sid, &domain, password_set, now, password).await {
                log::warn!("offline logins: no verifier could be kept for {name}: {error}");
            }
            drop(place);
        });
    }

    async fn keep_now(
        &self,
        sid: &Sid,
        domain: &str,
        password_set: i64,
        now: u64,
        password: PasswordPipe,
    ) -> Result<(), Error> {
        // One after the other, in the order of the logins: the newest password stays, and of many logins at once with the
        // same one the first makes what the others find.
        let _turn = self.turns.of(sid).await;
        let verifier = if let Some(verifier) = self.same(sid, password_set).await? {
            verifier
        } else {
            let _place = self.making.acquire().await.map_err(|error| Error::Io(error.to_string()))?;
            self.kdc.make_verifier(password).await?
        };
        let credential = Credential { verifier, password_set, proven: now, failures: 0, failed: 0 };
        let (sid, domain) = (sid.clone(), domain.to_owned());
        self.with_store(move |store| store.put(&sid, &domain, &credential)).await
    }

    /// The verifier that is kept of the very password that was set then, where it has today's cost.
    async fn same(&self, sid: &Sid, password_set: i64) -> Result<Option<String>, Error> {
        let known = self.get(sid).await?.filter(|known| {
            password_set != 0 && known.password_set == password_set && verifier::is_current(&known.verifier)
        });
        Ok(known.map(|known| known.verifier))
    }

    /// Checks a password against what is kept, with an answer `until` then. The attempt is counted before it is made, so
    /// that neither a crash nor a second attempt beside it makes a guess free; what this side cannot check is not counted.
    pub(super) async fn check(
        &self,
        user: &Answer<UserRecord>,
        domain: &Domain,
        now: u64,
        host: &Workstation,
        password: PasswordPipe,
        until: Instant,
    ) -> Result<Outcome, Refusal> {
        let (record, sid) = (&user.value, &user.value.sid);
        let left = || until.saturating_duration_since(Instant::now()).saturating_sub(COMPARING).clamp(TURN_LEAST, TURN);
        let _turn = tokio::time::timeout(left(), self.turns.of(sid)).await.map_err(|_| Refusal::Busy)?;
        let credential = self.get(sid).await.map_err(|error| broken(&error))?.ok_or(Refusal::OfflineUnknown)?;
        // A time in the future is no age: the clock was wrong then, or is now.
        if credential.proven > now || now - credential.proven > domain.offline_max_age.as_secs() {
            return Err(Refusal::OfflineTooOld);
        }
        // The password is known to have been changed since: the old one opens nothing.
        let last_set = record.state.password_last_set;
        if credential.password_set > 0 && last_set > 0 && last_set != credential.password_set {
            return Err(Refusal::OfflineTooOld);
        }
        state::first_refusal(&state::account(user, now, host))?;
        if record.state.needs_smartcard() {
            return Err(Refusal::SmartcardRequired);
        }
        match waits::turn(credential.failures, credential.failed, now) {
            Turn::Now => {}
            Turn::In(seconds) => return Err(Refusal::OfflineDelayed(seconds)),
            Turn::Never => return Err(Refusal::OfflineLocked),
        }
        self.set_failures(sid, credential.failures + 1, now).await?;
        match self.kdc.check_verifier(&credential.verifier, password, left()).await {
            Ok(true) => {
                self.set_failures(sid, 0, 0).await?;
                log::info!(
                    "{} was logged in offline, with what was proven {}",
                    record.name,
                    date::utc(credential.proven)
                );
                Ok(welcome(user.fetched.min(credential.proven)))
            }
            Ok(false) => Err(Refusal::WrongPassword),
            Err(error) => {
                self.set_failures(sid, credential.failures, credential.failed).await?;
                Err(broken(&error))
            }
        }
    }

    /// Until when an account could log in offline, in Unix seconds; `None` where it could not now.
    pub(super) async fn ready_until(&self, sid: &Sid, domain: &Domain, now: u64) -> Result<Option<u64>, Error> {
        let until = self
            .get(sid)
            .await?
            .filter(|known| known.failures < waits::LIMIT)
            .map(|known| known.proven.saturating_add(domain.offline_max_age.as_secs()));
        Ok(until.filter(|until| *until >= now))
    }

    /// Forgets what is too old for any offline login. Gives how many accounts.
    pub(super) async fn purge(&self, domain: &Domain, now: u64) -> Result<u64, Error> {
        let (name, before) = (domain.name.clone(), now.saturating_sub(domain.offline_max_age.as_secs()));
        self.with_store(move |store| store.purge(&name, before)).await
    }

    async fn get(&self, sid: &Sid) -> Result<Option<Credential>, Error> {
        let sid = sid.clone();
        self.with_store(move |store| store.get(&sid)).await
    }

    async fn set_failures(&self, sid: &Sid, failures: u32, failed: u64) -> Result<(), Refusal> {
        let sid = sid.clone();
        let written = self.with_store(move |store| store.set_failures(&sid, failures, failed)).await;
        written.map_err(|error| broken(&error))
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CredentialStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or_else(|error| Err(Error::Io(format!("a store operation ended early: {error}"))))
    }
}

fn welcome(known_since: u64) -> Outcome {
    let message = format!(
        "The domain cannot be reached: you are logged in offline, with what was known on {}.",
        date::utc(known_since)
    );
    Outcome { code: Code::Success, reason: "offline".into(), message, env: Vec::new() }
}

fn broken(error: &Error) -> Refusal {
    match error {
        Error::Busy(_) | Error::Offline(_) => Refusal::Busy,
        Error::Interrupted(why) => {
            log::error!("an offline login was left undecided: {why}");
            Refusal::HelperEnded
        }
        _ => {
            log::error!("offline login: {error}");
            Refusal::Internal
        }
    }
}

/// One attempt per account at a time.
#[derive(Default)]
struct Turns(Mutex<HashMap<Sid, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn of(&self, sid: &Sid) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // As many are left as attempts are under way, which the sockets bound.
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(sid).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::new(tokio::sync::Mutex::new(()));
                turns.insert(sid.clone(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
