//! Groups: what the algorithm needs to know of them, and the batched search for the names behind tokenGroups.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::Error;
use crate::config::PrimaryGroup;
use crate::store::{Change, IdentityStore, Stored};
use crate::types::{GroupRecord, NameForm, Sid, UserRecord, fold};

use super::flight::Pilot;
use super::known::{KnownNames, only};
use super::resolve::{Subject, Work};
use super::shelf::{Found, Shelf};
use super::users::one_of;
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

    fn sid(&self) -> &Sid {
        &self.sid
    }

    fn keys(&self, lookup: &Lookup) -> Vec<Query> {
        let mut keys = vec![Query::Sid(self.sid.clone()), Query::Name(fold(&self.name))];
        keys.extend(lookup.id_as_key(self.gid));
        keys
    }

    fn other_keys(&self, lookup: &Lookup) -> Vec<Query> {
        let former = self.former_sids.iter().cloned().map(Query::FormerSid);
        lookup.qualified_names(&self.domain, &self.sam).into_iter().chain(former).collect()
    }

    fn load(store: &IdentityStore, query: &Query, names: &KnownNames) -> Result<Option<Stored<Self>>, Error> {
        match query {
            Query::Id(gid) => store.group_by_gid(*gid),
            Query::Sid(sid) => store.group_by_sid(sid),
            Query::FormerSid(sid) => store.group_by_former_sid(sid),
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

    fn write(this: &Arc<Self>, now: u64) -> Change {
        Change::Groups(vec![Arc::clone(this)], now)
    }

    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup) {
        lookup.publish_group(this, fetched, lookup.members.get(&Query::Sid(this.sid.clone())).as_ref(), None);
    }

    fn hide(query: &Query, lookup: &Lookup) {
        lookup.withdraw_group(query);
    }

    fn removal(&self) -> Option<Change> {
        Some(Change::Remove(self.sid.clone()))
    }
}

/// Groups whose names are asked for at once.
const BATCH: usize = 240;
/// Of those, batches that are on their way at once.
const BATCHES: usize = 2;

type GroupPilot = Pilot<Query, Found<GroupRecord>>;
/// What was asked for, and what came.
type Batch = (Vec<Sid>, Result<Vec<Arc<GroupRecord>>, Error>);

/// The group of a user's own name and id (`primary_group = "user-private"`).
async fn private_group(lookup: &Arc<Lookup>, query: &Query) -> Result<Option<GroupRecord>, Error> {
    let Some(answer) = lookup.resolve::<UserRecord>(query.clone(), Freshness::Cached).await? else { return Ok(None) };
    let user = &answer.value;
    Ok(Some(GroupRecord {
        domain: user.domain.clone(),
        sid: user.sid.clone(),
        former_sids: user.former_sids.clone(),
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
    /// Starts the search for the names of all groups among `sids` that are not known yet, in few batches. Whoever asks
    /// for one of them meanwhile waits for its batch instead of searching, too.
    pub(super) fn prefetch_groups(self: &Arc<Self>, sids: &[Sid]) {
        let mut pilots = HashMap::new();
        for sid in sids {
            let query = Query::Sid(sid.clone());
            if self.groups.get(&query).is_some()
                || self.groups.is_absent(&query, self.now(), self.settings.negative_ttl.as_secs())
            {
                continue;
            }
            match self.groups.flights.lead(query) {
                Ok(Ok((pilot, _))) => drop(pilots.insert(sid.clone(), pilot)),
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        if !pilots.is_empty() {
            tokio::spawn(Arc::clone(self).name_groups(pilots));
        }
    }

    /// Lands these flights: from the disk those that it knows (a restart does not make 150 names be asked for again), then
    /// from the directory, the lowest SIDs first, because `id` asks in the order of the gids.
    async fn name_groups(self: Arc<Self>, mut pilots: HashMap<Sid, GroupPilot>) {
        let mut wanted: Vec<Sid> = pilots.keys().cloned().collect();
        wanted.sort_unstable();
        for (group, fetched) in self.stored_groups_of(wanted.clone()).await {
            if self.is_fresh(fetched, self.now())
                && let Some(pilot) = pilots.remove(&group.sid)
            {
                pilot.land(Ok(Some(group)));
            }
        }
        wanted.retain(|sid| pilots.contains_key(sid));
        let mut batches = wanted.chunks(BATCH);
        let mut asking: JoinSet<Batch> = JoinSet::new();
        loop {
            while asking.len() < BATCHES
                && let Some(sids) = batches.next()
            {
                let (lookup, sids) = (Arc::clone(&self), sids.to_vec());
                asking.spawn(async move {
                    let found = lookup.groups_by_sids(&sids).await;
                    (sids, found)
                });
            }
            let Some(batch) = asking.join_next().await else { return };
            let Ok((sids, found)) = batch else { continue };
            let groups: Result<HashMap<Sid, Arc<GroupRecord>>, Error> =
                found.map(|groups| groups.into_iter().map(|group| (group.sid.clone(), group)).collect());
            for sid in sids {
                let Some(pilot) = pilots.remove(&sid) else { continue };
                let answer = groups.as_ref().map(|groups| groups.get(&sid).cloned()).map_err(Clone::clone);
                if let Ok(None) = &answer {
                    self.set_absent::<GroupRecord>(Query::Sid(sid));
                }
                pilot.land(answer);
            }
        }
    }

    /// These groups as the disk has them, in memory from now on.
    async fn stored_groups_of(&self, sids: Vec<Sid>) -> Vec<(Arc<GroupRecord>, u64)> {
        let stored = self.with_store(move |store| store.groups_by_sids(&sids)).await;
        let stored = stored.unwrap_or_else(|error| {
            log::warn!("the store could not be read, the directory is asked: {error}");
            Vec::new()
        });
        let dated = stored.into_iter().map(|stored| (Arc::new(stored.value), stored.fetched));
        dated.inspect(|(group, fetched)| self.groups.put_older(group.keys(self), group, *fetched)).collect()
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
            let found = domain.directory.groups_by_sids(&own).await?;
            groups.extend(found.into_iter().filter_map(|entry| self.mint_group(domain, &info, entry)).map(Arc::new));
        }
        self.remember_groups(&groups);
        Ok(groups)
    }
}
