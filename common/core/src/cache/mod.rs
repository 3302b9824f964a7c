//! The writer of `/run/entra/cache.map`, through which lookups answer without asking the daemon. The readers are
//! `entra_wire::cache_map`; the layout is drawn in `docs/design/cache-map.md`.
//!
//! | Module | Holds |
//! |---|---|
//! | [`records`] | answers as the words of a record |
//! | [`append_log`] | the append-only log and its index |
//! | [`region`] | the file, allocated and mapped |
//!
//! Who is local ([`crate::local`]) is never published.
//!
//! The map is a copy of what the daemon could say at once: it may be missing, full or replaced at any time, and nobody
//! loses more than speed.

pub mod append_log;
pub mod records;
#[allow(unsafe_code)] // FFI edge: posix_fallocate, mmap and the mapped memory as words.
mod region;
mod words;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use entra_wire::cache_map::layout::{MAX_SIZE, MIN_SIZE};
use entra_wire::guard::{ID_FLOOR, name_may_be_ours};

pub use append_log::Now;
pub use entra_wire::cache_map::Key;
pub use words::MemoryMut;

use crate::local::LocalAccounts;
use crate::types::{GroupRecord, UserRecord, fold};
use append_log::{Full, Geometry, Identity, Log};
use records::Record;
use region::Region;

/// Size of the first map, in bytes: enough for 3,000 users. One that is full grows into [`Settings::max_size`], so that
/// a small host does not pay for a large one.
const FIRST_SIZE: u32 = 2 << 20;
/// By how much.
const GROWTH: u32 = 4;
/// How long readers answer from a map while the daemon says nothing, in seconds: a restart, also on a slow host. After
/// that, the daemon is asked, and found missing.
const STILLNESS: u32 = 60;
/// How long a superseded map keeps its memory, in seconds: readers in the middle of it are done, and the others have
/// moved on.
const GRACE: u32 = 60;
/// Most superseded maps that keep it.
const MAX_RETIRED: usize = 4;
/// Pause after a map that could not be made, and between two that replace one of the same size, in seconds.
const PAUSE: u32 = 60;
/// Pause between two looks for what no longer counts, in seconds.
const SURVEY: u32 = 600;

/// What a map is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it stands: `cache.map` in the run folder, which this process can write.
    pub path: PathBuf,
    /// Largest size in bytes; below 64 KiB there is none.
    pub max_size: u32,
    /// The ids that the configured domains may have.
    pub ranges: Vec<(u32, u32)>,
    /// Local users.
    pub passwd: PathBuf,
    /// Local groups.
    pub group: PathBuf,
}

/// The shared cache, as the daemon sees it. All methods take `&self`; none fails: what cannot be published is asked for.
#[derive(Debug)]
pub struct SharedCache {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Now,
    log: Option<Log<Region>>,
    local: LocalAccounts,
    /// Superseded maps whose memory is still there, and since when.
    retired: Vec<(File, u32)>,
    /// No map is made before this tick.
    not_before: u32,
    /// The next look for what no longer counts.
    survey: u32,
    /// The administrator has been told that there is no map.
    told: bool,
}

impl SharedCache {
    /// Makes a new map and puts it at its place. Readers of an earlier daemon's are told to move to it then.
    pub fn start(settings: Settings, now: Now) -> Self {
        let local = LocalAccounts::read(&settings.passwd, &settings.group);
        let state =
            State { now, log: None, local, retired: Vec::new(), not_before: 0, survey: now.tick + SURVEY, told: false };
        let cache = Self { settings, state: Mutex::new(state) };
        let mut state = cache.lock();
        let earlier = region::earlier(&cache.settings.path);
        let size = FIRST_SIZE.min(cache.settings.max_size);
        cache.replace(&mut state, size, None);
        if state.log.is_none() {
            // Nobody may go on with a map that nobody writes.
            let _ = fs::remove_file(&cache.settings.path);
        }
        if let Some(file) = earlier {
            state.retire(file);
        }
        drop(state);
        cache
    }

