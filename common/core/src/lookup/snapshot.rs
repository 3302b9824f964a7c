//! What an enumeration gives: all users or groups of a domain, read in one go, then kept up to date by what changed.
//!
//! Rows stand in the order in which they came and keep their places, so whoever is in the middle reads on, also while the
//! first pass is still under way. A row that changes is replaced, one that is gone leaves its place empty, a new one comes
//! last. What changed is asked for by uSNChanged, which counts for one database alone: after a change of server everything
//! is read again. What was deleted is not among the changes (it is not for a member machine to read), so everything is
//! also read again once per life of a cached answer. The store's list of names is kept up to date with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::Error;
use crate::directory::{Batches, ChangeMark, Directory, DomainInfo};
use crate::store::{Change, Kind, Listed};

use super::{DomainContext, Lookup};

/// For how many seconds nobody asks what has changed.
const SETTLED: u64 = 30;
/// Batches that wait while the last one is understood.
const AHEAD: usize = 4;
/// Longest wait for the next rows of a pass that is under way, well within what the modules wait for one batch.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most rows of one kind; what is beyond is left out, and the log says so.
const MOST: usize = 1_000_000;

/// A kind of row.
pub(super) trait Row: Clone + Send + Sync + 'static {
    /// What the directory gives for it.
    type Entry: Send + 'static;

    /// Which of the store's lists it stands in.
    const KIND: Kind;

    /// Where a domain keeps them.
    fn kept(domain: &DomainContext) -> &Kept<Self>;

    /// The last part of its SID.
    fn rid(entry: &Self::Entry) -> Option<u32>;

    /// The row, where the entry is one of ours.
    fn mint(lookup: &Lookup, domain: &DomainContext, info: &DomainInfo, entry: Self::Entry) -> Option<Self>;

    /// Its row in the store's list.
    fn listed(&self, info: &DomainInfo) -> Option<Listed>;

    /// Asks for all, or for what changed since.
    fn ask(
        directory: &dyn Directory,
        since: Option<u64>,
        batches: Batches<Self::Entry>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The snapshots of one kind in one domain.
pub(super) struct Kept<T>(Mutex<State<T>>);

struct State<T> {
    last_epoch: u32,
    current: Option<Arc<Snapshot<T>>>,
    /// The one before: somebody may be in the middle of it.
    previous: Option<Arc<Snapshot<T>>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(State { last_epoch: 0, current: None, previous: None }))
    }
}

/// One pass over the directory, kept up to date since.
pub(super) struct Snapshot<T> {
    /// Which pass it is: a cursor holds for one of them.
    pub(super) epoch: u32,
    rows: Mutex<Rows<T>>,
    progress: watch::Sender<Progress>,
}

/// How far the first pass is.
#[derive(Clone, Debug)]
enum Progress {
    Reading(usize),
    Whole,
    Broken(Error),
}

struct Rows<T> {
    list: Vec<Option<T>>,
    places: HashMap<u32, u32>,
    mark: Option<ChangeMark>,
    /// When everything was read, and when it was last asked what changed, in Unix seconds.
    read: u64,
    checked: u64,
    checking: bool,
}

impl<T: Row> Kept<T> {
    /// The snapshot with which an enumeration begins: read now, or as it was a moment ago while it is brought up to date.
    pub(super) fn begin(lookup: &Arc<Lookup>, at: usize) -> Option<Arc<Snapshot<T>>> {
        let domain = lookup.domains.get(at)?;
        let (now, life) = (lookup.now(), lookup.settings.cache_ttl.as_secs());
        let mut state = T::kept(domain).lock();
        if let Some(current) = state.current.clone() {
            let mut rows = current.lock();
            let age = |since: u64| now.checked_sub(since).unwrap_or(u64::MAX);
            let (read, checked) = (age(rows.read), age(rows.checked));
            let usable = match *current.progress.borrow() {
                Progress::Reading(_) => true,
                // Far past its life it is read first, as every answer is; an outage leaves what there is.
                Progress::Whole => checked < life.saturating_mul(2) || !domain.directory.health().online,
                Progress::Broken(_) => false,
            };
            if usable {
                if checked >= SETTLED {
                    // Whoever is in the middle of it has had the time to come to its end.
                    state.previous = None;
                }
                let whole = matches!(*current.progress.borrow(), Progress::Whole);
                if whole && !rows.checking && checked >= SETTLED.min(life) {
                    rows.checking = true;
                    tokio::spawn(Arc::clone(&current).bring_up_to_date(Arc::clone(lookup), at, read >= life));
                }
                drop(rows);
                return Some(current);
            }
        }
        let fresh = state.next();
        tokio::spawn(Arc::clone(&fresh).fill(Arc::clone(lookup), at));
        state.replace(&fresh);
        Some(fresh)
    }

