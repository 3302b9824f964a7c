//! Service tickets behind a login: the tickets of `service_tickets` are put into the ccache of whoever has logged in, so
//! that what needs them (the kernel, mounting a share with sec=krb5) finds them there. No login waits for it: it puts a
//! wish into a bounded list ([`super::fetches`]), and a few tasks fulfil one after the other.

use std::time::{Duration, Instant};

use crate::Error;
use crate::config::Domain;
use crate::lookup::{Freshness, Query};

use super::fetches::{Pause, Wish};
use super::login::Login;
use super::rules;
use super::tickets::Ticket;
use super::{FetchRequest, TicketTimes};

/// How long one ticket may take: libkrb5 tries each address of each KDC of two realms, thrice, before it gives up.
const FETCH_TIMEOUT: Duration = Duration::from_secs(40);
/// How soon wishes that had to wait are looked at again.
const RECHECK: Duration = Duration::from_secs(15);
/// How long a wish is put off that could not be tried, or whose helper hung, in seconds.
const PUT_OFF: u64 = 60;

impl Login {
    /// Gets tickets for as long as it is polled. Several may run beside each other.
    pub async fn fetch_tickets(&self) {
        loop {
            self.fetch_waiting().await;
            // Woken by a wish, and now and then by itself for those that were put off.
            let _ = tokio::time::timeout(RECHECK, self.fetches.news()).await;
        }
    }

    /// Gets the tickets that can be got now.
    pub async fn fetch_waiting(&self) {
        while let Some(wish) = self.fetches.take(self.lookup.now()) {
            self.fulfil(wish).await;
        }
    }

    /// Puts the service tickets of a session's user on the list, where the configuration has some.
    pub(super) fn wish_for_tickets(&self, uid: u32) {
        let Some(ticket) = self.sessions.current(uid) else { return };
        let Some(domain) = self.lookup.domain(&ticket.domain) else { return };
        let services = domain.config.service_tickets.clone();
        if services.is_empty() {
            return;
        }
        if !self.fetches.put(Wish { uid, got: ticket.got, services, not_before: 0 }) {
            log::warn!("too many wait for service tickets: uid {uid} gets none before the next renewal");
        }
    }

    async fn fulfil(&self, wish: Wish) {
        // Gone, or replaced by another login, which has a wish of its own.
        let Some(ticket) = self.sessions.current(wish.uid).filter(|ticket| ticket.got == wish.got) else { return };
        let Some(domain) = self.lookup.domain(&ticket.domain).map(|domain| domain.config.clone()) else { return };
        match self.may_have(wish.uid, &domain).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                log::debug!("whether uid {} gets service tickets is not known yet: {error}", wish.uid);
                let not_before = self.lookup.now() + PUT_OFF;
                self.fetches.put(Wish { not_before, ..wish });
                return;
            }
        }
        let (mut later, mut services) = (u64::MAX, Vec::new());
        for service in wish.services {
            let now = self.lookup.now();
            let until = match self.fetches.paused(&service, now) {
                Some(until) => Some(until),
                None => self.try_one(&ticket, &domain, &service).await,
            };
            if let Some(until) = until {
                later = later.min(until);
                services.push(service);
            }
        }
        // A login that came meanwhile has put its own wish there.
        let same = self.sessions.current(wish.uid).is_some_and(|now| now.got == wish.got);
        if !services.is_empty() && same {
            self.fetches.put(Wish { uid: wish.uid, got: wish.got, services, not_before: later });
        }
    }

    /// Gets one ticket. Gives when it is to be tried again; `None` where it is there, or cannot be had with this TGT.
    async fn try_one(&self, ticket: &Ticket, domain: &Domain, service: &str) -> Option<u64> {
        let uid = ticket.target.uid;
        let begun = Instant::now();
        let outcome = self.fetch(ticket, domain, service).await;
        let now = self.lookup.now();
        match outcome {
            Ok(_) => {
                if self.fetches.works(service) {
                    log::info!("tickets for {service} can be had again");
                }
                log::info!("uid {uid} has a ticket for {service}");
                None
            }
            Err(Error::Offline(why)) if begun.elapsed() >= FETCH_TIMEOUT => {
                let pause = self.fetches.late(service, uid, now);
                Some(pause.map_or(now + PUT_OFF, |pause| said(service, &why, pause, now)))
            }
            Err(Error::Offline(why)) => Some(said(service, &why, self.fetches.unreachable(service, now), now)),
            // Others go first.
            Err(Error::Busy(_)) => Some(now + PUT_OFF),
            Err(error) => {
                log::warn!(
                    "uid {uid} gets no ticket for {service} before the next renewal: {error}; `entractl check \
                     cloud-trust` looks at this host's part"
                );
                None
            }
        }
    }

    async fn fetch(&self, ticket: &Ticket, domain: &Domain, service: &str) -> Result<TicketTimes, Error> {
        let known = self.lookup.domain(&ticket.domain).ok_or_else(|| Error::Config("its domain is gone".into()))?;
        let request = FetchRequest {
            realm: domain.realm(),
            kdc: known.directory.kdc().await?,
            ccache: ticket.target.clone(),
            service: service.to_owned(),
            timeout: FETCH_TIMEOUT,
        };
        self.kdc.fetch(request).await
    }

    /// Whether the configuration gives this user service tickets.
    async fn may_have(&self, uid: u32, domain: &Domain) -> Result<bool, Error> {
        if domain.service_ticket_groups.is_empty() {
            return Ok(true);
        }
        let Some(user) = self.lookup.user(Query::Id(uid), Freshness::Cached).await? else { return Ok(false) };
        rules::is_in_any(&self.lookup, &user.value, &domain.service_ticket_groups).await
    }
}

/// Says once that a service is left alone. Gives until when.
fn said(service: &str, why: &str, pause: Pause, now: u64) -> u64 {
    let until = pause.until();
    let after = until.saturating_sub(now);
    match pause {
        Pause::First(_) => log::warn!(
            "tickets for {service} cannot be got: {why}; tried again in {after} s and then less often. `entractl check \
             cloud-trust` looks at this host's part"
        ),
        Pause::Again(_) => log::debug!("tickets for {service} still cannot be got: {why}; tried again in {after} s"),
    }
    until
}
