//! pam_open_session, pam_close_session and pam_setcred, and what is done for sessions between them.

use std::time::Duration;

use entra_wire::pam::{Code, Context, Outcome, flags};

use crate::Error;
use crate::lookup::{Freshness, Query};

use super::login::Login;
use super::rules;
use super::tickets::Ticket;
use super::{RenewRequest, TicketTimes};

/// How long the renewal of one ticket may take: nobody waits for it.
const RENEW_TIMEOUT: Duration = Duration::from_secs(10);

impl Login {
    /// pam_open_session: counts the session, and says where it finds its ticket.
    pub async fn open_session(&self, context: &Context<'_>) -> Outcome {
        self.of_session(context, |uid| {
            self.sessions.open(uid);
            self.wish_for_tickets(uid);
            self.ticket_of(uid)
        })
        .await
    }

    /// pam_close_session: the last one takes the ticket with it.
    pub async fn close_session(&self, context: &Context<'_>) -> Outcome {
        let (mut gone, mut last) = (None, None);
        let outcome = self
            .of_session(context, |uid| {
                gone = self.sessions.close(uid, self.lookup.now());
                last = Some(uid).filter(|uid| !self.sessions.has_one(*uid));
                Outcome::bare(Code::Success)
            })
            .await;
        self.destroy(gone).await;
        if let Some(uid) = last {
            self.forget_kept(uid).await;
        }
        outcome
    }

    /// pam_setcred: where the ticket is. It was got, or got anew, by the authentication before; PAM_DELETE_CRED takes it
    /// away unless another session has it too.
    pub async fn set_credentials(&self, context: &Context<'_>) -> Outcome {
        let mut gone = None;
        let outcome = self
            .of_session(context, |uid| {
                if context.flags & flags::CRED_DELETE == 0 {
                    return self.ticket_of(uid);
                }
                gone = self.sessions.delete(uid);
                Outcome::bare(Code::Success)
            })
            .await;
        self.destroy(gone).await;
        outcome
    }

    /// Renews the tickets of sessions that need it, and removes those that nobody came for. To be called every minute or
    /// so.
    pub async fn keep_tickets(&self) {
        let now = self.lookup.now();
        for ticket in self.sessions.left(now) {
            self.destroy(Some(ticket)).await;
        }
        for ticket in self.sessions.due(now) {
            match self.renew(&ticket).await {
                Ok(times) => {
                    log::info!("the ticket of uid {} was renewed", ticket.target.uid);
                    self.sessions.renewed(&ticket, times, now);
                    self.wish_for_tickets(ticket.target.uid);
                }
                // Tried again until it ends: the domain may be away.
                Err(error) => log::info!("the ticket of uid {} could not be renewed: {error}", ticket.target.uid),
            }
        }
    }

    async fn renew(&self, ticket: &Ticket) -> Result<TicketTimes, Error> {
        let domain = self.lookup.domain(&ticket.domain).ok_or_else(|| Error::Config("its domain is gone".into()))?;
        let request = RenewRequest {
            realm: domain.config.realm(),
            kdc: domain.directory.kdc().await?,
            ccache: ticket.target.clone(),
            timeout: RENEW_TIMEOUT,
        };
        self.kdc.renew(request).await
    }

    pub(super) async fn destroy(&self, ticket: Option<Ticket>) {
        let Some(ticket) = ticket else { return };
        let name = ticket.target.name.clone();
        if let Err(error) = self.kdc.destroy_ccache(ticket.target).await {
            log::warn!("the ccache {name} could not be removed: {error}");
        }
    }

    async fn of_session(&self, context: &Context<'_>, work: impl FnOnce(u32) -> Outcome) -> Outcome {
        match self.lookup.user(Query::name(context.user), Freshness::Cached).await {
            Ok(Some(user)) => work(user.value.uid),
            Ok(None) => Outcome::bare(Code::UnknownUser),
            Err(error) => rules::unreachable(&error).outcome(),
        }
    }

    fn ticket_of(&self, uid: u32) -> Outcome {
        let ccache = self.sessions.ccache(uid).or_else(|| self.kept.ccache(uid));
        let env = ccache.map(|ccache| format!("KRB5CCNAME={ccache}")).into_iter().collect();
        Outcome { env, ..Outcome::bare(Code::Success) }
    }
}
