//! One login, phase by phase, as PAM asks for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Context, Outcome};

use crate::Error;
use crate::config::{Domain, Fast, Preset};
use crate::control::Source;
use crate::lookup::{Answer, Freshness, Lookup, Query};
use crate::store::CredentialStore;
use crate::types::{Sid, UserRecord};

use super::audit::Record;
use super::fetches::Fetches;
use super::judgement::{Check, Judgement, Said};
use super::kept::KeptPasswords;
use super::offline::Offline;
use super::sentence::{self, Refusal};
use super::state::Workstation;
use super::tickets::{Sessions, Ticket};
use super::{AuthRequest, CcacheTarget, Kdc, KdcVerdict, MOST_OTHERS, PasswordPipe};
use super::{change, date, rules, state};

/// How long the Kerberos side of one login may take: several round trips of a slow VPN, and less than a person's
/// patience.
const KDC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all of a login may take: less than the 50 s that the module waits.
const WHOLE: Duration = Duration::from_secs(46);
/// When the Kerberos side has to be over, whatever was waited for before (the turn of other logins aside): an offline
/// login must find time within [`WHOLE`].
const KDC_LIMIT: Duration = Duration::from_secs(12);
/// The least time that is left to it.
const KDC_LEAST: Duration = Duration::from_secs(2);

/// Logins of one host.
pub struct Login {
    pub(super) lookup: Arc<Lookup>,
    pub(super) kdc: Arc<dyn Kdc>,
    pub(super) sessions: Sessions,
    pub(super) fetches: Fetches,
    pub(super) kept: KeptPasswords,
    offline: Option<Arc<Offline>>,
    workstation: Workstation,
}

impl Login {
    /// Logins that look users up in `lookup` and prove passwords with `kdc`.
    pub fn new(lookup: Arc<Lookup>, kdc: Arc<dyn Kdc>) -> Self {
        let (sessions, fetches, kept) = (Sessions::new(), Fetches::default(), KeptPasswords::new());
        Self { lookup, kdc, sessions, fetches, kept, offline: None, workstation: Workstation::default() }
    }

    /// Keeps verifiers of passwords in `store` and logs in with them while the domain is away, where its configuration
    /// allows that.
    #[must_use]
    pub fn with_offline(mut self, store: Arc<CredentialStore>) -> Self {
        self.offline = Some(Arc::new(Offline::new(store, Arc::clone(&self.kdc))));
        self
    }

    /// Says on which host this is, as userWorkstations may name it: its name, with or without a domain behind it.
    /// Without one, no list of workstations permits this host.
    #[must_use]
    pub fn on_host(mut self, name: &str) -> Self {
        self.workstation = Workstation::named(name);
        self
    }

    /// pam_authenticate: proves the password, once, and leaves a ticket. The state of the account is judged by
    /// [`Login::account`]; here it only explains a KDC's refusal. `by` is the uid of the process that asks.
    pub async fn authenticate(&self, context: &Context<'_>, by: u32, password: PasswordPipe) -> Outcome {
        let begun = Instant::now();
        let known = self.known_user(context.user).await;
        let outcome = match &known {
            Ok(Some(user)) => {
                let proven = self.prove(user, password, begun).await;
                proven.unwrap_or_else(|refusal| self.with_hint(refusal.outcome(), &user.value))
            }
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(refusal) => refusal.outcome(),
        };
        let user = known_record(&known);
        Record { phase: "authenticate", context, by, user, rule: None }.write(&outcome);
        outcome
    }

    /// pam_acct_mgmt: whether the account may log in, with attributes and groups read anew. `by` is the uid of the
    /// process that asks.
    pub async fn account(&self, context: &Context<'_>, by: u32) -> Outcome {
        let known = self.known_user(context.user).await;
        let mut rule = None;
        let outcome = match &known {
            Ok(Some(user)) => {
                let judgement = self.judge(user, Some(context.service)).await;
                rule = judgement.decisive().map(|check| check.rule.clone());
                match judgement.verdict() {
                    Ok(()) => Outcome {
                        message: self.expiry_warning(user, context).unwrap_or_default(),
                        ..Outcome::bare(Code::Success)
                    },
                    Err(refusal) => self.with_hint(refusal.outcome(), &user.value),
                }
            }
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(refusal) => refusal.outcome(),
        };
        let user = known_record(&known);
        Record { phase: "account", context, by, user, rule: rule.as_deref() }.write(&outcome);
        outcome
    }

    /// The uid of the user that a name means, for the check of who may ask.
    pub async fn uid_of(&self, name: &str) -> Option<u32> {
        let user = self.lookup.user(Query::name(name), Freshness::Cached).await.ok().flatten()?;
        Some(user.value.uid)
    }

