//! What the directory says, before ids are mapped and names are chosen.

use serde::{Deserialize, Serialize};

use super::{LogonHours, Sid};

/// A user or a group, as read by SID or DN when it is not known which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A user.
    User(Box<UserEntry>),
    /// A group.
    Group(Box<GroupEntry>),
}

/// A user object (objectClass user, not computer).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEntry {
    /// objectSid
    pub sid: Option<Sid>,
    /// sIDHistory: SIDs that the account had before, in other domains as a rule (MS-ADA3 2.250).
    pub former_sids: Vec<Sid>,
    /// objectGUID, 16 bytes as the directory gives them.
    pub guid: Vec<u8>,
    /// distinguishedName
    pub dn: String,
    /// sAMAccountName, in the directory's letter case.
    pub sam: String,
    /// userPrincipalName, where set.
    pub upn: Option<String>,
    /// The attribute `gecos`, else `name` (the relative name), as SSSD fills the field for Active Directory.
    pub gecos: String,
    /// primaryGroupID: a RID of the user's own domain.
    pub primary_group_rid: u32,
    /// uidNumber and gidNumber, read only for the mapping `rfc2307`.
    pub posix: Option<(u32, u32)>,
    /// Lines of an `authorized_keys` file, as [`super::ssh_key::lines`] lets them through.
    pub ssh_keys: Vec<String>,
    /// Whether the account may log in.
    pub state: AccountState,
}

/// The attributes that decide whether an account may log in, raw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// userAccountControl (MS-ADTS 2.2.16); 0 where it was not given, since every account has a bit for its type.
    pub control: u32,
    /// msDS-User-Account-Control-Computed: lockout 0x10, password expired 0x800000.
    pub computed: u32,
    /// accountExpires, FILETIME; 0 and `i64::MAX` = never.
    pub account_expires: i64,
    /// pwdLastSet, FILETIME; 0 = must change at next logon, [`AccountState::UNREAD`] where it was not given.
    pub password_last_set: i64,
    /// msDS-UserPasswordExpiryTimeComputed, FILETIME; 0 where not given, `i64::MAX` = never.
    pub password_expires: i64,
    /// lockoutTime, FILETIME: when the account was locked; 0 = it is not.
    pub lockout_time: i64,
    /// How long the domain keeps it locked, in seconds: lockoutDuration, read for locked accounts only. `None` = not
    /// known, `u64::MAX` = until an administrator opens it.
    pub lockout_seconds: Option<u64>,
    /// logonHours; `None` = at any hour. Boxed, because few accounts have it and every cached record would carry it.
    pub logon_hours: Option<Box<LogonHours>>,
    /// userWorkstations: names of computers with commas between them; `None` = any.
    pub workstations: Option<Box<str>>,
}

impl AccountState {
    /// In the place of a pwdLastSet that the directory did not give: every account has one.
    pub const UNREAD: i64 = -1;
    /// userAccountControl: the account is disabled.
    pub const DISABLED: u32 = 0x2;
    /// Computed: too many wrong passwords.
    pub const LOCKED: u32 = 0x10;
    /// userAccountControl: the account needs no password (UF_PASSWD_NOTREQD).
    pub const PASSWORD_NOT_REQUIRED: u32 = 0x20;
    /// userAccountControl: the account logs on with a smart card only (UF_SMARTCARD_REQUIRED).
    pub const SMARTCARD_REQUIRED: u32 = 0x4_0000;
    /// userAccountControl: the password never expires.
    pub const PASSWORD_NEVER_EXPIRES: u32 = 0x1_0000;
    /// Computed: the password has expired.
    pub const PASSWORD_EXPIRED: u32 = 0x80_0000;

    /// The directory does not let this computer read what decides a login: nothing is known of the account.
    pub fn is_unread(&self) -> bool {
        self.control == 0 || self.password_last_set == Self::UNREAD
    }

