//! Configuration: `/etc/entra/entra.toml`, read into plain values with every default filled in.
//!
//! [`load`] reads the file. Every option stands once, in [`options::OPTIONS`]; the parser, [`example`] and
//! [`man_page`] are made from it.

mod access;
mod check;
mod error;
mod manual;
pub mod options;
mod parse;
mod quota;
mod suggest;
mod template;
#[cfg(test)]
mod tests;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::types::DomainId;

pub use access::{Access, AccessRules, ServiceAccess};
pub use error::ConfigError;
pub use manual::{example, man_page};
pub use parse::{load, parse};
pub use quota::{Limits, Quota};
pub use template::{TemplateValues, expand};

/// The whole configuration. `domains` is empty on a host that is not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an answer of the directory is fresh (`cache_ttl`).
    pub cache_ttl: Duration,
    /// How long "there is none" is remembered (`negative_ttl`).
    pub negative_ttl: Duration,
    /// Largest size of the shared cache, in bytes (`cache_map_size`, there in MiB).
    pub cache_map_size: u32,
    /// Longest wait of a lookup (`lookup_deadline`).
    pub lookup_deadline: Duration,
    /// Most verbose level that is logged (`log_level`).
    pub log_level: log::LevelFilter,
    /// Group names that no domain group may carry without `@domain` (`reserved_groups`).
    pub reserved_groups: Vec<String>,
    /// The domains, in the file's order.
    pub domains: Vec<Domain>,
    /// Quotas of file systems, in the file's order; `entractl quota apply` sets them.
    pub quotas: Vec<Quota>,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// DNS name in lower case.
    pub name: DomainId,
    /// Kind of directory.
    pub preset: Preset,
    /// DCs to use instead of asking DNS: host names or addresses, with an optional port.
    pub servers: Vec<String>,
    /// DNS servers to ask instead of the host's.
    pub dns_servers: Vec<SocketAddr>,
    /// Naming context; `None` = the directory's default one.
    pub base_dn: Option<String>,
    /// Subtrees that hold users; empty = all of `base_dn`.
    pub user_bases: Vec<String>,
    /// Subtrees that hold groups; empty = all of `base_dn`.
    pub group_bases: Vec<String>,
    /// LDAP filter that every user must match.
    pub user_filter: Option<String>,
    /// LDAP filter that every group must match.
    pub group_filter: Option<String>,
    /// How LDAP is protected.
    pub ldap_security: LdapSecurity,
    /// CA certificates for LDAPS and StartTLS.
    pub tls_ca: Option<PathBuf>,
    /// How SIDs become ids.
    pub id_mapping: IdMapping,
    /// First and last id that this domain may use, inclusive.
    pub id_range: (u32, u32),
    /// Slice of the range, where an administrator pins it (mapping `sssd`).
    pub id_slice: Option<u32>,
    /// Which ids belong to which RIDs, where that is not one distance (mapping `rid`); empty = the whole range from RID 0.
    pub id_blocks: Vec<IdBlock>,
    /// Shape of canonical names.
    pub username_format: UsernameFormat,
    /// Template of home directories: `%u %d %U %s`.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Attributes of users that hold public keys for sshd.
    pub ssh_key_attributes: Vec<String>,
    /// What a user's primary group is.
    pub primary_group: PrimaryGroup,
    /// Whether getpwent and getgrent list this domain.
    pub enumerate: bool,
    /// Whether logins work while the directory is away.
    pub offline_login: bool,
    /// How long after the last online login.
    pub offline_max_age: Duration,
    /// Whether the password of an offline login waits in the kernel for a ticket.
    pub offline_keep_password: bool,
    /// How old the machine's password may become; zero = it is not changed by age.
    pub keytab_max_age: Duration,
    /// Where people of a managed domain change their passwords; `None` = the sentence that names Entra's own page.
    pub password_change_hint: Option<String>,
    /// How long before it expires a password is spoken of.
    pub password_warning: Duration,
    /// Whether a password may be sent outside of the machine's session with the KDC.
    pub fast: Fast,
    /// Template of ccache names: `FILE:/tmp/krb5cc_%U`.
    pub ccache: String,
    /// Services whose tickets are got behind a login: `cifs/HOST`, the host in lower case.
    pub service_tickets: Vec<String>,
    /// Groups whose members get them; empty = everybody.
    pub service_ticket_groups: Vec<String>,
    /// Who may log in.
    pub access: Access,
}

/// Kind of directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Plain Active Directory.
    ActiveDirectory,
    /// Microsoft Entra Domain Services.
    EntraDs,
}

/// How LDAP is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LdapSecurity {
    /// GSSAPI with privacy on port 389.
    Seal,
    /// TLS on port 636.
    Ldaps,
    /// StartTLS on port 389.
    StartTls,
}

/// Kerberos armoring (FAST, RFC 6113).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fast {
    /// Where the KDC offers it.
    Try,
    /// Always: no login without it.
    Require,
}

/// How SIDs become ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMapping {
    /// SSSD's algorithm.
    Sssd,
    /// winbind's idmap_rid: first id of the range + RID.
    Rid,
    /// uidNumber and gidNumber of the directory.
    Rfc2307,
}

/// RIDs from `first_rid` on have the ids `first_id..=last_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBlock {
    /// RID that `first_id` stands for.
    pub first_rid: u32,
    /// First id.
    pub first_id: u32,
    /// Last id, inclusive.
    pub last_id: u32,
}

impl std::fmt::Display for IdBlock {
    /// As an entry of `id_blocks`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}-{}", self.first_rid, self.first_id, self.last_id)
    }
}

/// Shape of canonical names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsernameFormat {
    /// `alice`
    Sam,
    /// `alice@contoso.com`
    Upn,
    /// `AADDS\alice`
    DownLevel,
}

/// What a user's primary group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrimaryGroup {
    /// primaryGroupID of the directory.
    Directory,
    /// A group of the user's own name and id.
    UserPrivate,
}

impl Domain {
    /// The Kerberos realm: the DNS name in upper case.
    pub fn realm(&self) -> String {
        self.name.to_uppercase()
    }
}
