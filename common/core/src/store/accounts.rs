//! Users and groups on disk: one row per SID, found by every name and number that they have now.

use rusqlite::{Connection, Params};
use serde::de::DeserializeOwned;

use super::former::put_former;
use super::identity::{IdentityStore, Stored, seconds};
use super::listing::{self, Kind};
use crate::Error;
use crate::types::{GroupRecord, Sid, UserRecord, fold};

/// The queries, by what they find; a test asserts that each of them uses an index.
pub(super) mod sql {
    pub const USER_BY_SAM: &str = "SELECT record, fetched FROM user_record WHERE sam = ?1 ORDER BY domain";
    pub const USER_BY_SAM_IN: &str = "SELECT record, fetched FROM user_record WHERE sam = ?1 AND domain = ?2";
    pub const USER_BY_UPN: &str = "SELECT record, fetched FROM user_record WHERE upn = ?1 ORDER BY fetched DESC";
    pub const USER_BY_UID: &str =
        "SELECT record, fetched FROM user_record WHERE uid = ?1 ORDER BY fetched DESC LIMIT 1";
    pub const USER_BY_SID: &str = "SELECT record, fetched FROM user_record WHERE sid = ?1";
    pub const GROUP_BY_SAM: &str = "SELECT record, fetched FROM group_record WHERE sam = ?1 ORDER BY domain";
    pub const GROUP_BY_SAM_IN: &str = "SELECT record, fetched FROM group_record WHERE sam = ?1 AND domain = ?2";
    pub const GROUP_BY_GID: &str =
        "SELECT record, fetched FROM group_record WHERE gid = ?1 ORDER BY fetched DESC LIMIT 1";
    pub const GROUP_BY_SID: &str = "SELECT record, fetched FROM group_record WHERE sid = ?1";

    pub const UNLIST_USERS_OF_SAM: &str =
        "DELETE FROM listed WHERE sid IN (SELECT sid FROM user_record WHERE sam = ?1 AND domain = ?2 AND sid <> ?3)";
    pub const UNLIST_GROUPS_OF_SAM: &str =
        "DELETE FROM listed WHERE sid IN (SELECT sid FROM group_record WHERE sam = ?1 AND domain = ?2 AND sid <> ?3)";
    pub const OTHER_USERS_OF_SAM: &str = "DELETE FROM user_record WHERE sam = ?1 AND domain = ?2 AND sid <> ?3";
    pub const OTHER_USERS_OF_UPN: &str = "UPDATE user_record SET upn = NULL WHERE upn = ?1 AND sid <> ?2";
    pub const PUT_USER: &str = "
        INSERT INTO user_record (sid, domain, sam, upn, name, uid, fetched, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (sid) DO UPDATE SET domain = excluded.domain, sam = excluded.sam, upn = excluded.upn,
            name = excluded.name, uid = excluded.uid, fetched = excluded.fetched, record = excluded.record";
    pub const OTHER_GROUPS_OF_SAM: &str = "DELETE FROM group_record WHERE sam = ?1 AND domain = ?2 AND sid <> ?3";
    pub const PUT_GROUP: &str = "
        INSERT INTO group_record (sid, domain, sam, name, gid, fetched, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (sid) DO UPDATE SET domain = excluded.domain, sam = excluded.sam, name = excluded.name,
            gid = excluded.gid, fetched = excluded.fetched, record = excluded.record";
}

impl IdentityStore {
    /// Writes users as fetched at `now` (Unix seconds), all or none. A SID's row is replaced with all its keys. A
    /// sAMAccountName that moved to another SID takes the former holder's row away; a UPN only takes itself.
    pub fn put_users<'a>(&self, users: impl IntoIterator<Item = &'a UserRecord>, now: u64) -> Result<(), Error> {
        self.write(|transaction| users.into_iter().try_for_each(|user| put_user(transaction, user, now)))
    }

    /// Writes groups as fetched at `now` (Unix seconds), all or none; names that moved as with users.
    pub fn put_groups<'a>(&self, groups: impl IntoIterator<Item = &'a GroupRecord>, now: u64) -> Result<(), Error> {
        self.write(|transaction| groups.into_iter().try_for_each(|group| put_group(transaction, group, now)))
    }

    /// Users with this sAMAccountName ([`fold`]ed): of one domain, or one of each.
    pub fn users_by_sam(&self, domain: Option<&str>, folded: &str) -> Result<Vec<Stored<UserRecord>>, Error> {
        match domain {
            Some(domain) => self.records(sql::USER_BY_SAM_IN, (folded, domain)),
            None => self.records(sql::USER_BY_SAM, [folded]),
        }
    }

    /// Users with this userPrincipalName ([`fold`]ed).
    pub fn users_by_upn(&self, folded: &str) -> Result<Vec<Stored<UserRecord>>, Error> {
        self.records(sql::USER_BY_UPN, [folded])
    }