    /// Disabled by an administrator.
    pub fn is_disabled(&self) -> bool {
        self.control & Self::DISABLED != 0
    }

    /// Locked out for now.
    pub fn is_locked(&self) -> bool {
        self.computed & Self::LOCKED != 0
    }

    /// Past its accountExpires, at this Unix time (seconds).
    pub fn is_expired(&self, now: u64) -> bool {
        !matches!(self.account_expires, 0 | i64::MAX) && self.account_expires <= filetime(now)
    }

    /// When it expires, in Unix seconds; `None` = never.
    pub fn expires(&self) -> Option<u64> {
        let never = matches!(self.account_expires, 0 | i64::MAX);
        (!never).then(|| u64::try_from(self.account_expires / 10_000_000 - 11_644_473_600).unwrap_or_default())
    }

    /// A password is no way in: the domain wants a smart card.
    pub fn needs_smartcard(&self) -> bool {
        self.control & Self::SMARTCARD_REQUIRED != 0
    }

    /// An administrator demands a new password at the next logon. Of passwords that never expire, and of those that a
    /// smart card replaces, nothing is demanded (MS-ADTS 3.1.1.4.5.17).
    pub fn must_change(&self) -> bool {
        self.password_last_set == 0 && self.control & (Self::PASSWORD_NEVER_EXPIRES | Self::SMARTCARD_REQUIRED) == 0
    }

    /// Whether the account may log on at this Unix time (seconds).
    pub fn hour_is_permitted(&self, now: u64) -> bool {
        self.logon_hours.as_ref().is_none_or(|hours| hours.permit(now))
    }

    /// Whether the account may log on at the computer with this NetBIOS name, which is also known as `fqdn`. Letter case
    /// does not count (MS-ADA3 2.354, userWorkstations).
    pub fn workstation_is_permitted(&self, netbios: &str, fqdn: &str) -> bool {
        let Some(names) = &self.workstations else { return true };
        let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
        // A list without a name restricts nothing.
        names.peek().is_none()
            || names.any(|name| name.eq_ignore_ascii_case(netbios) || name.eq_ignore_ascii_case(fqdn))
    }

    /// Seconds from this Unix time until the password expires; `None` where it never does, or has.
    pub fn password_left(&self, now: u64) -> Option<u64> {
        let never = matches!(self.password_expires, 0 | i64::MAX) || self.control & Self::PASSWORD_NEVER_EXPIRES != 0;
        let left = self.password_expires.saturating_sub(filetime(now));
        u64::try_from(left / 10_000_000).ok().filter(|left| !never && *left > 0)
    }

    /// The password is too old.
    pub fn password_expired(&self) -> bool {
        self.computed & Self::PASSWORD_EXPIRED != 0
    }
}

/// Unix seconds as a FILETIME: units of 100 ns since 1601 (MS-DTYP 2.3.3).
fn filetime(unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX).saturating_add(11_644_473_600).saturating_mul(10_000_000)
}

impl Entry {
    /// distinguishedName
    pub fn dn(&self) -> &str {
        match self {
            Self::User(user) => &user.dn,
            Self::Group(group) => &group.dn,
        }
    }
}

impl GroupEntry {
    /// groupType: a security group (MS-ADTS 2.2.12).
    pub const SECURITY: i32 = i32::MIN;
}

/// A group object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// objectSid
    pub sid: Option<Sid>,
    /// sIDHistory: SIDs that the account had before, in other domains as a rule (MS-ADA3 2.250).
    pub former_sids: Vec<Sid>,
    /// objectGUID, 16 bytes as the directory gives them.
    pub guid: Vec<u8>,
    /// distinguishedName
    pub dn: String,
    /// sAMAccountName, in the directory's letter case.
    pub sam: String,
    /// groupType (MS-ADTS 2.2.12); bit 0x80000000 = security group.
    pub group_type: i32,
    /// gidNumber, read only for the mapping `rfc2307`.
    pub gid_number: Option<u32>,
}