    /// Tells the readers what time it is. Call it every second: it also looks whether the local files changed and whether
    /// the map is still at its place, and gives the memory of superseded maps back.
    pub fn tick(&self, now: Now) {
        let mut state = self.lock();
        state.now = now;
        if let Some(log) = &mut state.log {
            log.tick(now);
        }
        if state.local.changed() {
            let fresh = LocalAccounts::read(&self.settings.passwd, &self.settings.group);
            // While a file cannot be read nothing is published, and there is nothing to empty each second.
            let was_read = state.local.fault().is_none() || fresh.fault().is_none();
            state.local = fresh;
            if was_read {
                self.empty(&mut state);
            }
        }
        state.punch_old();
        if state.log.is_none() && now.tick >= state.not_before {
            self.replace(&mut state, FIRST_SIZE.min(self.settings.max_size), None);
        }
        let lost = state.log.as_ref().filter(|log| !log.memory().stands_at(&self.settings.path));
        if let Some(size) = lost.map(|log| log.memory().size()).filter(|_| now.tick >= state.not_before) {
            // Somebody removed it, or put something else there: new processes would never find an answer.
            self.replace(&mut state, size, Some(u32::MAX));
        }
        if now.tick >= state.survey {
            state.survey = now.tick.saturating_add(SURVEY);
            let is_half_dead = state.log.as_ref().is_some_and(|log| {
                let (all, used) = log.usage();
                used > all / 4 && log.living() < used / 2
            });
            if is_half_dead {
                self.compact(&mut state);
            }
        }
    }

    /// Publishes a user under its uid, its SID and these folded names, for `life` seconds, provided that `still` says
    /// (while nobody else can publish) that this is what the daemon would answer.
    pub fn publish_user(&self, user: &UserRecord, names: &[String], life: u64, still: impl FnOnce() -> bool) {
        let mut state = self.lock();
        let Some(expiry) = state.expiry(life) else { return };
        let local = &state.local;
        let is_ours = self.serves(user.uid)
            && self.serves(user.gid)
            && may_be_shown(&user.name)
            && !local.has_user(&user.name)
            && !local.has_uid(user.uid);
        let names: Vec<&String> = names.iter().filter(|name| !local.has_user(name)).collect();
        let Some(record) = Record::user(user, expiry).filter(|_| is_ours && still()) else { return };
        let sid = user.sid.to_bytes();
        let mut keys = vec![Key::Uid(user.uid), Key::UserSid(&sid)];
        keys.extend(names.iter().map(|name| Key::UserName(name.as_bytes())));
        self.publish(&mut state, &record, &keys);
    }

    /// Publishes a group under its gid, its SID and these folded names, for `life` seconds. The members are known to be
    /// all of them for `whole` seconds (0: they are not).
    pub fn publish_group(
        &self,
        group: &GroupRecord,
        members: &[&str],
        names: &[String],
        (life, whole): (u64, u64),
        still: impl FnOnce() -> bool,
    ) {
        let mut state = self.lock();
        let Some(expiry) = state.expiry(life) else { return };
        let whole_until = state.expiry(whole).unwrap_or_default();
        let local = &state.local;
        let is_ours = self.serves(group.gid)
            && may_be_shown(&group.name)
            && !local.has_group(&group.name)
            && !local.has_gid(group.gid);
        // A member is known by the name alone: a local one would speak of another account.
        let members: Vec<&str> =
            members.iter().copied().filter(|name| may_be_shown(name) && !local.has_user(name)).collect();
        let names: Vec<&String> = names.iter().filter(|name| !local.has_group(name)).collect();
        let record = Record::group(group, &members, expiry, whole_until);
        let Some(record) = record.filter(|_| is_ours && still()) else { return };
        let sid = group.sid.to_bytes();
        let mut keys = vec![Key::Gid(group.gid), Key::GroupSid(&sid)];
        keys.extend(names.iter().map(|name| Key::GroupName(name.as_bytes())));
        self.publish(&mut state, &record, &keys);
    }

