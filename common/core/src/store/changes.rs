//! Many changes in one transaction: what a busy host learns in a moment costs one commit.

use std::sync::Arc;

use rusqlite::Connection;

use super::accounts::{put_group, put_user};
use super::identity::{IdentityStore, delete};
use super::listing::{self, Kind, Listed};
use super::memberships::{Member, put_list, sql};
use crate::Error;
use crate::types::{DomainId, GroupRecord, Sid, UserRecord};

/// One thing that the directory said at a time (Unix seconds).
#[derive(Clone, Debug)]
pub enum Change {
    /// A user is so.
    User(Arc<UserRecord>, u64),
    /// These groups are so.
    Groups(Vec<Arc<GroupRecord>>, u64),
    /// The groups of a user are these.
    Memberships(Sid, Vec<Sid>, u64),
    /// The members of a group are these.
    Members(Sid, Vec<Member>, u64),
    /// There is no user or group of this SID any more.
    Remove(Sid),
    /// An enumeration of a domain named these.
    Listed(Kind, DomainId, Vec<Listed>, u64),
    /// An enumeration of a domain that began then has named everybody.
    Enumerated(Kind, DomainId, u64),
}

impl IdentityStore {
    /// Makes these changes in their order, all or none.
    pub fn apply(&self, changes: &[Change]) -> Result<(), Error> {
        self.write(|transaction| changes.iter().try_for_each(|change| apply(transaction, change)))
    }
}

fn apply(transaction: &Connection, change: &Change) -> Result<(), Error> {
    match change {
        Change::User(user, now) => put_user(transaction, user, *now),
        Change::Groups(groups, now) => groups.iter().try_for_each(|group| put_group(transaction, group, *now)),
        Change::Memberships(user, groups, now) => put_list(transaction, sql::PUT_GROUPS_OF_USER, user, groups, *now),
        Change::Members(group, members, now) => put_list(transaction, sql::PUT_MEMBERS, group, members, *now),
        Change::Remove(sid) => delete(transaction, sid).map(drop),
        Change::Listed(kind, domain, rows, now) => listing::put(transaction, *kind, domain, rows, *now),
        Change::Enumerated(kind, domain, begun) => listing::end_pass(transaction, *kind, domain, *begun),
    }
}
