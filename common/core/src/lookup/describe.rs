//! What an administrator asks of users and groups: a request of `ctl.sock`, and its reply. The daemon answers from what
//! it keeps; `entractl --direct` answers itself, from a store that is empty.

use std::sync::Arc;

use crate::Error;
use crate::control::{AccountRef, LookupKey, Reply, SshKeys};
use crate::types::{GroupRecord, Sid, SidError, UserRecord};

use super::{Freshness, Holder, Lookup, Query};

impl Lookup {
    /// One user.
    ///
    /// # Errors
    /// As [`Lookup::user`], and [`Error::Config`] for a SID that is none.
    pub async fn describe_user(self: &Arc<Self>, key: LookupKey) -> Result<Reply, Error> {
        let answer = match query(key)? {
            Query::Sid(sid) => self.user_of_sid(&sid).await?,
            query => self.user(query, Freshness::Cached).await?,
        };
        match answer {
            Some(answer) => Ok(Reply::User(Box::new(self.user_view(answer).await?))),
            None => Ok(Reply::NotFound),
        }
    }

    /// The SSH keys of one user, asked for now: a key that was taken away opens nothing. In an outage those that were
    /// last seen.
    ///
    /// # Errors
    /// As [`Lookup::user`].
    pub async fn ssh_keys(self: &Arc<Self>, user: &str) -> Result<Reply, Error> {
        let Some(answer) = self.user(Query::name(user), Freshness::Fresh).await? else { return Ok(Reply::NotFound) };
        Ok(Reply::SshKeys(SshKeys {
            user: answer.value.name.clone(),
            keys: answer.value.ssh_keys.clone(),
            source: answer.source,
            age_seconds: self.now().saturating_sub(answer.fetched),
        }))
    }

    /// One group with its members.
    ///
    /// # Errors
    /// As [`Lookup::describe_user`].
    pub async fn describe_group(self: &Arc<Self>, key: LookupKey) -> Result<Reply, Error> {
        let answer = match query(key)? {
            Query::Sid(sid) => self.group_of_sid(&sid).await?,
            query => self.group(query, Freshness::Cached).await?,
        };
        match answer {
            Some(answer) => Ok(Reply::Group(Box::new(self.group_view(answer).await?))),
            None => Ok(Reply::NotFound),
        }
    }

    /// Whatever has this SID, or had it before.
    ///
    /// # Errors
    /// As [`Lookup::describe_user`].
    pub async fn describe_sid(self: &Arc<Self>, sid: &str) -> Result<Reply, Error> {
        match self.holder(&parsed(sid)?).await? {
            Some(Holder::User(answer)) => Ok(Reply::User(Box::new(self.user_view(answer).await?))),
            Some(Holder::Group(answer)) => Ok(Reply::Group(Box::new(self.group_view(answer).await?))),
            None => Ok(Reply::NotFound),
        }
    }
}

fn query(key: LookupKey) -> Result<Query, Error> {
    Ok(match key {
        LookupKey::Name(name) => Query::name(&name),
        LookupKey::Id(id) => Query::Id(id),
        LookupKey::Sid(sid) => Query::Sid(parsed(&sid)?),
    })
}

fn parsed(sid: &str) -> Result<Sid, Error> {
    sid.parse().map_err(|error: SidError| Error::Config(error.to_string()))
}

impl From<&UserRecord> for AccountRef {
    fn from(user: &UserRecord) -> Self {
        Self { name: user.name.clone(), domain: user.domain.clone(), id: user.uid, sid: user.sid.to_string() }
    }
}

impl From<&GroupRecord> for AccountRef {
    fn from(group: &GroupRecord) -> Self {
        Self { name: group.name.clone(), domain: group.domain.clone(), id: group.gid, sid: group.sid.to_string() }
    }
}

impl From<Error> for Reply {
    /// An error as `ctl.sock` says it.
    fn from(error: Error) -> Self {
        match error {
            Error::Config(reason) | Error::Ambiguous(reason) => Self::Invalid { reason },
            other => Self::Offline { reason: other.to_string() },
        }
    }
}