    /// Publishes the supplementary groups of a user (ascending, without the primary one).
    pub fn publish_groups_of(&self, user: &UserRecord, gids: &[u32], life: u64, still: impl FnOnce() -> bool) {
        let mut state = self.lock();
        let Some(expiry) = state.expiry(life) else { return };
        let local = &state.local;
        let is_ours = self.serves(user.uid)
            && self.serves(user.gid)
            && !local.has_user(&user.name)
            && !local.has_uid(user.uid)
            && !local.has_gid(user.gid);
        let gids: Vec<u32> = gids.iter().copied().filter(|gid| self.serves(*gid) && !local.has_gid(*gid)).collect();
        let record = Record::groups_of_user(user.uid, user.gid, &gids, expiry);
        let Some(record) = record.filter(|_| is_ours && still()) else { return };
        self.publish(&mut state, &record, &[Key::GroupsOfUid(user.uid)]);
    }

    /// Publishes that the directory has nothing by this key, for `life` seconds.
    pub fn publish_absent(&self, key: &Key<'_>, life: u64, still: impl FnOnce() -> bool) {
        let mut state = self.lock();
        let Some(expiry) = state.expiry(life) else { return };
        if let Some(log) = state.log.as_mut().filter(|_| still()) {
            log.put_absent(key, expiry);
        }
    }

    /// What this key leads to is not served any more, under any of its keys.
    pub fn withdraw(&self, key: &Key<'_>) {
        if let Some(log) = &mut self.lock().log {
            log.withdraw(key);
        }
    }

    /// The groups of the user with this binary SID are not served any more.
    pub fn withdraw_groups_of(&self, sid: &[u8]) {
        if let Some(log) = &mut self.lock().log
            && let Some(uid) = log.id_of(&Key::UserSid(sid))
        {
            log.withdraw(&Key::GroupsOfUid(uid));
        }
    }

    /// The members of the group with this binary SID are not all of them any more.
    pub fn withdraw_members_of(&self, sid: &[u8]) {
        if let Some(log) = &mut self.lock().log {
            log.withdraw_members(&Key::GroupSid(sid));
        }
    }

    /// Forgets everything.
    pub fn flush(&self) {
        self.empty(&mut self.lock());
    }

    /// Bytes of the map's log, and how many are in use; nothing where there is no map.
    pub fn usage(&self) -> Option<(u32, u32)> {
        self.lock().log.as_ref().map(Log::usage)
    }

