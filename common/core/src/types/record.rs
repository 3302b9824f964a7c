//! What the host sees: entries with ids mapped and names chosen, ready for NSS.

use serde::{Deserialize, Serialize};

use super::{AccountState, Sid};

/// A domain's DNS name in lower case: stands in every record and every key.
pub type DomainId = String;

/// A user as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The domain that holds the account.
    pub domain: DomainId,
    /// objectSid: the key.
    pub sid: Sid,
    /// SIDs that the account had before (sIDHistory).
    pub former_sids: Vec<Sid>,
    /// objectGUID, 16 bytes as the directory gives them.
    pub guid: Vec<u8>,
    /// distinguishedName
    pub dn: String,
    /// sAMAccountName as the directory spells it.
    pub sam: String,
    /// userPrincipalName as the directory spells it, where set.
    pub upn: Option<String>,
    /// Canonical name, as NSS shows it.
    pub name: String,
    /// Mapped from the SID.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// SID of the primary group.
    pub primary_group: Sid,
    /// Real name.
    pub gecos: String,
    /// Home directory, template filled in.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Lines of an `authorized_keys` file.
    pub ssh_keys: Vec<String>,
    /// Whether the account may log in.
    pub state: AccountState,
}

/// A group as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The domain that holds the group.
    pub domain: DomainId,
    /// objectSid: the key.
    pub sid: Sid,
    /// SIDs that the group had before (sIDHistory).
    pub former_sids: Vec<Sid>,
    /// objectGUID, 16 bytes as the directory gives them.
    pub guid: Vec<u8>,
    /// distinguishedName
    pub dn: String,
    /// sAMAccountName as the directory spells it.
    pub sam: String,
    /// Canonical name, as NSS shows it.
    pub name: String,
    /// Mapped from the SID.
    pub gid: u32,
}
