//! Search entries as they came, and what they mean. Binary values are taken raw: ldap3's own `SearchEntry` sorts values
//! by whether they happen to be UTF-8.

use ldap3::ResultEntry;
use ldap3::asn1::StructureTag;

use crate::types::{AccountState, Entry, GroupEntry, LogonHours, Sid, UserEntry, ssh_key};

/// Attributes that make a [`UserEntry`].
pub(super) const USER: &[&str] = &[
    "objectClass",
    "objectSid",
    FORMER,
    "objectGUID",
    "sAMAccountName",
    "userPrincipalName",
    "gecos",
    "name",
    "primaryGroupID",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "msDS-UserPasswordExpiryTimeComputed",
    "lockoutTime",
    "logonHours",
    "userWorkstations",
];
/// Attributes that make a [`GroupEntry`].
pub(super) const GROUP: &[&str] = &["objectClass", "objectSid", FORMER, "objectGUID", "sAMAccountName", "groupType"];
/// Holds the SIDs that an account had before.
pub(super) const FORMER: &str = "sIDHistory";
/// Most of them that are kept of one account: whoever may write the attribute does not fill this host's memory.
const MOST_FORMER: usize = 64;
/// Attributes that tell which account a member is, and no more. sAMAccountType stands for objectClass and groupType.
pub(super) const MEMBER: &[&str] = &["sAMAccountName", "sAMAccountType", "objectSid", "primaryGroupID"];
/// Attributes that make a line of an enumeration of users.
pub(super) const LISTED_USER: &[&str] =
    &["sAMAccountName", "sAMAccountType", "objectSid", "primaryGroupID", "userPrincipalName", "gecos", "name"];
/// What the mapping `rfc2307` needs besides.
pub(super) const POSIX: &[&str] = &["uidNumber", "gidNumber"];

/// What the configuration asks of an entry besides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras<'a> {
    /// Whether [`POSIX`] counts.
    pub(super) posix: bool,
    /// Attributes that hold SSH keys.
    pub(super) ssh_keys: &'a [String],
}

/// One entry of a search, attributes raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Raw {
    /// `None` where the element is no search entry (RFC 4511 4.5.2).
    pub(super) fn parse(entry: ResultEntry) -> Option<Self> {
        let mut parts = entry.0.match_id(4)?.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let attributes = parts.next()?.expect_constructed()?.into_iter().map(attribute).collect::<Option<Vec<_>>>()?;
        Some(Self { dn, attributes })
    }

    /// All attributes with their options, such as `member;range=0-1499`.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &[Vec<u8>])> {
        self.attributes.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The values of one attribute; empty where it is missing.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or(&[], |(_, values)| values)
    }

    /// The first value as text; `None` where it is missing, empty or no UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let value = self.values(name).first()?;
        std::str::from_utf8(value).ok().filter(|text| !text.is_empty())
    }

    /// The first value as a decimal number.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.parse().ok()
    }

    /// The objectSid.
    pub(super) fn sid(&self) -> Option<Sid> {
        Sid::from_bytes(self.values("objectSid").first()?).ok()
    }

    fn former_sids(&self) -> Vec<Sid> {
        let values = self.values(FORMER).iter().filter_map(|value| Sid::from_bytes(value).ok());
        values.filter(Sid::is_of_a_domain).take(MOST_FORMER).collect()
    }

    /// Sorts by objectClass. Computers and managed service accounts are of class user too, but nobody logs in as one
    /// (MS-ADSC 2.22, 2.141, 2.142): they are neither.
    pub(super) fn classify(&self, extras: Extras<'_>) -> Option<Entry> {
        let class =
            |name: &str| self.values("objectClass").iter().any(|value| value.eq_ignore_ascii_case(name.as_bytes()));
        if class("group") {
            return self.group(extras.posix).map(|group| Entry::Group(Box::new(group)));
        }
        let person = class("user") && !class("computer");
        if person { self.user(extras).map(|user| Entry::User(Box::new(user))) } else { None }
    }

    /// The same for an entry that was read with [`MEMBER`], by sAMAccountType (MS-ADTS 2.2.17): of a user or group only
    /// what names it is filled in.
    pub(super) fn classify_member(&self, extras: Extras<'_>) -> Option<Entry> {
        /// SAM_GROUP_OBJECT and SAM_ALIAS_OBJECT; one more than that where the group is none of security.
        const GROUPS: [u32; 2] = [0x1000_0000, 0x2000_0000];
        const NORMAL_USER: u32 = 0x3000_0000;
        let kind: u32 = self.number("sAMAccountType")?;
        if kind == NORMAL_USER {
            return self.user(extras).map(|user| Entry::User(Box::new(user)));
        }
        GROUPS.contains(&(kind & !1)).then_some(())?;
        let group_type = if kind & 1 == 0 { GroupEntry::SECURITY } else { 0 };
        self.group(extras.posix).map(|group| Entry::Group(Box::new(GroupEntry { group_type, ..group })))
    }

    fn user(&self, extras: Extras<'_>) -> Option<UserEntry> {
        // userAccountControl is signed on the wire, its bits are not.
        let flags = |name: &str| self.number::<i32>(name).unwrap_or_default() as u32;
        Some(UserEntry {
            sid: self.sid(),
            former_sids: self.former_sids(),
            guid: self.values("objectGUID").first().cloned().unwrap_or_default(),
            dn: self.dn.clone(),
            sam: self.text("sAMAccountName")?.to_owned(),
            upn: self.text("userPrincipalName").map(str::to_owned),
            gecos: self.text("gecos").or_else(|| self.text("name")).unwrap_or_default().to_owned(),
            primary_group_rid: self.number("primaryGroupID").unwrap_or_default(),
            posix: if extras.posix { self.number("uidNumber").zip(self.number("gidNumber")) } else { None },
            ssh_keys: ssh_key::lines(extras.ssh_keys.iter().flat_map(|name| self.values(name))),
            state: AccountState {
                control: flags("userAccountControl"),
                computed: flags("msDS-User-Account-Control-Computed"),
                account_expires: self.number("accountExpires").unwrap_or_default(),
                password_last_set: self.number("pwdLastSet").unwrap_or(AccountState::UNREAD),
                password_expires: self.number("msDS-UserPasswordExpiryTimeComputed").unwrap_or_default(),
                lockout_time: self.number("lockoutTime").unwrap_or_default(),
                lockout_seconds: None,
                logon_hours: self
                    .values("logonHours")
                    .first()
                    .and_then(|value| LogonHours::from_bytes(value))
                    .map(Box::new),
                workstations: self.text("userWorkstations").map(Into::into),
            },
        })
    }

    fn group(&self, posix: bool) -> Option<GroupEntry> {
        Some(GroupEntry {
            sid: self.sid(),
            former_sids: self.former_sids(),
            guid: self.values("objectGUID").first().cloned().unwrap_or_default(),
            dn: self.dn.clone(),
            sam: self.text("sAMAccountName")?.to_owned(),
            group_type: self.number("groupType").unwrap_or_default(),
            gid_number: if posix { self.number("gidNumber") } else { None },
        })
    }
}

