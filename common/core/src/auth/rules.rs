//! The rules of `[domains.X.access]`, in the order that entra.toml(5) states: deny lists (the domain's, then the
//! service's), filters likewise, allow lists and default of the service, allow lists and default of the domain.

use std::sync::Arc;

use crate::Error;
use crate::config::{Access, AccessRules};
use crate::lookup::{Answer, DomainContext, Freshness, Lookup, Memberships, Query};
use crate::types::{NameForm, Sid, UserRecord, fold};

use super::judgement::{Check, Judgement, Said};
use super::sentence::Refusal;

/// One rule: where it stands, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule<'a> {
    name: String,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    DenyUsers(&'a [String]),
    DenyGroups(&'a [String]),
    Filter(&'a str),
    AllowUsers(&'a [String]),
    AllowGroups(&'a [String]),
    /// Whether it allows, and in whose words.
    Default(bool, &'static str),
}

/// Adds what the rules say of this user and PAM service. Groups are read anew, so that a revoked membership counts at
/// this login.
pub(super) async fn judge(
    judgement: &mut Judgement,
    lookup: &Arc<Lookup>,
    user: &UserRecord,
    access: &Access,
    service: Option<&str>,
) {
    let rules = in_order(access, service);
    if judgement.refusal().is_some() {
        judgement.add(rules.into_iter().map(|rule| Check::new(rule.name, Said::NotReached, "")));
        return;
    }
    // Also where no rule needs them: the session's initgroups finds them fresh.
    let groups = lookup.memberships(&user.sid, Freshness::Fresh).await;
    judgement.groups_fetched = groups.as_ref().ok().and_then(|groups| groups.as_ref().map(|groups| groups.fetched));
    let subject = Subject { lookup, user, groups };
    let mut decided = false;
    for rule in rules {
        let (said, detail) = if decided { (Said::NotReached, String::new()) } else { subject.ask(rule.kind).await };
        decided |= matches!(said, Said::Allows | Said::Refuses(_));
        judgement.checks.push(Check::new(rule.name, said, detail));
    }
}

/// Whether a user is a member of one of these groups, by what is known already. A group that does not exist has no
/// members, and is named in the log.
///
/// # Errors
/// Where that is not known now.
pub(super) async fn is_in_any(lookup: &Arc<Lookup>, user: &UserRecord, groups: &[String]) -> Result<bool, Error> {
    let known = lookup.memberships(&user.sid, Freshness::Cached).await?;
    let subject = Subject { lookup, user, groups: Ok(known) };
    let mut unclear = None;
    for entry in groups {
        match subject.is_in(entry, Freshness::Cached).await {
            Ok(Member::Yes(_)) => return Ok(true),
            Ok(Member::No) => {}
            Ok(Member::NoSuchGroup) => {
                log::warn!(
                    "{entry:?} of service_ticket_groups is no group of the directory: nobody gets tickets by it"
                );
            }
            Err(_) => unclear = Some(Error::Offline(format!("the group {entry:?} cannot be looked up now"))),
        }
    }
    unclear.map_or(Ok(false), Err)
}

/// The rules that stand for a service, in the order in which they are asked.
fn in_order<'a>(access: &'a Access, service: Option<&str>) -> Vec<Rule<'a>> {
    let own = service.and_then(|service| access.service(service));
    let prefix = own.map(|own| format!("access.services.{}", own.service));
    let mut rules = Vec::new();
    let mut put = |prefix: &str, key: &str, kind: Kind<'a>| {
        let empty = match kind {
            Kind::DenyUsers(list) | Kind::DenyGroups(list) | Kind::AllowUsers(list) | Kind::AllowGroups(list) => {
                list.is_empty()
            }
            Kind::Filter(_) | Kind::Default(..) => false,
        };
        if !empty {
            rules.push(Rule { name: format!("{prefix}.{key}"), kind });
        }
    };
    let both = [Some(("access", &access.rules)), prefix.as_deref().zip(own.map(|own| &own.rules))];
    for (prefix, rules) in both.into_iter().flatten() {
        put(prefix, "deny_users", Kind::DenyUsers(&rules.deny_users));
        put(prefix, "deny_groups", Kind::DenyGroups(&rules.deny_groups));
    }
    for (prefix, rules) in both.into_iter().flatten() {
        if let Some(filter) = &rules.filter {
            put(prefix, "filter", Kind::Filter(filter));
        }
    }
    if let (Some(prefix), Some(own)) = (&prefix, own) {
        put(prefix, "allow_users", Kind::AllowUsers(&own.rules.allow_users));
        put(prefix, "allow_groups", Kind::AllowGroups(&own.rules.allow_groups));
        if let Some(allow) = own.default_allow {
            put(prefix, "default", default(allow, &own.rules, &[]));
            return rules;
        }
    }
    put("access", "allow_users", Kind::AllowUsers(&access.rules.allow_users));
    put("access", "permit", Kind::AllowGroups(&access.permit));
    put("access", "allow_groups", Kind::AllowGroups(&access.rules.allow_groups));
    put("access", "default", default(access.default_allow, &access.rules, &access.permit));
    rules
}

/// A filter beside no list that allows anybody is what lets in: whoever is asked here has matched it.
fn default<'a>(allow: bool, rules: &AccessRules, permit: &[String]) -> Kind<'a> {
    let lists = !permit.is_empty() || !rules.allow_users.is_empty() || !rules.allow_groups.is_empty();
    match (allow, rules.filter.is_some() && !lists) {
        (true, _) => Kind::Default(true, "default = \"allow\": everybody else may log in"),
        (false, true) => Kind::Default(true, "default = \"deny\", but for those who match the filter"),
        (false, false) => Kind::Default(false, "default = \"deny\": no rule lets this user in"),
    }
}

/// Who is judged.
struct Subject<'a> {
    lookup: &'a Arc<Lookup>,
    user: &'a UserRecord,
    groups: Result<Option<Answer<Memberships>>, Error>,
}

impl Subject<'_> {
    async fn ask(&self, kind: Kind<'_>) -> (Said, String) {
        match kind {
            Kind::DenyUsers(list) => self.users(list, Said::Refuses(Refusal::NotPermitted)),
            Kind::AllowUsers(list) => self.users(list, Said::Allows),
            Kind::DenyGroups(list) => self.deny_groups(list).await,
            Kind::AllowGroups(list) => self.allow_groups(list).await,
            Kind::Filter(filter) => self.filter(filter).await,
            Kind::Default(true, words) => (Said::Allows, words.into()),
            Kind::Default(false, words) => (Said::Refuses(Refusal::NotPermitted), words.into()),
        }
    }

    fn users(&self, list: &[String], hit: Said) -> (Said, String) {
        let netbios = self.lookup.domain(&self.user.domain).and_then(DomainContext::info).map(|info| info.netbios);
        match list.iter().find(|entry| names_user(entry, self.user, netbios.as_deref())) {
            Some(entry) => (hit, format!("names this user as {entry:?}")),
            None => (Said::Passes, "does not name this user".into()),
        }
    }

    async fn deny_groups(&self, list: &[String]) -> (Said, String) {
        let mut unclear = None;
        for entry in list {
            match self.is_in(entry, Freshness::Fresh).await {
                Ok(Member::Yes(sid)) => return (Said::Refuses(Refusal::NotPermitted), member_of(entry, &sid)),
                Ok(Member::No) => {}
                Ok(Member::NoSuchGroup) => {
                    log::error!(
                        "access: {entry:?} of deny_groups is no group of the directory: nobody is let in until it is \
                         corrected in entra.toml"
                    );
                    unclear = Some((Said::Refuses(Refusal::RuleBroken), format!("the group {entry:?} does not exist")));
                }
                Err(refusal) => unclear = unclear.or(Some((Said::Refuses(refusal), unknown(entry)))),
            }
        }
        unclear.unwrap_or((Said::Passes, "a member of none".into()))
    }

    async fn allow_groups(&self, list: &[String]) -> (Said, String) {
        let (mut unclear, mut missing) = (None, Vec::new());
        for entry in list {
            match self.is_in(entry, Freshness::Cached).await {
                Ok(Member::Yes(sid)) => return (Said::Allows, member_of(entry, &sid)),
                Ok(Member::No) => {}
                Ok(Member::NoSuchGroup) => {
                    log::warn!("access: {entry:?} is no group of the directory, and lets nobody in");
                    missing.push(format!("{entry:?}"));
                }
                Err(refusal) => unclear = unclear.or(Some((Said::Refuses(refusal), unknown(entry)))),
            }
        }
        match (unclear, missing.is_empty()) {
            (Some(unclear), _) => unclear,
            (None, true) => (Said::Passes, "a member of none".into()),
            (None, false) => (Said::Passes, format!("a member of none; no such group: {}", missing.join(", "))),
        }
    }

    async fn filter(&self, filter: &str) -> (Said, String) {
        match self.lookup.matches(self.user, filter).await {
            Ok(answer) if *answer.value => (Said::Passes, format!("matches {filter}")),
            Ok(_) => (Said::Refuses(Refusal::NotPermitted), format!("does not match {filter}")),
            Err(error @ Error::Config(_)) => {
                log::error!("access: nobody is let in until it is corrected in entra.toml: {error}");
                (Said::Refuses(Refusal::RuleBroken), error.to_string())
            }
            Err(error) => (Said::Refuses(unreachable(&error)), format!("whether it matches {filter} is not known")),
        }
    }

    /// Whether the user is a member of the group that an entry names.
    async fn is_in(&self, entry: &str, freshness: Freshness) -> Result<Member, Refusal> {
        let groups = match &self.groups {
            Ok(Some(groups)) => &groups.value.groups,
            // The user is gone.
            Ok(None) => return Err(Refusal::NotPermitted),
            Err(error) => return Err(unreachable(error)),
        };
        let sid = match entry.parse::<Sid>() {
            Ok(sid) => sid,
            Err(_) => match self.lookup.group(Query::name(&self.qualified(entry)), freshness).await {
                Ok(Some(group)) => group.value.sid.clone(),
                Ok(None) => return Ok(Member::NoSuchGroup),
                Err(error) => return Err(unreachable(&error)),
            },
        };
        let member = groups.contains(&sid) || self.user.primary_group == sid;
        Ok(if member { Member::Yes(sid) } else { Member::No })
    }

    /// A short name means a group of the rule's own domain, also where a group of this host has that name.
    fn qualified(&self, entry: &str) -> String {
        match NameForm::parse(entry) {
            Some(NameForm::Short(name)) => format!("{name}@{}", self.user.domain),
            _ => entry.to_owned(),
        }
    }
}

