//! `nss.sock`: lookups of the NSS module and of `libentra`. Anybody may ask; everything here is public on the host.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use entra_core::Error;
use entra_core::lookup::{Answer, Freshness, Lookup, Query, UserLine};
use entra_core::types::{GroupRecord, UserRecord};
use entra_wire::codec::Writer;
use entra_wire::guard::name_may_be_ours;
use entra_wire::nss::{Group, GroupIds, Passwd, Request, status_frame};
use entra_wire::protocol::{MAX_REPLY, Status};

use super::identify;
use super::serve::{self, Peer};

/// Answers lookups.
pub(super) struct Service {
    lookup: Arc<Lookup>,
}

impl Service {
    pub(super) fn new(lookup: Arc<Lookup>) -> Self {
        Self { lookup }
    }

    async fn reply(&self, peer: Peer, request: Request<'_>) -> Result<Option<Writer>, Error> {
        match request {
            Request::PasswdByName(name) => self.user(query(name)).await,
            Request::PasswdByUid(uid) => self.user(Some(Query::Id(uid))).await,
            Request::GroupByName(name) => self.group(query(name), true).await,
            Request::GroupByGid(gid) => self.group(Some(Query::Id(gid)), false).await,
            Request::Initgroups(name) => self.initgroups(query(name)).await,
            Request::PasswdByPrincipal { name, realm } => self.principal(peer, name, realm).await,
            Request::Identify(subjects) => Ok(Some(identify::identities(&self.lookup, peer.uid, subjects).await)),
            Request::Health => Ok(Some(identify::health(&self.lookup))),
            Request::PasswdList(cursor) => self.list_users(cursor).await.map(Some),
            Request::GroupList(cursor) => self.list_groups(cursor).await.map(Some),
        }
    }

    async fn user(&self, query: Option<Query>) -> Result<Option<Writer>, Error> {
        let Some(query) = query else { return Ok(None) };
        let Some(user) = self.known_user(&query).await? else { return Ok(None) };
        let mut writer = Writer::reply(Status::Ok);
        passwd(&user.value).write(&mut writer);
        Ok(Some(writer))
    }

    /// Whoever lets people in is root, and gets what the directory says now.
    async fn principal(&self, peer: Peer, name: &[u8], realm: &[u8]) -> Result<Option<Writer>, Error> {
        let (Ok(name), Ok(realm)) = (std::str::from_utf8(name), std::str::from_utf8(realm)) else { return Ok(None) };
        let freshness = if peer.uid == 0 { Freshness::Fresh } else { Freshness::Cached };
        let Some(user) = self.lookup.user_of_principal(name, realm, freshness).await? else { return Ok(None) };
        let mut writer = Writer::reply(Status::Ok);
        passwd(&user.value).write(&mut writer);
        Ok(Some(writer))
    }

    async fn known_user(&self, query: &Query) -> Result<Option<Answer<UserRecord>>, Error> {
        let user = self.lookup.user(query.clone(), Freshness::Cached).await?;
        match &user {
            Some(user) => self.lookup.show_user(user, query),
            None => self.lookup.show_no_user(query),
        }
        Ok(user)
    }

    async fn group(&self, query: Option<Query>, whole: bool) -> Result<Option<Writer>, Error> {
        let Some(query) = query else { return Ok(None) };
        let Some(group) = self.lookup.group(query.clone(), Freshness::Cached).await? else {
            self.lookup.show_no_group(&query);
            return Ok(None);
        };
        let members = if whole {
            self.lookup.members(&group.value.sid, Freshness::Cached).await?
        } else {
            self.lookup.cached_members(&group.value.sid).await
        };
        self.lookup.show_group(&group, members.as_ref(), &query);
        let group = group.value;
        let names = members.as_ref().map(|list| list.value.user_names()).unwrap_or_default();
        let mut writer = Writer::reply(Status::Ok);
        write_group(&mut writer, &group, &names);
        Ok(Some(writer))
    }