/// A duration of a domain's policy, in seconds: negative units of 100 ns; zero and the least number mean for ever
/// (MS-ADTS 3.1.1.4.5.17, lockoutDuration).
pub(super) fn policy_seconds(value: i64) -> u64 {
    match value {
        0 | i64::MIN => u64::MAX,
        other => other.unsigned_abs() / 10_000_000,
    }
}

/// The values of `name`, whole or a part of them (MS-ADTS 3.1.1.3.1.3.3), and where the next part begins; `None` at the
/// end.
pub(super) fn ranged<'a>(entry: &'a Raw, name: &str) -> (&'a [Vec<u8>], Option<usize>) {
    let part = entry.attributes().find_map(|(found, values)| {
        let mut options = found.split(';');
        if !options.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        let range = options.find_map(|option| {
            let (key, range) = option.split_once('=')?;
            key.eq_ignore_ascii_case("range").then_some(range)
        });
        match range {
            None if values.is_empty() => None,
            None => Some((values, None)),
            Some(range) => {
                let (_, last) = range.split_once('-')?;
                // An end that is no number and no `*` ends the reading rather than repeating it for ever.
                Some((values, last.parse::<usize>().ok().and_then(|last| last.checked_add(1))))
            }
        }
    });
    part.unwrap_or((&[], None))
}

fn attribute(tag: StructureTag) -> Option<(String, Vec<Vec<u8>>)> {
    let mut parts = tag.expect_constructed()?.into_iter();
    let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
    let values =
        parts.next()?.expect_constructed()?.into_iter().map(StructureTag::expect_primitive).collect::<Option<_>>()?;
    Some((name, values))
}

#[cfg(test)]
pub(super) mod tests {
    use ldap3::asn1::{PL, TagClass};

    use super::*;

