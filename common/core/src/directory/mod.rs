//! The directory as the use cases see it. [`ldap`] is the real one; tests bring fakes.

pub mod ldap;

use std::net::SocketAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::types::{Entry, GroupEntry, Sid, UserEntry};

/// How an account is asked for. Names are matched without regard to letter case; adapters escape them (RFC 4515) and
/// compare what comes back, because AD's own matching also ignores accents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// sAMAccountName.
    Sam(String),
    /// userPrincipalName (users only).
    Upn(String),
    /// sAMAccountName or userPrincipalName, in one search (users only).
    SamOrUpn {
        /// sAMAccountName to look for.
        sam: String,
        /// userPrincipalName to look for.
        upn: String,
    },
    /// objectSid.
    Sid(Sid),
    /// sIDHistory: the account that had this SID before.
    FormerSid(Sid),
    /// uidNumber (users) or gidNumber (groups), for the mapping `rfc2307`.
    PosixId(u32),
}

/// What a domain says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainInfo {
    /// SID of the domain.
    pub sid: Sid,
    /// NetBIOS name, such as `AADDS`.
    pub netbios: String,
    /// DNS name in lower case.
    pub dns_name: String,
    /// Root of the domain's naming context.
    pub base_dn: String,
}

/// What a reason that the helper gives for a wrong clock ends with.
pub const SET_CLOCK: &str = "set this host's clock";

/// Why a directory is not online, by what mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// No domain controller answers, or none that serves.
    Unreachable,
    /// It refuses this machine.
    Refused,
    /// This host's clock is too far off for Kerberos.
    Clock,
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        match error {
            Error::MachineUnauthorized(_) => Self::Refused,
            other if other.to_string().ends_with(SET_CLOCK) => Self::Clock,
            _ => Self::Unreachable,
        }
    }
}

/// How the directory is, as of its last use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the last use succeeded.
    pub online: bool,
    /// Since when, in Unix seconds.
    pub since: u64,
    /// Why it is not online, in one sentence.
    pub reason: Option<String>,
    /// The same by what mends it.
    pub fault: Option<Fault>,
    /// Host name of the DC in use.
    pub server: Option<String>,
    /// Its address, of LDAP.
    pub address: Option<SocketAddr>,
    /// Round trip of the last search, in microseconds.
    pub latency_us: Option<u64>,
    /// Searches sent since start.
    pub searches: u64,
    /// End of the machine ticket's life, in Unix seconds.
    pub ticket_expires: Option<u64>,
}

/// Where the changes of one server stand. Numbers of different databases say nothing about each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMark {
    /// Names the server's database: its DSA, and the invocationId that it has since it was last restored.
    pub database: Vec<u8>,
    /// highestCommittedUSN
    pub usn: u64,
}

/// Where entries of an enumeration go as they come.
pub type Batches<T> = tokio::sync::mpsc::Sender<Vec<T>>;

/// One domain's directory. Every call ends within the adapter's own deadline, with [`Error::Offline`] when it passes.
/// `Ok(None)` and a missing entry mean that the directory said so.
#[async_trait]
pub trait Directory: Send + Sync {
    /// What the domain says of itself; cached by the adapter after the first answer.
    async fn domain_info(&self) -> Result<DomainInfo, Error>;

    /// The KDC beside the server in use (port 88 of the same DC): the one that a login asks.
    async fn kdc(&self) -> Result<SocketAddr, Error>;

    /// KDCs beside the other known servers, the best first: whom a login asks where `kdc` is silent. From memory.
    fn other_kdcs(&self, kdc: SocketAddr) -> Vec<SocketAddr> {
        let _ = kdc;
        Vec::new()
    }

    /// How the directory is, without asking it.
    fn health(&self) -> Health;

    /// One user. [`Error::Ambiguous`] where several match and none matches exactly.
    async fn user(&self, key: &Key) -> Result<Option<UserEntry>, Error>;

    /// One group (security groups and distribution groups alike; the use case filters).
    async fn group(&self, key: &Key) -> Result<Option<GroupEntry>, Error>;

    /// tokenGroups of the user with this DN: SIDs of all security groups, nested ones included, without names.
    /// [`Error::Protocol`] where the object with this DN is gone or has another SID.
    async fn token_groups(&self, dn: &str, sid: &Sid) -> Result<Vec<Sid>, Error>;

    /// Whether the user with this DN matches a filter (RFC 4515). [`Error::Protocol`] where the object with this DN is
    /// gone or has another SID, [`Error::Config`] where the filter is none.
    async fn matches(&self, dn: &str, sid: &Sid, filter: &str) -> Result<bool, Error>;

    /// Groups with these SIDs, in batched searches. Unknown SIDs, and those of others, are left out.
    async fn groups_by_sids(&self, sids: &[Sid]) -> Result<Vec<GroupEntry>, Error>;

    /// Direct members of the group with this DN that are users or groups, read by range retrieval
    /// (MS-ADTS 3.1.1.3.1.3.3) and resolved in batches. Only what names them is filled in: SID, DN, sAMAccountName, the
    /// UPN where the domain's users go by it, POSIX ids where they count, and the primary group.
    /// [`Error::Protocol`] where the object with this DN is gone or has another SID.
    async fn members(&self, dn: &str, sid: &Sid) -> Result<Vec<Entry>, Error>;

    /// Where the changes of the server in use stand.
    async fn change_mark(&self) -> Result<ChangeMark, Error>;

    /// Gives all users to `batches` as they come; with `since`, those alone that changed after that number of the server
    /// in use. What a passwd line needs is filled in, and no more; one may come twice. Ends when all were given.
    async fn list_users(&self, since: Option<u64>, batches: Batches<UserEntry>) -> Result<(), Error>;

    /// The same for groups.
    async fn list_groups(&self, since: Option<u64>, batches: Batches<GroupEntry>) -> Result<(), Error>;
}
