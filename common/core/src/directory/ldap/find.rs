//! Single accounts, the groups of a token, and the domain itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use ldap3::Scope;

use super::connection::{Found, Query};
use super::entry::{self, Raw};
use super::link::Link;
use super::members::batches;
use super::{LdapDirectory, filter};
use crate::Error;
use crate::directory::{DomainInfo, Key};
use crate::types::{Entry, GroupEntry, Sid, UserEntry, fold};

/// SIDs per search: a server compares every entry that it finds with the whole filter, so larger ones cost more than they save.
const SIDS: usize = 20;

impl LdapDirectory {
    pub(super) async fn info(&self, deadline: Instant) -> Result<DomainInfo, Error> {
        if let Some(info) = self.info.get() {
            return Ok(info.clone());
        }
        let root = self.read("", &["defaultNamingContext", "configurationNamingContext"], deadline).await?;
        let naming = |name: &str| {
            root.as_ref()
                .and_then(|root| root.text(name))
                .map(str::to_owned)
                .ok_or_else(|| Error::Protocol(format!("the rootDSE names no {name}: not Active Directory?")))
        };
        let (domain_dn, configuration) = (naming("defaultNamingContext")?, naming("configurationNamingContext")?);
        let domain = self.read(&domain_dn, &["objectSid"], deadline).await?;
        let sid = domain
            .and_then(|domain| domain.sid())
            .ok_or_else(|| Error::Protocol(format!("{domain_dn} has no objectSid: may this machine read it?")))?;
        // The crossRef of the domain names it as Windows does (MS-ADTS 6.1.1.2.1.1).
        let partitions = format!("CN=Partitions,{configuration}");
        let wanted = filter::all_of(["(objectClass=crossRef)".into(), filter::equals("nCName", domain_dn.as_bytes())]);
        let query = Query { base: &partitions, scope: Scope::OneLevel, filter: &wanted, attributes: &["nETBIOSName"] };
        let found = self.ask(&query, deadline).await?;
        let netbios = found.entries.iter().find_map(|entry| entry.text("nETBIOSName")).ok_or_else(|| {
            Error::Protocol(format!("{partitions} has no entry for {domain_dn}: may this machine read it?"))
        })?;
        let info = DomainInfo {
            sid,
            netbios: netbios.to_owned(),
            dns_name: self.domain.name.clone(),
            base_dn: self.domain.base_dn.clone().unwrap_or(domain_dn),
        };
        Ok(self.info.get_or_init(|| info).clone())
    }

    pub(super) async fn find_user(&self, key: &Key, deadline: Instant) -> Result<Option<UserEntry>, Error> {
        let wanted = match key {
            Key::Sam(sam) => filter::equals("sAMAccountName", sam.as_bytes()),
            Key::Upn(upn) => filter::equals("userPrincipalName", upn.as_bytes()),
            Key::SamOrUpn { sam, upn } => filter::any_of([
                filter::equals("sAMAccountName", sam.as_bytes()),
                filter::equals("userPrincipalName", upn.as_bytes()),
            ]),
            Key::Sid(sid) => filter::equals("objectSid", &sid.to_bytes()),
            Key::FormerSid(sid) => filter::equals(entry::FORMER, &sid.to_bytes()),
            Key::PosixId(id) => filter::equals("uidNumber", id.to_string().as_bytes()),
        };
        let root = self.info(deadline).await?.base_dn;
        let wanted = self.subtrees.users(wanted);
        let found = self.each(&self.subtrees.for_users(&root), &wanted, entry::USER, deadline).await?;
        let users = found.into_iter().filter_map(|entry| match entry {
            Entry::User(user) => Some(*user),
            Entry::Group(_) => None,
        });
        let mut user = choose_user(&users.collect::<Vec<_>>(), key)?;
        if let Some(user) = user.as_mut().filter(|user| user.state.is_locked()) {
            // The account is known without it.
            user.state.lockout_seconds = self.lockout_seconds(deadline).await.unwrap_or_default();
        }
        Ok(user)
    }

    /// How long the domain's own policy keeps an account locked, in seconds. Whether a fine-grained one holds for the
    /// account is not read: only administrators may see those.
    async fn lockout_seconds(&self, deadline: Instant) -> Result<Option<u64>, Error> {
        let labels: Vec<_> = self.domain.name.split('.').map(|label| format!("DC={label}")).collect();
        let head = self.read(&labels.join(","), &["lockoutDuration"], deadline).await?;
        Ok(head.and_then(|head| head.number("lockoutDuration")).map(entry::policy_seconds))
    }

