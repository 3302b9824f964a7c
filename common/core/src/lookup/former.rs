//! Who a SID of an access list stands for: the account that has it, else the one that had it before it moved here
//! (sIDHistory, MS-ADA3 2.250), so that old access lists go on naming somebody.

use std::sync::Arc;

use crate::Error;
use crate::types::{GroupRecord, Sid, UserRecord};

use super::{Answer, Freshness, Lookup, Query};

/// The account of a SID; its record says which SID it has now.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A user.
    User(Answer<UserRecord>),
    /// A group.
    Group(Answer<GroupRecord>),
}

impl Lookup {
    /// The user with this SID now, else the one that had it before.
    ///
    /// # Errors
    /// As [`Lookup::user`].
    pub async fn user_of_sid(self: &Arc<Self>, sid: &Sid) -> Result<Option<Answer<UserRecord>>, Error> {
        match self.user(Query::Sid(sid.clone()), Freshness::Cached).await {
            Ok(Some(user)) => Ok(Some(user)),
            present => self.former_user(sid).await.and_then(|former| former.map_or(present, |user| Ok(Some(user)))),
        }
    }

    /// The group with this SID now, else the one that had it before.
    ///
    /// # Errors
    /// As [`Lookup::group`].
    pub async fn group_of_sid(self: &Arc<Self>, sid: &Sid) -> Result<Option<Answer<GroupRecord>>, Error> {
        match self.group(Query::Sid(sid.clone()), Freshness::Cached).await {
            Ok(Some(group)) => Ok(Some(group)),
            present => self.former_group(sid).await.and_then(|former| former.map_or(present, |group| Ok(Some(group)))),
        }
    }

    /// Whoever has this SID now, user or group, else whoever had it before.
    ///
    /// # Errors
    /// As [`Lookup::user`]; an outage hides nobody of whom the store knows.
    pub async fn holder(self: &Arc<Self>, sid: &Sid) -> Result<Option<Holder>, Error> {
        let user = self.user(Query::Sid(sid.clone()), Freshness::Cached).await;
        if let Ok(Some(user)) = user {
            return Ok(Some(Holder::User(user)));
        }
        let group = self.group(Query::Sid(sid.clone()), Freshness::Cached).await;
        if let Ok(Some(group)) = group {
            return Ok(Some(Holder::Group(group)));
        }
        if let Some(user) = self.former_user(sid).await? {
            return Ok(Some(Holder::User(user)));
        }
        if let Some(group) = self.former_group(sid).await? {
            return Ok(Some(Holder::Group(group)));
        }
        user.and(group).map(|_| None)
    }

    async fn former_user(self: &Arc<Self>, sid: &Sid) -> Result<Option<Answer<UserRecord>>, Error> {
        if !was_an_account(sid) {
            return Ok(None);
        }
        self.user(Query::FormerSid(sid.clone()), Freshness::Cached).await
    }

    async fn former_group(self: &Arc<Self>, sid: &Sid) -> Result<Option<Answer<GroupRecord>>, Error> {
        if !was_an_account(sid) {
            return Ok(None);
        }
        self.group(Query::FormerSid(sid.clone()), Freshness::Cached).await
    }
}

/// Whether a SID can stand in anybody's sIDHistory: an account of some domain. A domain's own SID and what Windows gives
/// to everybody (BUILTIN, well-known SIDs) cannot, and cost no search.
fn was_an_account(sid: &Sid) -> bool {
    sid.domain().is_some_and(|domain| domain.is_of_a_domain())
}
