//! One protected connection to one DC: many searches at a time, until it grows old or fails.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ldap3::controls::{Control, ControlType, PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, StdStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::entry::Raw;
use super::messages::Admitting;
use super::seal::{self, Layer};
use crate::Error;
use crate::ber::{self, Parsed};
use crate::discovery::Server;

/// ldap3 keeps a message id per search for ever: a connection that is this old, or has searched this often, is replaced.
const OLD: Duration = Duration::from_secs(15 * 60);
const WORN: u32 = 10_000;
/// Most searches that are on their way at once. Bounds what lies in the socket buffers, so that requests and answers
/// never block each other.
const CONCURRENT: usize = 32;
/// Entries per page (RFC 2696); AD's own limit for unpaged results and pages alike is 1,000 (MaxPageSize).
const PAGE: i32 = 1000;
/// Result codes (RFC 4511 A.2) that come with an answer.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;

/// One search, complete enough to be sent again on another connection.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [&'a str],
}

/// Why a search gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no more use; another one may serve.
    Lost(String),
    /// The server answered with an error of its own.
    Answered(Error),
}

/// What a search gave.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Raw>,
    /// Where the next page begins; empty at the end, and for searches that are not paged.
    pub(super) cookie: Vec<u8>,
    /// The base of the search does not exist.
    pub(super) no_such_base: bool,
    /// There are more entries than the server gives at once without pages: these are some of them.
    pub(super) cut: bool,
}

/// A connection in use. Dropping the last reference ends it.
#[derive(Debug)]
pub(super) struct Connection {
    ldap: Ldap,
    pub(super) server: Server,
    born: Instant,
    searches: AtomicU32,
    broken: AtomicBool,
    slots: Semaphore,
    /// Microseconds after `born` at which the last answer came.
    heard: AtomicU64,
}