    /// The user with this uid; of two, the one that was fetched last.
    pub fn user_by_uid(&self, uid: u32) -> Result<Option<Stored<UserRecord>>, Error> {
        Ok(self.records(sql::USER_BY_UID, [uid])?.pop())
    }

    /// The user with this SID.
    pub fn user_by_sid(&self, sid: &Sid) -> Result<Option<Stored<UserRecord>>, Error> {
        Ok(self.records(sql::USER_BY_SID, [sid.to_bytes()])?.pop())
    }

    /// Groups with this sAMAccountName ([`fold`]ed): of one domain, or one of each.
    pub fn groups_by_sam(&self, domain: Option<&str>, folded: &str) -> Result<Vec<Stored<GroupRecord>>, Error> {
        match domain {
            Some(domain) => self.records(sql::GROUP_BY_SAM_IN, (folded, domain)),
            None => self.records(sql::GROUP_BY_SAM, [folded]),
        }
    }

    /// The group with this gid; of two, the one that was fetched last.
    pub fn group_by_gid(&self, gid: u32) -> Result<Option<Stored<GroupRecord>>, Error> {
        Ok(self.records(sql::GROUP_BY_GID, [gid])?.pop())
    }

    /// The group with this SID.
    pub fn group_by_sid(&self, sid: &Sid) -> Result<Option<Stored<GroupRecord>>, Error> {
        Ok(self.records(sql::GROUP_BY_SID, [sid.to_bytes()])?.pop())
    }

    /// The groups with these SIDs, as far as they are known.
    pub fn groups_by_sids(&self, sids: &[Sid]) -> Result<Vec<Stored<GroupRecord>>, Error> {
        self.read(|connection| {
            let mut found = Vec::new();
            for sid in sids {
                found.extend(records(connection, sql::GROUP_BY_SID, [sid.to_bytes()])?);
            }
            Ok(found)
        })
    }

    fn records<T: DeserializeOwned>(&self, query: &str, keys: impl Params) -> Result<Vec<Stored<T>>, Error> {
        self.read(|connection| records(connection, query, keys))
    }
}

pub(super) fn put_user(transaction: &Connection, user: &UserRecord, now: u64) -> Result<(), Error> {
    let (sid, sam, upn) = (user.sid.to_bytes(), fold(&user.sam), user.upn.as_deref().map(fold));
    transaction.prepare_cached(sql::UNLIST_USERS_OF_SAM)?.execute((&sam, &user.domain, &sid))?;
    transaction.prepare_cached(sql::OTHER_USERS_OF_SAM)?.execute((&sam, &user.domain, &sid))?;
    if let Some(upn) = &upn {
        transaction.prepare_cached(sql::OTHER_USERS_OF_UPN)?.execute((upn, &sid))?;
    }
    let record = encode(user)?;
    let row = (&sid, &user.domain, &sam, &upn, &user.name, user.uid, seconds(now), &record);
    transaction.prepare_cached(sql::PUT_USER)?.execute(row)?;
    put_former(transaction, &sid, &user.former_sids, now)?;
    listing::put(transaction, Kind::Users, &user.domain, &[user.into()], now)
}

pub(super) fn put_group(transaction: &Connection, group: &GroupRecord, now: u64) -> Result<(), Error> {
    let (sid, sam) = (group.sid.to_bytes(), fold(&group.sam));
    transaction.prepare_cached(sql::UNLIST_GROUPS_OF_SAM)?.execute((&sam, &group.domain, &sid))?;
    transaction.prepare_cached(sql::OTHER_GROUPS_OF_SAM)?.execute((&sam, &group.domain, &sid))?;
    let record = encode(group)?;
    let row = (&sid, &group.domain, &sam, &group.name, group.gid, seconds(now), &record);
    transaction.prepare_cached(sql::PUT_GROUP)?.execute(row)?;
    put_former(transaction, &sid, &group.former_sids, now)?;
    listing::put(transaction, Kind::Groups, &group.domain, &[group.into()], now)
}

/// Rows of `record, fetched`.
pub(super) fn records<T: DeserializeOwned>(
    connection: &Connection,
    query: &str,
    keys: impl Params,
) -> Result<Vec<Stored<T>>, Error> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(keys)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let record = row.get_ref(0)?.as_blob().map_err(|error| Error::StoreCorrupt(error.to_string()))?;
        let value = postcard::from_bytes(record)
            .map_err(|error| Error::StoreCorrupt(format!("a record cannot be read: {error}")))?;
        found.push(Stored { value, fetched: row.get::<_, i64>(1)?.unsigned_abs() });
    }
    Ok(found)
}

/// A record as it is kept.
pub(super) fn encode(record: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(record).map_err(|error| Error::Io(format!("a record cannot be written: {error}")))
}
