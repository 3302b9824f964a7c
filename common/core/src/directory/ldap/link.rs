//! Keeps one connection to the domain: made by one attempt at a time, shared by all, replaced when it is old or fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::connect::Connector;
use super::connection::{Connection, Failure, Found, Query};
use crate::Error;
use crate::directory::{Fault, Health};
use crate::discovery::{Server, Servers};

/// Longest life of one attempt over all DCs.
const ATTEMPT: Duration = Duration::from_secs(12);
/// How long a lookup waits for an attempt while the domain is known to be away, or while somebody has waited for it in vain:
/// enough for a DC that is back, and short for everybody else.
const GRACE: Duration = Duration::from_millis(300);
/// Rest between attempts that failed; doubled at each one in a row.
const FIRST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How long a second connection stays that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

type Outcome = Result<Arc<Connection>, Error>;

pub(super) struct Link {
    domain: String,
    /// Shared by all links of the domain: one attempt at a time, as each writes the same ticket.
    connector: Arc<tokio::sync::Mutex<Connector>>,
    servers: Arc<Servers>,
    /// For long work beside another link, which judges the servers.
    is_second: bool,
    state: Mutex<State>,
    searches: AtomicU64,
    latency_us: AtomicU64,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Connection>>,
    attempt: Option<watch::Receiver<Option<Outcome>>>,
    failures: u32,
    /// Somebody has waited for the attempt that runs as long as anybody may: the next ones need not.
    waited: bool,
    rest_until: Option<Instant>,
    online: bool,
    since: u64,
    reason: Option<Error>,
    ticket_due: Option<SystemTime>,
    ticket_expires: Option<SystemTime>,
    /// For a second link: when it was last wanted, and whether somebody waits to close it.
    wanted: Option<Instant>,
    closing: bool,
}

impl Link {
    pub(super) fn new(domain: String, connector: Connector, servers: Arc<Servers>) -> Self {
        Self::over(domain, Arc::new(tokio::sync::Mutex::new(connector)), servers, false)
    }

    /// A second one to the same domain, for work that keeps a server busy.
    pub(super) fn beside(&self) -> Self {
        Self::over(self.domain.clone(), Arc::clone(&self.connector), Arc::clone(&self.servers), true)
    }

    fn over(
        domain: String,
        connector: Arc<tokio::sync::Mutex<Connector>>,
        servers: Arc<Servers>,
        is_second: bool,
    ) -> Self {
        Self {
            domain,
            connector,
            servers,
            is_second,
            state: Mutex::new(State { since: unix_now(), ..State::default() }),
            searches: AtomicU64::new(0),
            latency_us: AtomicU64::new(0),
        }
    }

