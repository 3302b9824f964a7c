//! The messages of `ctl.sock`, as JSON. `entractl` prints them with `--json`, so their fields are an interface: they
//! may grow, and none is renamed or removed.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::directory::Fault;

/// What `entractl` asks the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// State of every domain.
    Status,
    /// One user.
    User {
        /// How it is named.
        key: LookupKey,
    },
    /// One group, with its members.
    Group {
        /// How it is named.
        key: LookupKey,
    },
    /// Whatever has this SID.
    Sid {
        /// `S-1-…`
        sid: String,
    },
    /// The public keys with which a user may log in by SSH, asked for now.
    SshKeys {
        /// How the user is named.
        user: String,
    },
    /// Whether this user would be let in now, and what decides.
    Explain {
        /// How the user is named.
        user: String,
        /// PAM service, such as `sshd`; `None` = any.
        service: Option<String>,
    },
    /// Users that are known, in the order of domain and name.
    Users {
        /// Which of them.
        range: Range,
    },
    /// Groups that are known, likewise.
    Groups {
        /// Which of them.
        range: Range,
    },
    /// Forget cached answers: of one name, or all. Root only.
    CacheFlush {
        /// A user's or group's name in any form; `None` = everything.
        name: Option<String>,
    },
    /// Counts and ages.
    CacheStats,
    /// Read the configuration anew, and serve the domains that it names now. Root only; a configuration that is refused
    /// changes nothing, and is [`Reply::Invalid`].
    Reload,
}

