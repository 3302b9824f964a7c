//! Messages of `nss.sock`. Decoded views borrow from the reply's body, so that a module copies straight into the
//! caller's buffer.

use crate::codec::{CodecError, Reader, Writer};
use crate::identity::Subjects;
use crate::protocol::{Op, Status};

/// A lookup, as the daemon reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `getpwnam`
    PasswdByName(&'a [u8]),
    /// `getpwuid`
    PasswdByUid(u32),
    /// `getgrnam`: members whole
    GroupByName(&'a [u8]),
    /// `getgrgid`: members as far as they are cached
    GroupByGid(u32),
    /// `initgroups`
    Initgroups(&'a [u8]),
    /// `getpwent`: the batch after this cursor
    PasswdList(&'a [u8]),
    /// `getgrent`: the batch after this cursor
    GroupList(&'a [u8]),
    /// Whose tickets have this name
    PasswdByPrincipal {
        /// The principal's only component: `alice`, or an enterprise name (RFC 6806) such as `alice@contoso.com`.
        name: &'a [u8],
        /// Its realm, in upper case.
        realm: &'a [u8],
    },
    /// Which SIDs, names and ids belong together
    Identify(Subjects<'a>),
    /// How many domains there are, and how many of them answer
    Health,
}

impl<'a> Request<'a> {
    /// Reads a request's body (without the length in front).
    ///
    /// # Errors
    /// [`CodecError`] when the body breaks the grammar or names an operation of another socket.
    pub fn decode(body: &'a [u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let request = match reader.request_head()? {
            Op::PasswdByName => Self::PasswdByName(reader.string()?),
            Op::PasswdByUid => Self::PasswdByUid(reader.u32()?),
            Op::GroupByName => Self::GroupByName(reader.string()?),
            Op::GroupByGid => Self::GroupByGid(reader.u32()?),
            Op::Initgroups => Self::Initgroups(reader.string()?),
            Op::PasswdList => Self::PasswdList(reader.cursor()?),
            Op::GroupList => Self::GroupList(reader.cursor()?),
            Op::PasswdByPrincipal => Self::PasswdByPrincipal { name: reader.string()?, realm: reader.string()? },
            Op::Identify => Self::Identify(Subjects::read(&mut reader)?),
            Op::Health => Self::Health,
            _ => return Err(CodecError::Malformed),
        };
        reader.end()?;
        Ok(request)
    }

    /// The request as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::request(match self {
            Self::PasswdByName(_) => Op::PasswdByName,
            Self::PasswdByUid(_) => Op::PasswdByUid,
            Self::GroupByName(_) => Op::GroupByName,
            Self::GroupByGid(_) => Op::GroupByGid,
            Self::Initgroups(_) => Op::Initgroups,
            Self::PasswdList(_) => Op::PasswdList,
            Self::GroupList(_) => Op::GroupList,
            Self::PasswdByPrincipal { .. } => Op::PasswdByPrincipal,
            Self::Identify(_) => Op::Identify,
            Self::Health => Op::Health,
        });
        match self {
            Self::PasswdByName(name) | Self::GroupByName(name) | Self::Initgroups(name) => writer.string(name),
            Self::PasswdByUid(id) | Self::GroupByGid(id) => writer.u32(*id),
            Self::PasswdList(cursor) | Self::GroupList(cursor) => writer.cursor(cursor),
            Self::PasswdByPrincipal { name, realm } => writer.string(name).string(realm),
            Self::Identify(subjects) => subjects.write(&mut writer),
            Self::Health => &mut writer,
        };
        writer.finish()
    }
}

/// One user, as `struct passwd` has it (the password field is always `*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passwd<'a> {
    /// Canonical login name.
    pub name: &'a [u8],
    /// Real name.
    pub gecos: &'a [u8],
    /// Home directory.
    pub home: &'a [u8],
    /// Login shell.
    pub shell: &'a [u8],
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

impl<'a> Passwd<'a> {
    /// Fewest bytes that a passwd takes on the wire.
    pub const LEAST: usize = 4 * 2 + 2 * 4;

    /// Reads one entry.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        Ok(Self {
            name: reader.string()?,
            gecos: reader.string()?,
            home: reader.string()?,
            shell: reader.string()?,
            uid: reader.u32()?,
            gid: reader.u32()?,
        })
    }

    /// Appends the entry.
    pub fn write(&self, writer: &mut Writer) {
        writer.string(self.name).string(self.gecos).string(self.home).string(self.shell).u32(self.uid).u32(self.gid);
    }
}

