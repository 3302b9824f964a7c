//! The members of a group: read only when the group itself is asked for by name.

use std::sync::Arc;

use crate::Error;
use crate::store::{Change, IdentityStore, Member, Stored};
use crate::types::{Entry, GroupRecord, Sid};

use super::known::KnownNames;
use super::resolve::{Subject, Work};
use super::shelf::Shelf;
use super::{Freshness, Lookup, Query};

/// The direct members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    /// The group.
    pub group: Sid,
    /// Its direct members.
    pub members: Vec<Member>,
}

impl MemberList {
    /// Canonical names of the members that are users, sorted.
    pub fn user_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.members.iter().filter(|member| !member.is_group).map(|member| member.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Subject for MemberList {
    fn shelf(lookup: &Lookup) -> &Shelf<Self> {
        &lookup.members
    }

    fn sid(&self) -> &Sid {
        &self.group
    }

    fn keys(&self, _: &Lookup) -> Vec<Query> {
        vec![Query::Sid(self.group.clone())]
    }

    fn load(store: &IdentityStore, query: &Query, _: &KnownNames) -> Result<Option<Stored<Self>>, Error> {
        let Query::Sid(group) = query else { return Ok(None) };
        let stored = store.members_of(group)?;
        Ok(stored.map(|stored| Stored {
            value: Self { group: group.clone(), members: stored.value },
            fetched: stored.fetched,
        }))
    }

    fn fetch(lookup: Arc<Lookup>, query: Query) -> Work<Option<Self>> {
        Box::pin(async move {
            let Some(group) = lookup.resolve::<GroupRecord>(query.clone(), Freshness::Cached).await? else {
                return Ok(None);
            };
            let mut group = group.value;
            let Some(domain) = lookup.domain(&group.domain) else { return Ok(None) };
            let info = lookup.learn(domain).await?;
            let mut entries = domain.directory.members(&group.dn, &group.sid).await;
            if matches!(entries, Err(Error::Protocol(_))) {
                // The object has moved, or is gone: its SID finds it.
                let Some(moved) = lookup.resolve::<GroupRecord>(query, Freshness::Fresh).await? else {
                    return Ok(None);
                };
                group = moved.value;
                entries = domain.directory.members(&group.dn, &group.sid).await;
            }
            // These entries name their accounts and say no more of them: nobody else is answered from them.
            let members = entries?.into_iter().filter_map(|entry| match entry {
                Entry::User(entry) => lookup.mint_user(domain, &info, *entry).map(|user| Member {
                    sid: user.sid,
                    name: user.name,
                    is_group: false,
                }),
                Entry::Group(entry) => lookup.mint_group(domain, &info, *entry).map(|group| Member {
                    sid: group.sid,
                    name: group.name,
                    is_group: true,
                }),
            });
            Ok(Some(Self { group: group.sid.clone(), members: members.collect() }))
        })
    }

    fn write(this: &Arc<Self>, now: u64) -> Change {
        Change::Members(this.group.clone(), this.members.clone(), now)
    }

    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup) {
        if let Some((group, since)) = lookup.groups.get(&Query::Sid(this.group.clone())) {
            lookup.publish_group(&group, since, Some(&(Arc::clone(this), fetched)), None);
        }
    }

    fn hide(query: &Query, lookup: &Lookup) {
        lookup.withdraw_members(query);
    }

    fn removal(&self) -> Option<Change> {
        None
    }
}
