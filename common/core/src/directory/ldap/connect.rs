//! From the list of DCs to one protected connection: TCP, TLS where wanted, machine ticket, SASL bind.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use entra_krb5::gss::{ErrorKind, Protection, Source};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Settings;
use super::connection::Connection;
use super::profile;
use super::sasl::{self, BindError};
use super::seal;
use super::tls::TlsError;
use super::wire::{self, Security, Wire};
use crate::Error;
use crate::auth::{Kdc, MachineTicket};
use crate::discovery::{Pinned, Server, Servers};

/// How far apart the DCs are tried, while the one before has neither served nor refused: one that is dead, or takes the
/// connection and says nothing, costs this much, not a timeout.
const STAGGER: Duration = Duration::from_millis(400);
/// Longest wait for what comes between TCP and the bind: the server's name where it is asked, StartTLS, TLS.
const SECURING: Duration = Duration::from_secs(3);
/// Longest wait for TCP.
const TCP: Duration = Duration::from_millis(1500);
/// Longest wait for DNS, when no DC is known.
const DNS: Duration = Duration::from_secs(3);
/// The same where all that are known have failed.
const DNS_AGAIN: Duration = Duration::from_millis(500);
/// Longest wait for a machine ticket.
const TICKET: Duration = Duration::from_secs(5);
/// The same where there is one already, of another domain controller.
const TICKET_INSTEAD: Duration = Duration::from_millis(1500);
/// Longest wait for the bind, with the service ticket that it may need.
const BIND: Duration = Duration::from_secs(4);
/// Longest silence of a peer that owes an acknowledgement.
const SILENCE: Duration = Duration::from_secs(4);
/// Most DCs that one attempt tries.
const MOST_SERVERS: usize = 8;

/// Makes connections, one attempt at a time, to several DCs at once where one is slow.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    settings: Settings,
    servers: Arc<Servers>,
    kdc: Arc<dyn Kdc>,
    ticket: Mutex<Option<Ticket>>,
}

#[derive(Clone, Copy)]
struct Ticket {
    /// Who gave it.
    kdc: SocketAddr,
    due: SystemTime,
    expires: SystemTime,
}

/// Why one DC did not serve.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    NoConnection(String),
    #[error("{0}")]
    Kdc(Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(
        "it refused the bind for its channel binding ({0}): the certificate that this host saw is not the domain \
         controller's; look for a proxy or load balancer that ends TLS between them"
    )]
    Unbound(String),
    #[error(
        "it takes no Kerberos bind inside TLS ({0}): use ldap_security = \"seal\" (Samba before 4.20: `ldap server \
         require strong auth = allow_sasl_over_tls`)"
    )]
    NoBindInside(String),
    #[error("timed out while {0}")]
    Slow(&'static str),
    #[error(transparent)]
    Local(#[from] Error),
}

impl Connector {
    pub(super) fn new(settings: Settings, servers: Arc<Servers>, kdc: Arc<dyn Kdc>) -> Self {
        Self(Arc::new(Inner { settings, servers, kdc, ticket: Mutex::new(None) }))
    }

    /// End of the machine ticket's life, where one was got.
    pub(super) fn ticket_expires(&self) -> Option<SystemTime> {
        self.0.ticket().map(|ticket| ticket.expires)
    }

    /// When the machine ticket is to be renewed.
    pub(super) fn ticket_due(&self) -> Option<SystemTime> {
        self.0.ticket().map(|ticket| ticket.due)
    }

    /// Connects to the first DC that serves.
    ///
    /// # Errors
    /// [`Error::MachineUnauthorized`] where a DC or KDC refused this machine and no other one served, else
    /// [`Error::Offline`] with what was tried and what came of it.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        let Inner { settings, servers, .. } = &*self.0;
        // Not fatal: whatever GSSAPI reads instead, it finds its ticket without it.
        if let Err(error) = profile::write(&settings.profile_path) {
            log::warn!("{}: {error}", settings.profile_path.display());
        }
        let mut waiting = servers.candidates(DNS).await?.into_iter().take(MOST_SERVERS);
        let unusable = |error: TlsError| Error::Offline(format!("{}: {error}", settings.domain.name));
        let security = Arc::new(Security::load(&settings.domain).await.map_err(unusable)?);
        let mut running = JoinSet::new();
        // Those that were begun and have not ended, in that order.
        let mut begun: Vec<Server> = Vec::new();
        let mut next = Instant::now();
        let mut unauthorized = None;
        let mut tried = Vec::new();
        let mut asked_again = false;
        loop {
            tokio::select! {
                Some(joined) = running.join_next() => {
                    let Ok((server, outcome)): Result<(Server, Result<Connection, Refusal>), _> = joined else { continue };
                    let place = begun.iter().position(|other| other.addr == server.addr).unwrap_or(0);
                    match outcome {
                        Ok(connection) => {
                            // Who was asked before and is still silent is no good choice for the next time.
                            begun[..place].iter().for_each(|slow| servers.failed(slow));
                            servers.succeeded(&server);
                            log::info!("{}: connected to {}", settings.domain.name, connection.server);
                            return Ok(connection);
                        }
                        Err(refusal) => {
                            begun.remove(place);
                            servers.failed(&server);
                            let text = format!("{server}: {refusal}");
                            log::debug!("{text}");
                            if refusal.is_about_this_machine() {
                                unauthorized.get_or_insert_with(|| text.clone());
                            }
                            tried.push(text);
                            next = Instant::now();
                        }
                    }
                }
                () = tokio::time::sleep_until(next.into()), if waiting.len() > 0 => {
                    let Some(server) = waiting.next() else { continue };
                    begun.push(server.clone());
                    let (inner, security) = (Arc::clone(&self.0), Arc::clone(&security));
                    running.spawn(async move {
                        let outcome = inner.serve(server.clone(), &security).await;
                        (server, outcome)
                    });
                    next = Instant::now() + STAGGER;
                }
                else => {
                    if std::mem::replace(&mut asked_again, true) {
                        break;
                    }
                    waiting = servers.exhausted(DNS_AGAIN).await.into_iter().take(MOST_SERVERS);
                    if waiting.len() == 0 {
                        break;
                    }
                    next = Instant::now();
                }
            }
        }
        match unauthorized {
            Some(text) => Err(Error::MachineUnauthorized(text)),
            None => Err(Error::Offline(format!(
                "no domain controller of {} serves: {}",
                settings.domain.name,
                tried.join("; ")
            ))),
        }
    }

    /// Gets a machine ticket from `server`'s KDC where there is none of it, or three quarters of its life are over.
    ///
    /// # Errors
    /// What the KDC side said.
    pub(super) async fn ensure_ticket(&self, server: &Server) -> Result<(), Error> {
        self.0.ensure_ticket(server).await
    }
}

