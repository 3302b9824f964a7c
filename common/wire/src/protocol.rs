//! The protocol between `entrad` and its modules: grammar first, numbers after.
//!
//! One connection carries one request and one reply, then both ends close it: there is nothing to repair after a fork,
//! and no descriptor to defend between calls. Integers are little-endian. A reader refuses a frame that is longer than
//! its limit, a string that is not whole, and any byte left over.
//!
//! ```text
//! frame     = length:u32 body                  length = bytes of body, 4 ..= limit of the direction
//! request   = magic:u16 version:u8 op:u8 payload
//! reply     = magic:u16 version:u8 status:u8 payload      payload only where status = OK
//! alive     = 0:u32                            before a reply's frame, any number of times, on pam.sock where the
//!                                              context asks for it (flags): the request is being worked at
//!
//! string    = length:u16 byte*                 no NUL inside
//! list<T>   = count:u32 T*
//! cursor    = length:u16 byte*                 opaque, any bytes, at most 128; empty = from the start / at the end
//!
//! passwd    = name:string gecos:string home:string shell:string uid:u32 gid:u32
//! group     = name:string gid:u32 members:list<string>
//!
//! sid       = length:u16 byte*                 binary (MS-DTYP 2.4.2.2), 12 to 68 bytes
//! subject   = 1:u8 sid | 2:u8 uid:u32 | 3:u8 gid:u32 | 4:u8 user:string | 5:u8 group:string
//! identity  = 0:u8                             there is none
//!           | 1:u8 uid:u32 sid name:string     a user
//!           | 2:u8 gid:u32 sid name:string     a group
//!           | 3:u8                             not known now; asking later may help
//!
//! nss.sock    op                               payload            reply
//!             PASSWD_BY_NAME  1                name:string        passwd
//!             PASSWD_BY_UID   2                uid:u32            passwd
//!             GROUP_BY_NAME   3                name:string        group, members whole
//!             GROUP_BY_GID    4                gid:u32            group, members as far as cached
//!             INITGROUPS      5                name:string        primary:u32 list<u32>
//!             PASSWD_LIST     6                cursor             cursor list<passwd>
//!             GROUP_LIST      7                cursor             cursor list<group>
//!             PASSWD_BY_PRINCIPAL  8           name:string realm:string   passwd   name: one component of a principal
//!             IDENTIFY        9                list<subject>      list<identity>   as many, in the same order
//!             HEALTH         10                                   domains:u32 online:u32
//!
//! pam.sock    op                               payload            reply
//!             AUTHENTICATE   32                context            outcome      with 1 descriptor: password
//!             ACCOUNT        33                context            outcome
//!             OPEN_SESSION   34                context            outcome
//!             CLOSE_SESSION  35                context            outcome
//!             SET_CRED       36                context            outcome
//!             CHANGE_CHECK   37                context            outcome      may this password be changed here?
//!                                                                              with 1 descriptor: and is it this one?
//!             CHANGE         38                context            outcome      with 2 descriptors: old, new password
//!
//! context   = user:string service:string rhost:string tty:string flags:u32
//! outcome   = code:u16 reason:string message:string env:list<string>
//!
//! ctl.sock    op                               payload            reply
//!             CONTROL        64                JSON text          JSON text    (core::control has the types)
//! ```
//!
//! A list of an enumeration may be empty before its end, while the directory is still gathering: its cursor is then another
//! one, to be asked with.
//!
//! A password travels as the reading end of a pipe or stream (SCM_RIGHTS, beside the frame's first byte): at most
//! [`MAX_PASSWORD`] bytes, then end of file. The worker hands the descriptor on unread.

/// First two bytes of every body: "EN".
pub const MAGIC: u16 = 0x4e45;
/// Version of the grammar. A daemon answers another version with [`Status::BadRequest`].
pub const VERSION: u8 = 1;
/// The sign of life: a frame without a body.
pub const ALIVE: [u8; 4] = [0; 4];
/// Longest request body, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Longest reply body, in bytes: a group of 200,000 members with names of 60 bytes fits.
pub const MAX_REPLY: usize = 16 * 1024 * 1024;
/// Longest name that is sent at all, in bytes. AD allows 256 characters for a group and 1,024 for a UPN; what is
/// longer than this is answered "not found" by the guard.
pub const MAX_NAME: usize = 1024;
/// Longest password, in bytes. A pipe or stream takes it whole without a reader.
pub const MAX_PASSWORD: usize = 4096;
/// Most subjects of one IDENTIFY: what a directory can be asked within one deadline.
pub const MAX_SUBJECTS: usize = 256;
/// Longest cursor of an enumeration, in bytes.
pub const MAX_CURSOR: usize = 128;

/// What a request asks for; the numbers stand in the grammar above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // The grammar above says what each one is.
pub enum Op {
    PasswdByName = 1,
    PasswdByUid = 2,
    GroupByName = 3,
    GroupByGid = 4,
    Initgroups = 5,
    PasswdList = 6,
    GroupList = 7,
    PasswdByPrincipal = 8,
    Identify = 9,
    Health = 10,
    Authenticate = 32,
    Account = 33,
    OpenSession = 34,
    CloseSession = 35,
    SetCred = 36,
    ChangeCheck = 37,
    Change = 38,
    Control = 64,
}

impl Op {
    const ALL: [Self; 18] = [
        Self::PasswdByName,
        Self::PasswdByUid,
        Self::GroupByName,
        Self::GroupByGid,
        Self::Initgroups,
        Self::PasswdList,
        Self::GroupList,
        Self::PasswdByPrincipal,
        Self::Identify,
        Self::Health,
        Self::Authenticate,
        Self::Account,
        Self::OpenSession,
        Self::CloseSession,
        Self::SetCred,
        Self::ChangeCheck,
        Self::Change,
        Self::Control,
    ];

    /// The operation with this number, if there is one.
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|op| *op as u8 == number)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The payload holds the answer.
    Ok = 0,
    /// The directory said that there is no such entry, or it cannot be ours, or no domain is configured.
    NotFound = 1,
    /// The directory is not reachable and nothing is cached.
    Offline = 2,
    /// The daemon cannot take the request now (a bound was reached); asking later may help.
    Busy = 3,
    /// The peer may not ask this.
    Refused = 4,
    /// The request breaks the grammar or has another version.
    BadRequest = 5,
}

impl Status {
    /// The status with this number, if there is one.
    pub fn from_wire(number: u8) -> Option<Self> {
        [Self::Ok, Self::NotFound, Self::Offline, Self::Busy, Self::Refused, Self::BadRequest]
            .into_iter()
            .find(|status| *status as u8 == number)
    }
}
