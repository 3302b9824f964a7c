//! What the shared cache is told: answers as memory holds them, and what is withdrawn.
//!
//! Every answer of the directory is published as it is remembered, and again when the socket gives it: then under the
//! name that was asked for, too. "There is none" is published when the socket says it. Each publication is made under
//! the cache's lock and only if memory still holds that very answer, and memory forgets before the cache does: what is
//! withdrawn cannot be published after.

use std::sync::Arc;

use crate::cache::{Key, SharedCache};
use crate::types::{GroupRecord, Sid, UserRecord};

use super::resolve::Subject;
use super::shelf::Dated;
use super::{Answer, Lookup, MemberList, Memberships, Query};

/// For how long an answer past its life is published, in seconds: it is being asked for again, or the directory is away.
const STALE: u64 = 5;

impl Lookup {
    /// Publishes answers in this cache from now on. The first call counts.
    pub fn publish_to(&self, cache: SharedCache) {
        // A second cache would be of no use to anybody.
        let _ = self.published.set(cache);
    }

    /// The shared cache, for its upkeep.
    pub fn shared_cache(&self) -> Option<&SharedCache> {
        self.published.get()
    }

    /// Publishes a user that was given to somebody who asked so.
    pub fn show_user(&self, answer: &Answer<UserRecord>, asked: &Query) {
        // What was guessed in an outage is not held under the name that was asked for, and not published under it.
        let asked = Some(asked).filter(|asked| self.users.holds(asked, &answer.value));
        self.publish_user(&answer.value, answer.fetched, asked);
    }

    /// Publishes a group that was given, with its members where they were given too.
    pub fn show_group(&self, answer: &Answer<GroupRecord>, members: Option<&Answer<MemberList>>, asked: &Query) {
        let members = members.map(|members| (Arc::clone(&members.value), members.fetched));
        self.publish_group(&answer.value, answer.fetched, members.as_ref(), Some(asked));
    }

    /// Publishes the groups of a user that were given: these gids, without the primary one.
    pub fn show_groups_of(&self, user: &UserRecord, answer: &Answer<Memberships>, gids: &[u32]) {
        self.publish_gids(user, &answer.value, answer.fetched, gids);
    }

    /// Publishes that there is no such user.
    pub fn show_no_user(&self, asked: &Query) {
        match asked {
            Query::Name(name) => self.publish_absent::<UserRecord>(asked, &Key::UserName(name.as_bytes())),
            Query::Id(uid) => self.publish_absent::<UserRecord>(asked, &Key::Uid(*uid)),
            Query::Sid(_) | Query::FormerSid(_) => {}
        }
    }

    /// Publishes that there is no such group.
    pub fn show_no_group(&self, asked: &Query) {
        match asked {
            Query::Name(name) => self.publish_absent::<GroupRecord>(asked, &Key::GroupName(name.as_bytes())),
            Query::Id(gid) => self.publish_absent::<GroupRecord>(asked, &Key::Gid(*gid)),
            Query::Sid(_) | Query::FormerSid(_) => {}
        }
    }

    pub(super) fn publish_user(&self, user: &Arc<UserRecord>, fetched: u64, asked: Option<&Query>) {
        let Some(cache) = self.published.get() else { return };
        let names = names(user.keys(self), asked);
        cache.publish_user(user, &names, self.life(&user.sid, fetched), || {
            self.users.holds(&Query::Sid(user.sid.clone()), user)
        });
    }

    pub(super) fn publish_group(
        &self,
        group: &Arc<GroupRecord>,
        fetched: u64,
        members: Option<&Dated<MemberList>>,
        asked: Option<&Query>,
    ) {
        let Some(cache) = self.published.get() else { return };
        let names = names(group.keys(self), asked);
        let query = Query::Sid(group.sid.clone());
        let list = members.map(|(list, _)| list.user_names()).unwrap_or_default();
        // A list past its life is shown by gid, where any is better than none, and not by name.
        let whole = members.map_or(0, |(_, since)| self.left(&group.sid, *since));
        cache.publish_group(group, &list, &names, (self.life(&group.sid, fetched), whole), || {
            self.groups.holds(&query, group) && members.is_none_or(|(list, _)| self.members.holds(&query, list))
        });
    }