    /// Until when an account could log in while its domain is away, in Unix seconds; `None` where it could not now.
    ///
    /// # Errors
    /// As the store of credentials.
    pub async fn offline_until(&self, sid: &Sid, domain: &str) -> Result<Option<u64>, Error> {
        let domain = self.lookup.domain(domain).map(|domain| &domain.config).filter(|domain| domain.offline_login);
        match self.offline.as_ref().zip(domain) {
            Some((offline, domain)) => offline.ready_until(sid, domain, self.lookup.now()).await,
            None => Ok(None),
        }
    }

    /// Forgets the verifiers that are too old for any offline login, and those of domains that allow none. Gives how
    /// many.
    ///
    /// # Errors
    /// As the store of credentials.
    pub async fn purge_offline(&self) -> Result<u64, Error> {
        let Some(offline) = &self.offline else { return Ok(0) };
        let now = self.lookup.now();
        let mut gone = 0;
        for domain in self.lookup.domains() {
            let now = if domain.config.offline_login { now } else { u64::MAX };
            gone += offline.purge(&domain.config, now).await?;
        }
        Ok(gone)
    }

    /// The user, asked for now; the store's answer where the directory is away.
    pub(super) async fn known_user(&self, name: &str) -> Result<Option<Answer<UserRecord>>, Refusal> {
        self.lookup.user(Query::name(name), Freshness::Fresh).await.map_err(|error| rules::unreachable(&error))
    }

