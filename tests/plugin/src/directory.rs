//! Users and groups that answer the requests of `nss.sock` as the daemon would.

use entra_wire::codec::Writer;
use entra_wire::identity::{Account, Identity, Subject};
use entra_wire::nss::{Group, GroupIds, Passwd, Request, status_frame};
use entra_wire::protocol::{Op, Status};

use crate::fake_daemon::Reply;

/// A user. Whatever a test writes here is sent as it is, plausible or not.
#[derive(Clone, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Further names that find this user.
    pub aliases: Vec<String>,
    /// Display name.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Binary SIDs of former times.
    pub former: Vec<Vec<u8>>,
}

impl User {
    /// A user as most are: home by name, primary group [`DOMAIN_USERS`].
    pub fn new(name: &str, uid: u32) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            gecos: format!("{name} of the directory"),
            home: format!("/home/{name}"),
            uid,
            gid: DOMAIN_USERS,
            groups: Vec::new(),
            former: Vec::new(),
        }
    }

    fn write(&self, writer: &mut Writer) {
        Passwd {
            name: self.name.as_bytes(),
            gecos: self.gecos.as_bytes(),
            home: self.home.as_bytes(),
            shell: b"/bin/bash",
            uid: self.uid,
            gid: self.gid,
        }
        .write(writer);
    }
}

/// The primary group of [`User::new`].
pub const DOMAIN_USERS: u32 = 674_000_513;

/// A group.
#[derive(Clone, Debug)]
pub struct Members {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Names of its members.
    pub members: Vec<String>,
}

impl Members {
    /// A group of these members.
    pub fn new(name: &str, gid: u32, members: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.into(), gid, members: members.into_iter().collect() }
    }

    fn write(&self, writer: &mut Writer) {
        Group::write(writer, self.name.as_bytes(), self.gid, self.members.iter().map(String::as_bytes));
    }
}

/// Everything that the fake daemon knows.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Users, in the order of an enumeration.
    pub users: Vec<User>,
    /// Groups, likewise.
    pub groups: Vec<Members>,
}

/// Entries of one batch of an enumeration: few, so that a test sees several batches.
const BATCH: usize = 3;

impl Directory {
    /// The daemon's answer to a request's body.
    pub fn answer(&self, body: &[u8]) -> Reply {
        let frame = match Request::decode(body) {
            Err(_) => status_frame(Status::BadRequest),
            Ok(request) => self.frame(&request).unwrap_or_else(|| status_frame(Status::NotFound)),
        };
        Reply::Bytes(frame)
    }

    fn frame(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut writer = Writer::reply(Status::Ok);
        match request {
            Request::PasswdByName(name) => self.user(name)?.write(&mut writer),
            Request::PasswdByUid(uid) => self.users.iter().find(|user| user.uid == *uid)?.write(&mut writer),
            Request::GroupByName(name) => {
                self.groups.iter().find(|group| group.name.as_bytes() == *name)?.write(&mut writer);
            }
            Request::GroupByGid(gid) => self.groups.iter().find(|group| group.gid == *gid)?.write(&mut writer),
            Request::Initgroups(name) => {
                let user = self.user(name)?;
                GroupIds::write(&mut writer, user.gid, &user.groups);
            }
            Request::PasswdList(cursor) => batch(&mut writer, cursor, &self.users, User::write),
            Request::Identify(subjects) => {
                writer.count(subjects.iter().len());
                for subject in subjects.iter() {
                    self.identify(&mut writer, subject);
                }
            }
            // Two domains, of which one answers.
            Request::Health => drop(writer.u32(2).u32(1)),
            // Not asked by the modules under test.
            Request::PasswdByPrincipal { .. } => return None,
            Request::GroupList(cursor) => batch(&mut writer, cursor, &self.groups, Members::write),
        }
        Some(writer.finish())
    }

    fn identify(&self, writer: &mut Writer, subject: Subject<'_>) {
        let user = self.users.iter().find(|user| match subject {
            Subject::Sid(sid) => sid_of(user.uid) == sid || user.former.iter().any(|former| former == sid),
            Subject::Uid(uid) => user.uid == uid,
            Subject::User(name) => self.user(name).is_some_and(|found| found.uid == user.uid),
            _ => false,
        });
        let group = self.groups.iter().find(|group| match subject {
            Subject::Sid(sid) => sid_of(group.gid) == sid,
            Subject::Gid(gid) => group.gid == gid,
            Subject::Group(name) => group.name.as_bytes() == name,
            _ => false,
        });
        match (user, group) {
            (Some(user), _) => {
                let sid = sid_of(user.uid);
                Identity::User(Account { id: user.uid, sid: &sid, name: user.name.as_bytes() }).write(writer);
            }
            (None, Some(group)) => {
                let sid = sid_of(group.gid);
                Identity::Group(Account { id: group.gid, sid: &sid, name: group.name.as_bytes() }).write(writer);
            }
            (None, None) => Identity::None.write(writer),
        }
    }

    fn user(&self, name: &[u8]) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.name.as_bytes() == name || user.aliases.iter().any(|alias| alias.as_bytes() == name))
    }
}

fn batch<T>(writer: &mut Writer, cursor: &[u8], all: &[T], write: impl Fn(&T, &mut Writer)) {
    // Cursors with NULs in them, as the daemon's are.
    let from = if cursor.is_empty() { 0 } else { usize::from_be_bytes(cursor.try_into().unwrap()) };
    let until = (from + BATCH).min(all.len());
    let next = if until < all.len() { until.to_be_bytes().to_vec() } else { Vec::new() };
    writer.cursor(&next).count(until - from);
    for entry in &all[from..until] {
        write(entry, writer);
    }
}

/// The binary SID of whoever has this id: S-1-5-21-1-2-3-ID.
pub fn sid_of(id: u32) -> Vec<u8> {
    let subs = [21_u32, 1, 2, 3, id];
    [1, 5, 0, 0, 0, 0, 0, 5].into_iter().chain(subs.into_iter().flat_map(u32::to_le_bytes)).collect()
}

/// The operation of a request's body.
pub fn operation(body: &[u8]) -> Option<Op> {
    body.get(3).and_then(|number| Op::from_wire(*number))
}
