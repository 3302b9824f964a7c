//! `identity.db`: what the directory said last. It may be deleted at any time, and deletes itself when it is damaged.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::sqlite;
use crate::Error;
use crate::types::Sid;

/// Version of the tables below and of the records in them: a file of any other version is begun anew.
pub(super) const VERSION: i32 = 7;
const TABLES: &str = "
    CREATE TABLE user_record (
        sid BLOB NOT NULL UNIQUE,
        domain TEXT NOT NULL,
        sam TEXT NOT NULL,
        upn TEXT,
        name TEXT NOT NULL,
        uid INTEGER NOT NULL,
        fetched INTEGER NOT NULL,
        record BLOB NOT NULL
    );
    CREATE INDEX user_sam ON user_record (sam, domain);
    CREATE INDEX user_upn ON user_record (upn) WHERE upn IS NOT NULL;
    CREATE INDEX user_uid ON user_record (uid);
    CREATE INDEX user_fetched ON user_record (fetched);
    CREATE TABLE group_record (
        sid BLOB NOT NULL UNIQUE,
        domain TEXT NOT NULL,
        sam TEXT NOT NULL,
        name TEXT NOT NULL,
        gid INTEGER NOT NULL,
        fetched INTEGER NOT NULL,
        record BLOB NOT NULL
    );
    CREATE INDEX group_sam ON group_record (sam, domain);
    CREATE INDEX group_gid ON group_record (gid);
    CREATE INDEX group_fetched ON group_record (fetched);
    CREATE TABLE former_sid (
        former BLOB NOT NULL,
        sid BLOB NOT NULL,
        fetched INTEGER NOT NULL,
        UNIQUE (former, sid)
    );
    CREATE INDEX former_sid_sid ON former_sid (sid);
    CREATE INDEX former_sid_fetched ON former_sid (fetched);
    CREATE TABLE user_groups (sid BLOB NOT NULL UNIQUE, fetched INTEGER NOT NULL, record BLOB NOT NULL);
    CREATE INDEX user_groups_fetched ON user_groups (fetched);
    CREATE TABLE group_members (sid BLOB NOT NULL UNIQUE, fetched INTEGER NOT NULL, record BLOB NOT NULL);
    CREATE INDEX group_members_fetched ON group_members (fetched);
    CREATE TABLE user_filter (
        sid BLOB NOT NULL,
        filter TEXT NOT NULL,
        matches INTEGER NOT NULL,
        fetched INTEGER NOT NULL,
        UNIQUE (sid, filter)
    );
    CREATE INDEX user_filter_fetched ON user_filter (fetched);
    CREATE TABLE listed (
        sid BLOB NOT NULL UNIQUE,
        kind INTEGER NOT NULL,
        domain TEXT NOT NULL,
        name TEXT NOT NULL,
        id INTEGER NOT NULL,
        fetched INTEGER NOT NULL,
        UNIQUE (kind, domain, name)
    );
    CREATE INDEX listed_fetched ON listed (fetched);
    CREATE TABLE pass (
        kind INTEGER NOT NULL,
        domain TEXT NOT NULL,
        begun INTEGER NOT NULL,
        UNIQUE (kind, domain)
    );
    CREATE TABLE shape (text TEXT NOT NULL);
";
/// Every table; each has the columns `sid` and `fetched`. The first two hold accounts.
pub(super) const ALL_TABLES: [&str; 7] =
    ["user_record", "group_record", "former_sid", "user_groups", "group_members", "user_filter", "listed"];
/// Of these, the ones whose rows are counted.
const ACCOUNTS: usize = 2;

/// A value, and when the directory said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// What it said.
    pub value: T,
    /// When, in Unix seconds.
    pub fetched: u64,
}

/// Counts and ages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Users on disk.
    pub users: u64,
    /// Groups on disk.
    pub groups: u64,
    /// When the oldest of them was fetched, in Unix seconds.
    pub oldest: Option<u64>,
}

/// The open file. Every method may give [`Error::Io`], and [`Error::StoreCorrupt`] once: then the file was damaged, has
/// been removed, and the next call finds an empty one.
#[derive(Debug)]
pub struct IdentityStore {
    path: PathBuf,
    pub(super) writer: Mutex<Option<Connection>>,
    reader: Mutex<Option<Connection>>,
    /// How often the file was begun anew: of several threads that meet the damage, one removes it.
    generation: AtomicU64,
}

