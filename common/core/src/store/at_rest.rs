//! `identity.db` while the daemon does not run, for whoever must answer without it: read, never written, and nothing is
//! left beside it, because the daemon could not open what another user made there.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::accounts::{records, sql as accounts};
use super::former::sql as former;
use super::identity::VERSION;
use super::sqlite;
use crate::Error;
use crate::types::{GroupRecord, Sid, UserRecord};

/// The file, open for reading.
#[derive(Debug)]
pub struct StoreAtRest(Connection);

impl StoreAtRest {
    /// Opens it; `None` where there is none, or one of another version.
    ///
    /// # Errors
    /// [`Error::StoreCorrupt`], [`Error::Io`]; the file stays as it is.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display())).exists();
        // A daemon that was killed left its log and the log's index: they are read as they are. Without them SQLite would
        // make both, unless it is told that nobody writes.
        let connection = if beside("-wal") && beside("-shm") {
            sqlite::open_read_only(path)?
        } else {
            sqlite::open_immutable(path)?
        };
        Ok((sqlite::version(&connection)? == VERSION).then_some(Self(connection)))
    }

    /// The user with this SID, else the one that had it before.
    ///
    /// # Errors
    /// As [`StoreAtRest::open`].
    pub fn user_of_sid(&self, sid: &Sid) -> Result<Option<UserRecord>, Error> {
        let sid = sid.to_bytes();
        match self.one(accounts::USER_BY_SID, &sid)? {
            None => self.one(former::USER_BY_FORMER, &sid),
            user => Ok(user),
        }
    }

    /// The group with this SID, else the one that had it before.
    ///
    /// # Errors
    /// As [`StoreAtRest::open`].
    pub fn group_of_sid(&self, sid: &Sid) -> Result<Option<GroupRecord>, Error> {
        let sid = sid.to_bytes();
        match self.one(accounts::GROUP_BY_SID, &sid)? {
            None => self.one(former::GROUP_BY_FORMER, &sid),
            group => Ok(group),
        }
    }

    /// The user with this uid.
    ///
    /// # Errors
    /// As [`StoreAtRest::open`].
    pub fn user_by_uid(&self, uid: u32) -> Result<Option<UserRecord>, Error> {
        self.one(accounts::USER_BY_UID, &uid)
    }

    /// The group with this gid.
    ///
    /// # Errors
    /// As [`StoreAtRest::open`].
    pub fn group_by_gid(&self, gid: u32) -> Result<Option<GroupRecord>, Error> {
        self.one(accounts::GROUP_BY_GID, &gid)
    }

    /// The only row; none of two.
    fn one<T: serde::de::DeserializeOwned>(&self, query: &str, key: &dyn rusqlite::ToSql) -> Result<Option<T>, Error> {
        let mut found = records(&self.0, query, [key])?;
        Ok(if found.len() == 1 { found.pop().map(|stored| stored.value) } else { None })
    }
}