impl Connection {
    /// Puts ldap3 on the inside of the security layer.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no socketpair to be had.
    pub(super) async fn sealed(
        server: Server,
        layer: impl Layer + 'static,
        chunk: usize,
        wire: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Error> {
        Self::start(server, |plain| seal::pump(layer, chunk, plain, wire)).await
    }

    /// Puts ldap3 on a channel that is secure by itself.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no socketpair to be had.
    pub(super) async fn inside(
        server: Server,
        channel: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Error> {
        Self::start(server, |plain| seal::relay(plain, channel)).await
    }

    async fn start<C>(server: Server, carry: impl FnOnce(Admitting<UnixStream>) -> C) -> Result<Self, Error>
    where
        C: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let carried = carry(Admitting::new(UnixStream::from_std(ours)?));
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
        let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///")
            .await
            .map_err(|error| Error::Io(format!("the LDAP library: {error}")))?;
        let name = server.to_string();
        tokio::spawn(async move {
            if let Err(error) = carried.await {
                log::info!("{name}: the connection ended: {error}");
            }
        });
        // A message that ldap3 cannot parse makes it panic: the task ends, and every search on it fails as lost.
        tokio::spawn(driver.drive());
        Ok(Self {
            ldap,
            server,
            born: Instant::now(),
            searches: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            slots: Semaphore::new(CONCURRENT),
            heard: AtomicU64::new(0),
        })
    }

    /// Whether it may serve another search.
    pub(super) fn usable(&self) -> bool {
        !self.broken.load(Ordering::Acquire) && !self.ldap.clone().is_closed()
    }

    /// Whether it should be replaced at leisure.
    pub(super) fn old(&self) -> bool {
        self.born.elapsed() > OLD || self.searches.load(Ordering::Relaxed) > WORN
    }

    /// Whether any answer came after `since`: what tells a slow search from a dead server.
    pub(super) fn heard_since(&self, since: Instant) -> bool {
        let heard = self.born + Duration::from_micros(self.heard.load(Ordering::Acquire));
        heard > since
    }

    fn hear(&self) {
        self.heard.store(self.born.elapsed().as_micros() as u64, Ordering::Release);
    }

    /// No new search is to use it.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Searches. With `page`, gives one page, from that cookie on (empty: the first one).
    ///
    /// # Errors
    /// [`Failure`]; after [`Failure::Lost`] the connection is not usable any more.
    pub(super) async fn search(&self, query: &Query<'_>, page: Option<Vec<u8>>) -> Result<Found, Failure> {
        let _slot = self.slots.acquire().await.map_err(|error| Failure::Lost(error.to_string()))?;
        self.searches.fetch_add(1, Ordering::Relaxed);
        let mut ldap = self.ldap.clone();
        if let Some(cookie) = page {
            let control: RawControl = PagedResults { size: PAGE, cookie }.into();
            ldap.with_controls(vec![RawControl { crit: true, ..control }]);
        }
        let answer = ldap.search(query.base, query.scope, query.filter, query.attributes).await;
        let answer = answer.map_err(|error| self.failure(error))?;
        self.hear();
        let ldap3::SearchResult(entries, result) = answer;
        self.judge(result.rc, &result.text)?;
        let entries = entries.into_iter().filter_map(Raw::parse).collect();
        Ok(Found {
            entries,
            cookie: cookie(&result.ctrls),
            no_such_base: result.rc == NO_SUCH_OBJECT,
            cut: result.rc == SIZE_LIMIT_EXCEEDED,
        })
    }

    /// Begins a search without pages whose entries are taken as they come.
    ///
    /// # Errors
    /// [`Failure`], also when nothing comes for as long as `patience`.
    pub(super) async fn stream<'a>(&'a self, query: &Query<'a>, patience: Duration) -> Result<Stream<'a>, Failure> {
        let slot = self.slots.acquire().await.map_err(|error| Failure::Lost(error.to_string()))?;
        self.searches.fetch_add(1, Ordering::Relaxed);
        let mut ldap = self.ldap.clone();
        let begun = ldap.streaming_search(query.base, query.scope, query.filter, query.attributes.to_vec());
        let begun = timeout(patience, begun).await.map_err(|_| self.silent(patience))?;
        let entries = begun.map_err(|error| self.failure(error))?;
        Ok(Stream { connection: self, entries, patience, ended: false, _slot: slot })
    }

    fn silent(&self, patience: Duration) -> Failure {
        self.give_up();
        Failure::Lost(format!("{} said nothing for {:.1} s", self.server, patience.as_secs_f32()))
    }

    fn failure(&self, error: LdapError) -> Failure {
        match error {
            LdapError::FilterParsing => Failure::Answered(Error::Config("a search filter cannot be parsed".into())),
            error => {
                self.give_up();
                Failure::Lost(format!("{}: {error}", self.server))
            }
        }
    }

    /// Sorts result codes (RFC 4511 A).
    fn judge(&self, code: u32, text: &str) -> Result<(), Failure> {
        let said = || format!("{} answered with result {code}: {}", self.server, text.trim_end_matches('\0'));
        match code {
            0 | SIZE_LIMIT_EXCEEDED | NO_SUCH_OBJECT => Ok(()),
            // operationsError (AD: the bind is gone), protocolError after a restart, busy, unavailable
            1 | 51 | 52 => {
                self.give_up();
                Err(Failure::Lost(said()))
            }
            // strongerAuthRequired, inappropriateAuthentication, invalidCredentials, insufficientAccessRights
            8 | 48..=50 => Err(Failure::Answered(Error::MachineUnauthorized(said()))),
            // timeLimitExceeded, adminLimitExceeded: the server is there, the answer is not
            3 | 11 => Err(Failure::Answered(Error::Offline(said()))),
            _ => Err(Failure::Answered(Error::Protocol(said()))),
        }
    }
}

/// A search whose entries come one by one.
pub(super) struct Stream<'a> {
    connection: &'a Connection,
    entries: ldap3::SearchStream<'a, &'a str, Vec<&'a str>>,
    patience: Duration,
    ended: bool,
    _slot: SemaphorePermit<'a>,
}

impl Stream<'_> {
    /// The next entries, a few hundred at most; none at the end.
    ///
    /// # Errors
    /// As [`Connection::stream`].
    pub(super) async fn next(&mut self) -> Result<Vec<Raw>, Failure> {
        const BATCH: usize = 500;
        let mut batch = Vec::new();
        while !self.ended && batch.len() < BATCH {
            let next = timeout(self.patience, self.entries.next()).await;
            let next = next.map_err(|_| self.connection.silent(self.patience))?;
            self.connection.hear();
            match next.map_err(|error| self.connection.failure(error))? {
                Some(entry) => batch.extend(Raw::parse(entry)),
                None => self.ended = true,
            }
        }
        Ok(batch)
    }

    /// How it ended, without the entries.
    ///
    /// # Errors
    /// What the server said.
    pub(super) async fn finish(mut self) -> Result<Found, Failure> {
        let result = self.entries.finish().await;
        self.connection.judge(result.rc, &result.text)?;
        Ok(Found {
            no_such_base: result.rc == NO_SUCH_OBJECT,
            cut: result.rc == SIZE_LIMIT_EXCEEDED,
            ..Found::default()
        })
    }
}

/// The cookie of a paged answer. Read by hand: ldap3's own reading panics on what it does not expect.
fn cookie(controls: &[Control]) -> Vec<u8> {
    let value = controls.iter().find_map(|Control(kind, raw)| match kind {
        Some(ControlType::PagedResults) => raw.val.as_deref(),
        _ => None,
    });
    let parse = |value: &[u8]| match ber::parse(value, value.len()) {
        Parsed::Element(0x30, content, _) => ber::children(content).nth(1).map(|(_, cookie)| cookie.to_vec()),
        _ => None,
    };
    value.and_then(parse).unwrap_or_default()
}
