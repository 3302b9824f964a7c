//! One login, phase by phase, as PAM asks for it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Context, Outcome};
use lru::LruCache;

use crate::Error;
use crate::config::Domain;
use crate::control::Source;
use crate::lookup::{Answer, Freshness, Lookup, Query};
use crate::store::CredentialStore;
use crate::types::{Sid, UserRecord};

use super::access;
use super::offline::Offline;
use super::sentence::Refusal;
use super::{AuthAnswer, AuthRequest, CcacheTarget, Kdc, KdcVerdict, PasswordPipe};

/// How long the Kerberos side of one login may take: several round trips of a slow VPN, and less than a person's
/// patience.
const KDC_TIMEOUT: Duration = Duration::from_secs(10);
/// When the Kerberos side has to be over, whatever was waited for before: an offline login must find time within the
/// 15 s that the module waits.
const KDC_LIMIT: Duration = Duration::from_secs(12);
/// The least time that is left to it.
const KDC_LEAST: Duration = Duration::from_secs(2);
/// Users whose ccache is remembered.
const MAX_CCACHES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Logins of one host.
pub struct Login {
    lookup: Arc<Lookup>,
    kdc: Arc<dyn Kdc>,
    /// Where each user's newest ticket is. sshd authenticates in a child whose PAM data is lost, so the session phase
    /// asks here.
    ccaches: Mutex<LruCache<u32, String>>,
    offline: Option<Arc<Offline>>,
}

impl Login {
    /// Logins that look users up in `lookup` and prove passwords with `kdc`.
    pub fn new(lookup: Arc<Lookup>, kdc: Arc<dyn Kdc>) -> Self {
        Self { lookup, kdc, ccaches: Mutex::new(LruCache::new(MAX_CCACHES)), offline: None }
    }

    /// Keeps verifiers of passwords in `store` and logs in with them while the domain is away, where its configuration
    /// allows that.
    #[must_use]
    pub fn with_offline(mut self, store: Arc<CredentialStore>) -> Self {
        self.offline = Some(Arc::new(Offline::new(store, Arc::clone(&self.kdc))));
        self
    }

    /// pam_authenticate: proves the password, once, and leaves a ticket. The state of the account is judged by
    /// [`Login::account`]; here it only explains a KDC's refusal.
    pub async fn authenticate(&self, context: &Context<'_>, password: PasswordPipe) -> Outcome {
        let begun = Instant::now();
        let outcome = match self.known_user(context.user).await {
            Ok(Some(user)) => self.prove(&user, password, begun).await.unwrap_or_else(Refusal::outcome),
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(refusal) => refusal.outcome(),
        };
        audit("authenticate", context, &outcome);
        outcome
    }

    /// pam_acct_mgmt: whether the account may log in, with attributes and groups read anew.
    pub async fn account(&self, context: &Context<'_>) -> Outcome {
        let outcome = match self.known_user(context.user).await {
            Ok(Some(user)) => match self.permit(&user).await {
                Ok(()) => Outcome::bare(Code::Success),
                Err(refusal) => refusal.outcome(),
            },
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(refusal) => refusal.outcome(),
        };
        audit("account", context, &outcome);
        outcome
    }

    /// pam_open_session and pam_setcred: where the session finds its ticket.
    pub async fn session(&self, context: &Context<'_>) -> Outcome {
        let user = match self.lookup.user(Query::name(context.user), Freshness::Cached).await {
            Ok(Some(user)) => user.value,
            Ok(None) => return Outcome::bare(Code::UnknownUser),
            Err(error) => return access::unreachable(&error).outcome(),
        };
        let mut outcome = Outcome::bare(Code::Success);
        let ccache = self.ccaches.lock().unwrap_or_else(PoisonError::into_inner).get(&user.uid).cloned();
        outcome.env.extend(ccache.map(|ccache| format!("KRB5CCNAME={ccache}")));
        outcome
    }