    pub(super) fn domain<'a>(&'a self, user: &UserRecord) -> Result<&'a Domain, Refusal> {
        self.lookup.domain(&user.domain).map(|domain| &domain.config).ok_or(Refusal::Internal)
    }

    async fn prove(
        &self,
        user: &Answer<UserRecord>,
        password: PasswordPipe,
        begun: Instant,
    ) -> Result<Outcome, Refusal> {
        let domain = self.domain(&user.value)?;
        let directory = &self.lookup.domain(&user.value.domain).ok_or(Refusal::Internal)?.directory;
        let kdc = match directory.kdc().await {
            Ok(kdc) => kdc,
            Err(error @ Error::Offline(_)) => {
                return self
                    .prove_offline(user, domain, Some(password), begun + WHOLE, rules::unreachable(&error))
                    .await;
            }
            Err(error) => return Err(rules::unreachable(&error)),
        };
        let (password, copy) = match self.offline_of(domain) {
            Some(_) => self.kdc.copy(password).map_err(|error| kdc_error(&error))?,
            None => (password, None),
        };
        let timeout = KDC_LIMIT.saturating_sub(begun.elapsed()).clamp(KDC_LEAST, KDC_TIMEOUT);
        match self.exchange(&user.value, domain, kdc, password, timeout).await? {
            (KdcVerdict::Success, outcome) => Ok(outcome),
            (KdcVerdict::Unreachable(why), _) => {
                log::warn!("the KDC did not answer: {why}");
                self.prove_offline(user, domain, copy, begun + WHOLE, Refusal::KdcUnreachable).await
            }
            (verdict, _) => Err(self.refusal(verdict, &user.value).await),
        }
    }

    /// One attempt at this KDC. Success leaves a ticket, which the outcome names, and a verifier for offline logins.
    pub(super) async fn exchange(
        &self,
        user: &UserRecord,
        domain: &Domain,
        kdc: SocketAddr,
        password: PasswordPipe,
        timeout: Duration,
    ) -> Result<(KdcVerdict, Outcome), Refusal> {
        let directory = self.lookup.domain(&user.domain).map(|domain| &domain.directory);
        let mut other_kdcs = directory.map(|directory| directory.other_kdcs(kdc)).unwrap_or_default();
        other_kdcs.truncate(MOST_OTHERS);
        let name = self.sessions.name_for(user.uid, ccache_name(&domain.ccache, user.uid));
        let ccache = CcacheTarget { uid: user.uid, gid: user.gid, name };
        let request = request(user, domain, TicketTo { kdc, other_kdcs, timeout, ccache: Some(ccache) });
        let offline = self.offline_of(domain);
        let (password, copy) = match offline {
            Some(_) => self.kdc.copy(password).map_err(|error| kdc_error(&error))?,
            None => (password, None),
        };
        let mut outcome = Outcome::bare(Code::Success);
        let answer = match self.kdc.authenticate(request, password).await {
            Ok(answer) => answer,
            Err(Error::Offline(why)) => return Ok((KdcVerdict::Unreachable(why), outcome)),
            Err(error) => return Err(kdc_error(&error)),
        };
        if answer.verdict == KdcVerdict::Success {
            if let Some((offline, copy)) = offline.zip(copy) {
                offline.keep(user, self.lookup.now(), copy);
            }
            if let Some(ccache) = answer.ccache {
                outcome.env.push(format!("KRB5CCNAME={ccache}"));
                let now = self.lookup.now();
                let target = CcacheTarget { uid: user.uid, gid: user.gid, name: ccache };
                let ticket = Ticket { target, domain: user.domain.clone(), got: now, times: answer.times };
                self.sessions.proven(ticket, now);
                // Sessions that run (sudo, a screen that was unlocked) have a new ccache, and the one that opens wishes too.
                self.wish_for_tickets(user.uid);
            }
            self.forget_kept(user.uid).await;
        }
        Ok((answer.verdict, outcome))
    }

    fn offline_of(&self, domain: &Domain) -> Option<&Arc<Offline>> {
        self.offline.as_ref().filter(|_| domain.offline_login)
    }

    /// The password against what the last online login left; `otherwise` where there is no offline login.
    async fn prove_offline(
        &self,
        user: &Answer<UserRecord>,
        domain: &Domain,
        password: Option<PasswordPipe>,
        until: Instant,
        otherwise: Refusal,
    ) -> Result<Outcome, Refusal> {
        match (self.offline_of(domain), password) {
            (Some(offline), Some(password)) => {
                let (password, copy) = if domain.offline_keep_password {
                    self.kdc.copy(password).map_err(|error| kdc_error(&error))?
                } else {
                    (password, None)
                };
                let now = self.lookup.now();
                let mut outcome = offline.check(user, domain, now, &self.workstation, password, until).await?;
                if let Some(copy) = copy {
                    self.keep(&user.value, domain, copy, &mut outcome).await;
                }
                Ok(outcome)
            }
            _ => Err(otherwise),
        }
    }

    /// What a KDC's refusal means. "Revoked" says disabled, expired and locked alike, "policy" hours, computers and smart
    /// cards: the account's state, read after the error, tells which.
    pub(super) async fn refusal(&self, verdict: KdcVerdict, user: &UserRecord) -> Refusal {
        match verdict {
            KdcVerdict::WrongPassword | KdcVerdict::PasswordExpired { proven: false } => Refusal::WrongPassword,
            // The directory must agree: it speaks through another channel than the KDC.
            KdcVerdict::PasswordExpired { proven: true } => {
                match self.lookup.user(Query::Sid(user.sid.clone()), Freshness::Fresh).await {
                    Ok(Some(user)) if user.value.state.must_change() || user.value.state.password_expired() => {
                        Refusal::PasswordExpired
                    }
                    _ => {
                        log::error!(
                            "the KDC says that the password of {} has expired, the directory does not",
                            user.sid
                        );
                        Refusal::KdcNotVerified
                    }
                }
            }
            KdcVerdict::Revoked => match self.account_refusal(user).await {
                Some(
                    refusal @ (Refusal::AccountDisabled
                    | Refusal::AccountExpired
                    | Refusal::OutsideLogonHours
                    | Refusal::WorkstationNotPermitted),
                ) => refusal,
                _ => Refusal::AccountLocked,
            },
            KdcVerdict::Policy => match self.account_refusal(user).await {
                Some(refusal) => refusal,
                None if user.state.needs_smartcard() => Refusal::SmartcardRequired,
                None => Refusal::KdcPolicy,
            },
            KdcVerdict::UnknownPrincipal => {
                log::error!(
                    "the KDC is not of one mind with the directory, or it may be false: it does not know {} ({})",
                    self.domain(user).map_or_else(|_| user.name.clone(), |domain| principal(user, domain)),
                    user.sid
                );
                Refusal::IdentityMismatch
            }
            KdcVerdict::IdentityMismatch => {
                log::error!("the KDC answered for another account than {} ({})", user.sid, user.dn);
                Refusal::IdentityMismatch
            }
            KdcVerdict::KdcNotVerified(why) => {
                log::error!("the KDC could not be verified with the machine keytab, it may be false: {why}");
                Refusal::KdcNotVerified
            }
            KdcVerdict::ClockSkew { why, ahead } => {
                let ahead_by = ahead.map(|ahead| format!(" ({ahead} s ahead)")).unwrap_or_default();
                log::error!("clock skew: {why}{ahead_by}; synchronise this host's clock");
                Refusal::ClockSkew(ahead)
            }
            KdcVerdict::NoCommonEtype(why) => {
                log::error!("{}: the KDC offers no AES key: {why}; a new password gives it one", user.name);
                Refusal::NoCommonEtype
            }
            KdcVerdict::NoFast(why) => {
                log::error!("fast = \"require\" cannot be kept: {why}");
                Refusal::NoFast
            }
            KdcVerdict::Unreachable(_) => Refusal::KdcUnreachable,
            KdcVerdict::Failed(why) => {
                log::error!("the KDC refused: {why}");
                Refusal::KdcFailed
            }
            KdcVerdict::Success => Refusal::Internal,
        }
    }

    /// What the account's attributes say, read after a KDC's refusal.
    async fn account_refusal(&self, user: &UserRecord) -> Option<Refusal> {
        let user = self.lookup.user(Query::Sid(user.sid.clone()), Freshness::Fresh).await.ok()??;
        state::first_refusal(&state::account(&user, self.lookup.now(), &self.workstation)).err()
    }

    /// Whoever must change a password that cannot be changed here is told where.
    fn with_hint(&self, mut outcome: Outcome, user: &UserRecord) -> Outcome {
        if outcome.code == Code::MustChange
            && let Ok(domain) = self.domain(user)
            && domain.preset == Preset::EntraDs
        {
            outcome.message = format!("{} {}", outcome.message, change::hint(domain));
        }
        outcome
    }

    /// What is said of a password that expires soon, where there is somebody to read it.
    fn expiry_warning(&self, user: &Answer<UserRecord>, context: &Context<'_>) -> Option<String> {
        // cron mails what it is told, and names itself as the terminal.
        if user.source == Source::Stale || matches!(context.tty, "" | "cron") {
            return None;
        }
        let domain = self.domain(&user.value).ok()?;
        let now = self.lookup.now();
        let left = user.value.state.password_left(now)?;
        if left > domain.password_warning.as_secs() {
            return None;
        }
        let hint = if domain.preset == Preset::EntraDs { change::hint(domain) } else { "" };
        // The time itself beside it: which day that is depends on where the reader is.
        let when = format!("{} ({})", sentence::in_days(left), date::utc(now + left));
        Some(format!("Your password expires {when}. {hint}").trim_end().to_owned())
    }

    /// Whether the account may log in: its state, then the rules for this PAM service (`None`: for any), then whether
    /// the password has to be changed.
    pub(super) async fn judge(&self, user: &Answer<UserRecord>, service: Option<&str>) -> Judgement {
        let mut judgement = Judgement::default();
        judgement.add(state::account(user, self.lookup.now(), &self.workstation));
        match self.domain(&user.value) {
            Ok(domain) => rules::judge(&mut judgement, &self.lookup, &user.value, &domain.access, service).await,
            Err(refusal) => judgement.add([Check::new("access", Said::Refuses(refusal), "its domain is gone")]),
        }
        judgement.add(state::password(user));
        judgement
    }
}

