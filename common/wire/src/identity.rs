//! IDENTIFY and HEALTH of `nss.sock`: which SID, name and id belong together, many at once, for `libentra`.

use crate::cache_map::layout::MAX_SID;
use crate::codec::{CodecError, Reader, Writer};
use crate::protocol::MAX_SUBJECTS;

/// Shortest SID of an account or group: 8 bytes and one sub-authority.
const MIN_SID: usize = 12;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A binary SID: a user's or a group's.
    Sid(&'a [u8]),
    /// A user, by uid.
    Uid(u32),
    /// A group, by gid.
    Gid(u32),
    /// A user, by a name in any form.
    User(&'a [u8]),
    /// A group, by a name in any form.
    Group(&'a [u8]),
}

impl<'a> Subject<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        match reader.u8()? {
            1 => read_sid(reader).map(Self::Sid),
            2 => reader.u32().map(Self::Uid),
            3 => reader.u32().map(Self::Gid),
            4 => reader.string().map(Self::User),
            5 => reader.string().map(Self::Group),
            _ => Err(CodecError::Malformed),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Sid(sid) => write_sid(writer.u8(1), sid),
            Self::Uid(uid) => writer.u8(2).u32(*uid),
            Self::Gid(gid) => writer.u8(3).u32(*gid),
            Self::User(name) => writer.u8(4).string(name),
            Self::Group(name) => writer.u8(5).string(name),
        };
    }
}

/// The subjects of one request, at most [`MAX_SUBJECTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects<'a>(Vec<Subject<'a>>);

impl<'a> Subjects<'a> {
    /// The first [`MAX_SUBJECTS`] of `subjects`.
    pub fn new(subjects: impl IntoIterator<Item = Subject<'a>>) -> Self {
        Self(subjects.into_iter().take(MAX_SUBJECTS).collect())
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`CodecError`] when one breaks the grammar or there are too many.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        let count = reader.count(1)?;
        if count > MAX_SUBJECTS {
            return Err(CodecError::TooLong);
        }
        (0..count).map(|_| Subject::read(reader)).collect::<Result<_, _>>().map(Self)
    }

    /// Appends them.
    pub fn write<'w>(&self, writer: &'w mut Writer) -> &'w mut Writer {
        writer.count(self.0.len());
        for subject in &self.0 {
            subject.write(writer);
        }
        writer
    }

    /// In the order of the request.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Subject<'a>> {
        self.0.iter().copied()
    }
}

/// A user or a group: what belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// uid or gid.
    pub id: u32,
    /// Binary SID.
    pub sid: &'a [u8],
    /// Canonical name.
    pub name: &'a [u8],
}

/// The answer about one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The directory said that there is none.
    None,
    /// A user.
    User(Account<'a>),
    /// A group.
    Group(Account<'a>),
    /// Not known now.
    Unknown,
}

impl<'a> Identity<'a> {
    /// Fewest bytes that an identity takes on the wire.
    pub const LEAST: usize = 1;

    /// Reads one.
    ///
    /// # Errors
    /// [`CodecError`] when it breaks the grammar.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        let kind = reader.u8()?;
        let account =
            |reader: &mut Reader<'a>| Ok(Account { id: reader.u32()?, sid: read_sid(reader)?, name: reader.string()? });
        match kind {
            0 => Ok(Self::None),
            1 => account(reader).map(Self::User),
            2 => account(reader).map(Self::Group),
            3 => Ok(Self::Unknown),
            _ => Err(CodecError::Malformed),
        }
    }

    /// Appends it.
    pub fn write(&self, writer: &mut Writer) {
        let (kind, account) = match self {
            Self::None => (0, None),
            Self::User(account) => (1, Some(account)),
            Self::Group(account) => (2, Some(account)),
            Self::Unknown => (3, None),
        };
        writer.u8(kind);
        if let Some(account) = account {
            write_sid(writer.u32(account.id), account.sid).string(account.name);
        }
    }
}

fn read_sid<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CodecError> {
    let length = usize::from(reader.u16()?);
    if !(MIN_SID..=MAX_SID).contains(&length) {
        return Err(CodecError::Malformed);
    }
    reader.bytes(length)
}

/// A SID of another length than there is, which nobody has, is sent as it is and refused by the reader.
fn write_sid<'w>(writer: &'w mut Writer, sid: &[u8]) -> &'w mut Writer {
    let sid = sid.get(..usize::from(u16::MAX)).unwrap_or(sid);
    writer.u16(sid.len() as u16).raw(sid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nss::Request;
    use crate::protocol::{Op, Status};

    const SID: [u8; 28] = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x4f, 4, 0, 0];

    #[test]
    fn questions_and_answers_come_back_as_written() {
        let subjects = [
            Subject::Sid(&SID),
            Subject::Uid(1103),
            Subject::Gid(7),
            Subject::User(b"zo\xc3\xab"),
            Subject::Group(b"g"),
        ];
        let frame = Request::Identify(Subjects::new(subjects)).encode();
        let Ok(Request::Identify(read)) = Request::decode(&frame[4..]) else { panic!("{frame:?}") };
        assert_eq!(read.iter().collect::<Vec<_>>(), subjects);
        assert_eq!(Request::decode(&Request::Health.encode()[4..]), Ok(Request::Health));

        let account = Account { id: 674_001_103, sid: &SID, name: b"alice" };
        let answers = [Identity::User(account), Identity::None, Identity::Group(account), Identity::Unknown];
        let mut writer = Writer::reply(Status::Ok);
        for answer in answers {
            answer.write(&mut writer);
        }
        let frame = writer.finish();
        let mut reader = Reader::new(&frame[8..]);
        for answer in answers {
            assert_eq!(Identity::read(&mut reader), Ok(answer));
        }
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn sids_of_no_length_and_requests_that_are_too_long_are_refused() {
        for length in [0, 11, 69] {
            let frame = Request::Identify(Subjects::new([Subject::Sid(&vec![1; length])])).encode();
            assert!(Request::decode(&frame[4..]).is_err(), "{length}");
        }
        let mut writer = Writer::request(Op::Identify);
        writer.count(MAX_SUBJECTS + 1);
        for _ in 0..=MAX_SUBJECTS {
            Subject::Uid(1).write(&mut writer);
        }
        assert_eq!(Request::decode(&writer.finish()[4..]), Err(CodecError::TooLong));
    }
}
