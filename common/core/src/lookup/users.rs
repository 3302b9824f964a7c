//! Users: what the algorithm needs to know of them.

use std::sync::Arc;

use crate::Error;
use crate::store::{Change, IdentityStore, Stored};
use crate::types::{NameForm, Sid, UserRecord, fold};

use super::known::{KnownNames, only};
use super::resolve::{Subject, Work};
use super::shelf::Shelf;
use super::{Lookup, Query};

impl Subject for UserRecord {
    fn shelf(lookup: &Lookup) -> &Shelf<Self> {
        &lookup.users
    }

    fn normalise(lookup: &Lookup, query: Query) -> Option<Query> {
        lookup.normalise_id(query)
    }

    fn sid(&self) -> &Sid {
        &self.sid
    }

    fn keys(&self, lookup: &Lookup) -> Vec<Query> {
        let mut keys = vec![Query::Sid(self.sid.clone()), Query::Name(fold(&self.name))];
        keys.extend(lookup.id_as_key(self.uid));
        keys.extend(self.upn.as_deref().map(Query::name));
        keys
    }

    fn other_keys(&self, lookup: &Lookup) -> Vec<Query> {
        let former = self.former_sids.iter().cloned().map(Query::FormerSid);
        lookup.qualified_names(&self.domain, &self.sam).into_iter().chain(former).collect()
    }

    fn load(store: &IdentityStore, query: &Query, names: &KnownNames) -> Result<Option<Stored<Self>>, Error> {
        match query {
            Query::Id(uid) => store.user_by_uid(*uid),
            Query::Sid(sid) => store.user_by_sid(sid),
            Query::FormerSid(sid) => store.user_by_former_sid(sid),
            Query::Name(name) => {
                let Some(form) = NameForm::parse(name) else { return Ok(None) };
                let by_upn = match &form {
                    NameForm::At { .. } => store.users_by_upn(name)?,
                    _ => Vec::new(),
                };
                if let Some(found) = only(by_upn) {
                    return Ok(Some(found));
                }
                match names.account(&form) {
                    Some(_) if matches!(form, NameForm::At { .. }) && !names.implied => Ok(None),
                    Some((domain, account)) => Ok(only(store.users_by_sam(domain, &account)?)),
                    None => Ok(None),
                }
            }
        }
    }

    fn fetch(lookup: Arc<Lookup>, query: Query) -> Work<Option<Self>> {
        Box::pin(async move {
            if let Query::Name(name) = &query
                && lookup.is_local_user(name)
            {
                return Ok(None);
            }
            let plan = lookup.plan(&query, true).await;
            let mut blocked = plan.blocked;
            let mut found = Vec::new();
            for step in plan.steps {
                match step.domain.directory.user(&step.key).await {
                    Ok(Some(entry)) => {
                        let info = lookup.learn(step.domain).await?;
                        found.extend(lookup.mint_user(step.domain, &info, entry));
                    }
                    Ok(None) => {}
                    Err(Error::Ambiguous(why)) => {
                        log::warn!("user refused: {why}");
                        return Ok(None);
                    }
                    Err(error) => blocked = Some(error),
                }
            }
            one_of(found, blocked, &query)
        })
    }

    fn write(this: &Arc<Self>, now: u64) -> Change {
        Change::User(Arc::clone(this), now)
    }

    fn show(this: &Arc<Self>, fetched: u64, lookup: &Lookup) {
        lookup.publish_user(this, fetched, None);
    }

    fn hide(query: &Query, lookup: &Lookup) {
        lookup.withdraw_user(query);
    }

    fn removal(&self) -> Option<Change> {
        Some(Change::Remove(self.sid.clone()))
    }
}

/// The one answer of several domains: none is guessed where two have one, and a domain that could not be asked never
/// makes "there is none".
pub(super) fn one_of<T>(mut found: Vec<T>, blocked: Option<Error>, query: &Query) -> Result<Option<T>, Error> {
    match (found.len(), blocked) {
        (0, Some(error)) => Err(error),
        (0, None) => Ok(None),
        (1, _) => Ok(found.pop()),
        _ => {
            log::warn!("{query:?} is held by several domains: refused, name the domain as well");
            Ok(None)
        }
    }
}