enum Member {
    Yes(Sid),
    No,
    NoSuchGroup,
}

fn member_of(entry: &str, sid: &Sid) -> String {
    if entry == sid.to_string() {
        format!("a member of the group {sid}")
    } else {
        format!("a member of the group {entry:?}, {sid}")
    }
}

fn unknown(entry: &str) -> String {
    format!("whether this user is a member of {entry:?} is not known")
}

/// Whether an entry of a list means this user. Compared, not looked up: an account that is gone is nobody, and hinders
/// nobody. A directory refuses a UPN that is also what another account's sAMAccountName implies, so that a name with `@`
/// means one user.
fn names_user(entry: &str, user: &UserRecord, netbios: Option<&str>) -> bool {
    if let Ok(sid) = entry.parse::<Sid>() {
        return sid == user.sid;
    }
    let folded = fold(entry);
    if folded == fold(&user.name) || user.upn.as_deref().is_some_and(|upn| fold(upn) == folded) {
        return true;
    }
    let own = |domain: &str| domain == user.domain || netbios.is_some_and(|netbios| fold(netbios) == domain);
    match NameForm::parse(&folded) {
        Some(NameForm::Short(account)) => account == fold(&user.sam),
        Some(NameForm::DownLevel { domain, account }) => account == fold(&user.sam) && own(&domain),
        Some(NameForm::At { account, suffix }) => account == fold(&user.sam) && own(&suffix),
        None => false,
    }
}