    /// Sees to it that the connection is closed once nobody wanted it for a minute. Whoever is in the middle of a search
    /// keeps it until he is done.
    pub(super) fn close_when_idle(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.wanted = Some(Instant::now());
            if std::mem::replace(&mut state.closing, true) {
                return;
            }
        }
        let link = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE).await;
                let Some(link) = link.upgrade() else { return };
                let mut state = link.lock();
                if state.wanted.is_none_or(|wanted| wanted.elapsed() >= IDLE) {
                    state.current = None;
                    state.closing = false;
                    return;
                }
            }
        });
    }

    /// Searches, on another connection where the first one fails: a lost connection costs its users time, not answers.
    /// With `page`, one page that begins a paged search.
    ///
    /// # Errors
    /// [`Error::Offline`] at `deadline`; else what the server or the way to it said.
    pub(super) async fn search(
        self: &Arc<Self>,
        query: &Query<'_>,
        page: Option<Vec<u8>>,
        deadline: Instant,
    ) -> Result<(Arc<Connection>, Found), Error> {
        let connection = self.connection(deadline).await?;
        // What is left after the first try must suffice for a second one, over a connection that is yet to be made.
        let left = deadline.saturating_duration_since(Instant::now());
        let lost = match self.search_on(&connection, query, page.clone(), Instant::now() + left * 2 / 5).await {
            Ok(found) => return Ok((connection, found)),
            Err(Failure::Answered(error)) => return Err(error),
            Err(Failure::Lost(why)) => why,
        };
        log::debug!("{}: searching again: {lost}", self.domain);
        let again = match self.connection(deadline).await {
            // Slow, not dead: the same one is all there is.
            Ok(again) => again,
            Err(Error::Offline(why)) => return Err(Error::Offline(format!("{lost}; then {why}"))),
            Err(other) => return Err(other),
        };
        match self.search_on(&again, query, page, deadline).await {
            Ok(found) => Ok((again, found)),
            Err(Failure::Answered(error)) => Err(error),
            Err(Failure::Lost(why)) => {
                let error = Error::Offline(why);
                self.note_offline(&error);
                Err(error)
            }
        }
    }

    /// Searches on this connection and no other one.
    ///
    /// # Errors
    /// [`Failure::Lost`] when it fails or does not answer by `deadline`.
    pub(super) async fn search_on(
        &self,
        connection: &Connection,
        query: &Query<'_>,
        page: Option<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Found, Failure> {
        let started = Instant::now();
        self.searches.fetch_add(1, Ordering::Relaxed);
        match timeout_at(deadline.into(), connection.search(query, page)).await {
            Ok(Ok(found)) => {
                self.latency_us.store(started.elapsed().as_micros() as u64, Ordering::Relaxed);
                self.lock().online();
                Ok(found)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                // One slow search among others that are answered says nothing against the server.
                if !connection.heard_since(started) {
                    connection.give_up();
                    // Nor does long work on a connection of its own.
                    if !self.is_second {
                        self.servers.failed(&connection.server);
                    }
                }
                let waited = started.elapsed().as_secs_f32();
                Err(Failure::Lost(format!("{} did not answer within {waited:.1} s", connection.server)))
            }
        }
    }

    /// A usable connection.
    ///
    /// # Errors
    /// The last attempt's failure; [`Error::Offline`] at `deadline` while one is still running.
    pub(super) async fn connection(self: &Arc<Self>, deadline: Instant) -> Outcome {
        let (mut attempt, patience) = {
            let mut state = self.lock();
            let usable = state.current.clone().filter(|connection| connection.usable());
            let due = state.ticket_due.is_some_and(|due| due <= SystemTime::now());
            let resting = state.rest_until.is_some_and(|until| until > Instant::now());
            match usable {
                Some(connection) => {
                    if (connection.old() || due) && !resting {
                        self.attempt(&mut state);
                    }
                    return Ok(connection);
                }
                None if resting => return Err(state.reason.clone().unwrap_or_else(|| self.unreachable())),
                None => {}
            }
            state.current = None;
            let patience = if state.failures == 0 && !state.waited { None } else { Some(GRACE) };
            (self.attempt(&mut state), patience)
        };
        let until = patience.map_or(deadline, |patience| deadline.min(Instant::now() + patience));
        let outcome = timeout_at(until.into(), attempt.wait_for(Option::is_some)).await;
        match outcome {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(self.unreachable())),
            Ok(Err(_)) => Err(self.unreachable()),
            Err(_) => {
                let mut state = self.lock();
                state.waited |= patience.is_none() && state.attempt.is_some();
                Err(state.reason.clone().unwrap_or_else(|| self.unreachable()))
            }
        }
    }

    /// The server in use, with a machine ticket that is not due for renewal.
    ///
    /// # Errors
    /// As [`Link::connection`], or what the KDC said of the ticket.
    pub(super) async fn server(self: &Arc<Self>, deadline: Instant) -> Result<Server, Error> {
        let server = self.connection(deadline).await?.server.clone();
        if self.lock().ticket_due.is_some_and(|due| due > SystemTime::now()) {
            return Ok(server);
        }
        let renewal = async {
            let connector = self.connector.lock().await;
            let renewed = connector.ensure_ticket(&server).await;
            self.lock().note_ticket(&connector);
            renewed
        };
        timeout_at(deadline.into(), renewal).await.map_err(|_| self.unreachable())??;
        Ok(server)
    }

    /// The known servers, the best first.
    pub(super) fn servers(&self) -> Vec<Server> {
        self.servers.known()
    }

    /// Searches so far.
    pub(super) fn searches(&self) -> u64 {
        self.searches.load(Ordering::Relaxed)
    }

    /// How things are, from memory.
    pub(super) fn health(&self) -> Health {
        let state = self.lock();
        let usable = state.current.as_ref().filter(|connection| connection.usable());
        let server = usable.map(|connection| connection.server.clone());
        let latency = self.latency_us.load(Ordering::Relaxed);
        Health {
            online: state.online,
            since: state.since,
            reason: state.reason.as_ref().map(ToString::to_string),
            fault: state.reason.as_ref().map(Fault::from),
            server: server.as_ref().map(|server| server.host.clone()),
            address: server.map(|server| server.addr),
            latency_us: (latency > 0).then_some(latency),
            searches: self.searches(),
            ticket_expires: state.ticket_expires.map(unix),
        }
    }

    /// Uses this connection, as if an attempt had made it.
    #[cfg(test)]
    pub(super) fn adopt(&self, connection: &Arc<Connection>) {
        self.lock().connected(connection);
    }

    /// Joins the attempt that is running, or starts one. It goes on when its starter stops waiting.
    fn attempt(self: &Arc<Self>, state: &mut State) -> watch::Receiver<Option<Outcome>> {
        // An attempt whose sender is gone has died: it is no reason to wait for ever.
        if let Some(running) = state.attempt.as_ref().filter(|running| running.has_changed().is_ok()) {
            return running.clone();
        }
        let (sender, receiver) = watch::channel(None);
        state.attempt = Some(receiver.clone());
        let link = Arc::clone(self);
        tokio::spawn(async move {
            let connector = link.connector.lock().await;
            let outcome = timeout(ATTEMPT, connector.connect()).await.unwrap_or_else(|_| {
                Err(Error::Offline(format!("no domain controller of {} answered in time", link.domain)))
            });
            let outcome = outcome.map(Arc::new);
            let news = {
                let mut state = link.lock();
                let before = state.reason.as_ref().map(ToString::to_string);
                state.attempt = None;
                state.note_ticket(&connector);
                match &outcome {
                    Ok(connection) => state.connected(connection),
                    Err(error) => state.failed(error),
                }
                outcome.as_ref().err().map(ToString::to_string).filter(|text| before.as_ref() != Some(text))
            };
            // An outage is told once, not at every attempt.
            if let Some(text) = news {
                log::warn!("{}: {text}", link.domain);
            }
            let _ = sender.send(Some(outcome));
        });
        receiver
    }

    fn note_offline(&self, error: &Error) {
        self.lock().offline(error);
    }

    fn unreachable(&self) -> Error {
        Error::Offline(format!("no domain controller of {} answered yet", self.domain))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_ticket(&mut self, connector: &Connector) {
        self.ticket_due = connector.ticket_due();
        self.ticket_expires = connector.ticket_expires();
    }

    fn connected(&mut self, connection: &Arc<Connection>) {
        self.current = Some(Arc::clone(connection));
        self.failures = 0;
        self.waited = false;
        self.rest_until = None;
        self.online();
    }

    fn online(&mut self) {
        if !self.online {
            self.online = true;
            self.since = unix_now();
            self.reason = None;
        }
    }

    fn failed(&mut self, error: &Error) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(8)).min(LONGEST_REST);
        self.rest_until = Some(Instant::now() + rest);
        self.failures = self.failures.saturating_add(1);
        self.waited = false;
        // An old connection that still works was to be replaced: it stays.
        if self.current.as_ref().is_none_or(|connection| !connection.usable()) {
            self.offline(error);
        }
    }

    fn offline(&mut self, error: &Error) {
        self.reason = Some(error.clone());
        if self.online || self.since == 0 {
            self.online = false;
            self.since = unix_now();
        }
    }
}

fn unix_now() -> u64 {
    unix(SystemTime::now())
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
