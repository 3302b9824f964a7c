//! The one algorithm of every lookup: memory, store, directory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Error;
use crate::control::Source;
use crate::store::{Change, IdentityStore, Stored};
use crate::types::{GroupRecord, Sid};

use super::known::KnownNames;
use super::shelf::{Dated, Found, Shelf};
use super::{Answer, Freshness, Lookup, Query};

/// A future that a flight can own.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A kind of answer: what the algorithm needs to know of it.
pub(super) trait Subject: Sized + Send + Sync + 'static {
    /// Where answers of this kind are kept in memory.
    fn shelf(lookup: &Lookup) -> &Shelf<Self>;

    /// The query under which flights and negative answers are kept: an id becomes the SID that it is computed from.
    /// `None` where the query cannot name one of ours.
    fn normalise(lookup: &Lookup, query: Query) -> Option<Query> {
        let _ = lookup;
        Some(query)
    }

    /// The account that it is about.
    fn sid(&self) -> &Sid;

    /// The queries under which this answer is remembered.
    fn keys(&self, lookup: &Lookup) -> Vec<Query>;

    /// Further ones that it answers; it is remembered under those by which somebody asked.
    fn other_keys(&self, lookup: &Lookup) -> Vec<Query> {
        let _ = lookup;
        Vec::new()
    }

    /// From the disk.
    fn load(store: &IdentityStore, query: &Query, names: &KnownNames) -> Result<Option<Stored<Self>>, Error>;

    /// From the directory.
    fn fetch(lookup: Arc<Lookup>, query: Query) -> Work<Option<Self>>;

    /// What to write behind the reply.
    fn write(this: &Arc<Self>, now: u64) -> Change;

    /// Has the shared cache give this answer, which memory holds since `fetched`, from now on.
    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup);

    /// Has the shared cache give no answer to this query any more.
    fn hide(query: &Query, lookup: &Lookup);

    /// What to write when the directory says that there is none any more.
    fn removal(&self) -> Option<Change>;
}

impl Lookup {
    pub(super) async fn resolve<T: Subject>(
        self: &Arc<Self>,
        query: Query,
        freshness: Freshness,
    ) -> Result<Option<Answer<T>>, Error> {
        self.counters.lookups.fetch_add(1, Ordering::Relaxed);
        if self.domains.is_empty() {
            return Ok(None);
        }
        self.local_files()?;
        let Some(query) = T::normalise(self, query) else { return Ok(None) };
        let now = self.now();
        let absent = T::shelf(self).is_absent(&query, now, self.settings.negative_ttl.as_secs());
        // What is known to be gone may still be on its way out of the store: that is not asked then.
        let known = if absent { T::shelf(self).get(&query) } else { self.known::<T>(&query, self.is_away()).await };
        if freshness == Freshness::Cached {
            if let Some((value, fetched)) = &known
                && self.may_serve(*fetched, now)
            {
                self.counters.hits.fetch_add(1, Ordering::Relaxed);
                let fresh = self.is_fresh(*fetched, now);
                if self.is_due(value.sid(), *fetched, now) {
                    self.refresh::<T>(query);
                }
                let source = if fresh { Source::Cache } else { Source::Stale };
                return Ok(Some(Answer { value: Arc::clone(value), source, fetched: *fetched }));
            }
            if absent {
                self.counters.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(None);
            }
        }
        let asking = async {
            if known.is_some() {
                self.ask::<T>(query.clone()).await
            } else {
                self.ask_in_turn::<T>(query.clone()).await
            }
        };
        let asked = tokio::time::timeout(self.settings.deadline, asking).await;
        match asked.unwrap_or_else(|_| Err(Error::Offline("the directory did not answer in time".into()))) {
            Ok(found) => Ok(found.map(|value| Answer { value, source: Source::Directory, fetched: now })),
            Err(error) => {
                let known = match known {
                    Some(known) => Some(known),
                    None if absent => None,
                    None => self.known::<T>(&query, true).await,
                };
                let (value, fetched) = known.ok_or_else(|| error.clone())?;
                log::debug!("an older answer is served: {error}");
                Ok(Some(Answer { value, source: Source::Stale, fetched }))
            }
        }
    }

