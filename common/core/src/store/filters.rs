//! Which accounts matched which LDAP filters of the access rules, for logins while the directory is away.

use rusqlite::OptionalExtension;

use super::identity::{IdentityStore, Stored, seconds};
use crate::Error;
use crate::types::Sid;

/// The queries; a test asserts that each of them uses an index.
pub(super) mod sql {
    pub const MATCH: &str = "SELECT matches, fetched FROM user_filter WHERE sid = ?1 AND filter = ?2";
    pub const PUT_MATCH: &str =
        "INSERT OR REPLACE INTO user_filter (sid, filter, matches, fetched) VALUES (?1, ?2, ?3, ?4)";
}

impl IdentityStore {
    /// Writes whether a user matched a filter, as the directory said at `now` (Unix seconds).
    pub fn put_match(&self, user: &Sid, filter: &str, matches: bool, now: u64) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.prepare_cached(sql::PUT_MATCH)?.execute((user.to_bytes(), filter, matches, seconds(now)))?;
            Ok(())
        })
    }

    /// Whether a user matched a filter; `None` where that was never asked.
    pub fn match_of(&self, user: &Sid, filter: &str) -> Result<Option<Stored<bool>>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql::MATCH)?;
            let row = statement.query_row((user.to_bytes(), filter), |row| {
                Ok(Stored { value: row.get(0)?, fetched: row.get::<_, i64>(1)?.unsigned_abs() })
            });
            Ok(row.optional()?)
        })
    }
}
