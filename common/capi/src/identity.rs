//! Which SID, name and id belong together: from the shared cache, many in one view of it, then from the daemon.

use std::mem::MaybeUninit;

use entra_wire::cache_map::layout::MAX_SID;
use entra_wire::cache_map::{Key, Limits, Mapped, View};
use entra_wire::guard::{id_may_be_ours, name_may_be_ours};
use entra_wire::identity::{Identity, Subject, Subjects};
use entra_wire::nss::Request;
use entra_wire::protocol::{MAX_NAME, MAX_SUBJECTS};

use crate::host::{self, Bounds};
use crate::status::Failure;

/// What a record is; the numbers are `entra.h`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// `ENTRA_USER`
    User = 1,
    /// `ENTRA_GROUP`
    Group = 2,
}

/// A user or group, in memory that lasts for one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: u32,
    pub(crate) sid: &'a [u8],
    pub(crate) name: &'a [u8],
}

impl Account<'_> {
    /// Whether this is an answer to a question about `subject`. Names are not compared: an account has several.
    fn answers(&self, subject: &Subject<'_>) -> bool {
        match *subject {
            Subject::Sid(sid) => self.sid == sid,
            Subject::Uid(uid) => self.kind == Kind::User && self.id == uid,
            Subject::Gid(gid) => self.kind == Kind::Group && self.id == gid,
            Subject::User(_) => self.kind == Kind::User,
            Subject::Group(_) => self.kind == Kind::Group,
        }
    }
}

/// One subject; `take` sees the account.
pub(crate) fn one<T>(subject: Subject<'_>, mut take: impl FnMut(&Account<'_>) -> T) -> Result<T, Failure> {
    let mut result = Err(Failure::Unavailable);
    many(&[Some(subject)], |_, found| result = found.map(&mut take));
    result
}

/// Each subject by its index; `None` is nobody's SID. One that fails at the socket fails with all that would have been
/// asked after it: a daemon that hangs is waited for once.
pub(crate) fn many(subjects: &[Option<Subject<'_>>], mut tell: impl FnMut(usize, Result<&Account<'_>, Failure>)) {
    let mut open = Vec::new();
    let seen = host::in_map(|view, limits| {
        for (at, subject) in subjects.iter().enumerate() {
            let Some(subject) = subject else {
                tell(at, Err(Failure::Invalid));
                continue;
            };
            match from_map(view, limits, subject, |account| tell(at, Ok(account))) {
                Ok(Some(())) => {}
                Ok(None) => open.push((at, *subject)),
                Err(failure) => tell(at, Err(failure)),
            }
        }
    });
    if seen.is_none() {
        for (at, subject) in subjects.iter().enumerate() {
            match subject {
                None => tell(at, Err(Failure::Invalid)),
                Some(subject) => open.push((at, *subject)),
            }
        }
    }
    if !open.is_empty() {
        from_daemon(open, tell);
    }
}