    /// What memory or disk hold, whatever its age.
    pub(super) async fn cached<T: Subject>(self: &Arc<Self>, query: &Query) -> Option<Answer<T>> {
        let query = T::normalise(self, query.clone())?;
        let (value, fetched) = self.known::<T>(&query, true).await?;
        let fresh = self.is_fresh(fetched, self.now());
        Some(Answer { value, source: if fresh { Source::Cache } else { Source::Stale }, fetched })
    }

    /// Within its life. A time in the future is no age: the clock was wrong when it was written.
    pub(super) fn is_fresh(&self, fetched: u64, now: u64) -> bool {
        self.is_within(fetched, now, 1)
    }

    /// Whether an answer is served at once, asked for again behind it where it is past its life. What is far past it
    /// is asked for first: the name may be somebody else's by now. Where a domain is away that helps nobody.
    fn may_serve(&self, fetched: u64, now: u64) -> bool {
        self.is_within(fetched, now, 2) || self.is_away()
    }

    fn is_within(&self, fetched: u64, now: u64, lives: u64) -> bool {
        fetched <= now && now - fetched < self.settings.cache_ttl.as_secs().saturating_mul(lives)
    }

    /// Whether a domain could not be asked when it was last tried.
    fn is_away(&self) -> bool {
        self.domains.iter().any(|domain| !domain.directory.health().online)
    }

    /// Remembers an answer of the directory, in memory at once and on disk behind it.
    pub(super) fn remember<T: Subject>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let now = self.now();
        T::shelf(self).put(value.keys(self), &value, now);
        T::shelf(self).renew(value.other_keys(self), &value, now);
        T::show(&value, now, self);
        self.writes.push(T::write(&value, now));
        value
    }

    /// The same for many groups at once.
    pub(super) fn remember_groups(&self, groups: &[Arc<GroupRecord>]) {
        let now = self.now();
        for group in groups {
            self.groups.put(group.keys(self), group, now);
            self.groups.renew(group.other_keys(self), group, now);
            Subject::show(group, now, self);
        }
        if !groups.is_empty() {
            self.writes.push(Change::Groups(groups.to_vec(), now));
        }
    }

    /// What memory or disk hold. `implied`: see [`KnownNames::implied`].
    async fn known<T: Subject>(&self, query: &Query, implied: bool) -> Option<Dated<T>> {
        if let Some(dated) = T::shelf(self).get(query) {
            return Some(dated);
        }
        let names = self.known_names(implied);
        let asked = query.clone();
        match self.with_store(move |store| T::load(store, &asked, &names)).await {
            Ok(stored) => {
                let stored = stored?;
                let value = Arc::new(stored.value);
                let mut keys = value.keys(self);
                // A guess is good for this answer alone: it must not outlast the outage that allowed it.
                if !implied {
                    keys.push(query.clone());
                }
                T::shelf(self).put_older(keys, &value, stored.fetched);
                Some((value, stored.fetched))
            }
            Err(error) => {
                log::warn!("the store could not be read, the directory is asked: {error}");
                None
            }
        }
    }

    /// Asks the directory, once for all who ask the same.
    pub(super) async fn ask<T: Subject>(self: &Arc<Self>, query: Query) -> Result<Found<T>, Error> {
        let lookup = Arc::clone(self);
        let key = query.clone();
        T::shelf(self)
            .flights
            .run(key, move || {
                Box::pin(async move {
                    let fetched = T::fetch(Arc::clone(&lookup), query.clone()).await?;
                    let Some(value) = fetched else {
                        lookup.set_absent::<T>(query);
                        return Ok(None);
                    };
                    let value = lookup.remember(value);
                    T::shelf(&lookup).put(vec![query], &value, lookup.now());
                    Ok(Some(value))
                })
            })
            .await
    }

    /// Remembers that the directory knows nothing by this key, and forgets what was known under it.
    pub(super) fn set_absent<T: Subject>(&self, query: Query) {
        let shelf = T::shelf(self);
        let until = self.now() + self.settings.negative_ttl.as_secs();
        if let Some((value, _)) = shelf.get(&query) {
            let keys = [value.keys(self), value.other_keys(self)].concat();
            shelf.forget(&keys);
            shelf.forget(std::slice::from_ref(&query));
            // A name that is gone may have been changed; with a SID, the account is gone under every name.
            if matches!(query, Query::Sid(_)) {
                for key in keys {
                    shelf.put_absent(key, until);
                }
            }
            if let Some(write) = value.removal() {
                self.writes.push(write);
            }
        }
        T::hide(&query, self);
        shelf.put_absent(query, until);
    }
}