    fn publish(&self, state: &mut State, record: &Record, keys: &[Key<'_>]) {
        /// Part of the largest map that one answer may take.
        const SHARE: u32 = 8;
        let needed = record.size(keys);
        let Some(log) = state.log.as_mut().filter(|_| needed <= self.settings.max_size / SHARE) else { return };
        if log.publish(record, keys) == Ok(()) {
            return;
        }
        // Looking through the log takes time, so a full one is looked through once a minute and not at each answer.
        if state.now.tick < state.not_before {
            return;
        }
        let wanted = log.living().saturating_add(needed).saturating_mul(2);
        let mut size = log.memory().size();
        if wanted > size && size < self.settings.max_size {
            while size < wanted && size < self.settings.max_size {
                size = size.saturating_mul(GROWTH).min(self.settings.max_size);
            }
            self.replace(state, size, Some(u32::MAX));
        } else {
            self.compact(state);
        }
        // Once more, and then it is left out: the socket answers.
        if let Some(log) = &mut state.log
            && log.publish(record, keys) == Err(Full)
        {
            log::debug!("the shared cache is full");
        }
    }

    /// A new map of the same size with what counts, half of it at most, so that there is room again.
    fn compact(&self, state: &mut State) {
        let Some(log) = &state.log else { return };
        if state.now.tick >= state.not_before {
            let ((all, _), size) = (log.usage(), log.memory().size());
            self.replace(state, size, Some(all / 2));
            state.not_before = state.now.tick.saturating_add(PAUSE);
        }
    }

    /// A new map with nothing in it; where none can be made, none at all.
    fn empty(&self, state: &mut State) {
        let size = state.log.as_ref().map_or(FIRST_SIZE.min(self.settings.max_size), |log| log.memory().size());
        if !self.replace(state, size, None)
            && let Some(log) = state.log.take()
        {
            log.supersede();
            let _ = fs::remove_file(&self.settings.path);
            if let Ok(file) = log.memory().file() {
                state.retire(file);
            }
        }
    }

    /// Puts a new map in place of the current one, with what counts of that within so many bytes (or nothing). True
    /// where that was possible.
    fn replace(&self, state: &mut State, size: u32, keep: Option<u32>) -> bool {
        let size = size.min(MAX_SIZE) & !0xfff;
        if size < MIN_SIZE {
            return false;
        }
        match self.make(state, size, keep) {
            Ok(log) => {
                if let Some(old) = state.log.replace(log)
                    && let Ok(file) = old.memory().file()
                {
                    state.retire(file);
                }
                state.told = false;
                true
            }
            Err(error) => {
                state.not_before = state.now.tick.saturating_add(PAUSE);
                if !std::mem::replace(&mut state.told, true) {
                    let (path, size) = (self.settings.path.display(), size >> 20);
                    log::warn!(
                        "{path} of {size} MiB cannot be made, so lookups take longer: {error}. Give its file system \
                         more room, or set cache_map_size lower"
                    );
                }
                false
            }
        }
    }

    fn make(&self, state: &State, size: u32, keep: Option<u32>) -> std::io::Result<Log<Region>> {
        let fresh = self.settings.path.with_extension("map.new");
        let region = Region::create(&fresh, size)?;
        let generation = generation();
        let identity = Identity {
            generation,
            seed: (generation >> 20) as u32,
            stillness: STILLNESS,
            ranges: self.settings.ranges.clone(),
        };
        let mut log = Log::format(region, Geometry::of_size(size), &identity, state.now);
        if let (Some(budget), Some(old)) = (keep, &state.log) {
            old.copy_into(&mut log, budget);
        }
        fs::rename(&fresh, &self.settings.path)?;
        Ok(log)
    }

    fn serves(&self, id: u32) -> bool {
        id >= ID_FLOOR && self.settings.ranges.iter().any(|(low, high)| (*low..=*high).contains(&id))
    }

    // A panic in between leaves the log whole: readers see nothing that was not published.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who still reads a superseded map finds nothing in it and moves on; nobody else is left to give its memory back.
impl Drop for SharedCache {
    fn drop(&mut self) {
        for (file, _) in &self.lock().retired {
            punch(file);
        }
    }
}

impl State {
    fn expiry(&self, life: u64) -> Option<u32> {
        let life = u32::try_from(life).unwrap_or(u32::MAX);
        (life > 0).then(|| self.now.tick.saturating_add(life))
    }

    fn retire(&mut self, file: File) {
        if let Err(error) = region::supersede(&file) {
            log::warn!("readers of the earlier shared cache cannot be told of the new one: {error}");
        }
        self.retired.push((file, self.now.tick));
        while self.retired.len() > MAX_RETIRED {
            punch(&self.retired.remove(0).0);
        }
    }

    fn punch_old(&mut self) {
        let before = self.now.tick.saturating_sub(GRACE);
        self.retired.retain(|(file, since)| {
            if *since <= before {
                punch(file);
            }
            *since > before
        });
    }
}

fn punch(file: &File) {
    if let Err(error) = region::punch(file) {
        log::warn!("a superseded shared cache keeps its memory: {error}");
    }
}

/// A name that the modules let through.
fn may_be_shown(name: &str) -> bool {
    name_may_be_ours(name.as_bytes()) && fold(name) != "root"
}

/// The time, which no earlier map of this host was made at.
fn generation() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}
