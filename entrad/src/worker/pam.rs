//! `pam.sock`: the phases of a login. Root may ask for anybody, another uid only for itself.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use entra_core::auth::{Login, PasswordPipe};
use entra_wire::nss::status_frame;
use entra_wire::pam::Context;
use entra_wire::protocol::{Op, Status};

use super::places::Places;
use super::serve::{self, Peer};

/// Answers PAM.
pub(super) struct Service {
    login: Arc<Login>,
    proofs: Places,
}

impl Service {
    pub(super) fn new(login: Arc<Login>) -> Self {
        Self { login, proofs: Places::of_proofs() }
    }

    async fn may_ask(&self, peer: Peer, context: &Context<'_>) -> bool {
        peer.uid == 0 || self.login.uid_of(context.user).await == Some(peer.uid)
    }
}

impl serve::Service for Service {
    /// The old and the new password of a change.
    const DESCRIPTORS: usize = 2;

    async fn answer(&self, peer: Peer, body: Vec<u8>, mut descriptors: Vec<OwnedFd>) -> Vec<u8> {
        let Ok((op, context)) = Context::decode(&body) else { return status_frame(Status::BadRequest) };
        if !self.may_ask(peer, &context).await {
            // Without the name: what means nobody may be a password that was typed in its place.
            log::warn!("uid {} may not ask for another user ({:?})", peer.uid, context.service);
            return status_frame(Status::Refused);
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
        outcome.encode()
    }
}