    pub(super) async fn find_group(&self, key: &Key, deadline: Instant) -> Result<Option<GroupEntry>, Error> {
        let wanted = match key {
            Key::Sam(sam) => filter::equals("sAMAccountName", sam.as_bytes()),
            Key::Sid(sid) => filter::equals("objectSid", &sid.to_bytes()),
            Key::FormerSid(sid) => filter::equals(entry::FORMER, &sid.to_bytes()),
            Key::PosixId(id) => filter::equals("gidNumber", id.to_string().as_bytes()),
            // Groups have no UPN.
            Key::Upn(_) | Key::SamOrUpn { .. } => return Ok(None),
        };
        let root = self.info(deadline).await?.base_dn;
        let wanted = self.subtrees.groups(wanted);
        let found = self.each(&self.subtrees.for_groups(&root), &wanted, entry::GROUP, deadline).await?;
        let groups = found.into_iter().filter_map(|entry| match entry {
            Entry::Group(group) => Some(*group),
            Entry::User(_) => None,
        });
        choose_group(&groups.collect::<Vec<_>>(), key)
    }

    pub(super) async fn read_token_groups(&self, dn: &str, sid: &Sid, deadline: Instant) -> Result<Vec<Sid>, Error> {
        // Constructed: only a search of base scope gives it (MS-ADTS 3.1.1.4.5.19).
        let entry = self.read_known(dn, sid, "tokenGroups", deadline).await?;
        Ok(entry.values("tokenGroups").iter().filter_map(|value| Sid::from_bytes(value).ok()).collect())
    }

    pub(super) async fn entry_matches(
        &self,
        dn: &str,
        sid: &Sid,
        wanted: &str,
        deadline: Instant,
    ) -> Result<bool, Error> {
        let wanted = filter::configured(wanted).ok_or_else(|| {
            Error::Config(format!("`{wanted}` is no LDAP filter (RFC 4515), such as (department=IT)"))
        })?;
        let wanted = filter::all_of([filter::equals("objectSid", &sid.to_bytes()), wanted]);
        let query = Query { base: dn, scope: Scope::Base, filter: &wanted, attributes: &["objectSid"] };
        let found = self.ask(&query, deadline).await?;
        if found.entries.iter().any(|entry| entry.sid().as_ref() == Some(sid)) {
            return Ok(true);
        }
        // Nothing came: the account does not match, or it is elsewhere by now.
        self.read_known(dn, sid, "objectSid", deadline).await.map(|_| false)
    }

    pub(super) async fn find_groups(&self, sids: &[Sid], deadline: Instant) -> Result<Vec<GroupEntry>, Error> {
        let mut seen = HashSet::new();
        let unique: Vec<_> = sids.iter().filter(|sid| seen.insert(*sid)).map(Sid::to_bytes).collect();
        let wanted = batches("objectSid", &unique, SIDS);
        let attributes = self.attributes_without_keys(entry::GROUP);
        let found = self.search_all(&[&self.link], wanted, &attributes, Raw::classify, deadline).await?;
        let groups = found.into_iter().filter_map(|entry| match entry {
            Entry::Group(group) => Some(*group),
            Entry::User(_) => None,
        });
        Ok(groups.collect())
    }

    /// One entry by its DN; `None` where it does not exist.
    pub(super) async fn read(&self, dn: &str, attributes: &[&str], deadline: Instant) -> Result<Option<Raw>, Error> {
        read_on(&self.link, dn, attributes, deadline).await
    }

    /// One attribute of the object that had this DN and SID when it was read. The DN may be another object's by now.
    pub(super) async fn read_known(
        &self,
        dn: &str,
        sid: &Sid,
        attribute: &str,
        deadline: Instant,
    ) -> Result<Raw, Error> {
        read_known_on(&self.link, dn, sid, attribute, deadline).await
    }

    /// One search that gives fewer entries than a server limits (1,000).
    pub(super) async fn ask(&self, query: &Query<'_>, deadline: Instant) -> Result<Found, Error> {
        ask_on(&self.link, query, deadline).await
    }

