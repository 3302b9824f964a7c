//! pam_chauthtok: whether a password may be changed here, and changing it. "Changed" is said only when the server said
//! so and the new password then opened the account, or, outside of a login, when the server said so.

use std::net::SocketAddr;
use std::time::Duration;

use entra_wire::pam::{Code, Context, Outcome, flags};

use crate::Error;
use crate::config::{Domain, Fast, Preset};
use crate::control::Source;
use crate::lookup::Answer;
use crate::types::UserRecord;

use super::audit::Record;
use super::login::{Login, known_record};
use super::sentence::Refusal;
use super::{ChangeRequest, ChangeVerdict, KdcVerdict, PasswordPipe, rules};

/// How long the proof of an old password, or a change, may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Port of the kpasswd protocol (RFC 3244).
const KPASSWD_PORT: u16 = 464;
/// Told where a managed domain's configuration names no other place.
pub(super) const MANAGED: &str = "Change it in Microsoft Entra, at https://myaccount.microsoft.com.";
/// Reason of a success that changed nothing, because it did not have to.
pub const NOT_EXPIRED: &str = "not-expired";

impl Login {
    /// First phase: whether the password may be changed here; with `old`, also whether that is the password. `by` is
    /// the uid of the process that asks.
    ///
    /// Success with the reason [`NOT_EXPIRED`]: only an expired password was to be changed, and this one has not.
    pub async fn change_check(&self, context: &Context<'_>, by: u32, old: Option<PasswordPipe>) -> Outcome {
        let known = self.known_user(context.user).await;
        let checked = match &known {
            Ok(Some(user)) => self.check(user, context, old).await,
            Ok(None) => Ok(Outcome::bare(Code::UnknownUser)),
            Err(refusal) => Err(*refusal),
        };
        let outcome = checked.unwrap_or_else(Refusal::outcome);
        let user = known_record(&known);
        Record { phase: "change-check", context, by, user, rule: None }.write(&outcome);
        outcome
    }

    /// Second phase: changes the password, then gets a ticket with the new one. `by` as before.
    pub async fn change(&self, context: &Context<'_>, by: u32, old: PasswordPipe, new: PasswordPipe) -> Outcome {
        let known = self.known_user(context.user).await;
        let changed = match &known {
            Ok(Some(user)) => self.change_now(user, context, old, new).await,
            Ok(None) => Ok(Outcome::bare(Code::UnknownUser)),
            Err(refusal) => Err(*refusal),
        };
        let outcome = changed.unwrap_or_else(Refusal::outcome);
        let user = known_record(&known);
        Record { phase: "change", context, by, user, rule: None }.write(&outcome);
        outcome
    }

