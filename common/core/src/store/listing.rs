//! Who there is: one small row for every user and group that is known, in the order of their names, so that any part of
//! a long list costs what it holds. Lookups and enumerations both write it.

use rusqlite::{Connection, OptionalExtension};

use super::identity::{IdentityStore, seconds};
use crate::Error;
use crate::types::{GroupRecord, Sid, UserRecord};

/// Behind every name that begins with what stands before it: a noncharacter (Unicode 23.7), the last code point.
const LAST: char = '\u{10FFFF}';

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// objectSid: the key.
    pub sid: Sid,
    /// Canonical name; no two of one kind and domain share one.
    pub name: String,
    /// uid or gid.
    pub id: u32,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part<'a> {
    /// Only names that begin with this.
    pub prefix: &'a str,
    /// Only names that stand behind this one.
    pub after: Option<&'a str>,
    /// At most so many.
    pub limit: u32,
}

/// The queries, by what they find; a test asserts that each of them uses an index.
pub(super) mod sql {
    pub const PAGE: &str = "SELECT name, id, sid FROM listed
        WHERE kind = ?1 AND domain = ?2 AND name >= ?3 AND name < ?4 ORDER BY name LIMIT ?5";
    pub const PASS: &str = "SELECT begun FROM pass WHERE kind = ?1 AND domain = ?2";
    // Whoever had the SID or the name before goes.
    pub const PUT: &str =
        "INSERT OR REPLACE INTO listed (sid, kind, domain, name, id, fetched) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    pub const NOT_SEEN: &str = "DELETE FROM listed WHERE kind = ?1 AND domain = ?2 AND fetched < ?3";
    pub const PUT_PASS: &str = "INSERT OR REPLACE INTO pass (kind, domain, begun) VALUES (?1, ?2, ?3)";
}

impl IdentityStore {
    /// A part of the list of a domain, in the order of the names (of their bytes).
    pub fn page(&self, kind: Kind, domain: &str, part: Part<'_>) -> Result<Vec<Listed>, Error> {
        let (first, end) = bounds(part);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql::PAGE)?;
            let mut rows = statement.query((number(kind), domain, first, end, part.limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let sid = row.get_ref(2)?.as_blob().map_err(|error| Error::StoreCorrupt(error.to_string()))?;
                let sid = Sid::from_bytes(sid).map_err(|error| Error::StoreCorrupt(error.to_string()))?;
                found.push(Listed { sid, name: row.get(0)?, id: row.get(1)? });
            }
            Ok(found)
        })
    }

    /// When the last enumeration of a domain began that came to its end, in Unix seconds; `None` where none did: then the
    /// list holds who was looked up.
    pub fn enumerated(&self, kind: Kind, domain: &str) -> Result<Option<u64>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql::PASS)?;
            let begun = statement.query_row((number(kind), domain), |row| row.get::<_, i64>(0)).optional()?;
            Ok(begun.map(i64::unsigned_abs))
        })
    }
}

/// The first name of a part, and the one before which it ends.
pub(super) fn bounds(part: Part<'_>) -> (String, String) {
    let mut end = part.prefix.to_owned();
    end.push(LAST);
    let first = match part.after {
        // The next string in the order of bytes: no name holds a NUL.
        Some(after) if after >= part.prefix => format!("{after}\0"),
        _ => part.prefix.to_owned(),
    };
    (first, end)
}

/// A kind as the table has it.
pub(super) fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Users => 0,
        Kind::Groups => 1,
    }
}

/// Writes rows as seen at `now` (Unix seconds).
pub(super) fn put(transaction: &Connection, kind: Kind, domain: &str, rows: &[Listed], now: u64) -> Result<(), Error> {
    let mut statement = transaction.prepare_cached(sql::PUT)?;
    for row in rows {
        statement.execute((row.sid.to_bytes(), number(kind), domain, &row.name, row.id, seconds(now)))?;
    }
    Ok(())
}

/// Notes that an enumeration which began at `begun` has named everybody: who was not seen since is gone.
pub(super) fn end_pass(transaction: &Connection, kind: Kind, domain: &str, begun: u64) -> Result<(), Error> {
    transaction.prepare_cached(sql::NOT_SEEN)?.execute((number(kind), domain, seconds(begun)))?;
    transaction.prepare_cached(sql::PUT_PASS)?.execute((number(kind), domain, seconds(begun)))?;
    Ok(())
}

impl From<&UserRecord> for Listed {
    fn from(user: &UserRecord) -> Self {
        Self { sid: user.sid.clone(), name: user.name.clone(), id: user.uid }
    }
}

impl From<&GroupRecord> for Listed {
    fn from(group: &GroupRecord) -> Self {
        Self { sid: group.sid.clone(), name: group.name.clone(), id: group.gid }
    }
}