    /// The snapshot of this epoch, if it is still there.
    pub(super) fn of_epoch(&self, epoch: u32) -> Option<Arc<Snapshot<T>>> {
        let state = self.lock();
        [&state.current, &state.previous].into_iter().flatten().find(|kept| kept.epoch == epoch).cloned()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        (state.current, state.previous) = (None, None);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Row> State<T> {
    fn next(&mut self) -> Arc<Snapshot<T>> {
        self.last_epoch = self.last_epoch.wrapping_add(1);
        let rows = Rows { list: Vec::new(), places: HashMap::new(), mark: None, read: 0, checked: 0, checking: false };
        let (progress, _) = watch::channel(Progress::Reading(0));
        Arc::new(Snapshot { epoch: self.last_epoch, rows: Mutex::new(rows), progress })
    }

    fn replace(&mut self, fresh: &Arc<Snapshot<T>>) {
        self.previous = self.current.replace(Arc::clone(fresh));
    }
}

impl<T: Row> Snapshot<T> {
    /// The rows from this place on, `most` of them at most, and the place behind them; `None` there at the end. Waits for
    /// them while the first pass is under way, and gives fewer or none where that takes long: a server may think for
    /// seconds before it says the first name.
    pub(super) async fn rows(&self, at: usize, most: usize) -> Result<(Vec<T>, Option<usize>), Error> {
        let mut progress = self.progress.subscribe();
        let ready = progress.wait_for(|progress| match progress {
            Progress::Reading(rows) => *rows >= at + most,
            Progress::Whole | Progress::Broken(_) => true,
        });
        // Late or not, what there is is given.
        let _ = tokio::time::timeout(PATIENCE, ready).await;
        if let Progress::Broken(error) = &*self.progress.borrow() {
            return Err(error.clone());
        }
        let rows = self.lock();
        let end = rows.list.len().min(at.saturating_add(most));
        let found = rows.list.get(at..end).unwrap_or_default().iter().flatten().cloned().collect();
        Ok((found, (end < rows.list.len() || matches!(*self.progress.borrow(), Progress::Reading(_))).then_some(end)))
    }

    /// Waits for the end of the first pass, or as long as this.
    pub(super) async fn settled(&self, patience: Duration) {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| !matches!(progress, Progress::Reading(_)));
        let _ = tokio::time::timeout(patience, ended).await;
    }

    /// The first pass.
    async fn fill(self: Arc<Self>, lookup: Arc<Lookup>, at: usize) {
        let result = match lookup.domains.get(at) {
            Some(domain) => self.read(&lookup, domain).await,
            None => Ok(()),
        };
        self.progress.send_replace(match result {
            Ok(()) => Progress::Whole,
            Err(error) => {
                log::warn!("the enumeration of {} broke off: {error}", lookup.domains[at].config.name);
                Progress::Broken(error)
            }
        });
    }

    async fn read(&self, lookup: &Lookup, domain: &DomainContext) -> Result<(), Error> {
        let started = lookup.now();
        let mark = domain.directory.change_mark().await?;
        let noted = self.take(lookup, domain, None).await?;
        let after = domain.directory.change_mark().await?;
        if noted {
            lookup.writes.push(Change::Enumerated(T::KIND, domain.config.name.clone(), started));
        }
        let mut rows = self.lock();
        rows.list.shrink_to_fit();
        // Read from two servers, it may lack what only one of them had; the next time everything is read again.
        rows.mark = (after.database == mark.database).then_some(mark);
        (rows.read, rows.checked) = (started, started);
        Ok(())
    }

    /// Asks what changed, or for everything where that cannot be told, or a whole pass is due.
    async fn bring_up_to_date(self: Arc<Self>, lookup: Arc<Lookup>, at: usize, due: bool) {
        let Some(domain) = lookup.domains.get(at) else { return };
        let changed = if due { Ok(false) } else { self.take_changes(&lookup, domain).await };
        match changed {
            Ok(true) => {}
            Ok(false) => {
                let fresh = T::kept(domain).lock().next();
                match fresh.read(&lookup, domain).await {
                    Ok(()) => {
                        fresh.progress.send_replace(Progress::Whole);
                        T::kept(domain).lock().replace(&fresh);
                    }
                    Err(error) => log::debug!("the enumeration stays as it was: {error}"),
                }
            }
            Err(error) => log::debug!("the enumeration stays as it was: {error}"),
        }
        self.lock().checking = false;
    }

    /// True where the changes are known to be all.
    async fn take_changes(&self, lookup: &Lookup, domain: &DomainContext) -> Result<bool, Error> {
        let started = lookup.now();
        let Some(known) = self.lock().mark.clone() else { return Ok(false) };
        let mark = domain.directory.change_mark().await?;
        if mark.database != known.database || mark.usn < known.usn {
            return Ok(false);
        }
        if mark.usn > known.usn {
            self.take(lookup, domain, Some(known.usn)).await?;
            if domain.directory.change_mark().await?.database != mark.database {
                return Ok(false);
            }
        }
        let mut rows = self.lock();
        rows.mark = Some(mark);
        rows.checked = started;
        Ok(true)
    }

    /// Whether the store is told of all of them.
    async fn take(&self, lookup: &Lookup, domain: &DomainContext, since: Option<u64>) -> Result<bool, Error> {
        let info = lookup.learn(domain).await?;
        let (sender, mut batches) = mpsc::channel(AHEAD);
        let asked = T::ask(&*domain.directory, since, sender);
        let taken = async {
            let mut noted = true;
            while let Some(batch) = batches.recv().await {
                let mut listed = Vec::with_capacity(batch.len());
                let mut rows = self.lock();
                for entry in batch {
                    if let Some(rid) = T::rid(&entry) {
                        let row = T::mint(lookup, domain, &info, entry);
                        match &row {
                            Some(row) => listed.extend(row.listed(&info)),
                            // A whole pass ends with whoever it did not see.
                            None if since.is_none() => {}
                            None => drop(info.sid.with_rid(rid).map(|sid| lookup.writes.push(Change::Remove(sid)))),
                        }
                        rows.put(rid, row);
                    }
                }
                let count = rows.list.len();
                drop(rows);
                noted &= lookup.writes.push(Change::Listed(T::KIND, domain.config.name.clone(), listed, lookup.now()));
                self.progress.send_if_modified(|progress| match progress {
                    Progress::Reading(rows) => {
                        *rows = count;
                        true
                    }
                    Progress::Whole | Progress::Broken(_) => false,
                });
            }
            noted
        };
        let (asked, noted) = tokio::join!(asked, taken);
        asked.map(|()| noted)
    }

    fn lock(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Rows<T> {
    fn put(&mut self, rid: u32, row: Option<T>) {
        if let Some(place) = self.places.get(&rid).and_then(|place| self.list.get_mut(*place as usize)) {
            *place = row;
        } else if self.list.len() == MOST {
            log::warn!("the domain has more than {MOST} accounts of a kind: an enumeration leaves the rest out");
        } else if row.is_some() {
            self.places.insert(rid, self.list.len() as u32);
            self.list.push(row);
        }
    }
}
