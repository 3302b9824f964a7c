//! `idmap.db`: which ids belong to which domain, for ever. Never flushed: whoever loses it may change the owners of
//! files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::sqlite;
use crate::Error;
use crate::types::{DomainId, Sid};

/// Version of the tables below.
const VERSION: i32 = 1;
const TABLES: &str = "
    CREATE TABLE domain (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        sid TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        mapping TEXT NOT NULL
    );
    CREATE TABLE block (
        domain TEXT NOT NULL REFERENCES domain (sid),
        first_rid INTEGER NOT NULL,
        first_id INTEGER NOT NULL UNIQUE,
        last_id INTEGER NOT NULL,
        PRIMARY KEY (domain, first_rid)
    );
";

/// A domain that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetDomain {
    /// Domain SID: the key.
    pub sid: Sid,
    /// DNS name under which it was configured last.
    pub name: DomainId,
    /// Mapping that its ids come from, as the configuration writes it.
    pub mapping: String,
}

/// Ids `first_id..=last_id` belong to the RIDs of `domain` from `first_rid` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Domain SID.
    pub domain: Sid,
    /// RID that `first_id` stands for.
    pub first_rid: u32,
    /// First id.
    pub first_id: u32,
    /// Last id, inclusive.
    pub last_id: u32,
}

/// The open file. What is added is on the disk when the call returns.
#[derive(Debug)]
pub struct SliceStore {
    connection: Mutex<Connection>,
    /// Where it lies, for messages; `None` in memory.
    path: Option<PathBuf>,
}

impl SliceStore {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`Error::StoreCorrupt`] where it is damaged: it is left as it is, for it cannot be rebuilt. [`Error::Config`]
    /// where a newer version wrote it. [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let named = |error| at(path, error);
        let connection = sqlite::open(path).map_err(named)?;
        // A journal that is deleted, not WAL: others may read this file without leaving files of theirs beside it.
        connection
            .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .map_err(|error| named(error.into()))?;
        let mut store = Self { connection: Mutex::new(connection), path: Some(path.into()) };
        store.create_tables().map_err(named)?;
        Ok(store)
    }

    /// What the file at `path` holds, copied into memory; empty where there is none. For whoever asks for ids beside
    /// the daemon: what is added is forgotten.
    ///
    /// # Errors
    /// As [`SliceStore::open`].
    pub fn copy_of(path: &Path) -> Result<Self, Error> {
        let copy = Self::temporary()?;
        match std::fs::metadata(path) {
            Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(copy),
            Err(other) => return Err(at(path, other.into())),
            Ok(_) => {}
        }
        let original = sqlite::open_read_only(path).map_err(|error| at(path, error))?;
        let (domains, blocks) = match sqlite::version(&original).map_err(|error| at(path, error))? {
            0 => (Vec::new(), Vec::new()),
            VERSION => read(&original).map_err(|error| at(path, error))?,
            other => return Err(newer(path, other)),
        };
        for domain in &domains {
            let own: Vec<_> = blocks.iter().filter(|block| block.domain == domain.sid).cloned().collect();
            copy.add(domain, &own)?;
        }
        Ok(copy)
    }

    /// An empty one that ends with the process.
    ///
    /// # Errors
    /// [`Error::Io`] without memory.
    pub fn temporary() -> Result<Self, Error> {
        let mut store = Self { connection: Mutex::new(sqlite::in_memory()?), path: None };
        store.create_tables()?;
        Ok(store)
    }

    /// Every domain, in the order in which they were met last, and every block.
    ///
    /// # Errors
    /// [`Error::StoreCorrupt`], [`Error::Io`].
    pub fn read(&self) -> Result<(Vec<MetDomain>, Vec<Block>), Error> {
        read(&self.lock()).map_err(|error| self.named(error))
    }

    /// Writes a domain, as the one of its name that was met last, and blocks of it, in one transaction. A block that is
    /// known already may only grow at its end.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk refuses, or where another process gave these ids away meanwhile.
    pub fn add(&self, domain: &MetDomain, blocks: &[Block]) -> Result<(), Error> {
        add(&mut self.lock(), domain, blocks).map_err(|error| self.named(error))
    }

    fn create_tables(&mut self) -> Result<(), Error> {
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Immediate: two processes that open a new file at the same time create its tables once.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match sqlite::version(&transaction)? {
            0 => {
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            other => return Err(newer(self.path.as_deref().unwrap_or(Path::new("idmap.db")), other)),
        }
        Ok(transaction.commit()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => at(path, error),
            None => error,
        }
    }
}

fn read(connection: &Connection) -> Result<(Vec<MetDomain>, Vec<Block>), Error> {
    let damaged = |error: crate::types::SidError| Error::StoreCorrupt(error.to_string());
    let mut statement = connection.prepare("SELECT sid, name, mapping FROM domain ORDER BY seq")?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)?;
    let domains = rows
        .into_iter()
        .map(|(sid, name, mapping)| Ok(MetDomain { sid: sid.parse().map_err(damaged)?, name, mapping }))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut statement =
        connection.prepare("SELECT domain, first_rid, first_id, last_id FROM block ORDER BY first_id")?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)?;
    let blocks = rows
        .into_iter()
        .map(|(domain, first_rid, first_id, last_id)| {
            Ok(Block { domain: domain.parse().map_err(damaged)?, first_rid, first_id, last_id })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok((domains, blocks))
}

fn add(connection: &mut Connection, domain: &MetDomain, blocks: &[Block]) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sid = domain.sid.to_string();
    // A new number: domains are read in the order in which they were met last.
    transaction.execute(
        "INSERT INTO domain (sid, name, mapping) VALUES (?1, ?2, ?3) ON CONFLICT (sid) DO UPDATE SET
                 name = excluded.name, mapping = excluded.mapping, seq = (SELECT max(seq) + 1 FROM domain)",
        (&sid, &domain.name, &domain.mapping),
    )?;
    for block in blocks {
        let written = transaction.execute(
            "INSERT INTO block (domain, first_rid, first_id, last_id) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (domain, first_rid) DO UPDATE SET last_id = max(last_id, excluded.last_id)
                 WHERE first_id = excluded.first_id",
            (&sid, block.first_rid, block.first_id, block.last_id),
        )?;
        if written == 0 {
            return Err(Error::Io(format!("another process gave {sid} other ids meanwhile; restart entrad")));
        }
    }
    Ok(transaction.commit()?)
}

fn newer(path: &Path, version: i32) -> Error {
    Error::Config(format!(
        "{}: written by a newer version of entrad (format {version}, this one knows {VERSION}); install that version",
        path.display()
    ))
}

/// Says where, and for a damaged file what to do: it is never thrown away by itself.
fn at(path: &Path, error: Error) -> Error {
    let path = path.display();
    match error {
        Error::StoreCorrupt(why) => Error::StoreCorrupt(format!(
            "{path}: {why}; restore this file from a backup, or move it away: ids are then computed anew, and are the \
             same unless slices were pinned or shared a hash"
        )),
        Error::Io(why) => Error::Io(format!("{path}: {why}")),
        other => other,
    }
}