    pub(crate) fn raw(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Raw {
        let attributes = attributes
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect()))
            .collect();
        Raw { dn: dn.to_owned(), attributes }
    }

    const SID: &[u8] = &[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x4f, 4, 0, 0];

    fn person(classes: &[&[u8]]) -> Raw {
        raw(
            "CN=Alice,DC=x",
            &[
                ("objectClass", classes),
                ("objectSid", &[SID]),
                ("objectGUID", &[&[0x80; 16]]),
                ("samaccountname", &[b"Alice"]),
                ("userPrincipalName", &[b"alice@contoso.com"]),
                ("name", &["Alice Ångström".as_bytes()]),
                ("primaryGroupID", &[b"513"]),
                ("userAccountControl", &[b"514"]),
                ("msDS-User-Account-Control-Computed", &[b"-2147483632"]),
                ("accountExpires", &[b"9223372036854775807"]),
                ("pwdLastSet", &[b"0"]),
                ("lockoutTime", &[b"133000000000000000"]),
                ("logonHours", &[&[0xff; 21]]),
                ("userWorkstations", &[b"CLIENT1,client2"]),
                ("uidNumber", &[b"1000"]),
                ("gidNumber", &[b"2000"]),
            ],
        )
    }

    #[test]
    fn what_the_directory_does_not_show_is_not_zero() {
        let classes: &[&[u8]] = &[b"top", b"person", b"user"];
        let Some(Entry::User(whole)) = person(classes).classify(Extras::default()) else { panic!("a user") };
        assert!(!whole.state.is_unread() && whole.state.must_change());
        for hidden in ["userAccountControl", "pwdLastSet"] {
            let mut entry = person(classes);
            entry.attributes.retain(|(name, _)| name != hidden);
            let Some(Entry::User(user)) = entry.classify(Extras::default()) else { panic!("a user") };
            assert!(user.state.is_unread(), "{hidden}");
        }
    }

    #[test]
    fn a_user_is_read() {
        let Some(Entry::User(user)) = person(&[b"top", b"person", b"user"]).classify(Extras::default()) else {
            panic!("a user")
        };
        assert_eq!(user.sid.as_ref().map(ToString::to_string).as_deref(), Some("S-1-5-21-1-2-3-1103"));
        assert_eq!((user.sam.as_str(), user.upn.as_deref()), ("Alice", Some("alice@contoso.com")));
        assert_eq!((user.gecos.as_str(), user.primary_group_rid), ("Alice Ångström", 513));
        assert_eq!((user.guid.len(), user.posix), (16, None));
        assert_eq!((user.state.control, user.state.computed), (514, 0x8000_0010));
        assert_eq!((user.state.account_expires, user.state.password_last_set), (i64::MAX, 0));
        assert_eq!(user.state.lockout_time, 133_000_000_000_000_000);
        assert!(user.state.logon_hours.is_some_and(|hours| hours.permit(0)));
        assert_eq!(user.state.workstations.as_deref(), Some("CLIENT1,client2"));
        let Some(Entry::User(user)) = person(&[b"USER"]).classify(Extras { posix: true, ..Extras::default() }) else {
            panic!("a user")
        };
        assert_eq!(user.posix, Some((1000, 2000)));
    }

    #[test]
    fn computers_and_contacts_are_nobody() {
        assert_eq!(person(&[b"top", b"user", b"computer"]).classify(Extras::default()), None);
        assert_eq!(
            person(&[b"top", b"computer", b"user", b"msDS-GroupManagedServiceAccount"]).classify(Extras::default()),
            None
        );
        assert_eq!(person(&[b"top", b"person", b"contact"]).classify(Extras::default()), None);
    }

    #[test]
    fn an_account_without_a_name_is_nobody() {
        assert_eq!(
            raw("CN=x", &[("objectClass", &[b"user"]), ("objectSid", &[SID])]).classify(Extras::default()),
            None
        );
    }

    #[test]
    fn a_group_is_read() {
        let entry = raw(
            "CN=g,DC=x",
            &[("objectClass", &[b"top", b"group"]), ("sAMAccountName", &[b"g"]), ("groupType", &[b"-2147483646"])],
        );
        let Some(Entry::Group(group)) = entry.classify(Extras::default()) else { panic!("a group") };
        assert_eq!((group.sam.as_str(), group.group_type, group.sid), ("g", -2_147_483_646, None));
    }

    #[test]
    fn a_lockout_without_an_end_is_told_from_a_short_one() {
        assert_eq!(policy_seconds(-18_000_000_000), 1800);
        assert_eq!((policy_seconds(0), policy_seconds(i64::MIN)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn ranges_are_followed_to_their_end() {
        let values: &[&[u8]] = &[b"CN=a", b"CN=b"];
        let read = |name: &str| {
            let entry = raw("CN=g", &[("cn", &[b"g"]), (name, values)]);
            let (values, next) = ranged(&entry, "member");
            (values.len(), next)
        };
        assert_eq!(read("member"), (2, None));
        assert_eq!(read("member;range=0-1499"), (2, Some(1500)));
        assert_eq!(read("Member;Range=1500-2999"), (2, Some(3000)));
        assert_eq!(read("member;range=3000-*"), (2, None));
        assert_eq!(read("memberOf"), (0, None));
        assert_eq!(read("member;range=0-x"), (2, None));
        // AD sends the attribute itself, empty, beside its range.
        let entry = raw("CN=g", &[("member", &[]), ("member;range=0-1499", values)]);
        assert_eq!(ranged(&entry, "member").1, Some(1500));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let reference = StructureTag { class: TagClass::Application, id: 19, payload: PL::C(Vec::new()) };
        assert_eq!(Raw::parse(ResultEntry::new(reference)), None);
        let empty = StructureTag { class: TagClass::Application, id: 4, payload: PL::C(Vec::new()) };
        assert_eq!(Raw::parse(ResultEntry::new(empty)), None);
    }
}
