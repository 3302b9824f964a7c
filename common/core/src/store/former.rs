//! SIDs that accounts had before: found by each of them, as by the present one.

use rusqlite::Connection;

use super::accounts::records;
use super::identity::{IdentityStore, Stored, seconds};
use crate::Error;
use crate::types::{GroupRecord, Sid, UserRecord};

/// The queries, by what they find; a test asserts that each of them uses an index.
pub(super) mod sql {
    pub const USER_BY_FORMER: &str = "SELECT record, user_record.fetched FROM former_sid
        JOIN user_record ON user_record.sid = former_sid.sid WHERE former = ?1 LIMIT 2";
    pub const GROUP_BY_FORMER: &str = "SELECT record, group_record.fetched FROM former_sid
        JOIN group_record ON group_record.sid = former_sid.sid WHERE former = ?1 LIMIT 2";
    pub const FORGET: &str = "DELETE FROM former_sid WHERE sid = ?1";
    pub const PUT: &str = "INSERT OR REPLACE INTO former_sid (former, sid, fetched) VALUES (?1, ?2, ?3)";
}

impl IdentityStore {
    /// The user that had this SID before; none of two.
    pub fn user_by_former_sid(&self, sid: &Sid) -> Result<Option<Stored<UserRecord>>, Error> {
        self.read(|connection| Ok(only(records(connection, sql::USER_BY_FORMER, [sid.to_bytes()])?)))
    }

    /// The group that had this SID before; none of two.
    pub fn group_by_former_sid(&self, sid: &Sid) -> Result<Option<Stored<GroupRecord>>, Error> {
        self.read(|connection| Ok(only(records(connection, sql::GROUP_BY_FORMER, [sid.to_bytes()])?)))
    }
}

/// The former SIDs of the account with this SID are these, and no others.
pub(super) fn put_former(transaction: &Connection, sid: &[u8], former: &[Sid], now: u64) -> Result<(), Error> {
    transaction.prepare_cached(sql::FORGET)?.execute([sid])?;
    for one in former {
        transaction.prepare_cached(sql::PUT)?.execute((one.to_bytes(), sid, seconds(now)))?;
    }
    Ok(())
}

fn only<T>(mut found: Vec<T>) -> Option<T> {
    if found.len() == 1 { found.pop() } else { None }
}