/// The record of a user who was found.
pub(super) fn known_record(known: &Result<Option<Answer<UserRecord>>, Refusal>) -> Option<&UserRecord> {
    known.as_ref().ok()?.as_ref().map(|answer| &*answer.value)
}

fn kdc_error(error: &Error) -> Refusal {
    match error {
        Error::Offline(_) => Refusal::KdcUnreachable,
        Error::Busy(_) => Refusal::Busy,
        Error::Interrupted(why) => {
            log::error!("a login was left undecided: {why}");
            Refusal::HelperEnded
        }
        _ => {
            log::error!("the Kerberos side failed: {error}");
            Refusal::Internal
        }
    }
}

/// The enterprise name under which the KDC finds an account.
pub(super) fn principal(user: &UserRecord, domain: &Domain) -> String {
    user.upn.clone().unwrap_or_else(|| format!("{}@{}", user.sam, domain.realm()))
}

/// Where a ticket comes from, how long that may take, and where it goes.
pub(super) struct TicketTo {
    pub(super) kdc: SocketAddr,
    pub(super) other_kdcs: Vec<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) ccache: Option<CcacheTarget>,
}

/// The one attempt at a ticket of this account.
pub(super) fn request(user: &UserRecord, domain: &Domain, to: TicketTo) -> AuthRequest {
    AuthRequest {
        realm: domain.realm(),
        kdc: to.kdc,
        other_kdcs: to.other_kdcs,
        principal: principal(user, domain),
        expected_sid: user.sid.clone(),
        ccache: to.ccache,
        require_fast: domain.fast == Fast::Require,
        timeout: to.timeout,
    }
}

/// Fills the template of ccache names: `%U` is the uid (the parser refuses every other letter).
pub(super) fn ccache_name(template: &str, uid: u32) -> String {
    template.replace("%U", &uid.to_string())
}