/// How a user or group is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupKey {
    /// Any name form.
    Name(String),
    /// uid or gid.
    Id(u32),
    /// `S-1-…`
    Sid(String),
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Only names that begin with this, in any letter case.
    #[serde(default)]
    pub prefix: String,
    /// Only what stands behind this in the list; `None` = from its start.
    #[serde(default)]
    pub after: Option<Position>,
    /// At most so many in one answer; `None` = as many as one holds.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A place in a list: the last entry that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// DNS name of the domain.
    pub domain: String,
    /// Canonical name.
    pub name: String,
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::User`] and [`Request::Sid`].
    User(Box<UserView>),
    /// To [`Request::Group`] and [`Request::Sid`].
    Group(Box<GroupView>),
    /// To [`Request::SshKeys`].
    SshKeys(SshKeys),
    /// To [`Request::Explain`].
    Explanation(Box<Explanation>),
    /// To [`Request::Users`] and [`Request::Groups`].
    Accounts(Accounts),
    /// The directory says that there is none.
    NotFound,
    /// The directory is not reachable and nothing is cached.
    Offline {
        /// Why, in one sentence.
        reason: String,
    },
    /// Done; how many entries it touched.
    Done {
        /// Entries forgotten.
        count: u64,
    },
    /// To [`Request::CacheStats`].
    Cache(CacheStats),
    /// The peer may not ask this.
    NotPermitted,
    /// The request makes no sense; what would.
    Invalid {
        /// In one sentence.
        reason: String,
    },
}

/// State of the daemon and its domains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// One per configured domain.
    pub domains: Vec<DomainStatus>,
    /// Counts and ages.
    pub cache: CacheStats,
}

/// State of one domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainStatus {
    /// DNS name.
    pub domain: String,
    /// NetBIOS name, once known.
    pub netbios: Option<String>,
    /// Domain SID, once known.
    pub sid: Option<String>,
    /// Whether the last use of the directory succeeded.
    pub online: bool,
    /// Since when, in Unix seconds.
    pub since: u64,
    /// Why it is offline, in one sentence.
    pub reason: Option<String>,
    /// The same by what mends it.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// DC in use.
    pub server: Option<String>,
    /// Its address, of LDAP.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Round trip of the last search, in microseconds.
    pub latency_us: Option<u64>,
    /// First and last id of the domain's own slice.
    pub id_range: Option<(u32, u32)>,
    /// End of the machine ticket's life, in Unix seconds.
    pub machine_ticket_expires: Option<u64>,
    /// When the keytab was last written, in Unix seconds.
    pub keytab_changed: Option<u64>,
}

/// Counts of the caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Users on disk.
    pub users: u64,
    /// Groups on disk.
    pub groups: u64,
    /// Answers in memory, positive.
    pub memory_entries: u64,
    /// Answers in memory, negative.
    pub negative_entries: u64,
    /// Age of the oldest entry on disk, in seconds.
    pub oldest_seconds: Option<u64>,
    /// Lookups answered since start.
    pub lookups: u64,
    /// Of these, from memory or disk.
    pub hits: u64,
    /// Searches sent to the directory since start.
    pub directory_searches: u64,
}

/// A user, and what is known about the knowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// Canonical name.
    pub name: String,
    /// DNS name of the domain.
    pub domain: String,
    /// sAMAccountName.
    pub sam_account_name: String,
    /// userPrincipalName.
    pub user_principal_name: Option<String>,
    /// objectSid.
    pub sid: String,
    /// sIDHistory: SIDs that it had before.
    #[serde(default)]
    pub former_sids: Vec<String>,
    /// distinguishedName.
    pub dn: String,
    /// Mapped uid.
    pub uid: u32,
    /// Primary gid.
    pub gid: u32,
    /// Real name.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Flags of the account in words: `disabled`, `locked`, `expired`, `must-change-password`, `password-expired`.
    pub flags: Vec<String>,
    /// Supplementary groups, as far as known: name (where known) and gid.
    pub groups: Vec<GroupRef>,
    /// Where the answer came from.
    pub source: Source,
    /// Age of the answer in seconds.
    pub age_seconds: u64,
    /// Whether this user could log in now without the directory.
    pub offline_ready: bool,
    /// Until when, in Unix seconds, unless another online login comes first.
    #[serde(default)]
    pub offline_until: Option<u64>,
}

/// The public keys of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshKeys {
    /// Canonical name.
    pub user: String,
    /// Lines of an `authorized_keys` file, without options.
    pub keys: Vec<String>,
    /// Where the answer came from.
    pub source: Source,
    /// Age of the answer in seconds.
    pub age_seconds: u64,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRef {
    /// Canonical name, where it is known.
    pub name: Option<String>,
    /// Mapped gid.
    pub gid: u32,
}

/// A group, and what is known about the knowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Canonical name.
    pub name: String,
    /// DNS name of the domain.
    pub domain: String,
    /// sAMAccountName.
    pub sam_account_name: String,
    /// objectSid.
    pub sid: String,
    /// sIDHistory: SIDs that it had before.
    #[serde(default)]
    pub former_sids: Vec<String>,
    /// distinguishedName.
    pub dn: String,
    /// Mapped gid.
    pub gid: u32,
    /// Canonical names of its direct members that are users; `None` where not yet asked for.
    pub members: Option<Vec<String>>,
    /// Where the answer came from.
    pub source: Source,
    /// Age of the answer in seconds.
    pub age_seconds: u64,
}

/// Whether a user would be let in, and what decides. The password is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Canonical name.
    pub user: String,
    /// DNS name of the domain.
    pub domain: String,
    /// PAM service that was asked about.
    pub service: Option<String>,
    /// Whether the login would be let in, given the right password.
    pub permitted: bool,
    /// The reason code that the log would have; `permitted` where there is none.
    pub reason: String,
    /// The rule or flag that decides, in one sentence.
    pub decided_by: String,
    /// What the person would read; empty where nothing is said.
    pub message: String,
    /// Flags of the account in words, as in [`UserView::flags`].
    pub flags: Vec<String>,
    /// Where the account's state came from.
    pub source: Source,
    /// When the directory said so, in Unix seconds.
    pub fetched: u64,
    /// When it named the user's groups, in Unix seconds; `None` where they are not known or were not asked for.
    pub groups_fetched: Option<u64>,
    /// Every check in its order.
    pub rules: Vec<RuleCheck>,
}

/// One check of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCheck {
    /// The account's attribute, or the option of entra.toml(5), that it rests on.
    pub rule: String,
    /// What came of it.
    pub outcome: RuleOutcome,
    /// The data that it rests on, in words; may be empty.
    pub detail: String,
}

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleOutcome {
    /// Nothing: the next one decides.
    Passes,
    /// It lets in.
    Allows,
    /// It refuses.
    Refuses,
    /// It was not asked, because one before it decided.
    NotReached,
}

/// A part of the list of users or groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// At most five hundred.
    pub accounts: Vec<AccountRef>,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<Position>,
    /// Whether everybody stands in the list: all domains were enumerated. Else it holds who was looked up.
    #[serde(default)]
    pub complete: bool,
}

/// A user or group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// Canonical name.
    pub name: String,
    /// DNS name of the domain.
    pub domain: String,
    /// uid or gid.
    pub id: u32,
    /// objectSid.
    pub sid: String,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Asked just now.
    Directory,
    /// Still within its life.
    Cache,
    /// Past its life, served because the directory is not reachable or is being asked.
    Stale,
}