impl IdentityStore {
    /// Opens or creates the file, mode 0600. One that is damaged or of another version is removed and begun anew.
    ///
    /// # Errors
    /// [`Error::Io`] where it can be neither opened nor created.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = match connect(path) {
            Err(Error::StoreCorrupt(why)) => {
                log::warn!("{} is begun anew: {why}", path.display());
                remove_files(path)?;
                connect(path)?
            }
            other => other?,
        };
        Ok(Self {
            path: path.into(),
            writer: Mutex::new(Some(connection)),
            reader: Mutex::new(None),
            generation: AtomicU64::new(0),
        })
    }

    /// Forgets everything; gives how many users and groups that were.
    pub fn flush_all(&self) -> Result<u64, Error> {
        self.write(empty).inspect(|_| self.give_back_pages())
    }

    /// Empties the store unless its records were made under the settings that `shape` describes. Gives how many users
    /// and groups went.
    pub fn keep_shape(&self, shape: &str) -> Result<u64, Error> {
        let gone = self.write(|transaction| {
            let same = transaction
                .query_one("SELECT count(*) FROM shape WHERE text = ?1", [shape], |row| row.get::<_, i64>(0))?;
            if same > 0 {
                return Ok(0);
            }
            transaction.execute("DELETE FROM shape", [])?;
            transaction.execute("INSERT INTO shape (text) VALUES (?1)", [shape])?;
            empty(transaction)
        })?;
        if gone > 0 {
            self.give_back_pages();
        }
        Ok(gone)
    }

    /// Forgets the user or group with this SID, its memberships and its members; gives how many users and groups that
    /// were.
    pub fn flush(&self, sid: &Sid) -> Result<u64, Error> {
        self.write(|transaction| delete(transaction, sid))
    }

    /// Removes what was fetched before `older_than` (Unix seconds), the oldest first, at most `limit` rows of each kind:
    /// call it again while it gives that many. Gives how many rows went.
    pub fn purge(&self, older_than: u64, limit: u32) -> Result<u64, Error> {
        self.write(|transaction| {
            let mut count = 0;
            for table in ALL_TABLES {
                count += transaction
                    .prepare_cached(&format!(
                        "DELETE FROM {table} WHERE rowid IN
                             (SELECT rowid FROM {table} WHERE fetched < ?1 ORDER BY fetched LIMIT ?2)"
                    ))?
                    .execute((seconds(older_than), limit))? as u64;
            }
            Ok(count)
        })
        .inspect(|count| {
            if *count > 0 {
                self.give_back_pages();
            }
        })
    }

    /// Counts and ages.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.read(|connection| {
            let of = |table: &str| -> Result<(u64, Option<u64>), rusqlite::Error> {
                let count: i64 =
                    connection.query_one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
                let oldest: Option<i64> =
                    connection.query_one(&format!("SELECT min(fetched) FROM {table}"), [], |row| row.get(0))?;
                Ok((count.unsigned_abs(), oldest.map(i64::unsigned_abs)))
            };
            let (users, oldest_user) = of("user_record")?;
            let (groups, oldest_group) = of("group_record")?;
            Ok(Stats { users, groups, oldest: oldest_user.into_iter().chain(oldest_group).min() })
        })
    }

    /// Reads with the connection that writers do not wait for.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.with(&self.reader, |connection| work(connection))
    }

    /// Writes in one transaction: all of it or nothing.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.with(&self.writer, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    fn with<T>(
        &self,
        slot: &Mutex<Option<Connection>>,
        work: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut slot = lock(slot);
        let result = match &mut *slot {
            Some(connection) => work(connection),
            none => connect(&self.path).and_then(|connection| work(none.insert(connection))),
        };
        drop(slot);
        if let Err(Error::StoreCorrupt(why)) = &result {
            self.begin_anew(generation, why);
        }
        result
    }

    /// Closes and removes the file; the next call makes a new one.
    fn begin_anew(&self, generation: u64, why: &str) {
        let (mut writer, mut reader) = (lock(&self.writer), lock(&self.reader));
        if self.generation.compare_exchange(generation, generation + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        // Closed before they are removed: the last one to close a database removes the log that bears its name.
        *writer = None;
        *reader = None;
        match remove_files(&self.path) {
            Ok(()) => log::warn!("{} was damaged and is begun anew: {why}", self.path.display()),
            Err(error) => log::error!("{} is damaged ({why}) and cannot be removed: {error}", self.path.display()),
        }
    }

    /// Makes the file smaller after much was deleted. Failing is harmless: the space is used again.
    fn give_back_pages(&self) {
        let shrunk = self.with(&self.writer, |connection| {
            // Every step frees one page.
            let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
            let mut steps = statement.query([])?;
            while steps.next()?.is_some() {}
            drop(steps);
            drop(statement);
            Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
        });
        if let Err(error) = shrunk {
            log::debug!("{} keeps its size: {error}", self.path.display());
        }
    }
}

/// Deletes what is known of a SID; gives how many users and groups that were.
pub(super) fn delete(transaction: &Connection, sid: &Sid) -> Result<u64, Error> {
    let key = sid.to_bytes();
    let mut count = 0;
    for (at, table) in ALL_TABLES.iter().enumerate() {
        let rows = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE sid = ?1"))?.execute([&key])?;
        count += if at < ACCOUNTS { rows as u64 } else { 0 };
    }
    Ok(count)
}

/// Deletes every record; gives how many users and groups that were.
fn empty(transaction: &Connection) -> Result<u64, Error> {
    transaction.execute("DELETE FROM pass", [])?;
    let mut count = 0;
    for (at, table) in ALL_TABLES.iter().enumerate() {
        let rows = transaction.execute(&format!("DELETE FROM {table}"), [])?;
        count += if at < ACCOUNTS { rows as u64 } else { 0 };
    }
    Ok(count)
}

/// Unix seconds as `SQLite` keeps them.
pub(super) fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let mut connection = sqlite::open(path)?;
    // A lost second of a cache is no loss: the log is synced at checkpoints only. auto_vacuum counts in a new file. The
    // kernel keeps the file's pages as well: a mebibyte of them here is enough for what is in use.
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -1024;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match sqlite::version(&transaction)? {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        other => return Err(Error::StoreCorrupt(format!("format {other}, this version knows {VERSION}"))),
    }
    transaction.commit()?;
    Ok(connection)
}

fn remove_files(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

fn lock(slot: &Mutex<Option<Connection>>) -> MutexGuard<'_, Option<Connection>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
