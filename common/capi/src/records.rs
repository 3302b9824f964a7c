//! Users, groups, and the groups of a user: from the shared cache, then from the daemon.

use entra_wire::cache_map::{Key, Limits, Mapped, View};
use entra_wire::guard::{begins_with_member, fits_lines, id_may_be_ours, name_may_be_ours};
use entra_wire::nss;
use entra_wire::nss::{GroupIds, Passwd, Request};

use crate::host::{self, Bounds};
use crate::status::Failure;

/// Whom a record is asked for by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// A name in any form.
    Name(&'a [u8]),
    /// uid or gid.
    Id(u32),
}

/// A user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Name, gecos, home, shell.
    pub(crate) texts: [Vec<u8>; 4],
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: Vec<u8>,
    pub(crate) gid: u32,
    /// Canonical names.
    pub(crate) members: Vec<Vec<u8>>,
}

/// The user that is asked for.
pub(crate) fn user(by: By<'_>) -> Result<User, Failure> {
    if let Some(user) = host::in_map(|view, limits| user_in_map(view, limits, by)).unwrap_or(Ok(None))? {
        return Ok(user);
    }
    let bounds = Bounds::read()?;
    let request = match by {
        By::Name(name) if name_may_be_ours(name) && !bounds.users.have(name) => Request::PasswdByName(name),
        By::Id(uid) if id_may_be_ours(uid, &bounds.ranges) && !bounds.users.have_id(uid) => Request::PasswdByUid(uid),
        _ => return Err(Failure::NotFound),
    };
    let mut body = Vec::new();
    let mut reader = host::ask(&request, &mut body)?;
    let user = Passwd::read(&mut reader)?;
    reader.end()?;
    let is_asked = if let By::Id(uid) = by { uid == user.uid } else { true };
    let is_ours = is_asked
        && name_may_be_ours(user.name)
        && id_may_be_ours(user.uid, &bounds.ranges)
        && id_may_be_ours(user.gid, &bounds.ranges)
        && !bounds.users.have(user.name)
        && !bounds.users.have_id(user.uid)
        && [user.gecos, user.home, user.shell].into_iter().all(fits_lines);
    let texts = [user.name, user.gecos, user.home, user.shell].map(<[u8]>::to_vec);
    if is_ours { Ok(User { texts, uid: user.uid, gid: user.gid }) } else { Err(Failure::NotFound) }
}

fn user_in_map(view: &View<'_, Mapped>, limits: &Limits, by: By<'_>) -> Result<Option<User>, Failure> {
    let key = match by {
        By::Name(name) if !name_may_be_ours(name) => return Err(Failure::NotFound),
        By::Name(name) => Key::UserName(name),
        By::Id(uid) => Key::Uid(uid),
    };
    let Some(user) = limits.user(view, &key)?.filter(|user| limits.serves(view, user.gid)) else { return Ok(None) };
    let mut space = Box::new_uninit_slice(user.text_length());
    let Some(copy) = user.copy(&mut space) else { return Ok(None) };
    if !limits.names_user(copy.name()) || !fits_lines(copy.text) || !view.is_current() {
        return Ok(None);
    }
    let text = |from: usize| copy.text.get(from..).and_then(|rest| rest.split(|byte| *byte == 0).next());
    let texts = [0, copy.gecos, copy.home, copy.shell].map(|from| text(from).unwrap_or_default().to_vec());
    Ok(Some(User { texts, uid: user.uid, gid: user.gid }))
}