/// One group; its members are read one by one from the body.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Canonical name.
    pub name: &'a [u8],
    /// Group id.
    pub gid: u32,
    /// The members' canonical names.
    pub members: Members<'a>,
}

/// The members of a group: an iterator that was checked whole when it was read.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.reader.string().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Members<'_> {}

impl<'a> Group<'a> {
    /// Fewest bytes that a group takes on the wire.
    pub const LEAST: usize = 2 + 4 + 4;

    /// Reads one group and checks all of its members.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        let name = reader.string()?;
        let gid = reader.u32()?;
        let count = reader.count(2)?;
        let members = Members { left: count, reader: reader.clone() };
        for _ in 0..count {
            reader.string()?;
        }
        Ok(Self { name, gid, members })
    }

    /// Appends a group.
    pub fn write<'m>(writer: &mut Writer, name: &[u8], gid: u32, members: impl ExactSizeIterator<Item = &'m [u8]>) {
        writer.string(name).u32(gid).count(members.len());
        for member in members {
            writer.string(member);
        }
    }
}

/// Groups of a user: the primary one and all supplementary ones, each an id.
#[derive(Clone, Copy, Debug)]
pub struct GroupIds<'a> {
    /// The user's primary group.
    pub primary: u32,
    ids: &'a [u8],
}

impl<'a> GroupIds<'a> {
    /// Reads the reply to INITGROUPS.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        let primary = reader.u32()?;
        let count = reader.count(4)?;
        Ok(Self { primary, ids: reader.bytes(count * 4)? })
    }

    /// The ids, in the daemon's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.ids.chunks_exact(4).map(|chunk| u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
    }

    /// Appends the answer.
    pub fn write(writer: &mut Writer, primary: u32, ids: &[u32]) {
        writer.u32(primary).count(ids.len());
        for id in ids {
            writer.u32(*id);
        }
    }
}

/// A frame that holds a status and nothing else.
pub fn status_frame(status: Status) -> Vec<u8> {
    Writer::reply(status).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_as_written() {
        for request in [
            Request::PasswdByName(b"alice"),
            Request::PasswdByUid(674_001_103),
            Request::GroupByName("domänen-benutzer".as_bytes()),
            Request::GroupByGid(7),
            Request::Initgroups(b"AADDS\\alice"),
            Request::PasswdList(b""),
            Request::GroupList(b"674000513"),
            Request::PasswdByPrincipal { name: b"alice@contoso.com", realm: b"AADDS.CONTOSO.COM" },
        ] {
            let frame = request.encode();
            assert_eq!(Request::decode(&frame[4..]), Ok(request));
        }
    }

    #[test]
    fn a_group_with_a_cut_member_is_refused() {
        let mut writer = Writer::reply(Status::Ok);
        Group::write(&mut writer, b"admins", 5000, [&b"alice"[..], b"bob"].into_iter());
        let frame = writer.finish();
        let mut whole = Reader::new(&frame[8..]);
        let group = Group::read(&mut whole).unwrap();
        assert_eq!(group.members.collect::<Vec<_>>(), [&b"alice"[..], b"bob"]);
        let mut cut = Reader::new(&frame[8..frame.len() - 1]);
        assert!(Group::read(&mut cut).is_err());
    }

    #[test]
    fn an_operation_of_another_socket_is_refused() {
        let frame = Writer::request(Op::Account).finish();
        assert_eq!(Request::decode(&frame[4..]), Err(CodecError::Malformed));
    }
}