    /// The groups of a user were learned: they are published where they can be computed, and withdrawn until somebody
    /// asks for them where they cannot.
    pub(super) fn publish_memberships(&self, memberships: &Arc<Memberships>, fetched: u64) {
        let Some(cache) = self.published.get() else { return };
        let user = self.users.get(&Query::Sid(memberships.user.clone()));
        let gids = user.as_ref().and_then(|(user, _)| self.computed_group_ids(user, memberships));
        match (user, gids) {
            (Some((user, _)), Some(gids)) => self.publish_gids(&user, memberships, fetched, &gids),
            _ => cache.withdraw_groups_of(&memberships.user.to_bytes()),
        }
    }

    fn publish_gids(&self, user: &UserRecord, memberships: &Arc<Memberships>, fetched: u64, gids: &[u32]) {
        let Some(cache) = self.published.get() else { return };
        let query = Query::Sid(memberships.user.clone());
        cache.publish_groups_of(user, gids, self.life(&user.sid, fetched), || {
            self.memberships.holds(&query, memberships)
        });
    }

    fn publish_absent<T: Subject>(&self, asked: &Query, key: &Key<'_>) {
        let Some(cache) = self.published.get() else { return };
        let shelf = T::shelf(self);
        match T::normalise(self, asked.clone()) {
            // It cannot be ours.
            None => cache.publish_absent(key, self.settings.negative_ttl.as_secs(), || true),
            Some(query) => {
                let until = shelf.absent_until(&query).unwrap_or_default();
                cache.publish_absent(key, until.saturating_sub(self.now()), || shelf.get(&query).is_none());
            }
        }
    }

    pub(super) fn withdraw_user(&self, query: &Query) {
        let Some(cache) = self.published.get() else { return };
        match query {
            Query::Name(name) => cache.withdraw(&Key::UserName(name.as_bytes())),
            Query::Id(uid) => cache.withdraw(&Key::Uid(*uid)),
            Query::Sid(sid) => {
                cache.withdraw_groups_of(&sid.to_bytes());
                cache.withdraw(&Key::UserSid(&sid.to_bytes()));
            }
            // Nothing is published under it.
            Query::FormerSid(_) => {}
        }
    }

    pub(super) fn withdraw_group(&self, query: &Query) {
        let Some(cache) = self.published.get() else { return };
        match query {
            Query::Name(name) => cache.withdraw(&Key::GroupName(name.as_bytes())),
            Query::Id(gid) => cache.withdraw(&Key::Gid(*gid)),
            Query::Sid(sid) => cache.withdraw(&Key::GroupSid(&sid.to_bytes())),
            Query::FormerSid(_) => {}
        }
    }

    pub(super) fn withdraw_memberships(&self, query: &Query) {
        if let (Some(cache), Query::Sid(sid)) = (self.published.get(), query) {
            cache.withdraw_groups_of(&sid.to_bytes());
        }
    }

    pub(super) fn withdraw_members(&self, query: &Query) {
        if let (Some(cache), Query::Sid(sid)) = (self.published.get(), query) {
            cache.withdraw_members_of(&sid.to_bytes());
        }
    }

    /// How long an answer of this moment about this account is published, in seconds.
    fn life(&self, sid: &Sid, fetched: u64) -> u64 {
        self.left(sid, fetched).max(STALE)
    }

    /// How long it needs no other one, in seconds: until it is due; from then on, because it is being asked for, until it
    /// is past its life.
    fn left(&self, sid: &Sid, fetched: u64) -> u64 {
        let age = self.now().saturating_sub(fetched);
        let due = self.due_age(sid);
        if age < due { due - age } else { self.settings.cache_ttl.as_secs().saturating_sub(age) }
    }
}

/// The folded names among the keys of an answer, with the one that was asked for.
fn names(keys: Vec<Query>, asked: Option<&Query>) -> Vec<String> {
    let mut names: Vec<String> = keys
        .into_iter()
        .chain(asked.cloned())
        .filter_map(|key| if let Query::Name(name) = key { Some(name) } else { None })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
