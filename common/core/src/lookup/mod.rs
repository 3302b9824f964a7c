//! Lookups: from a name, an id or a SID to a user, a group, the groups of a user or the members of a group.
//!
//! One algorithm serves all four ([`resolve`]): memory, then store, then the directory with one flight per key, within
//! one deadline. What nears the end of its life, or is past it, is served at once while it is asked for again
//! ([`refresh`]); an outage never turns into "there is none".

mod describe;
mod flight;
mod former;
mod groups;
mod known;
mod list;
mod matching;
mod members;
mod memberships;
mod minting;
mod pace;
mod plan;
mod principal;
mod published;
mod refresh;
mod resolve;
mod shape;
mod shelf;
mod snapshot;
mod stored;
mod users;
mod view;
mod writes;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::Error;
use crate::cache::SharedCache;
use crate::config;
use crate::control::{CacheStats, Source};
use crate::directory::{Directory, DomainInfo, Health};
use crate::idmap::IdMapper;
use crate::local::LocalAccounts;
use crate::store::IdentityStore;
use crate::types::{GroupRecord, Sid, UserRecord, fold};

pub use former::Holder;
pub use list::{Listing, UserLine};
pub use members::MemberList;
pub use memberships::Memberships;
pub use pace::{Allowance, asked_by};

use known::Acquaintances;
use list::Snapshots;
use pace::Pace;
use shelf::Shelf;
use writes::Writes;

/// Keys of users in memory, about three for each of them.
const USER_KEYS: NonZeroUsize = NonZeroUsize::new(6_144).unwrap();
/// Keys of groups in memory: a user of several thousand groups is answered from there.
const GROUP_KEYS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Users whose groups are in memory.
const MEMBERSHIPS: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
/// Groups whose members are in memory: a list may have thousands.
const MEMBER_LISTS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Unix time in seconds; a parameter, so that tests decide what time it is.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Any name form; compared without regard to letter case.
    Name(String),
    /// uid or gid.
    Id(u32),
    /// objectSid.
    Sid(Sid),
    /// sIDHistory: the account that had this SID before. Asked behind [`Query::Sid`] alone: an id is computed from the
    /// present SID, so nobody has two of them.
    FormerSid(Sid),
}

impl Query {
    /// A query by name, folded to the form in which names are compared.
    pub fn name(name: &str) -> Self {
        Self::Name(fold(name))
    }
}

/// How new an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Within its life, or just past it while it is asked for again.
    Cached,
    /// Asked now; an older answer only where the directory is not reachable. Logins use this.
    Fresh,
}

/// An answer, and what is known about it.
#[derive(Debug)]
pub struct Answer<T> {
    /// The answer.
    pub value: Arc<T>,
    /// Where it came from.
    pub source: Source,
    /// When the directory said so, in Unix seconds.
    pub fetched: u64,
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), source: self.source, fetched: self.fetched }
    }
}

/// Lives, deadline and local files.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an answer of the directory is fresh.
    pub cache_ttl: Duration,
    /// How long "there is none" is remembered.
    pub negative_ttl: Duration,
    /// Longest wait of one lookup.
    pub deadline: Duration,
    /// How fast unknown names of one uid reach the directory.
    pub unknown: Allowance,
    /// Group names that are shown as `name@domain`.
    pub reserved_groups: Vec<String>,
    /// Local users: `/etc/passwd`.
    pub passwd: PathBuf,
    /// Local groups: `/etc/group`.
    pub group: PathBuf,
    /// Where the domains' SIDs and names are remembered across restarts.
    pub known_domains: PathBuf,
}

/// One configured domain with its directory, and what was learned of it.
pub struct DomainContext {
    /// The domain's configuration.
    pub config: config::Domain,
    /// Its directory.
    pub directory: Arc<dyn Directory>,
    info: RwLock<Option<DomainInfo>>,
    snapshots: Snapshots,
}

impl DomainContext {
    /// A domain of which nothing is known yet.
    pub fn new(config: config::Domain, directory: Arc<dyn Directory>) -> Self {
        Self { config, directory, info: RwLock::new(None), snapshots: Snapshots::default() }
    }