/// An error of the core as a refusal.
pub(super) fn unreachable(error: &Error) -> Refusal {
    match error {
        Error::Offline(_) | Error::MachineUnauthorized(_) | Error::Protocol(_) => Refusal::DirectoryUnreachable,
        Error::Busy(_) => Refusal::Busy,
        _ => Refusal::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::state::tests::{answer, fit};

    #[test]
    fn a_user_is_named_in_every_form() {
        let user = answer(fit()).value;
        let named = |entry: &str| names_user(entry, &user, Some("EXAMPLE"));
        for entry in [
            "alice",
            "ALICE",
            "Alice.A@Contoso.com",
            "alice@d.example",
            "alice@example",
            "EXAMPLE\\Alice",
            "d.example\\alice",
            "S-1-5-21-1-2-3-1103",
        ] {
            assert!(named(entry), "{entry}");
        }
        for entry in ["alic", "alice.a", "alice@contoso.com", "OTHER\\alice", "alice@other", "S-1-5-21-1-2-3-1104"] {
            assert!(!named(entry), "{entry}");
        }
    }

    fn names(text: &str, service: Option<&str>) -> Vec<String> {
        let config = crate::config::parse(&format!("[domains.\"d.example\".access]\n{text}")).unwrap();
        in_order(&config.domains[0].access, service).into_iter().map(|rule| rule.name).collect()
    }

    #[test]
    fn rules_stand_in_the_order_that_the_manual_states() {
        let text = "default = \"deny\"\npermit = [\"p\"]\nallow_users = [\"a\"]\nallow_groups = [\"g\"]\ndeny_users = [\"b\"]\n\
                    deny_groups = [\"h\"]\nfilter = \"(a=1)\"\n[domains.\"d.example\".access.services.sshd]\n\
                    allow_users = [\"c\"]\nallow_groups = [\"i\"]\ndeny_users = [\"d\"]\ndeny_groups = [\"j\"]\n\
                    filter = \"(a=2)\"\n";
        let own = |key: &str| format!("access.services.sshd.{key}");
        let refusing = [
            "access.deny_users".into(),
            "access.deny_groups".into(),
            own("deny_users"),
            own("deny_groups"),
            "access.filter".into(),
            own("filter"),
            own("allow_users"),
            own("allow_groups"),
        ];
        let rest = ["access.allow_users", "access.permit", "access.allow_groups", "access.default"].map(String::from);
        assert_eq!(names(text, Some("sshd")), [refusing.as_slice(), rest.as_slice()].concat());
        assert_eq!(names(text, Some("SSHD")), names(text, Some("sshd")));
        let closed = names(&format!("{text}default = \"deny\"\n"), Some("sshd"));
        assert_eq!(closed, [refusing.as_slice(), [own("default")].as_slice()].concat());
        for service in [None, Some("login")] {
            let plain = names(text, service);
            assert_eq!(plain[..3], ["access.deny_users", "access.deny_groups", "access.filter"]);
            assert_eq!(plain[3..], rest);
        }
    }
}
