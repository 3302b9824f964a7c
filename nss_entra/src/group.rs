//! group: `getgrnam`, `getgrgid`, `getgrent`.

use libc::c_char;
use libnss::group::CGroup;

use entra_wire::cache_map::{Key, Limits, Mapped, View, reader};
use entra_wire::guard::{ID_FLOOR, begins_with_member, fits_lines, id_may_be_ours, name_may_be_ours};
use entra_wire::local_names::LocalNames;
use entra_wire::nss::{Group, Request};
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::buffer::Destination;
use crate::daemon::{Deadline, ask};
use crate::enumeration::{Next, Stream};
use crate::local::{self, refuse_local};
use crate::shared;
use crate::status::Failure;

static STREAM: Stream = Stream::new(|cursor| Request::GroupList(cursor), Group::LEAST, local::group);

/// `getgrnam`: the group of this name, with all of its members.
pub(crate) fn by_name(name: &[u8], mut into: Destination<'_, CGroup>) -> Result<(), Failure> {
    if !name_may_be_ours(name) {
        return Err(Failure::NotFound);
    }
    let settings = Settings::current();
    let given = shared::ask(settings, |view, limits| {
        let group = limits.group(view, &Key::GroupName(name), true)?;
        group.map_or(Ok(None), |group| from_map(view, limits, &group, into.reborrow()))
    })?;
    if given.is_some() {
        return Ok(());
    }
    let stated = Stated::of_config(&settings.config);
    if stated.reserved.have(name) {
        return Err(Failure::NotFound);
    }
    let mut body = Vec::new();
    let group = look_up(&Request::GroupByName(name), settings, &mut body)?;
    if !may_be_ours(&group, &stated) {
        return Err(Failure::NotFound);
    }
    refuse_local(local::group(), &[name, group.name], Some(group.gid))?;
    pack(group, into)
}

/// `getgrgid`: the group with the members that the daemon has at hand.
pub(crate) fn by_gid(gid: u32, mut into: Destination<'_, CGroup>) -> Result<(), Failure> {
    if gid < ID_FLOOR {
        return Err(Failure::NotFound);
    }
    let settings = Settings::current();
    let given = shared::ask(settings, |view, limits| {
        let group = limits.group(view, &Key::Gid(gid), false)?;
        group.map_or(Ok(None), |group| from_map(view, limits, &group, into.reborrow()))
    })?;
    if given.is_some() {
        return Ok(());
    }
    let stated = Stated::of_config(&settings.config);
    if !id_may_be_ours(gid, &stated.ranges) {
        return Err(Failure::NotFound);
    }
    let mut body = Vec::new();
    let group = look_up(&Request::GroupByGid(gid), settings, &mut body)?;
    if group.gid != gid || !may_be_ours(&group, &stated) {
        return Err(Failure::NotFound);
    }
    refuse_local(local::group(), &[group.name], Some(gid))?;
    pack(group, into)
}

/// `getgrent`: the next group of the enumeration.
pub(crate) fn next(mut into: Destination<'_, CGroup>) -> Result<(), Failure> {
    let settings = Settings::current();
    STREAM.next(settings, |reader, stated, local| {
        let group = Group::read(reader)?;
        if !may_be_ours(&group, stated) || local.have(group.name) || local.have_id(group.gid) {
            return Ok(Next::Skipped);
        }
        pack(group, into.reborrow())?;
        Ok(Next::Given)
    })
}

/// `setgrent`, `endgrent`: from the start again, and nothing is held.
#[allow(clippy::unnecessary_wraps)] // The shape of an entry point's body.
pub(crate) fn rewind() -> Result<(), Failure> {
    STREAM.rewind();
    Ok(())
}

/// Gives the group that the shared cache has, copied and judged in the copy as strictly as what comes from the socket.
/// What an honest daemon would not have published is asked for there.
fn from_map(
    view: &View<'_, Mapped>,
    limits: &Limits,
    group: &reader::Group<'_, Mapped>,
    into: Destination<'_, CGroup>,
) -> Result<Option<()>, Failure> {
    let Destination { record, mut buffer } = into;
    // One more than members: C ends the array with a null pointer.
    let members = buffer.pointers(group.member_count().saturating_add(1))?;
    let Some(copy) = group.copy(buffer.take(group.text_length())?) else { return Ok(None) };
    let name = copy.text.get(..copy.name_length).unwrap_or_default();
    if !limits.names_group(name) || !fits_lines(copy.text) {
        return Ok(None);
    }
    let count = group.member_count();
    let (slots, users) = (members.get_mut(..count).unwrap_or_default(), &limits.local.users);
    let is_filled = point_at(slots, group.member_offsets(), copy.text, users);
    if !is_filled || !view.is_current() {
        return Ok(None);
    }
    let base = copy.text.as_mut_ptr();
    record.write(CGroup {
        name: base.cast(),
        passwd: base.wrapping_add(copy.name_length + 1).cast(),
        gid: group.gid,
        members: members.as_mut_ptr(),
    });
    Ok(Some(()))
}

/// Lets each of `members` point at what stands in `text`, which ends with NUL, at the offset of its turn: what begins inside
/// it ends inside it. False where a member is not one, or offsets are missing.
#[inline(never)] // On its own it has registers enough; this loop is what a large group costs.
fn point_at(
    members: &mut [*mut c_char],
    offsets: impl Iterator<Item = u32>,
    text: &mut [u8],
    users: &LocalNames,
) -> bool {
    let base = text.as_mut_ptr();
    let count = members.len();
    let mut filled = 0;
    for (slot, at) in members.iter_mut().zip(offsets) {
        if !begins_with_member(text, at as usize, users) {
            return false;
        }
        *slot = base.wrapping_add(at as usize).cast();
        filled += 1;
    }
    filled == count
}

fn look_up<'b>(request: &Request<'_>, settings: &Settings, body: &'b mut Vec<u8>) -> Result<Group<'b>, Failure> {
    let mut reader = ask(request, settings, Deadline::start(settings), body)?;
    let group = Group::read(&mut reader)?;
    reader.end()?;
    Ok(group)
}

/// Programs of the host give rights to a reserved name: whoever carries it, it is not the directory's.
fn may_be_ours(group: &Group<'_>, stated: &Stated) -> bool {
    name_may_be_ours(group.name) && !stated.reserved.have(group.name) && id_may_be_ours(group.gid, &stated.ranges)
}

fn pack(group: Group<'_>, into: Destination<'_, CGroup>) -> Result<(), Failure> {
    let Destination { record, mut buffer } = into;
    // One more than members: C ends the array with a null pointer.
    let members = buffer.pointers(group.members.len().saturating_add(1))?;
    // A member is known by the name alone: one that is local, or cannot be ours, would speak of another account.
    let local = if members.len() > 1 { Some(local::names(local::passwd())?) } else { None };
    let is_ours = |member: &&[u8]| name_may_be_ours(member) && !local.as_ref().is_some_and(|local| local.have(member));
    for (slot, member) in members.iter_mut().zip(group.members.filter(is_ours)) {
        *slot = buffer.string(member)?;
    }
    record.write(CGroup {
        name: buffer.string(group.name)?,
        passwd: buffer.string(b"*")?,
        gid: group.gid,
        members: members.as_mut_ptr(),
    });
    Ok(())
}