    async fn check(
        &self,
        user: &Answer<UserRecord>,
        context: &Context<'_>,
        old: Option<PasswordPipe>,
    ) -> Result<Outcome, Refusal> {
        let domain = match self.changeable(user)? {
            Ok(domain) => domain,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let state = &user.value.state;
        if context.flags & flags::CHANGE_EXPIRED != 0 && !state.must_change() && !state.password_expired() {
            return Ok(Outcome {
                reason: NOT_EXPIRED.into(),
                message: "Your password has not expired, and stays as it is.".into(),
                ..Outcome::bare(Code::Success)
            });
        }
        let Some(old) = old else { return Ok(Outcome::bare(Code::Success)) };
        let request = self.change_request(user, domain).await?;
        match self.kdc.prove_for_change(request, old).await {
            Ok(ChangeVerdict::Proven) => Ok(Outcome::bare(Code::Success)),
            Ok(verdict) => Err(self.not_changed(verdict, &user.value).await),
            Err(Error::Offline(_)) => Err(Refusal::KdcUnreachable),
            Err(error) => Err(broken(&error)),
        }
    }

    async fn change_now(
        &self,
        user: &Answer<UserRecord>,
        context: &Context<'_>,
        old: PasswordPipe,
        new: PasswordPipe,
    ) -> Result<Outcome, Refusal> {
        let domain = match self.changeable(user)? {
            Ok(domain) => domain,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let record = &user.value;
        let request = self.change_request(user, domain).await?;
        let kdc = request.kdc;
        let (new, copy) = self.kdc.copy(new).map_err(|error| broken(&error))?;
        let verdict = match self.kdc.change_password(request, old, new).await {
            Ok(verdict) => verdict,
            Err(error @ (Error::Busy(_) | Error::Config(_))) => return Err(broken(&error)),
            Err(error) => ChangeVerdict::Unknown(error.to_string()),
        };
        match verdict {
            ChangeVerdict::Changed => {}
            ChangeVerdict::Refused(words) => return Ok(refused(&words)),
            ChangeVerdict::Unknown(why) => {
                log::warn!("whether the password of {} was changed is not known: {why}", record.name);
                return Ok(unknown());
            }
            verdict => return Err(self.not_changed(verdict, record).await),
        }
        log::info!("the password of {} was changed", record.name);
        let login = context.flags & flags::CHANGE_EXPIRED != 0;
        let verdict = match copy {
            Some(copy) => self.exchange(record, domain, kdc, copy, CHANGE_TIMEOUT).await,
            None => Err(Refusal::Internal),
        };
        match verdict {
            Ok((KdcVerdict::Success, mut outcome)) => {
                outcome.message = "Your password has been changed.".into();
                outcome.reason = "changed".into();
                Ok(outcome)
            }
            // Whoever said "changed" cannot prove to be the domain.
            Ok((KdcVerdict::KdcNotVerified(why), _)) => {
                log::error!("the KDC could not be verified with the machine keytab, it may be false: {why}");
                Ok(unknown())
            }
            // A login goes on only with a ticket of a KDC that was verified.
            other if login => {
                log::warn!("{} has a new password and no ticket: {other:?}", record.name);
                Ok(Outcome {
                    reason: "changed-without-login".into(),
                    message: "Your password has been changed. Log in again with the new one.".into(),
                    ..Outcome::bare(Code::Failed)
                })
            }
            _ => Ok(Outcome {
                reason: "changed".into(),
                message: "Your password has been changed.".into(),
                ..Outcome::bare(Code::Success)
            }),
        }
    }

    /// The user's domain, or what to say where passwords are changed elsewhere.
    fn changeable(&self, user: &Answer<UserRecord>) -> Result<Result<&Domain, Outcome>, Refusal> {
        if user.source == Source::Stale {
            return Err(Refusal::DirectoryUnreachable);
        }
        let domain = self.domain(&user.value)?;
        match domain.preset {
            Preset::ActiveDirectory => Ok(Ok(domain)),
            Preset::EntraDs => Ok(Err(Outcome {
                code: Code::PasswordRefused,
                reason: "change-elsewhere".into(),
                message: format!("Your password cannot be changed on this computer. {}", hint(domain)),
                env: Vec::new(),
            })),
        }
    }

    async fn change_request(&self, user: &Answer<UserRecord>, domain: &Domain) -> Result<ChangeRequest, Refusal> {
        let record = &user.value;
        let directory = &self.lookup.domain(&record.domain).ok_or(Refusal::Internal)?.directory;
        let kdc = directory.kdc().await.map_err(|error| rules::unreachable(&error))?;
        Ok(ChangeRequest {
            realm: domain.realm(),
            kdc,
            kpasswd: SocketAddr::new(kdc.ip(), KPASSWD_PORT),
            principal: super::login::principal(record, domain),
            require_fast: domain.fast == Fast::Require,
            timeout: CHANGE_TIMEOUT,
        })
    }

    async fn not_changed(&self, verdict: ChangeVerdict, user: &UserRecord) -> Refusal {
        let verdict = match verdict {
            ChangeVerdict::WrongPassword => KdcVerdict::WrongPassword,
            ChangeVerdict::Revoked => KdcVerdict::Revoked,
            ChangeVerdict::Policy => KdcVerdict::Policy,
            ChangeVerdict::UnknownPrincipal => KdcVerdict::UnknownPrincipal,
            ChangeVerdict::Unreachable(why) => KdcVerdict::Unreachable(why),
            ChangeVerdict::ClockSkew(why) => KdcVerdict::ClockSkew { why, ahead: None },
            ChangeVerdict::Failed(why) | ChangeVerdict::Refused(why) | ChangeVerdict::Unknown(why) => {
                KdcVerdict::Failed(why)
            }
            ChangeVerdict::Proven | ChangeVerdict::Changed => {
                KdcVerdict::Failed("an answer to another question".into())
            }
        };
        self.refusal(verdict, user).await
    }
}

/// Where the people of a managed domain change their passwords.
pub(super) fn hint(domain: &Domain) -> &str {
    domain.password_change_hint.as_deref().unwrap_or(MANAGED)
}

fn refused(words: &str) -> Outcome {
    let words = if words.is_empty() { "it gives no reason" } else { words };
    Outcome {
        code: Code::PasswordRefused,
        reason: "password-policy".into(),
        message: format!("The domain refuses the new password: {words}"),
        env: Vec::new(),
    }
}

fn unknown() -> Outcome {
    Outcome {
        code: Code::Failed,
        reason: "change-unknown".into(),
        message:
            "It is not known whether your password was changed: the domain's answer was lost. Try the new password \
                  first, then the old one."
                .into(),
        env: Vec::new(),
    }
}

fn broken(error: &Error) -> Refusal {
    if matches!(error, Error::Busy(_)) {
        return Refusal::Busy;
    }
    log::error!("password change: {error}");
    if matches!(error, Error::Interrupted(_)) { Refusal::HelperEnded } else { Refusal::Internal }
}
