//! passwd: `getpwnam`, `getpwuid`, `getpwent`.

use libnss::passwd::CPasswd;

use entra_wire::cache_map::reader::User;
use entra_wire::cache_map::{Key, Limits, Mapped, View};
use entra_wire::guard::{ID_FLOOR, fits_lines, id_may_be_ours, name_may_be_ours};
use entra_wire::nss::{Passwd, Request};
use entra_wire::ranges::Ranges;
use entra_wire::settings::Settings;
use entra_wire::stated::Stated;

use crate::buffer::Destination;
use crate::daemon::{Deadline, ask};
use crate::enumeration::{Next, Stream};
use crate::local::{self, refuse_local};
use crate::shared;
use crate::status::Failure;

static STREAM: Stream = Stream::new(|cursor| Request::PasswdList(cursor), Passwd::LEAST, local::passwd);

/// `getpwnam`: the user that has this name in any of its forms.
pub(crate) fn by_name(name: &[u8], mut into: Destination<'_, CPasswd>) -> Result<(), Failure> {
    if !name_may_be_ours(name) {
        return Err(Failure::NotFound);
    }
    let settings = Settings::current();
    let given = shared::ask(settings, |view, limits| {
        let user = limits.user(view, &Key::UserName(name))?;
        user.map_or(Ok(None), |user| from_map(view, limits, &user, into.reborrow()))
    })?;
    if given.is_some() {
        return Ok(());
    }
    let mut body = Vec::new();
    let user = look_up(&Request::PasswdByName(name), settings, &mut body)?;
    if !may_be_ours(&user, &Stated::of_config(&settings.config).ranges) {
        return Err(Failure::NotFound);
    }
    refuse_local(local::passwd(), &[name, user.name], Some(user.uid))?;
    pack(&user, into)
}

/// `getpwuid`.
pub(crate) fn by_uid(uid: u32, mut into: Destination<'_, CPasswd>) -> Result<(), Failure> {
    if uid < ID_FLOOR {
        return Err(Failure::NotFound);
    }
    let settings = Settings::current();
    let given = shared::ask(settings, |view, limits| {
        let user = limits.user(view, &Key::Uid(uid))?;
        user.map_or(Ok(None), |user| from_map(view, limits, &user, into.reborrow()))
    })?;
    if given.is_some() {
        return Ok(());
    }
    let ranges = Stated::of_config(&settings.config).ranges;
    if !id_may_be_ours(uid, &ranges) {
        return Err(Failure::NotFound);
    }
    let mut body = Vec::new();
    let user = look_up(&Request::PasswdByUid(uid), settings, &mut body)?;
    if user.uid != uid || !may_be_ours(&user, &ranges) {
        return Err(Failure::NotFound);
    }
    refuse_local(local::passwd(), &[user.name], Some(uid))?;
    pack(&user, into)
}

/// `getpwent`: the next user of the enumeration.
pub(crate) fn next(mut into: Destination<'_, CPasswd>) -> Result<(), Failure> {
    let settings = Settings::current();
    STREAM.next(settings, |reader, stated, local| {
        let user = Passwd::read(reader)?;
        if !may_be_ours(&user, &stated.ranges) || local.have(user.name) || local.have_id(user.uid) {
            return Ok(Next::Skipped);
        }
        pack(&user, into.reborrow())?;
        Ok(Next::Given)
    })
}

/// `setpwent`, `endpwent`: from the start again, and nothing is held.
#[allow(clippy::unnecessary_wraps)] // The shape of an entry point's body.
pub(crate) fn rewind() -> Result<(), Failure> {
    STREAM.rewind();
    Ok(())
}

/// Gives the user that the shared cache has, copied and judged in the copy as strictly as what comes from the socket.
/// What an honest daemon would not have published is asked for there.
fn from_map(
    view: &View<'_, Mapped>,
    limits: &Limits,
    user: &User<'_, Mapped>,
    into: Destination<'_, CPasswd>,
) -> Result<Option<()>, Failure> {
    if !limits.serves(view, user.gid) {
        return Ok(None);
    }
    let Destination { record, mut buffer } = into;
    let Some(text) = user.copy(buffer.take(user.text_length())?) else { return Ok(None) };
    // Gecos is free text, which the daemon has cleared of what would break its line: as strict as for the others.
    if !limits.names_user(text.name()) || !fits_lines(text.text) || !view.is_current() {
        return Ok(None);
    }
    let base = text.text.as_mut_ptr();
    record.write(CPasswd {
        name: base.cast(),
        passwd: base.wrapping_add(text.password).cast(),
        uid: user.uid,
        gid: user.gid,
        gecos: base.wrapping_add(text.gecos).cast(),
        dir: base.wrapping_add(text.home).cast(),
        shell: base.wrapping_add(text.shell).cast(),
    });
    Ok(Some(()))
}

fn look_up<'b>(request: &Request<'_>, settings: &Settings, body: &'b mut Vec<u8>) -> Result<Passwd<'b>, Failure> {
    let mut reader = ask(request, settings, Deadline::start(settings), body)?;
    let user = Passwd::read(&mut reader)?;
    reader.end()?;
    Ok(user)
}

/// Whatever the daemon says: no name of root, no id that the configuration does not grant, no path that would break a
/// line of passwd.
fn may_be_ours(user: &Passwd<'_>, ranges: &Ranges) -> bool {
    let is_path = |path: &[u8]| !path.iter().any(|byte| *byte == b':' || byte.is_ascii_control());
    name_may_be_ours(user.name)
        && id_may_be_ours(user.uid, ranges)
        && id_may_be_ours(user.gid, ranges)
        && is_path(user.home)
        && is_path(user.shell)
}

fn pack(user: &Passwd<'_>, into: Destination<'_, CPasswd>) -> Result<(), Failure> {
    let Destination { record, mut buffer } = into;
    record.write(CPasswd {
        name: buffer.string(user.name)?,
        // Nobody's hash: the password is the KDC's to check.
        passwd: buffer.string(b"*")?,
        uid: user.uid,
        gid: user.gid,
        gecos: buffer.field(user.gecos)?,
        dir: buffer.string(user.home)?,
        shell: buffer.string(user.shell)?,
    });
    Ok(())
}
