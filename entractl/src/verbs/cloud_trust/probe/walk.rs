//! The hops, one after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use entra_core::config::Domain;
use entra_core::discovery::Server;
use entra_core::kkdcp::{self, Anchors, Channel, ProxyError, ProxyUrl};
use entra_krb5::{Ccache, Context, Error, Kind, Principal, Profile, kdc_exchange, service_ticket_by};

use super::super::shares::REALM;
use super::Report;
use super::cause::{self, Cause, cause};
use super::settings::Settings;
use crate::output::span;
use crate::preflight::{clock, connect, dns, root_dse};

/// What the way needs.
pub(super) struct Walk<'a> {
    /// What krb5's settings say.
    pub(super) settings: &'a Settings,
    /// The configured domains: how to find the domain controllers of a realm.
    pub(super) domains: &'a [Domain],
    /// Residual name of the ccache.
    pub(super) ccache: &'a str,
    /// Longest wait for each hop.
    pub(super) timeout: Duration,
}

/// The domain's KDC, and where it is.
struct DomainKdc {
    realm: String,
    shown: String,
    address: SocketAddr,
}

impl Walk<'_> {
    /// Goes all the way.
    ///
    /// # Errors
    /// The first hop that fails, with its cause.
    pub(super) fn all(&self, report: &mut Report<'_, '_>) -> Result<(), Cause> {
        let started = Instant::now();
        let (realm, ticket) = self.tgt()?;
        let kdc = self.domain_kdc(&realm)?;
        let judged = root_dse::read(kdc.1.addr).and_then(|(root, ahead)| clock::judge(ahead, &root.host));
        let judged = judged.map_err(|failure| {
            let word = if failure.step == "clock" { "clock" } else { "domain-kdc" };
            Cause::of("tgt", word, failure)
        })?;
        report.hop("tgt", &format!("{ticket}; clock {}", judged.detail), started.elapsed());
        let context = Profile::new(&kdc.0.realm, &[kdc.0.address]).ok_or_else(|| no_realm(&kdc.0.realm));
        let context = Context::new(&context?).map_err(|error| no_tgt(self.ccache, &error.message))?;
        let ccache = self.copy(&context, &realm).map_err(|error| no_tgt(self.ccache, &error.message))?;
        self.referral(&context, &ccache, &kdc.0, report)?;
        let url = self.settings.proxy.as_ref().map_err(|what| {
            cause("proxy-tls", "no-proxy", what, "`sudo entractl cloud-trust configure --tenant ID`")
        })?;
        let (anchors, channel) = self.open(url, report)?;
        self.ticket(&context, &ccache, url, &anchors, channel, report)
    }

    /// The realm of the ccache's owner, and words about its ticket.
    fn tgt(&self) -> Result<(String, String), Cause> {
        let wrong = |error: Error| no_tgt(self.ccache, &error.message);
        let context = Context::without_realm().map_err(wrong)?;
        let ccache = Ccache::resolve(&context, self.ccache).map_err(wrong)?;
        let owner = ccache.owner().map_err(wrong)?.to_string();
        let realm = owner.rsplit_once('@').map(|(_, realm)| realm.to_owned()).unwrap_or_default();
        let Some(tgt) = ccache.tgt(&realm).map_err(wrong)? else {
            return Err(no_tgt(self.ccache, &format!("it has no ticket of {realm}")));
        };
        let now = SystemTime::now();
        let left = tgt.end().duration_since(now).map_err(|_| cause::expired("tgt"))?;
        let age = now.duration_since(tgt.start()).unwrap_or_default();
        Ok((realm, format!("{owner}, {} old, good for {}", span(age.as_secs()), span(left.as_secs()))))
    }

    /// The domain controller of `realm` that is to be asked.
    fn domain_kdc(&self, realm: &str) -> Result<(DomainKdc, Server), Cause> {
        let servers = match self.domains.iter().find(|domain| domain.realm() == realm) {
            Some(domain) => dns::find(domain),
            None => dns::records(&realm.to_lowercase(), &[]),
        };
        let reached = servers.and_then(|servers| connect::first(&servers));
        let server = reached.map_err(|failure| Cause::of("referral", "domain-kdc", failure))?;
        let server = server.server;
        let shown = if server.host.is_empty() { server.kdc().to_string() } else { server.host.clone() };
        let kdc = DomainKdc { realm: realm.into(), shown, address: server.kdc() };
        Ok((kdc, server))
    }

    /// A ccache in memory with the TGT alone: tickets that the user has already would make hops look as if they worked.
    fn copy<'c>(&self, context: &'c Context, realm: &str) -> Result<Ccache<'c>, Error> {
        let theirs = Ccache::resolve(context, self.ccache)?;
        let ours = Ccache::memory(context)?;
        ours.initialize(&theirs.owner()?)?;
        if let Some(tgt) = theirs.tgt(realm)? {
            ours.store(&tgt)?;
        }
        Ok(ours)
    }

    /// The domain's ticket for Entra ID's realm, by the realm's name as programs with a mapping ask, and by the host's.
    fn referral(
        &self,
        context: &Context,
        ccache: &Ccache<'_>,
        kdc: &DomainKdc,
        report: &mut Report<'_, '_>,
    ) -> Result<(), Cause> {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let wrong = |error: Error| cause::of_referral(&error, &kdc.shown);
        let service = Principal::parse(context, &format!("krbtgt/{REALM}@{}", kdc.realm)).map_err(wrong)?;
        let mut ask = |realm: &str, message: &[u8]| {
            if realm == kdc.realm {
                kdc_exchange(kdc.address, message, deadline)
            } else {
                Err(Error::undelivered(format!("the domain refers to {realm}")))
            }
        };
        service_ticket_by(context, ccache, &service, &mut ask).map_err(wrong)?;
        let took = started.elapsed();
        let host = &self.settings.host;
        let by_name = Principal::parse(context, &format!("cifs/{host}@{}", kdc.realm)).map_err(wrong)?;
        let mut referred = None;
        let asked = service_ticket_by(context, ccache, &by_name, |realm, message| {
            if realm == kdc.realm {
                return kdc_exchange(kdc.address, message, deadline);
            }
            referred = Some(realm.to_owned());
            Err(Error::undelivered("a referral"))
        });
        let other = match (&asked, referred.as_deref()) {
            (Ok(_), _) => Some(cause::of_own_account(host)),
            (Err(_), Some(realm)) if realm != REALM => Some(cause::of_name(host, Some(realm))),
            (Err(error), None) if error.kind == Kind::UnknownServer => Some(cause::of_name(host, None)),
            _ => None,
        };
        match other {
            // Nobody asks by the host's name then.
            Some(cause) if self.settings.mapped => report.spared(&cause),
            Some(cause) => return Err(cause),
            None => {}
        }
        report.hop("referral", &format!("{} gives a ticket for {REALM}", kdc.shown), took);
        Ok(())
    }

    /// Name, connection and TLS of the proxy.
    fn open(&self, url: &ProxyUrl, report: &mut Report<'_, '_>) -> Result<(Anchors, Channel), Cause> {
        let hop = "proxy-tls";
        let anchors = Anchors::load(&self.settings.anchors).map_err(|error| cause::of_proxy(hop, &error, url, None))?;
        let wrong = |error: ProxyError| cause::of_proxy(hop, &error, url, Some(&anchors));
        let started = Instant::now();
        let deadline = started + self.timeout;
        let addresses = kkdcp::resolve(url, deadline).map_err(wrong)?;
        let named = started.elapsed();
        let stream = kkdcp::connect(&addresses, deadline).map_err(wrong)?;
        let peer = stream.peer_addr().map_or_else(|_| url.port.to_string(), |peer| peer.to_string());
        let connected = started.elapsed();
        let channel = Channel::open(url, stream, &anchors, deadline).map_err(wrong)?;
        let took = started.elapsed();
        let millis = |span: Duration| span.as_millis();
        let detail = format!(
            "{} at {peer}: name {} ms, TCP {} ms, TLS {} ms",
            url.host,
            millis(named),
            millis(connected.saturating_sub(named)),
            millis(took.saturating_sub(connected))
        );
        report.hop(hop, &detail, took);
        Ok((anchors, channel))
    }

    /// The proxy's answer, and the ticket in it.
    fn ticket(
        &self,
        context: &Context,
        ccache: &Ccache<'_>,
        url: &ProxyUrl,
        anchors: &Anchors,
        channel: Channel,
        report: &mut Report<'_, '_>,
    ) -> Result<(), Cause> {
        let host = &self.settings.host;
        let wrong = |error: Error| cause::of_ticket(&error, host);
        let service = Principal::parse(context, &format!("cifs/{host}@{REALM}")).map_err(wrong)?;
        let started = Instant::now();
        let deadline = started + self.timeout;
        let (mut open, mut failed, mut answered) = (Some(channel), None, None);
        let asked = service_ticket_by(context, ccache, &service, |realm, message| {
            if realm != REALM {
                return Err(Error::undelivered(format!("Entra ID refers to {realm}")));
            }
            // A connection is for one request: the first has been made already.
            let channel = open.take().map_or_else(|| again(url, anchors, deadline), Ok);
            let reply = channel.and_then(|channel| channel.exchange(url, REALM, message, deadline));
            if reply.is_ok() {
                answered.get_or_insert(started.elapsed());
            }
            reply.map_err(|error| {
                let text = error.to_string();
                failed = Some(error);
                Error::undelivered(text)
            })
        });
        if let Some(error) = failed {
            return Err(cause::of_proxy("proxy-http", &error, url, Some(anchors)));
        }
        if let Some(took) = answered {
            report.hop("proxy-http", &format!("{url} answers with a Kerberos message"), took);
        }
        let ticket = asked.map_err(wrong)?;
        let ahead = ticket.start().duration_since(SystemTime::now()).unwrap_or_default().as_secs();
        let behind = SystemTime::now().duration_since(ticket.start()).unwrap_or_default().as_secs();
        let left = ticket.end().duration_since(SystemTime::now()).unwrap_or_default();
        let detail =
            format!("cifs/{host}, good for {}; clock {} s from Entra ID's", span(left.as_secs()), ahead.max(behind));
        report.hop("ticket", &detail, started.elapsed());
        Ok(())
    }
}

fn again(url: &ProxyUrl, anchors: &Anchors, deadline: Instant) -> Result<Channel, ProxyError> {
    let stream = kkdcp::connect(&kkdcp::resolve(url, deadline)?, deadline)?;
    Channel::open(url, stream, anchors, deadline)
}

fn no_tgt(ccache: &str, why: &str) -> Cause {
    cause("tgt", "no-tgt", format!("{ccache}: {why}"), "`kinit`, or log in with the password; --ccache names another")
}

fn no_realm(realm: &str) -> Cause {
    cause("tgt", "no-tgt", format!("{realm:?} is no name of a Kerberos realm"), "`kinit` as a user of the domain")
}