    /// pam_chauthtok's first phase: this version changes no password, and says where it is done.
    pub async fn change_check(&self, context: &Context<'_>) -> Outcome {
        match self.known_user(context.user).await {
            Ok(Some(_)) => Outcome {
                code: Code::PasswordRefused,
                reason: "change-elsewhere".into(),
                message: "This password cannot be changed here. Change it where you manage your domain account.".into(),
                env: Vec::new(),
            },
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(refusal) => refusal.outcome(),
        }
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
    async fn known_user(&self, name: &str) -> Result<Option<Answer<UserRecord>>, Refusal> {
        self.lookup.user(Query::name(name), Freshness::Fresh).await.map_err(|error| access::unreachable(&error))
    }

    fn domain<'a>(&'a self, user: &UserRecord) -> Result<&'a Domain, Refusal> {
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
                return self.prove_offline(user, domain, Some(password), access::unreachable(&error)).await;
            }
            Err(error) => return Err(access::unreachable(&error)),
        };
        let record = &user.value;
        let request = AuthRequest {
            realm: domain.realm(),
            kdc,
            principal: record.upn.clone().unwrap_or_else(|| format!("{}@{}", record.sam, domain.realm())),
            expected_sid: record.sid.clone(),
            ccache: Some(CcacheTarget {
                uid: record.uid,
                gid: record.gid,
                name: ccache_name(&domain.ccache, record.uid),
            }),
            timeout: KDC_LIMIT.saturating_sub(begun.elapsed()).clamp(KDC_LEAST, KDC_TIMEOUT),
        };
        let offline = self.offline.as_ref().filter(|_| domain.offline_login);
        let (password, copy) = match offline {
            Some(_) => self.kdc.copy(password).map_err(|error| kdc_error(&error))?,
            None => (password, None),
        };
        let answer = match self.kdc.authenticate(request, password).await {
            Ok(answer) => answer,
            Err(Error::Offline(why)) => AuthAnswer { verdict: KdcVerdict::Unreachable(why), ccache: None },
            Err(error) => return Err(kdc_error(&error)),
        };
        match answer.verdict {
            KdcVerdict::Success => {
                if let Some((offline, copy)) = offline.zip(copy) {
                    offline.keep(record, self.lookup.now(), copy);
                }
                let mut outcome = Outcome::bare(Code::Success);
                if let Some(ccache) = answer.ccache {
                    outcome.env.push(format!("KRB5CCNAME={ccache}"));
                    self.ccaches.lock().unwrap_or_else(PoisonError::into_inner).put(record.uid, ccache);
                }
                Ok(outcome)
            }
            KdcVerdict::Unreachable(why) => {
                log::warn!("the KDC did not answer: {why}");
                self.prove_offline(user, domain, copy, Refusal::KdcUnreachable).await
            }
            verdict => Err(self.refusal(verdict, record).await),
        }
    }

    /// The password against what the last online login left; `otherwise` where there is no offline login.
    async fn prove_offline(
        &self,
        user: &Answer<UserRecord>,
        domain: &Domain,
        password: Option<PasswordPipe>,
        otherwise: Refusal,
    ) -> Result<Outcome, Refusal> {
        match (self.offline.as_ref().filter(|_| domain.offline_login), password) {
            (Some(offline), Some(password)) => offline.check(user, domain, self.lookup.now(), password).await,
            _ => Err(otherwise),
        }
    }

    /// What a KDC's refusal means. "Revoked" says disabled, expired and locked alike: the account's state, read after
    /// the error, tells which.
    async fn refusal(&self, verdict: KdcVerdict, user: &UserRecord) -> Refusal {
        match verdict {
            KdcVerdict::WrongPassword | KdcVerdict::PasswordExpired { proven: false } => Refusal::WrongPassword,
            KdcVerdict::PasswordExpired { proven: true } => Refusal::PasswordExpired,
            KdcVerdict::Revoked => {
                let now = self.lookup.now();
                match self.lookup.user(Query::Sid(user.sid.clone()), Freshness::Fresh).await {
                    Ok(Some(user)) => match access::state(&user.value.state, now) {
                        Err(refusal @ (Refusal::AccountDisabled | Refusal::AccountExpired)) => refusal,
                        _ => Refusal::AccountLocked,
                    },
                    _ => Refusal::AccountLocked,
                }
            }
            KdcVerdict::IdentityMismatch | KdcVerdict::UnknownPrincipal => {
                log::error!("the KDC answered for another account than {} ({})", user.sid, user.dn);
                Refusal::IdentityMismatch
            }
            KdcVerdict::KdcNotVerified(why) => {
                log::error!("the KDC could not be verified with the machine keytab, it may be false: {why}");
                Refusal::KdcNotVerified
            }
            KdcVerdict::ClockSkew(why) => {
                log::error!("clock skew: {why}; synchronise this host's clock");
                Refusal::ClockSkew
            }
            KdcVerdict::Unreachable(_) => Refusal::KdcUnreachable,
            KdcVerdict::Policy => Refusal::KdcPolicy,
            KdcVerdict::Failed(why) => {
                log::error!("the KDC refused: {why}");
                Refusal::KdcFailed
            }
            KdcVerdict::Success => Refusal::Internal,
        }
    }

    async fn permit(&self, user: &Answer<UserRecord>) -> Result<(), Refusal> {
        let now = self.lookup.now();
        if user.source == Source::Stale {
            access::offline_state(user, now)?;
        } else {
            access::state(&user.value.state, now)?;
        }
        let user = &user.value;
        access::rules(&self.lookup, user, &self.domain(user)?.access).await
    }
}

fn kdc_error(error: &Error) -> Refusal {
    match error {
        Error::Offline(_) => Refusal::KdcUnreachable,
        Error::Busy(_) => Refusal::Busy,
        _ => {
            log::error!("the Kerberos side failed: {error}");
            Refusal::Internal
        }
    }
}

/// Fills the template of ccache names: `%U` is the uid (the parser refuses every other letter).
fn ccache_name(template: &str, uid: u32) -> String {
    template.replace("%U", &uid.to_string())
}

/// One line for every login and refusal.
fn audit(phase: &str, context: &Context<'_>, outcome: &Outcome) {
    let reason = if outcome.reason.is_empty() { "-" } else { &outcome.reason };
    log::info!(
        "{phase}: user={:?} service={:?} rhost={:?} tty={:?} outcome={:?} reason={reason}",
        context.user,
        context.service,
        context.rhost,
        context.tty,
        outcome.code,
    );
}
