//! Whose quotas are set: the users of the domains that the daemon knows, and those that have files on the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use entra_core::config::Config;
use entra_core::control::{LookupKey, Range, Reply, Request, UserView};
use entra_core::types::Sid;

use super::tools::Kept;
use crate::daemon::{self, exchange};
use crate::exit::{Exit, Failure};

/// Longest wait for an answer of the daemon.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// Asks the daemon, and remembers what it said for the next file system.
pub(super) struct People<'a> {
    socket: &'a Path,
    ranges: Vec<(u32, u32)>,
    /// Names by uid, of those that the daemon lists.
    listed: BTreeMap<u32, String>,
    seen: BTreeMap<u32, Option<User>>,
}

/// A user of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// Canonical name; empty where it cannot be told whether there is such a user.
    pub name: String,
    /// gids of its groups, nested ones among them; `None` where they cannot be told now.
    pub groups: Option<BTreeSet<u32>>,
}

/// Who counts on one file system.
#[derive(Debug, Default)]
pub(super) struct Whose {
    /// By uid.
    pub users: BTreeMap<u32, User>,
    /// gids of the groups that have limits, in their order.
    pub gids: Vec<u32>,
    /// Ids that have files there, could be a domain's, and are no user's.
    pub not_users: Vec<u32>,
}

impl<'a> People<'a> {
    /// Lists the users that the daemon knows.
    ///
    /// # Errors
    /// Where it does not answer, or no domain is configured.
    pub(super) fn new(config: &Config, socket: &'a Path) -> Result<Self, Failure> {
        if config.domains.is_empty() {
            return Err(Failure::no("quota", "no domain is configured").remedy("`entractl join DOMAIN`"));
        }
        let (mut listed, mut range) = (BTreeMap::new(), Range::default());
        loop {
            let request = Request::Users { range: range.clone() };
            let Reply::Accounts(part) = daemon::ask(socket, "quota", &request)? else {
                return Err(daemon::unexpected("quota"));
            };
            listed.extend(part.accounts.into_iter().map(|account| (account.id, account.name)));
            match part.next {
                Some(next) => range.after = Some(next),
                None => break,
            }
        }
        let ranges = config.domains.iter().map(|domain| domain.id_range).collect();
        Ok(Self { socket, ranges, listed, seen: BTreeMap::new() })
    }

    /// The users that count on a file system where these have files or limits. A group that does not exist is a failure:
    /// its members would get less than they were meant to have.
    ///
    /// # Errors
    /// Where a group is not found, or the daemon does not answer.
    pub(super) fn on(
        &mut self,
        groups: &[(String, entra_core::config::Limits)],
        present: &BTreeMap<u32, Kept>,
    ) -> Result<Whose, Failure> {
        let gids = groups.iter().map(|(name, _)| self.gid(name)).collect::<Result<Vec<_>, _>>()?;
        let mut whose = Whose { gids, ..Whose::default() };
        let ours = |uid: u32| self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&uid));
        let strangers = present.iter().filter(|(_, kept)| kept.files > 0 || kept.used > 0).map(|(uid, _)| *uid);
        let strangers: Vec<_> = strangers.filter(|uid| ours(*uid) && !self.listed.contains_key(uid)).collect();
        if whose.gids.is_empty() {
            let users = self
                .listed
                .iter()
                .map(|(uid, name)| (*uid, User { name: name.clone(), groups: Some(BTreeSet::new()) }));
            whose.users.extend(users);
        } else {
            for uid in self.listed.keys().copied().collect::<Vec<_>>() {
                whose.users.extend(self.user(uid)?.map(|user| (uid, user)));
            }
        }
        for uid in strangers {
            match self.user(uid)? {
                Some(user) if whose.gids.is_empty() && !user.name.is_empty() => {
                    whose.users.insert(uid, User { groups: Some(BTreeSet::new()), ..user });
                }
                Some(user) => drop(whose.users.insert(uid, user)),
                None => whose.not_users.push(uid),
            }
        }
        Ok(whose)
    }

    fn gid(&self, name: &str) -> Result<u32, Failure> {
        let key = match name.parse::<Sid>() {
            Ok(sid) => LookupKey::Sid(sid.to_string()),
            Err(_) => LookupKey::Name(name.to_owned()),
        };
        match daemon::ask(self.socket, "quota", &Request::Group { key }) {
            Ok(Reply::Group(group)) => Ok(group.gid),
            Ok(_) => Err(daemon::unexpected("quota")),
            Err(failure) if failure.exit == Exit::No => Err(Failure::no("quota", format!("there is no group {name}"))
                .remedy("correct its name in entra.toml: nothing was changed, because its members would get less")),
            Err(failure) => Err(Failure { error: format!("the group {name}: {}", failure.error), ..failure }),
        }
    }

    /// The user of this uid; `None` where there is none.
    fn user(&mut self, uid: u32) -> Result<Option<User>, Failure> {
        if let Some(known) = self.seen.get(&uid) {
            return Ok(known.clone());
        }
        let request = Request::User { key: LookupKey::Id(uid) };
        let user = match exchange(self.socket, "quota", &request, TIMEOUT)? {
            Reply::User(view) => Some(User::from(*view)),
            // An outage, and nothing kept: whoever it may be keeps what they have.
            Reply::Offline { .. } => {
                Some(User { name: self.listed.get(&uid).cloned().unwrap_or_default(), groups: None })
            }
            _ => None,
        };
        self.seen.insert(uid, user.clone());
        Ok(user)
    }
}

impl From<UserView> for User {
    fn from(view: UserView) -> Self {
        // Everybody is in one group at least: no group at all means that they are not known.
        let groups: BTreeSet<_> = view.groups.iter().map(|group| group.gid).collect();
        Self { name: view.name, groups: (!groups.is_empty()).then_some(groups) }
    }
}
