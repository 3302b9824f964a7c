//! `ctl.sock`: what `entractl` asks. Reading is for everybody, forgetting is for root.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use entra_core::Error;
use entra_core::auth::Login;
use entra_core::control::{DomainStatus, Reply, Request, Status};
use entra_core::lookup::{DomainContext, Lookup};
use entra_wire::codec::{Reader, Writer};
use entra_wire::nss::status_frame;
use entra_wire::protocol::{Op, Status as WireStatus};

use super::Reload;
use super::serve::{self, Peer};

/// Answers `entractl`.
pub(super) struct Service {
    lookup: Arc<Lookup>,
    login: Arc<Login>,
    reload: Reload,
    started: Instant,
}

impl Service {
    /// `started`: when the daemon was, whatever it has read anew since.
    pub(super) fn new(lookup: Arc<Lookup>, login: Arc<Login>, reload: Reload, started: Instant) -> Self {
        Self { lookup, login, reload, started }
    }

    async fn reply(&self, peer: Peer, request: Request) -> Result<Reply, Error> {
        match request {
            Request::Status => Ok(Reply::Status(self.status().await)),
            Request::CacheStats => Ok(Reply::Cache(self.lookup.stats().await)),
            Request::CacheFlush { .. } | Request::Reload if peer.uid != 0 => Ok(Reply::NotPermitted),
            Request::CacheFlush { name } => Ok(Reply::Done { count: self.lookup.flush(name.as_deref()).await? }),
            Request::Reload => Ok(match self.reload.ask() {
                Ok(domains) => Reply::Done { count: domains },
                Err(reason) => Reply::Invalid { reason },
            }),
            Request::User { key } => self.with_login(self.lookup.describe_user(key).await?).await,
            Request::Group { key } => self.lookup.describe_group(key).await,
            Request::Sid { sid } => self.with_login(self.lookup.describe_sid(&sid).await?).await,
            Request::SshKeys { user } => self.lookup.ssh_keys(&user).await,
            Request::Explain { user, service } => self.login.explain(&user, service).await,
            Request::Users { range } => self.lookup.stored_users(range).await,
            Request::Groups { range } => self.lookup.stored_groups(range).await,
        }
    }

    /// A user, and whether it could log in now without the directory.
    async fn with_login(&self, reply: Reply) -> Result<Reply, Error> {
        let Reply::User(mut view) = reply else { return Ok(reply) };
        let sid = view.sid.parse().map_err(|error| Error::Config(format!("{error}")))?;
        view.offline_until = self.login.offline_until(&sid, &view.domain).await?;
        view.offline_ready = view.offline_until.is_some();
        Ok(Reply::User(view))
    }

    async fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            domains: self.lookup.domains().iter().map(|domain| self.domain(domain)).collect(),
            cache: self.lookup.stats().await,
        }
    }

    fn domain(&self, domain: &DomainContext) -> DomainStatus {
        let (health, id_range) = self.lookup.domain_health(domain);
        let info = domain.info();
        DomainStatus {
            domain: domain.config.name.clone(),
            netbios: info.as_ref().map(|info| info.netbios.clone()),
            sid: info.map(|info| info.sid.to_string()),
            online: health.online,
            since: health.since,
            reason: health.reason,
            fault: health.fault,
            server: health.server,
            address: health.address,
            latency_us: health.latency_us,
            id_range,
            machine_ticket_expires: health.ticket_expires,
            keytab_changed: keytab_changed(),
        }
    }
}

impl serve::Service for Service {
    const DESCRIPTORS: usize = 0;

    async fn answer(&self, peer: Peer, body: Vec<u8>, _: Vec<OwnedFd>) -> Vec<u8> {
        let mut reader = Reader::new(&body);
        if reader.request_head() != Ok(Op::Control) {
            return status_frame(WireStatus::BadRequest);
        }
        let reply = match serde_json::from_slice(reader.rest()) {
            Ok(request) => self.reply(peer, request).await.unwrap_or_else(Reply::from),
            Err(error) => Reply::Invalid { reason: format!("this daemon does not know the request: {error}") },
        };
        match serde_json::to_vec(&reply) {
            Ok(text) => {
                let mut writer = Writer::reply(WireStatus::Ok);
                writer.raw(&text);
                writer.finish()
            }
            Err(error) => {
                log::error!("an answer could not be written as JSON: {error}");
                status_frame(WireStatus::Busy)
            }
        }
    }
}

fn keytab_changed() -> Option<u64> {
    let changed = std::fs::metadata(entra_wire::paths::KEYTAB).ok()?.modified().ok()?;
    changed.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