    /// The same search below each base; what lies below two of them once.
    async fn each(
        &self,
        bases: &[&str],
        wanted: &str,
        plain: &[&'static str],
        deadline: Instant,
    ) -> Result<Vec<Entry>, Error> {
        let attributes = self.attributes(plain);
        let mut entries = Vec::new();
        for base in bases {
            let query = Query { base, scope: Scope::Subtree, filter: wanted, attributes: &attributes };
            let found = self.ask(&query, deadline).await?;
            if found.no_such_base {
                return Err(Error::Config(format!("the base {base} does not exist in the directory")));
            }
            entries.extend(found.entries.iter().filter_map(|entry| entry.classify(self.extras())));
        }
        Ok(entries)
    }
}

/// [`LdapDirectory::read`] on this connection.
pub(super) async fn read_on(
    link: &Arc<Link>,
    dn: &str,
    attributes: &[&str],
    deadline: Instant,
) -> Result<Option<Raw>, Error> {
    let query = Query { base: dn, scope: Scope::Base, filter: "(objectClass=*)", attributes };
    Ok(ask_on(link, &query, deadline).await?.entries.into_iter().next())
}

/// [`LdapDirectory::read_known`] on this connection.
pub(super) async fn read_known_on(
    link: &Arc<Link>,
    dn: &str,
    sid: &Sid,
    attribute: &str,
    deadline: Instant,
) -> Result<Raw, Error> {
    match read_on(link, dn, &[attribute, "objectSid"], deadline).await? {
        Some(entry) if entry.sid().as_ref() == Some(sid) => Ok(entry),
        _ => Err(Error::Protocol(format!("{dn} is no more: the object was moved or deleted since it was read"))),
    }
}

async fn ask_on(link: &Arc<Link>, query: &Query<'_>, deadline: Instant) -> Result<Found, Error> {
    let (_, found) = link.search(query, None, deadline).await?;
    if found.cut {
        return Err(Error::Protocol(format!("more entries match {} than the server gives at once", query.filter)));
    }
    Ok(found)
}

/// The one user whom the key means. AD's matching ignores accents and more: what came back is compared here. A
/// UPN that somebody has goes before the one that a sAMAccountName implies (MS-KILE 3.3.5.6.1): the KDC means the same
/// account then.
fn choose_user(users: &[UserEntry], key: &Key) -> Result<Option<UserEntry>, Error> {
    let same = |found: &str, asked: &str| fold(found) == fold(asked);
    let by_sam = |asked: &str| pick(users, asked, |user: &UserEntry| same(&user.sam, asked));
    let by_upn =
        |asked: &str| pick(users, asked, |user: &UserEntry| user.upn.as_deref().is_some_and(|upn| same(upn, asked)));
    match key {
        Key::Sam(sam) => by_sam(sam),
        Key::Upn(upn) => by_upn(upn),
        Key::SamOrUpn { sam, upn } => match by_upn(upn)? {
            Some(user) => Ok(Some(user)),
            None => by_sam(sam),
        },
        Key::Sid(sid) => pick(users, &sid.to_string(), |user: &UserEntry| user.sid.as_ref() == Some(sid)),
        Key::FormerSid(sid) => pick(users, &sid.to_string(), |user: &UserEntry| user.former_sids.contains(sid)),
        Key::PosixId(id) => {
            pick(users, &format!("uidNumber {id}"), |user: &UserEntry| user.posix.is_some_and(|(uid, _)| uid == *id))
        }
    }
}

fn choose_group(groups: &[GroupEntry], key: &Key) -> Result<Option<GroupEntry>, Error> {
    match key {
        Key::Sam(sam) => pick(groups, sam, |group: &GroupEntry| fold(&group.sam) == fold(sam)),
        Key::Sid(sid) => pick(groups, &sid.to_string(), |group: &GroupEntry| group.sid.as_ref() == Some(sid)),
        Key::FormerSid(sid) => pick(groups, &sid.to_string(), |group: &GroupEntry| group.former_sids.contains(sid)),
        Key::PosixId(id) => {
            pick(groups, &format!("gidNumber {id}"), |group: &GroupEntry| group.gid_number == Some(*id))
        }
        Key::Upn(_) | Key::SamOrUpn { .. } => Ok(None),
    }
}

fn pick<T: Clone>(entries: &[T], asked: &str, matches: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    let mut matching = entries.iter().filter(|entry| matches(entry));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(Some(one.clone())),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Error::Ambiguous(format!("`{asked}` means more than one account of the directory"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(sam: &str, upn: &str) -> UserEntry {
        UserEntry { sam: sam.into(), upn: Some(upn.into()), ..UserEntry::default() }
    }

    fn sam(users: &[UserEntry], key: &Key) -> Option<String> {
        choose_user(users, key).unwrap().map(|user| user.sam)
    }

    #[test]
    fn accents_tell_users_apart() {
        let users = [user("jürgen", "a@x"), user("jurgen", "b@x")];
        assert_eq!(sam(&users, &Key::Sam("JURGEN".into())).as_deref(), Some("jurgen"));
        assert_eq!(sam(&users, &Key::Sam("JÜRGEN".into())).as_deref(), Some("jürgen"));
        assert_eq!(sam(&users[..1], &Key::Sam("jurgen".into())), None);
    }

    #[test]
    fn a_upn_goes_before_the_name_that_a_sam_account_name_implies() {
        let key = Key::SamOrUpn { sam: "alice".into(), upn: "alice@x".into() };
        let users = [user("bob", "ALICE@x"), user("Alice", "a@y")];
        assert_eq!(sam(&users, &key).as_deref(), Some("bob"));
        assert_eq!(sam(&users[1..], &key).as_deref(), Some("Alice"));
    }

    #[test]
    fn two_of_a_kind_are_never_guessed() {
        let users = [user("a", "same@x"), user("b", "Same@X")];
        assert!(matches!(choose_user(&users, &Key::Upn("same@x".into())), Err(Error::Ambiguous(_))));
    }
}