    async fn initgroups(&self, query: Option<Query>) -> Result<Option<Writer>, Error> {
        let Some(query) = query else { return Ok(None) };
        let Some(user) = self.known_user(&query).await? else { return Ok(None) };
        let user = user.value;
        let Some(memberships) = self.lookup.memberships(&user.sid, Freshness::Cached).await? else { return Ok(None) };
        let ids = self.lookup.group_ids(&user, &memberships.value).await?;
        self.lookup.show_groups_of(&user, &memberships, &ids);
        let mut writer = Writer::reply(Status::Ok);
        GroupIds::write(&mut writer, user.gid, &ids);
        Ok(Some(writer))
    }

    async fn list_users(&self, cursor: &[u8]) -> Result<Writer, Error> {
        let listing = self.lookup.list_users(cursor).await?;
        let mut writer = Writer::reply(Status::Ok);
        writer.cursor(&listing.cursor).count(listing.records.len());
        for user in &listing.records {
            line(user).write(&mut writer);
        }
        Ok(writer)
    }

    async fn list_groups(&self, cursor: &[u8]) -> Result<Writer, Error> {
        let listing = self.lookup.list_groups(cursor).await?;
        let mut writer = Writer::reply(Status::Ok);
        writer.cursor(&listing.cursor).count(listing.records.len());
        for group in &listing.records {
            let members = self.lookup.cached_members(&group.sid).await;
            let names = members.as_ref().map(|list| list.value.user_names()).unwrap_or_default();
            write_group(&mut writer, group, &names);
        }
        Ok(writer)
    }
}

impl serve::Service for Service {
    const DESCRIPTORS: usize = 0;

    async fn answer(&self, peer: Peer, body: Vec<u8>, _: Vec<OwnedFd>) -> Vec<u8> {
        // No process of ours resolves through ourselves: that would wait for its own answer.
        if peer.pid.is_some_and(|pid| pid.cast_unsigned() == std::process::id()) {
            return status_frame(Status::NotFound);
        }
        let Ok(request) = Request::decode(&body) else { return status_frame(Status::BadRequest) };
        match self.reply(peer, request).await {
            Ok(Some(writer)) if writer.body_len() <= MAX_REPLY => writer.finish(),
            Ok(Some(_)) => {
                log::error!("an answer is longer than {MAX_REPLY} bytes and cannot be sent");
                status_frame(Status::Offline)
            }
            Ok(None) => status_frame(Status::NotFound),
            Err(error) => {
                log::debug!("lookup: {error}");
                status_frame(status(&error))
            }
        }
    }
}

/// A name that could be one of ours, as a query.
fn query(name: &[u8]) -> Option<Query> {
    if !name_may_be_ours(name) {
        return None;
    }
    std::str::from_utf8(name).ok().map(Query::name)
}

/// "Not found" is never made of an error: whoever cannot tell says so.
fn status(error: &Error) -> Status {
    match error {
        Error::Busy(_) => Status::Busy,
        _ => Status::Offline,
    }
}

fn passwd(user: &UserRecord) -> Passwd<'_> {
    Passwd {
        name: user.name.as_bytes(),
        gecos: user.gecos.as_bytes(),
        home: user.home.as_bytes(),
        shell: user.shell.as_bytes(),
        uid: user.uid,
        gid: user.gid,
    }
}

fn line(user: &UserLine) -> Passwd<'_> {
    Passwd {
        name: user.name().as_bytes(),
        gecos: user.gecos().as_bytes(),
        home: user.home().as_bytes(),
        shell: user.shell().as_bytes(),
        uid: user.uid,
        gid: user.gid,
    }
}

fn write_group(writer: &mut Writer, group: &GroupRecord, members: &[&str]) {
    Group::write(writer, group.name.as_bytes(), group.gid, members.iter().map(|name| name.as_bytes()));
}
