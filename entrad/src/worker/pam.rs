//! `pam.sock`: the phases of a login. Root may ask for anybody, another uid only for itself, and passwords are tried no
//! more often than [`super::limits`] lets them be.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entra_core::auth::{Login, PasswordPipe};
use entra_wire::nss::status_frame;
use entra_wire::pam::{Code, Context, flags};
use entra_wire::protocol::{Op, Status};

use super::limits::Limit;
use super::places::Places;
use super::serve::{self, Peer};

/// Passwords that a uid which is not root may try at once, and then one in so long: a screen locker with a person
/// before it, and a loop that guesses for an intruder.
const OF_ONE_ASKER: (u32, Duration) = (10, Duration::from_secs(3));
/// Wrong passwords that one user is given, whoever asks; a right one forgets them.
const FOR_ONE_USER: (u32, Duration) = (30, Duration::from_secs(2));

/// Answers PAM.
pub(super) struct Service {
    login: Arc<Login>,
    proofs: Places,
    /// By the uid that asks.
    asked: Mutex<Limit>,
    /// By the uid that is asked about.
    wrong: Mutex<Limit>,
}

impl Service {
    pub(super) fn new(login: Arc<Login>) -> Self {
        let limit = |(burst, every)| Mutex::new(Limit::new(burst, every));
        Self { login, proofs: Places::of_proofs(), asked: limit(OF_ONE_ASKER), wrong: limit(FOR_ONE_USER) }
    }

    /// How long a password has to wait for its turn; `None`: not at all.
    async fn wait(&self, peer: Peer, context: &Context<'_>) -> Option<Duration> {
        let now = Instant::now();
        if peer.uid != 0 {
            let mut asked = lock(&self.asked);
            let wait = asked.wait(peer.uid, now);
            asked.count(peer.uid, now);
            if wait.is_some() {
                return wait;
            }
        }
        if lock(&self.wrong).is_empty() {
            return None;
        }
        let user = self.login.uid_of(context.user).await?;
        lock(&self.wrong).wait(user, now)
    }

    /// Remembers how a password came out.
    async fn note(&self, context: &Context<'_>, code: Code) {
        let is_wrong = code == Code::WrongPassword;
        if !is_wrong && (code != Code::Success || lock(&self.wrong).is_empty()) {
            return;
        }
        let Some(user) = self.login.uid_of(context.user).await else { return };
        let mut wrong = lock(&self.wrong);
        if is_wrong {
            wrong.count(user, Instant::now());
        } else {
            wrong.forgive(user);
        }
    }

    async fn may_ask(&self, peer: Peer, context: &Context<'_>) -> bool {
        peer.uid == 0 || self.login.uid_of(context.user).await == Some(peer.uid)
    }
}

impl serve::Service for Service {
    /// The old and the new password of a change.
    const DESCRIPTORS: usize = 2;

    fn wants_signs(body: &[u8]) -> bool {
        Context::decode(body).is_ok_and(|(_, context)| context.flags & flags::SIGNS != 0)
    }

    async fn answer(&self, peer: Peer, body: Vec<u8>, mut descriptors: Vec<OwnedFd>) -> Vec<u8> {
        let Ok((op, context)) = Context::decode(&body) else { return status_frame(Status::BadRequest) };
        if !self.may_ask(peer, &context).await {
            // Without the name: what means nobody may be a password that was typed in its place.
            log::warn!("uid {} may not ask for another user ({:?})", peer.uid, context.service);
            return status_frame(Status::Refused);
        }
        let phase = match op {
            Op::Authenticate => Some("authenticate"),
            Op::Change => Some("change"),
            Op::ChangeCheck if !descriptors.is_empty() => Some("change-check"),
            _ => None,
        };
        if let Some(phase) = phase
            && let Some(wait) = self.wait(peer, &context).await
        {
            return self.login.too_many(phase, &context, peer.uid, wait).await.encode();
        }
        // Each password takes a process for as long as the KDC does: nobody takes them all.
        let proof = if descriptors.is_empty() { None } else { Some(self.proofs.take(peer.uid)) };
        if matches!(proof, Some(None)) {
            return status_frame(Status::Busy);
        }
        let outcome = match op {
            Op::Authenticate => match descriptors.pop() {
                Some(password) if descriptors.is_empty() => {
                    self.login.authenticate(&context, peer.uid, PasswordPipe(password)).await
                }
                _ => return status_frame(Status::BadRequest),
            },
            Op::Account => self.login.account(&context, peer.uid).await,
            Op::OpenSession => self.login.open_session(&context).await,
            Op::SetCred => self.login.set_credentials(&context).await,
            Op::CloseSession => self.login.close_session(&context).await,
            Op::ChangeCheck if descriptors.len() < 2 => {
                self.login.change_check(&context, peer.uid, descriptors.pop().map(PasswordPipe)).await
            }
            Op::Change => match (descriptors.pop(), descriptors.pop()) {
                (Some(new), Some(old)) => {
                    self.login.change(&context, peer.uid, PasswordPipe(old), PasswordPipe(new)).await
                }
                _ => return status_frame(Status::BadRequest),
            },
            _ => return status_frame(Status::BadRequest),
        };
        if phase.is_some() {
            self.note(&context, outcome.code).await;
        }
        outcome.encode()
    }
}

fn lock(limit: &Mutex<Limit>) -> MutexGuard<'_, Limit> {
    limit.lock().unwrap_or_else(PoisonError::into_inner)
}