    /// What the domain said of itself since this process started.
    pub fn info(&self) -> Option<DomainInfo> {
        self.info.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set_info(&self, info: DomainInfo) {
        *self.info.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(info);
    }
}

/// Counters since start.
#[derive(Debug, Default)]
struct Counters {
    lookups: AtomicU64,
    hits: AtomicU64,
}

/// The lookups of one host. Shared; all methods take `&self` of an [`Arc`].
pub struct Lookup {
    domains: Vec<DomainContext>,
    mapper: IdMapper,
    store: Arc<IdentityStore>,
    writes: Writes,
    settings: Settings,
    clock: Clock,
    counters: Counters,
    acquaintances: Acquaintances,
    users: Shelf<UserRecord>,
    groups: Shelf<GroupRecord>,
    memberships: Shelf<Memberships>,
    members: Shelf<MemberList>,
    published: OnceLock<SharedCache>,
    local: RwLock<Arc<LocalAccounts>>,
    /// Turns of those that are asked for again.
    refreshing: Semaphore,
    pace: Pace,
}

impl Lookup {
    /// Wires the lookups. Starts the thread that writes the store behind the replies.
    ///
    /// # Errors
    /// [`Error::Io`] when that thread cannot be started.
    pub fn new(
        domains: Vec<DomainContext>,
        mapper: IdMapper,
        store: Arc<IdentityStore>,
        settings: Settings,
        clock: Clock,
    ) -> Result<Arc<Self>, Error> {
        let gone = store.keep_shape(&shape::of(&domains, &settings))?;
        if gone > 0 {
            log::info!("{gone} cached users and groups were made under other settings and are asked for again");
        }
        let acquaintances = Acquaintances::at(&settings.known_domains);
        for known in acquaintances.load() {
            if let Some(domain) = domains.iter().find(|domain| domain.config.name == known.dns_name) {
                mapper.learn_domain(&known.dns_name, &known.sid)?;
                domain.set_info(known);
            }
        }
        let local = RwLock::new(Arc::new(LocalAccounts::read(&settings.passwd, &settings.group)));
        Ok(Arc::new(Self {
            domains,
            mapper,
            acquaintances,
            writes: Writes::start(Arc::clone(&store))?,
            store,
            pace: Pace::new(settings.unknown),
            settings,
            clock,
            counters: Counters::default(),
            users: Shelf::of(USER_KEYS),
            groups: Shelf::of(GROUP_KEYS),
            memberships: Shelf::of(MEMBERSHIPS),
            members: Shelf::of(MEMBER_LISTS),
            published: OnceLock::new(),
            local,
            refreshing: Semaphore::new(refresh::AT_ONCE),
        }))
    }

    /// A user, by any name form, uid or SID. `None`: the directory said so, or it cannot be one of ours.
    ///
    /// # Errors
    /// [`Error::Offline`] when the directory is not reachable and nothing is cached; the others as named.
    pub async fn user(
        self: &Arc<Self>,
        query: Query,
        freshness: Freshness,
    ) -> Result<Option<Answer<UserRecord>>, Error> {
        self.resolve(query, freshness).await
    }

    /// A group without its members; errors as for [`Lookup::user`].
    pub async fn group(
        self: &Arc<Self>,
        query: Query,
        freshness: Freshness,
    ) -> Result<Option<Answer<GroupRecord>>, Error> {
        self.resolve(query, freshness).await
    }

    /// All groups of a user (its SID), nested ones included; errors as for [`Lookup::user`].
    pub async fn memberships(
        self: &Arc<Self>,
        user: &Sid,
        freshness: Freshness,
    ) -> Result<Option<Answer<Memberships>>, Error> {
        self.resolve(Query::Sid(user.clone()), freshness).await
    }

    /// The direct members of a group (its SID) that are users; errors as for [`Lookup::user`].
    pub async fn members(
        self: &Arc<Self>,
        group: &Sid,
        freshness: Freshness,
    ) -> Result<Option<Answer<MemberList>>, Error> {
        self.resolve(Query::Sid(group.clone()), freshness).await
    }

    /// The members of a group as far as they are cached, whatever their age; never asks the directory.
    pub async fn cached_members(self: &Arc<Self>, group: &Sid) -> Option<Answer<MemberList>> {
        self.cached(&Query::Sid(group.clone())).await
    }

    /// Waits until what was answered so far is in the store: before the process ends, because a start without the
    /// directory serves what the store knows.
    pub async fn settle(&self) {
        self.writes.drain().await;
    }

