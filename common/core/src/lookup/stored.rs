//! The lists that pickers show: users and groups page by page in the order of their names, from the store alone, so also
//! in an outage. Where a domain is enumerated everybody stands in them, else who was looked up.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::config::UsernameFormat;
use crate::control::{AccountRef, Accounts, Position, Range, Reply};
use crate::store::{IdentityStore, Kind, Part};
use crate::types::{DomainId, GroupRecord, fold};

use super::snapshot::{Kept, Row};
use super::{DomainContext, Lookup, UserLine};

/// Most accounts in one reply: a fraction of the protocol's largest frame, with the longest names too.
const MOST: u32 = 500;
/// Longest wait for the first enumeration of a domain, well within what a person waits for a list.
const PATIENCE: Duration = Duration::from_secs(2);

impl Lookup {
    /// Users that are in the store. Whoever begins a list of a domain that may be enumerated has it brought up to date
    /// behind the answer; the very first time the answer waits for that, for some seconds at most.
    ///
    /// # Errors
    /// As the store; [`Error::Config`] where the range names a domain that is not configured.
    pub async fn stored_users(self: &Arc<Self>, range: Range) -> Result<Reply, Error> {
        self.stored::<UserLine>(range).await
    }

    /// Groups that are in the store; as [`Lookup::stored_users`].
    ///
    /// # Errors
    /// As [`Lookup::stored_users`].
    pub async fn stored_groups(self: &Arc<Self>, range: Range) -> Result<Reply, Error> {
        self.stored::<GroupRecord>(range).await
    }

    async fn stored<T: Row>(self: &Arc<Self>, range: Range) -> Result<Reply, Error> {
        if range.after.is_none() {
            self.bring_lists_up_to_date::<T>().await?;
        }
        let prefix = fold(&range.prefix);
        let domains: Vec<_> = self.domains.iter().map(|domain| Shown::of(domain, &prefix)).collect();
        self.writes.drain().await;
        let list = move |store: &IdentityStore| collect(store, T::KIND, &domains, &range);
        self.with_store(list).await.map(Reply::Accounts)
    }

    async fn bring_lists_up_to_date<T: Row>(self: &Arc<Self>) -> Result<(), Error> {
        for (at, domain) in self.domains.iter().enumerate().filter(|(_, domain)| domain.config.enumerate) {
            self.local_files()?;
            let Some(snapshot) = Kept::<T>::begin(self, at) else { continue };
            let name = domain.config.name.clone();
            if self.with_store(move |store| store.enumerated(T::KIND, &name)).await?.is_none() {
                snapshot.settled(PATIENCE).await;
            }
        }
        Ok(())
    }
}

/// What is shown of a domain.
struct Shown {
    name: DomainId,
    /// How the names begin that were asked for; `None` where no name of this domain can.
    prefix: Option<String>,
    enumerated: bool,
}

impl Shown {
    fn of(domain: &DomainContext, folded: &str) -> Self {
        let netbios = domain.info().map(|info| info.netbios);
        let down_level = domain.config.username_format == UsernameFormat::DownLevel;
        let prefix = prefix(folded, netbios.as_deref(), down_level);
        Self { name: domain.config.name.clone(), prefix, enumerated: domain.config.enumerate }
    }
}

/// How canonical names begin that a person means by the beginning of a name, typed with or without the domain before it.
fn prefix(folded: &str, netbios: Option<&str>, down_level: bool) -> Option<String> {
    let account = match folded.split_once('\\') {
        Some((domain, account)) if netbios.is_some_and(|netbios| fold(netbios) == domain) => account,
        Some(_) => return None,
        None => folded,
    };
    match netbios {
        Some(netbios) if down_level => Some(format!("{netbios}\\{account}")),
        _ => Some(account.to_owned()),
    }
}

