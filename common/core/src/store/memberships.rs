//! Who is in which group, from both sides, as the directory told it: the groups of a user (tokenGroups) and the members
//! of a group are two answers with ages of their own.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::accounts::{encode, records};
use super::identity::{IdentityStore, Stored, seconds};
use crate::Error;
use crate::types::Sid;

/// A direct member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// objectSid: the key.
    pub sid: Sid,
    /// Canonical name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
}

/// The queries, by what they find; a test asserts that each of them uses an index.
pub(super) mod sql {
    pub const GROUPS_OF_USER: &str = "SELECT record, fetched FROM user_groups WHERE sid = ?1";
    pub const MEMBERS_OF: &str = "SELECT record, fetched FROM group_members WHERE sid = ?1";
    pub const PUT_GROUPS_OF_USER: &str =
        "INSERT OR REPLACE INTO user_groups (sid, fetched, record) VALUES (?1, ?2, ?3)";
    pub const PUT_MEMBERS: &str = "INSERT OR REPLACE INTO group_members (sid, fetched, record) VALUES (?1, ?2, ?3)";
}

impl IdentityStore {
    /// Writes the groups of a user as fetched at `now` (Unix seconds).
    pub fn put_groups_of_user(&self, user: &Sid, groups: &[Sid], now: u64) -> Result<(), Error> {
        self.write(|transaction| put_list(transaction, sql::PUT_GROUPS_OF_USER, user, &groups, now))
    }

    /// Writes the members of a group as fetched at `now` (Unix seconds).
    pub fn put_members(&self, group: &Sid, members: &[Member], now: u64) -> Result<(), Error> {
        self.write(|transaction| put_list(transaction, sql::PUT_MEMBERS, group, &members, now))
    }

    /// The groups of a user; `None` where they were never asked for, which is not "in no group".
    pub fn groups_of_user(&self, user: &Sid) -> Result<Option<Stored<Vec<Sid>>>, Error> {
        self.read(|connection| Ok(records(connection, sql::GROUPS_OF_USER, [user.to_bytes()])?.pop()))
    }

    /// The members of a group; `None` where they were never asked for, which is not "no members".
    pub fn members_of(&self, group: &Sid) -> Result<Option<Stored<Vec<Member>>>, Error> {
        self.read(|connection| Ok(records(connection, sql::MEMBERS_OF, [group.to_bytes()])?.pop()))
    }
}

pub(super) fn put_list(
    transaction: &Connection,
    statement: &str,
    sid: &Sid,
    list: &impl Serialize,
    now: u64,
) -> Result<(), Error> {
    transaction.prepare_cached(statement)?.execute((sid.to_bytes(), seconds(now), encode(list)?))?;
    Ok(())
}
