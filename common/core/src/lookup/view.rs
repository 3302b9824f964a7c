//! What `entractl` shows of a user or group.

use std::sync::Arc;

use crate::Error;
use crate::control::{GroupRef, GroupView, UserView};
use crate::types::{AccountState, GroupRecord, Sid, UserRecord};

use super::{Answer, Freshness, Lookup, Query};

impl Lookup {
    /// A user with its groups, as far as they are known.
    ///
    /// # Errors
    /// As [`Lookup::memberships`], except that an outage leaves the groups out.
    pub async fn user_view(self: &Arc<Self>, answer: Answer<UserRecord>) -> Result<UserView, Error> {
        let user = &answer.value;
        let groups = match self.memberships(&user.sid, Freshness::Cached).await {
            Ok(Some(memberships)) => self.group_refs(user, &memberships.value.groups).await,
            Ok(None) | Err(Error::Offline(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let now = self.now();
        Ok(UserView {
            name: user.name.clone(),
            domain: user.domain.clone(),
            sam_account_name: user.sam.clone(),
            user_principal_name: user.upn.clone(),
            sid: user.sid.to_string(),
            former_sids: user.former_sids.iter().map(ToString::to_string).collect(),
            dn: user.dn.clone(),
            uid: user.uid,
            gid: user.gid,
            gecos: user.gecos.clone(),
            home: user.home.clone(),
            shell: user.shell.clone(),
            flags: user.state.flags(now),
            groups,
            source: answer.source,
            age_seconds: now.saturating_sub(answer.fetched),
            // What logins keep is known to them alone: whoever answers an administrator fills these in.
            offline_ready: false,
            offline_until: None,
        })
    }

    /// A group with its members, asked for where they are not known.
    ///
    /// # Errors
    /// As [`Lookup::members`], except that an outage leaves the members out.
    pub async fn group_view(self: &Arc<Self>, answer: Answer<GroupRecord>) -> Result<GroupView, Error> {
        let group = &answer.value;
        let members = match self.members(&group.sid, Freshness::Cached).await {
            Ok(list) => list.map(|list| list.value.user_names().into_iter().map(str::to_owned).collect()),
            Err(Error::Offline(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(GroupView {
            name: group.name.clone(),
            domain: group.domain.clone(),
            sam_account_name: group.sam.clone(),
            sid: group.sid.to_string(),
            former_sids: group.former_sids.iter().map(ToString::to_string).collect(),
            dn: group.dn.clone(),
            gid: group.gid,
            members,
            source: answer.source,
            age_seconds: self.now().saturating_sub(answer.fetched),
        })
    }

    async fn group_refs(self: &Arc<Self>, user: &UserRecord, groups: &[Sid]) -> Vec<GroupRef> {
        self.prefetch_groups(groups);
        let mut refs = Vec::with_capacity(groups.len() + 1);
        for sid in groups.iter().chain(std::iter::once(&user.primary_group)) {
            let name = self.group(Query::Sid(sid.clone()), Freshness::Cached).await.ok().flatten();
            let gid = name.as_ref().map(|group| group.value.gid).or_else(|| self.mapper.id_of(sid));
            refs.extend(gid.map(|gid| GroupRef { name: name.map(|group| group.value.name.clone()), gid }));
        }
        refs.sort_by_key(|group| group.gid);
        refs.dedup_by_key(|group| group.gid);
        refs
    }
}

impl AccountState {
    /// The account's flags in words, at this Unix time.
    pub fn flags(&self, now: u64) -> Vec<String> {
        let all = [
            ("disabled", self.is_disabled()),
            ("locked", self.is_locked()),
            ("expired", self.is_expired(now)),
            ("must-change-password", self.must_change()),
            ("password-expired", self.password_expired()),
            ("outside-logon-hours", !self.hour_is_permitted(now)),
            ("smartcard-required", self.needs_smartcard()),
            ("password-not-required", self.control & Self::PASSWORD_NOT_REQUIRED != 0),
        ];
        all.into_iter().filter(|(_, set)| *set).map(|(word, _)| word.to_owned()).collect()
    }
}
