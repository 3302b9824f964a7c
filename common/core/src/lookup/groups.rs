//! Groups: what the algorithm needs to know of them, and the batched search for the names behind tokenGroups.

use std::sync::Arc;

use crate::Error;
use crate::config::PrimaryGroup;
use crate::control::Source;
use crate::store::{IdentityStore, Stored};
use crate::types::{Entry, GroupRecord, NameForm, Sid, UserRecord, fold};

use super::known::{KnownNames, only};
use super::resolve::{Subject, Work};
use super::shelf::Shelf;
use super::users::one_of;
use super::writes::Write;
use super::{Freshness, Lookup, Query};

impl Subject for GroupRecord {
    fn shelf(lookup: &Lookup) -> &Shelf<Self> {
        &lookup.groups
    }

    fn normalise(lookup: &Lookup, query: Query) -> Option<Query> {
        match &query {
            // `sudo` and its like are this host's: a domain group of that name answers as `sudo@domain` only.
            Query::Name(name) if lookup.is_reserved_group(name) => None,
            _ => lookup.normalise_id(query),
        }
    }

    fn keys(&self, lookup: &Lookup) -> Vec<Query> {
        let mut keys = vec![Query::Sid(self.sid.clone()), Query::Id(self.gid), Query::Name(fold(&self.name))];
        keys.extend(lookup.qualified_names(&self.domain, &self.sam));
        keys
    }

    fn load(store: &IdentityStore, query: &Query, names: &KnownNames) -> Result<Option<Stored<Self>>, Error> {
        match query {
            Query::Id(gid) => store.group_by_gid(*gid),
            Query::Sid(sid) => store.group_by_sid(sid),
            Query::Name(name) => match NameForm::parse(name).as_ref().and_then(|form| names.account(form)) {
                Some((domain, account)) => Ok(only(store.groups_by_sam(domain, &account)?)),
                None => Ok(None),
            },
        }
    }

    fn fetch(lookup: Arc<Lookup>, query: Query) -> Work<Option<Self>> {
        Box::pin(async move {
            let plan = lookup.plan(&query, false).await;
            let mut blocked = plan.blocked;
            let mut found = Vec::new();
            for step in plan.steps {
                match step.domain.directory.group(&step.key).await {
                    Ok(Some(entry)) => {
                        let info = lookup.learn(step.domain).await?;
                        found.extend(lookup.mint_group(step.domain, &info, entry));
                    }
                    Ok(None) if step.domain.config.primary_group == PrimaryGroup::UserPrivate => {
                        found.extend(private_group(&lookup, &query).await?);
                    }
                    Ok(None) => {}
                    Err(Error::Ambiguous(why)) => {
                        log::warn!("group refused: {why}");
                        return Ok(None);
                    }
                    Err(error) => blocked = Some(error),
                }
            }
            one_of(found, blocked, &query)
        })
    }

    fn write(this: &Arc<Self>, now: u64) -> Write {
        Write::Groups(vec![Arc::clone(this)], now)
    }

    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup) {
        lookup.publish_group(this, fetched, lookup.members.get(&Query::Sid(this.sid.clone())).as_ref(), None);
    }

    fn hide(query: &Query, lookup: &Lookup) {
        lookup.withdraw_group(query);
    }

    fn removal(&self) -> Option<Write> {
        Some(Write::Remove(self.sid.clone()))
    }
}

/// The group of a user's own name and id (`primary_group = "user-private"`).
async fn private_group(lookup: &Arc<Lookup>, query: &Query) -> Result<Option<GroupRecord>, Error> {
    let Some(answer) = lookup.resolve::<UserRecord>(query.clone(), Freshness::Cached).await? else { return Ok(None) };
    let user = &answer.value;
    Ok(Some(GroupRecord {
        domain: user.domain.clone(),
        sid: user.sid.clone(),
        guid: user.guid.clone(),
        dn: user.dn.clone(),
        sam: user.sam.clone(),
        name: if lookup.is_reserved_group(&user.name) {
            format!("{}@{}", user.name, user.domain)
        } else {
            user.name.clone()
        },
        gid: user.uid,
    }))
}

impl Lookup {
    /// Starts one batched search for the names of all groups among `sids` that are not known yet. Whoever asks for
    /// one of them meanwhile waits for this search instead of sending another.
    pub(super) fn prefetch_groups(self: &Arc<Self>, sids: &[Sid]) {
        let mut pilots = Vec::new();
        for sid in sids {
            let query = Query::Sid(sid.clone());
            if self.groups.get(&query).is_some()
                || self.groups.is_absent(&query, self.now(), self.settings.negative_ttl.as_secs())
            {
                continue;
            }
            match self.groups.flights.lead(query) {
                Ok(Ok((pilot, _))) => pilots.push(pilot),
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        if pilots.is_empty() {
            return;
        }
        let lookup = Arc::clone(self);
        tokio::spawn(async move {
            let mut wanted: Vec<Sid> = Vec::new();
            let mut left = Vec::new();
            for pilot in pilots {
                // The disk may know it: a restart does not make 150 names be asked for again.
                match lookup.cached::<GroupRecord>(pilot.key()).await {
                    Some(answer) if answer.source == Source::Cache => pilot.land(Ok(Some(answer.value))),
                    _ => {
                        if let Query::Sid(sid) = pilot.key() {
                            wanted.push(sid.clone());
                        }
                        left.push(pilot);
                    }
                }
            }
            let found = lookup.groups_by_sids(&wanted).await;
            for pilot in left {
                let answer = match &found {
                    Ok(groups) => {
                        Ok(groups.iter().find(|group| Query::Sid(group.sid.clone()) == *pilot.key()).cloned())
                    }
                    Err(error) => Err(error.clone()),
                };
                if let Ok(None) = &answer {
                    lookup.set_absent::<GroupRecord>(pilot.key().clone());
                }
                pilot.land(answer);
            }
        });
    }

    /// Groups by SID, in one batched search per domain, remembered.
    async fn groups_by_sids(self: &Arc<Self>, sids: &[Sid]) -> Result<Vec<Arc<GroupRecord>>, Error> {
        let mut groups = Vec::new();
        for domain in &self.domains {
            let info = self.learn(domain).await?;
            let own: Vec<Sid> = sids.iter().filter(|sid| sid.domain().as_ref() == Some(&info.sid)).cloned().collect();
            if own.is_empty() {
                continue;
            }
            for entry in domain.directory.by_sids(&own).await? {
                if let Entry::Group(entry) = entry {
                    groups.extend(self.mint_group(domain, &info, *entry).map(|group| self.remember(group)));
                }
            }
        }
        Ok(groups)
    }
}