/// What the map says: judged as strictly as what comes from the socket, where what an honest daemon would not have
/// published is asked for.
fn from_map<T>(
    view: &View<'_, Mapped>,
    limits: &Limits,
    subject: &Subject<'_>,
    take: impl FnOnce(&Account<'_>) -> T,
) -> Result<Option<T>, Failure> {
    let (user_key, group_key) = match *subject {
        Subject::User(name) | Subject::Group(name) if !name_may_be_ours(name) => return Err(Failure::NotFound),
        Subject::Sid(sid) => (Some(Key::UserSid(sid)), Some(Key::GroupSid(sid))),
        Subject::Uid(uid) => (Some(Key::Uid(uid)), None),
        Subject::Gid(gid) => (None, Some(Key::Gid(gid))),
        Subject::User(name) => (Some(Key::UserName(name)), None),
        Subject::Group(name) => (None, Some(Key::GroupName(name))),
    };
    let user = user_key.map_or(Ok(None), |key| limits.user(view, &key))?;
    let group = match (&user, group_key) {
        (None, Some(key)) => limits.group(view, &key, false)?,
        _ => None,
    };
    let mut name = [MaybeUninit::uninit(); MAX_NAME];
    let mut sid = [MaybeUninit::uninit(); MAX_SID];
    let (account, name_fits) = if let Some(user) = user {
        let (Some(name), Some(sid)) = (user.name(&mut name), user.sid(&mut sid)) else { return Ok(None) };
        let name_fits = limits.names_user(name);
        (Account { kind: Kind::User, id: user.uid, sid, name }, name_fits)
    } else if let Some(group) = group {
        let (Some(name), Some(sid)) = (group.name(&mut name), group.sid(&mut sid)) else { return Ok(None) };
        let name_fits = limits.names_group(name);
        (Account { kind: Kind::Group, id: group.gid, sid, name }, name_fits)
    } else {
        return Ok(None);
    };
    let is_sound = account.answers(subject) && name_fits && view.is_current();
    Ok(is_sound.then(|| take(&account)))
}

/// What the daemon says of these subjects, each with the index that is told.
fn from_daemon(mut subjects: Vec<(usize, Subject<'_>)>, mut tell: impl FnMut(usize, Result<&Account<'_>, Failure>)) {
    let bounds = match Bounds::read() {
        Ok(bounds) => bounds,
        Err(failure) => return subjects.iter().for_each(|(at, _)| tell(*at, Err(failure))),
    };
    subjects.retain(|(at, subject)| {
        let asked = may_be_asked(subject, &bounds);
        if !asked {
            tell(*at, Err(Failure::NotFound));
        }
        asked
    });
    let mut failed = None;
    for part in subjects.chunks(MAX_SUBJECTS) {
        let mut told = 0;
        if failed.is_none() {
            let tell = |at, found: Result<&Account<'_>, Failure>| {
                told += 1;
                tell(at, found);
            };
            failed = ask_about(part, &bounds, tell).err();
        }
        for (at, _) in part.iter().skip(told) {
            tell(*at, Err(failed.unwrap_or(Failure::Unavailable)));
        }
    }
}

/// Asks about at most [`MAX_SUBJECTS`] subjects, and tells as many in order as the answer has.
fn ask_about(
    subjects: &[(usize, Subject<'_>)],
    bounds: &Bounds,
    mut tell: impl FnMut(usize, Result<&Account<'_>, Failure>),
) -> Result<(), Failure> {
    let mut body = Vec::new();
    let request = Request::Identify(Subjects::new(subjects.iter().map(|(_, subject)| *subject)));
    let mut reader = host::ask(&request, &mut body)?;
    if reader.count(Identity::LEAST)? != subjects.len() {
        return Err(Failure::Unavailable);
    }
    for (at, subject) in subjects {
        let (kind, account) = match Identity::read(&mut reader)? {
            Identity::User(account) => (Kind::User, account),
            Identity::Group(account) => (Kind::Group, account),
            Identity::None => {
                tell(*at, Err(Failure::NotFound));
                continue;
            }
            Identity::Unknown => {
                tell(*at, Err(Failure::Unavailable));
                continue;
            }
        };
        let account = Account { kind, id: account.id, sid: account.sid, name: account.name };
        // The daemon, and it alone, also knows who had a SID before (sIDHistory): the answer has the present one.
        let answers = matches!(subject, Subject::Sid(_)) || account.answers(subject);
        let is_sound = answers && may_be_given(&account, bounds);
        tell(*at, if is_sound { Ok(&account) } else { Err(Failure::NotFound) });
    }
    reader.end().map_err(Failure::from)
}

/// Whether a question about this can have an answer of ours at all.
fn may_be_asked(subject: &Subject<'_>, bounds: &Bounds) -> bool {
    match *subject {
        Subject::Sid(_) => true,
        Subject::Uid(uid) => id_may_be_ours(uid, &bounds.ranges) && !bounds.users.have_id(uid),
        Subject::Gid(gid) => id_may_be_ours(gid, &bounds.ranges) && !bounds.groups.have_id(gid),
        Subject::User(name) => name_may_be_ours(name) && !bounds.users.have(name),
        Subject::Group(name) => name_may_be_ours(name) && !bounds.groups.have(name),
    }
}

/// Whatever the daemon says: no name or id of a local account, no id that the configuration does not grant.
fn may_be_given(account: &Account<'_>, bounds: &Bounds) -> bool {
    let local = if account.kind == Kind::User { &bounds.users } else { &bounds.groups };
    name_may_be_ours(account.name)
        && id_may_be_ours(account.id, &bounds.ranges)
        && !local.have_id(account.id)
        && !local.have(account.name)
}
