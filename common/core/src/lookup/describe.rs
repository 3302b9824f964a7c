//! What an administrator asks of users and groups: a request of `ctl.sock`, and its reply. The daemon answers from what
//! it keeps; `entractl --direct` answers itself, from a store that is empty.

use std::sync::Arc;

use crate::Error;
use crate::control::{AccountRef, Accounts, LookupKey, Position, Range, Reply, SshKeys};
use crate::store::IdentityStore;
use crate::types::{GroupRecord, Sid, UserRecord, fold};

use super::{Freshness, Lookup, Query};

/// Most accounts in one reply: a fraction of the protocol's largest frame, with the longest names too.
const MOST: usize = 500;
/// Records that are read from the store at once.
const STEP: u32 = 500;

impl Lookup {
    /// One user.
    ///
    /// # Errors
    /// As [`Lookup::user`], and [`Error::Config`] for a SID that is none.
    pub async fn describe_user(self: &Arc<Self>, key: LookupKey) -> Result<Reply, Error> {
        match self.user(query(key)?, Freshness::Cached).await? {
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
        match self.group(query(key)?, Freshness::Cached).await? {
            Some(answer) => Ok(Reply::Group(Box::new(self.group_view(answer).await?))),
            None => Ok(Reply::NotFound),
        }
    }

    /// Whatever has this SID.
    ///
    /// # Errors
    /// As [`Lookup::describe_user`].
    pub async fn describe_sid(self: &Arc<Self>, sid: String) -> Result<Reply, Error> {
        match self.describe_user(LookupKey::Sid(sid.clone())).await? {
            Reply::NotFound => self.describe_group(LookupKey::Sid(sid)).await,
            found => Ok(found),
        }
    }

    /// Users that are in the store.
    ///
    /// # Errors
    /// As the store.
    pub async fn stored_users(self: &Arc<Self>, range: Range) -> Result<Reply, Error> {
        self.stored(range, |store, domain, after| {
            let page = store.users_page(domain, after, STEP)?;
            Ok(page.iter().map(|user| AccountRef::from(&user.value)).collect())
        })
        .await
    }

    /// Groups that are in the store.
    ///
    /// # Errors
    /// As the store.
    pub async fn stored_groups(self: &Arc<Self>, range: Range) -> Result<Reply, Error> {
        self.stored(range, |store, domain, after| {
            let page = store.groups_page(domain, after, STEP)?;
            Ok(page.iter().map(|group| AccountRef::from(&group.value)).collect())
        })
        .await
    }

    async fn stored(self: &Arc<Self>, range: Range, page: Page) -> Result<Reply, Error> {
        let domains: Vec<_> = self.domains.iter().map(|domain| domain.config.name.clone()).collect();
        self.writes.drain().await;
        self.with_store(move |store| collect(store, &domains, &range, page)).await.map(Reply::Accounts)
    }
}

/// Reads the accounts of a domain that stand behind a name.
type Page = fn(&IdentityStore, &str, Option<&str>) -> Result<Vec<AccountRef>, Error>;

fn collect(store: &IdentityStore, domains: &[String], range: &Range, page: Page) -> Result<Accounts, Error> {
    let prefix = fold(&range.prefix);
    let start = match &range.after {
        Some(position) => domains
            .iter()
            .position(|domain| *domain == position.domain)
            .ok_or_else(|| Error::Config(format!("the domain {} is not configured", position.domain)))?,
        None => 0,
    };
    let mut accounts = Vec::new();
    for domain in domains.iter().skip(start) {
        let mut after = range.after.as_ref().filter(|position| position.domain == *domain).map(|it| it.name.clone());
        loop {
            let read = page(store, domain, after.as_deref())?;
            let Some(last) = read.last() else { break };
            after = Some(last.name.clone());
            for account in read {
                if !fold(&account.name).starts_with(&prefix) {
                    continue;
                }
                if accounts.len() == MOST {
                    let next = accounts.last().map(position);
                    return Ok(Accounts { accounts, next });
                }
                accounts.push(account);
            }
        }
    }
    Ok(Accounts { accounts, next: None })
}

fn position(account: &AccountRef) -> Position {
    Position { domain: account.domain.clone(), name: account.name.clone() }
}

fn query(key: LookupKey) -> Result<Query, Error> {
    Ok(match key {
        LookupKey::Name(name) => Query::name(&name),
        LookupKey::Id(id) => Query::Id(id),
        LookupKey::Sid(sid) => Query::Sid(sid.parse::<Sid>().map_err(|error| Error::Config(error.to_string()))?),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A store's page of made-up names, forty at a time.
    #[allow(clippy::unnecessary_wraps)] // It stands for a function of the store, which may fail.
    fn page(_: &IdentityStore, domain: &str, after: Option<&str>) -> Result<Vec<AccountRef>, Error> {
        let names: Vec<_> = (0..1250).map(|at| format!("{}{at:04}", if at % 2 == 0 { "Al" } else { "bo" })).collect();
        let mut names: Vec<_> = if domain == "b.example" { names[..4].to_vec() } else { names };
        names.sort();
        let behind = names.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after)).take(40);
        Ok(behind.map(|name| AccountRef { name, domain: domain.into(), id: 1, sid: String::new() }).collect())
    }

    #[test]
    fn every_account_of_every_domain_is_listed_once() {
        let folder = std::env::temp_dir().join(format!("entra-describe-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = IdentityStore::open(&folder.join("identity.db")).unwrap();
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        for (prefix, wanted) in [("", 1254), ("al", 627), ("AL000", 7), ("x", 0)] {
            let mut range = Range { prefix: prefix.into(), after: None };
            let mut seen = Vec::new();
            loop {
                let part = collect(&store, &domains, &range, page).unwrap();
                assert!(part.accounts.len() <= MOST);
                seen.extend(part.accounts.into_iter().map(|account| (account.domain, account.name)));
                match part.next {
                    Some(next) => range.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen.len(), wanted, "{prefix:?}");
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            assert_eq!(once, seen, "in order, and no name twice");
        }
        let nowhere = Position { domain: "c.example".into(), name: String::new() };
        assert!(collect(&store, &domains, &Range { prefix: String::new(), after: Some(nowhere) }, page).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
