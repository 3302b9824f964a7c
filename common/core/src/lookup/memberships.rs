//! The groups of a user: tokenGroups, by SID; the names come behind.

use std::sync::Arc;

use crate::Error;
use crate::config::IdMapping;
use crate::store::{Change, IdentityStore, Stored};
use crate::types::{GroupRecord, Sid, UserRecord};

use super::known::KnownNames;
use super::resolve::{Subject, Work};
use super::shelf::Shelf;
use super::{Freshness, Lookup, Query};

/// All groups of one user, nested ones included (MS-ADTS 3.1.1.4.5.19, tokenGroups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memberships {
    /// The user.
    pub user: Sid,
    /// The groups: SIDs of domains only, no well-known and no BUILTIN ones.
    pub groups: Vec<Sid>,
}

impl Subject for Memberships {
    fn shelf(lookup: &Lookup) -> &Shelf<Self> {
        &lookup.memberships
    }

    fn sid(&self) -> &Sid {
        &self.user
    }

    fn keys(&self, _: &Lookup) -> Vec<Query> {
        vec![Query::Sid(self.user.clone())]
    }

    fn load(store: &IdentityStore, query: &Query, _: &KnownNames) -> Result<Option<Stored<Self>>, Error> {
        let Query::Sid(user) = query else { return Ok(None) };
        let stored = store.groups_of_user(user)?;
        Ok(stored
            .map(|stored| Stored { value: Self { user: user.clone(), groups: stored.value }, fetched: stored.fetched }))
    }

    fn fetch(lookup: Arc<Lookup>, query: Query) -> Work<Option<Self>> {
        Box::pin(async move {
            let Some(user) = lookup.resolve::<UserRecord>(query.clone(), Freshness::Cached).await? else {
                return Ok(None);
            };
            let groups = match token_groups(&lookup, &user.value).await {
                Ok(groups) if !groups.is_empty() => groups,
                // Nobody is in no group at all: the object has moved, or is gone. Its SID finds it.
                Ok(_) | Err(Error::Protocol(_)) => match lookup.resolve::<UserRecord>(query, Freshness::Fresh).await? {
                    Some(user) => Some(token_groups(&lookup, &user.value).await?)
                        .filter(|groups| !groups.is_empty())
                        .ok_or_else(|| {
                        let dn = &user.value.dn;
                        Error::MachineUnauthorized(format!(
                            "tokenGroups of {dn} is not readable: grant this machine the right to read group membership"
                        ))
                    })?,
                    None => return Ok(None),
                },
                Err(error) => return Err(error),
            };
            lookup.prefetch_groups(&groups);
            Ok(Some(Self { user: user.value.sid.clone(), groups }))
        })
    }

    fn write(this: &Arc<Self>, now: u64) -> Change {
        Change::Memberships(this.user.clone(), this.groups.clone(), now)
    }

    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup) {
        lookup.publish_memberships(this, fetched);
    }

    fn hide(query: &Query, lookup: &Lookup) {
        lookup.withdraw_memberships(query);
    }

    fn removal(&self) -> Option<Change> {
        None
    }
}

async fn token_groups(lookup: &Lookup, user: &UserRecord) -> Result<Vec<Sid>, Error> {
    let domain =
        lookup.domain(&user.domain).ok_or_else(|| Error::Config(format!("{} is not configured", user.domain)))?;
    let mut groups = domain.directory.token_groups(&user.dn, &user.sid).await?;
    groups.retain(Sid::is_of_a_domain);
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

impl Lookup {
    /// The gids of a user's groups, without the primary one, in ascending order. Computed; the groups themselves are
    /// needed only with the mapping `rfc2307`, or where not every group of the directory counts.
    ///
    /// # Errors
    /// As [`Lookup::group`], in those cases only.
    pub async fn group_ids(self: &Arc<Self>, user: &UserRecord, memberships: &Memberships) -> Result<Vec<u32>, Error> {
        if let Some(ids) = self.computed_group_ids(user, memberships) {
            return Ok(ids);
        }
        let mut ids = Vec::with_capacity(memberships.groups.len());
        self.prefetch_groups(&memberships.groups);
        for sid in &memberships.groups {
            let group = self.resolve::<GroupRecord>(Query::Sid(sid.clone()), Freshness::Cached).await?;
            ids.extend(group.map(|group| group.value.gid));
        }
        Ok(supplementary(ids, user))
    }

    /// The same where nothing has to be asked for it.
    pub(super) fn computed_group_ids(&self, user: &UserRecord, memberships: &Memberships) -> Option<Vec<u32>> {
        let config = &self.domain(&user.domain)?.config;
        let needs_groups =
            config.id_mapping == IdMapping::Rfc2307 || config.group_filter.is_some() || !config.group_bases.is_empty();
        let ids = || memberships.groups.iter().filter_map(|sid| self.mapper.id_of(sid)).collect();
        (!needs_groups).then(|| supplementary(ids(), user))
    }
}

/// Ascending, each once, without the primary group.
fn supplementary(mut ids: Vec<u32>, user: &UserRecord) -> Vec<u32> {
    ids.retain(|id| *id != user.gid);
    ids.sort_unstable();
    ids.dedup();
    ids
}