fn collect(store: &IdentityStore, kind: Kind, domains: &[Shown], range: &Range) -> Result<Accounts, Error> {
    let start = match &range.after {
        Some(position) => domains
            .iter()
            .position(|domain| domain.name == position.domain)
            .ok_or_else(|| Error::Config(format!("the domain {} is not configured", position.domain)))?,
        None => 0,
    };
    let most = range.limit.map_or(MOST, |limit| limit.clamp(1, MOST)) as usize;
    let mut accounts = Vec::new();
    for domain in &domains[start..] {
        let Some(prefix) = &domain.prefix else { continue };
        let after = range.after.as_ref().filter(|after| after.domain == domain.name).map(|after| after.name.as_str());
        // One more than is given says whether there is more.
        let limit = (most + 1 - accounts.len()) as u32;
        let page = store.page(kind, &domain.name, Part { prefix, after, limit })?;
        accounts.extend(page.into_iter().map(|row| AccountRef {
            name: row.name,
            domain: domain.name.clone(),
            id: row.id,
            sid: row.sid.to_string(),
        }));
        if accounts.len() > most {
            break;
        }
    }
    let more = accounts.len() > most;
    accounts.truncate(most);
    let next = accounts.last().filter(|_| more);
    let next = next.map(|last| Position { domain: last.domain.clone(), name: last.name.clone() });
    let mut complete = !domains.is_empty();
    for domain in domains {
        complete &= domain.enumerated && store.enumerated(kind, &domain.name)?.is_some();
    }
    Ok(Accounts { accounts, next, complete })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Listed};
    use crate::types::Sid;

    #[test]
    fn a_prefix_is_typed_with_the_domain_or_without() {
        let known = Some("AADDS");
        assert_eq!(prefix("al", known, false).as_deref(), Some("al"));
        assert_eq!(prefix("aadds\\al", known, false).as_deref(), Some("al"));
        assert_eq!(prefix("other\\al", known, false), None);
        assert_eq!(prefix("al", known, true).as_deref(), Some("AADDS\\al"));
        assert_eq!(prefix("aadds\\al", known, true).as_deref(), Some("AADDS\\al"));
        assert_eq!(prefix("", known, true).as_deref(), Some("AADDS\\"));
        assert_eq!(prefix("al", None, false).as_deref(), Some("al"));
    }

    #[test]
    fn every_account_of_every_domain_is_listed_once() {
        let folder = std::env::temp_dir().join(format!("entra-stored-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = IdentityStore::open(&folder.join("identity.db")).unwrap();
        let sid: Sid = "S-1-5-21-1-2-3".parse().unwrap();
        let row = |at: u32, name: String| Listed { sid: sid.with_rid(at).unwrap(), name, id: at };
        let rows: Vec<_> = (0..1250).map(|at| row(at, format!("{}{at:04}", ["al", "bo"][at as usize % 2]))).collect();
        let changes = [
            Change::Listed(Kind::Users, "a.example".into(), rows, 1),
            Change::Enumerated(Kind::Users, "a.example".into(), 1),
            Change::Listed(
                Kind::Users,
                "b.example".into(),
                (2000..2004).map(|at| row(at, format!("al{at}"))).collect(),
                1,
            ),
        ];
        store.apply(&changes).unwrap();
        let domains = |prefix: &str, both: bool| -> Vec<Shown> {
            let shown = |name: &str| Shown { name: name.into(), prefix: Some(prefix.into()), enumerated: true };
            ["a.example", "b.example"].into_iter().take(1 + usize::from(both)).map(shown).collect()
        };
        for (prefix, limit, wanted) in [("", None, 1254), ("al", None, 629), ("al000", Some(2), 5), ("x", None, 0)] {
            let mut range = Range { limit, ..Range::default() };
            let mut seen = Vec::new();
            loop {
                let part = collect(&store, Kind::Users, &domains(prefix, true), &range).unwrap();
                assert!(part.accounts.len() <= limit.unwrap_or(MOST) as usize);
                assert!(!part.complete, "nobody has enumerated the second domain");
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
        assert!(collect(&store, Kind::Users, &domains("", false), &Range::default()).unwrap().complete);
        assert!(collect(&store, Kind::Groups, &domains("", false), &Range::default()).unwrap().accounts.is_empty());
        let nowhere = Position { domain: "c.example".into(), name: String::new() };
        let range = Range { after: Some(nowhere), ..Range::default() };
        assert!(collect(&store, Kind::Users, &domains("", true), &range).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