impl Inner {
    fn ticket(&self) -> Option<Ticket> {
        *self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_ticket(&self, ticket: Option<Ticket>) {
        *self.ticket.lock().unwrap_or_else(PoisonError::into_inner) = ticket;
    }

    /// As [`Connector::ensure_ticket`]. Nobody waits here for another one's KDC: it may be the one that is silent.
    async fn ensure_ticket(&self, server: &Server) -> Result<(), Error> {
        let (now, kdc) = (SystemTime::now(), server.kdc());
        let held = self.ticket().filter(|ticket| ticket.due > now);
        if held.is_some_and(|ticket| ticket.kdc == kdc) {
            return Ok(());
        }
        // Each domain controller gets a ticket of its own making: Samba 4.17's KDC breaks at what 4.22's puts into one.
        let limit = if held.is_some() { TICKET_INSTEAD } else { TICKET };
        let asked = timeout(limit, self.kdc.machine_ticket(&self.settings.domain.realm(), kdc)).await;
        let late = |_| Error::Offline(format!("the KDC {kdc} gave no machine ticket in time"));
        match asked.unwrap_or_else(|passed| Err(late(passed))) {
            Ok(MachineTicket { expires }) => {
                let life = expires.duration_since(now).unwrap_or_default();
                self.set_ticket(Some(Ticket { kdc, due: now + life * 3 / 4, expires }));
                Ok(())
            }
            // A new key may not have come there yet, and the ticket is good at every domain controller.
            Err(error) if held.is_some() => {
                log::debug!("{server}: the ticket of another domain controller is used: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// One DC, from TCP on.
    async fn serve(&self, server: Server, security: &Security) -> Result<Connection, Refusal> {
        let stream = match timeout(TCP, TcpStream::connect(server.addr)).await {
            Ok(stream) => stream.map_err(|error| Refusal::NoConnection(wire::no_port(server.addr, &error)))?,
            Err(_) => return Err(Refusal::NoConnection("no answer".into())),
        };
        self.establish(server, stream, security).await
    }

    fn is_pinned(&self, host: &str) -> bool {
        let mut pinned = self.settings.domain.servers.iter().filter_map(|text| text.parse().ok());
        pinned.any(|server| matches!(server, Pinned::Host { host: named, .. } if named == host))
    }

    async fn establish(
        &self,
        mut server: Server,
        stream: TcpStream,
        security: &Security,
    ) -> Result<Connection, Refusal> {
        tune(&stream).map_err(BindError::Io)?;
        let realm = self.settings.domain.realm();
        // Every DC has the three-part name, and no other computer can. That somebody holds `ldap/HOST` proves little:
        // any user may join a computer and give it that name. So the short form is only for hosts that the
        // administrator named; a forged SRV record gains nothing.
        let long = |host: &str| format!("ldap/{host}/{}@{realm}", self.settings.domain.name);
        let mut asked = server.host.is_empty();
        let securing = security.apply(&mut server.host, server.addr, stream);
        let Wire { mut stream, protection } =
            timeout(SECURING, securing).await.map_err(|_| Refusal::Slow("making the connection secure"))??;
        let mut principals = vec![long(&server.host)];
        if !asked && self.is_pinned(&server.host) {
            principals.push(format!("ldap/{}@{realm}", server.host));
        }
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            self.ensure_ticket(&server).await.map_err(Refusal::Kdc)?;
            let source = Source {
                realm: realm.clone(),
                kdc: server.kdc(),
                ccache: self.settings.machine_ccache.clone(),
                deadline: Instant::now() + BIND,
            };
            let binding = sasl::bind(&mut stream, &source, &principals[attempt], &protection);
            match timeout(BIND, binding).await {
                Err(_) => return Err(Refusal::Slow("binding")),
                Ok(Ok((mut context, offered))) => {
                    if protection != Protection::Seal {
                        return Ok(Connection::inside(server, stream).await?);
                    }
                    let chunk = seal::chunk_size(&mut context, offered).map_err(BindError::Gss)?;
                    if chunk == 0 {
                        return Err(BindError::Protocol("the server takes no sealed frame of any size").into());
                    }
                    return Ok(Connection::sealed(server, context, chunk, stream).await?);
                }
                Ok(Err(BindError::Gss(error)))
                    if error.kind == ErrorKind::UnknownService && (!asked || attempt + 1 < principals.len()) =>
                {
                    log::debug!("{server}: the KDC does not know {}: {error}", principals[attempt]);
                    attempt += 1;
                    if attempt == principals.len() {
                        // An alias, such as the domain's own name. Nothing was sent yet: ask who it is.
                        asked = true;
                        let told = timeout(TCP, sasl::host_name(&mut stream)).await;
                        server.host = told.map_err(|_| Refusal::Slow("asking the server for its name"))??;
                        principals.push(format!("ldap/{}/{}@{realm}", server.host, self.settings.domain.name));
                    }
                }
                // Somebody removed the ccache, or the clock jumped. Nothing was sent yet: once more with a new ticket.
                Ok(Err(BindError::Gss(error))) if error.kind == ErrorKind::NoTicket && !renewed => {
                    log::debug!("{server}: {error}");
                    renewed = true;
                    self.set_ticket(None);
                }
                Ok(Err(error)) => return Err(Refusal::of_bind(error, &protection)),
            }
        }
    }
}

impl From<wire::NotSecure> for Refusal {
    fn from(error: wire::NotSecure) -> Self {
        match error {
            wire::NotSecure::Tls(error) => Self::Tls(error),
            wire::NotSecure::Ldap(error) => Self::Bind(error),
        }
    }
}

impl Refusal {
    /// What a bind's refusal means inside TLS, where it may be about TLS and not about this machine.
    fn of_bind(error: BindError, protection: &Protection) -> Self {
        match (error, protection) {
            (BindError::Refused(_, text), Protection::Channel(_)) if text.contains(sasl::BAD_BINDINGS) => {
                Self::Unbound(text)
            }
            // strongerAuthRequired
            (BindError::Refused(8, text), Protection::Channel(_)) => Self::NoBindInside(text),
            (error, _) => Self::Bind(error),
        }
    }

    /// Whether another DC, or another time, would not help.
    fn is_about_this_machine(&self) -> bool {
        // invalidCredentials, insufficientAccessRights. Not unwillingToPerform: that is about the server's settings.
        matches!(self, Self::Kdc(Error::MachineUnauthorized(_)) | Self::Bind(BindError::Refused(49 | 50, _)))
    }
}

/// Finds out about dead peers within seconds, on idle connections too.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(2))
        .with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(SILENCE))
}