    /// Forgets what is cached of one name (a user's or group's, in any form), or everything. Id maps stay. Gives the
    /// number of entries that were on disk.
    ///
    /// # Errors
    /// As the store.
    pub async fn flush(self: &Arc<Self>, name: Option<&str>) -> Result<u64, Error> {
        let Some(name) = name else {
            self.clear_memory();
            self.writes.drain().await;
            let count = self.with_store(IdentityStore::flush_all).await;
            // What was asked for meanwhile may have come from the store.
            self.clear_memory();
            self.domains.iter().for_each(|domain| domain.snapshots.clear());
            if let Some(cache) = self.published.get() {
                cache.flush();
            }
            return count;
        };
        let query = Query::name(name);
        // What was learned a moment ago may be known to the disk alone by this name.
        self.writes.drain().await;
        let mut sids = Vec::new();
        sids.extend(self.cached::<UserRecord>(&query).await.map(|answer| answer.value.sid.clone()));
        sids.extend(self.cached::<GroupRecord>(&query).await.map(|answer| answer.value.sid.clone()));
        self.clear_memory();
        self.writes.drain().await;
        let mut count = 0;
        for sid in sids {
            let query = Query::Sid(sid.clone());
            self.withdraw_user(&query);
            self.withdraw_group(&query);
            count += self.with_store(move |store| store.flush(&sid)).await?;
        }
        Ok(count)
    }

    /// Removes from disk what nobody's lookup has renewed for `keep`. Id maps stay.
    ///
    /// # Errors
    /// As the store.
    pub async fn purge(self: &Arc<Self>, keep: Duration) -> Result<u64, Error> {
        /// Rows of each kind in one transaction, so that no other write waits long.
        const STEP: u32 = 500;
        let before = self.now().saturating_sub(keep.as_secs());
        let mut count = 0;
        loop {
            let gone = self.with_store(move |store| store.purge(before, STEP)).await?;
            count += gone;
            if gone < u64::from(STEP) {
                return Ok(count);
            }
        }
    }

    /// Counts and ages of the caches.
    pub async fn stats(self: &Arc<Self>) -> CacheStats {
        let on_disk = self.with_store(IdentityStore::stats).await.unwrap_or_default();
        let shelves = [self.users.counts(), self.groups.counts(), self.memberships.counts(), self.members.counts()];
        CacheStats {
            users: on_disk.users,
            groups: on_disk.groups,
            memory_entries: shelves.iter().map(|counts| counts.0).sum(),
            negative_entries: shelves.iter().map(|counts| counts.1).sum(),
            oldest_seconds: on_disk.oldest.map(|oldest| self.now().saturating_sub(oldest)),
            lookups: self.counters.lookups.load(Ordering::Relaxed),
            hits: self.counters.hits.load(Ordering::Relaxed),
            directory_searches: self.domains.iter().map(|domain| domain.directory.health().searches).sum(),
        }
    }

    /// The configured domains.
    pub fn domains(&self) -> &[DomainContext] {
        &self.domains
    }

    /// The domain of a record.
    pub fn domain(&self, id: &str) -> Option<&DomainContext> {
        self.domains.iter().find(|domain| domain.config.name == id)
    }

    /// State of a domain's directory, and the ids that are its own.
    pub fn domain_health(&self, domain: &DomainContext) -> (Health, Option<(u32, u32)>) {
        (domain.directory.health(), self.mapper.own_range(&domain.config.name))
    }

    /// Unix time in seconds.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// Asks each domain for its SID and names once; later calls cost nothing. Called at start, in the background, and
    /// by every lookup that has to ask the directory.
    ///
    /// # Errors
    /// As the directory, and [`Error::Config`] when the domain's ids would collide with another's.
    pub async fn learn(&self, domain: &DomainContext) -> Result<DomainInfo, Error> {
        if let Some(info) = domain.info() {
            return Ok(info);
        }
        let info = domain.directory.domain_info().await?;
        self.mapper.learn_domain(&domain.config.name, &info.sid)?;
        domain.set_info(info.clone());
        let known: Vec<_> = self.domains.iter().filter_map(DomainContext::info).collect();
        if let Err(error) = self.acquaintances.save(&known) {
            log::warn!("what {} is called could not be remembered for the next start: {error}", info.dns_name);
        }
        Ok(info)
    }

    fn clear_memory(&self) {
        self.users.clear();
        self.groups.clear();
        self.memberships.clear();
        self.members.clear();
    }

    /// Runs a store operation off the event loop.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&IdentityStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or_else(|error| Err(Error::Io(format!("a store operation ended early: {error}"))))
    }
}