/// The group that is asked for: by name with all of its members, by gid with those that are known at hand.
pub(crate) fn group(by: By<'_>) -> Result<Group, Failure> {
    if let Some(group) = host::in_map(|view, limits| group_in_map(view, limits, by)).unwrap_or(Ok(None))? {
        return Ok(group);
    }
    let bounds = Bounds::read()?;
    let request = match by {
        By::Name(name) if name_may_be_ours(name) && !bounds.groups.have(name) => Request::GroupByName(name),
        By::Id(gid) if id_may_be_ours(gid, &bounds.ranges) && !bounds.groups.have_id(gid) => Request::GroupByGid(gid),
        _ => return Err(Failure::NotFound),
    };
    let mut body = Vec::new();
    let mut reader = host::ask(&request, &mut body)?;
    let group = nss::Group::read(&mut reader)?;
    reader.end()?;
    let is_asked = if let By::Id(gid) = by { gid == group.gid } else { true };
    let is_ours = is_asked
        && name_may_be_ours(group.name)
        && id_may_be_ours(group.gid, &bounds.ranges)
        && !bounds.groups.have(group.name)
        && !bounds.groups.have_id(group.gid);
    if !is_ours {
        return Err(Failure::NotFound);
    }
    // A member is known by the name alone: one that is local, or cannot be ours, would speak of another account.
    let members = group.members.filter(|member| name_may_be_ours(member) && !bounds.users.have(member));
    Ok(Group { name: group.name.to_vec(), gid: group.gid, members: members.map(<[u8]>::to_vec).collect() })
}

fn group_in_map(view: &View<'_, Mapped>, limits: &Limits, by: By<'_>) -> Result<Option<Group>, Failure> {
    let (key, whole) = match by {
        By::Name(name) if !name_may_be_ours(name) => return Err(Failure::NotFound),
        By::Name(name) => (Key::GroupName(name), true),
        By::Id(gid) => (Key::Gid(gid), false),
    };
    let Some(group) = limits.group(view, &key, whole)? else { return Ok(None) };
    let mut space = Box::new_uninit_slice(group.text_length());
    let Some(copy) = group.copy(&mut space) else { return Ok(None) };
    let name = copy.text.get(..copy.name_length).unwrap_or_default();
    if !limits.names_group(name) || !fits_lines(copy.text) {
        return Ok(None);
    }
    let member = |at: u32| {
        let is_member = begins_with_member(copy.text, at as usize, &limits.local.users);
        copy.text.get(at as usize..).filter(|_| is_member)?.split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
    };
    let Some(members) = group.member_offsets().map(member).collect::<Option<Vec<_>>>() else { return Ok(None) };
    if members.len() != group.member_count() || !view.is_current() {
        return Ok(None);
    }
    Ok(Some(Group { name: name.to_vec(), gid: group.gid, members }))
}

/// The gids of the user with this name: the primary group first, the others ascending, each once.
pub(crate) fn groups_of(name: &[u8]) -> Result<Vec<u32>, Failure> {
    if let Some(gids) = host::in_map(|view, limits| groups_in_map(view, limits, name)).unwrap_or(Ok(None))? {
        return Ok(gids);
    }
    let bounds = Bounds::read()?;
    if !name_may_be_ours(name) || bounds.users.have(name) {
        return Err(Failure::NotFound);
    }
    let mut body = Vec::new();
    let mut reader = host::ask(&Request::Initgroups(name), &mut body)?;
    let groups = GroupIds::read(&mut reader)?;
    reader.end()?;
    let is_ours = |gid: u32| id_may_be_ours(gid, &bounds.ranges) && !bounds.groups.have_id(gid);
    if !is_ours(groups.primary) {
        return Err(Failure::NotFound);
    }
    Ok(primary_first(groups.primary, groups.iter().filter(|gid| is_ours(*gid))))
}

fn groups_in_map(view: &View<'_, Mapped>, limits: &Limits, name: &[u8]) -> Result<Option<Vec<u32>>, Failure> {
    if !name_may_be_ours(name) {
        return Err(Failure::NotFound);
    }
    let Some(user) = limits.user(view, &Key::UserName(name))? else { return Ok(None) };
    let Some(found) = view.groups_of(user.uid) else { return Ok(None) };
    let gids = primary_first(found.primary, found.gids());
    let is_ours = |gid: &u32| limits.serves(view, *gid) && !limits.local.groups.have_id(*gid);
    // Anything that an honest daemon would not have published, and the daemon is asked.
    let is_sound = gids.iter().all(is_ours) && gids.len() == found.count() + 1 && view.is_current();
    Ok(is_sound.then_some(gids))
}

fn primary_first(primary: u32, others: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut others: Vec<u32> = others.filter(|gid| *gid != primary).collect();
    others.sort_unstable();
    others.dedup();
    others.insert(0, primary);
    others
}
