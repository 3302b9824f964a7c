//! Where users and groups are looked for, and which of them count: the configuration's bases and filters.

use super::filter;
use crate::types::{Entry, fold};
use crate::{Error, config};

/// The configuration's bases and filters, checked.
#[derive(Clone, Debug)]
pub(super) struct Subtrees {
    user_bases: Vec<String>,
    group_bases: Vec<String>,
    user_filter: Option<String>,
    group_filter: Option<String>,
}

impl Subtrees {
    /// # Errors
    /// [`Error::Config`] when a filter is none.
    pub(super) fn new(domain: &config::Domain) -> Result<Self, Error> {
        let checked = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => filter::configured(text).map(Some).ok_or_else(|| {
                Error::Config(format!("{option}: `{text}` is no LDAP filter (RFC 4515), such as (department=IT)"))
            }),
        };
        Ok(Self {
            user_bases: domain.user_bases.clone(),
            group_bases: domain.group_bases.clone(),
            user_filter: checked("user_filter", &domain.user_filter)?,
            group_filter: checked("group_filter", &domain.group_filter)?,
        })
    }

    /// Subtrees to search for users.
    pub(super) fn for_users<'a>(&'a self, root: &'a str) -> Vec<&'a str> {
        outermost(&self.user_bases, root)
    }

    /// Subtrees to search for groups.
    pub(super) fn for_groups<'a>(&'a self, root: &'a str) -> Vec<&'a str> {
        outermost(&self.group_bases, root)
    }

    /// Subtrees to search for both at once.
    pub(super) fn for_both<'a>(&'a self, root: &'a str) -> Vec<&'a str> {
        if self.user_bases.is_empty() || self.group_bases.is_empty() {
            return vec![root];
        }
        outermost(self.user_bases.iter().chain(&self.group_bases), root)
    }

    /// `wanted`, and what every user must match.
    pub(super) fn users(&self, wanted: String) -> String {
        filter::all_of([Some(wanted), self.user_filter.clone()].into_iter().flatten())
    }

    /// `wanted`, and what every group must match.
    pub(super) fn groups(&self, wanted: String) -> String {
        filter::all_of([Some(wanted), self.group_filter.clone()].into_iter().flatten())
    }

    /// `wanted`, and what every user or group must match.
    pub(super) fn both(&self, wanted: String) -> String {
        if self.user_filter.is_none() && self.group_filter.is_none() {
            return wanted;
        }
        let users = self.users("(objectClass=user)".into());
        let groups = self.groups("(objectClass=group)".into());
        filter::all_of([wanted, filter::any_of([users, groups])])
    }

    /// Whether an entry lies where its kind is looked for; for searches of both kinds at once.
    pub(super) fn hold(&self, entry: &Entry) -> bool {
        let (bases, dn) = match entry {
            Entry::User(user) => (&self.user_bases, &user.dn),
            Entry::Group(group) => (&self.group_bases, &group.dn),
        };
        bases.is_empty() || bases.iter().any(|base| below(dn, base))
    }
}

/// The bases that lie below no other one, or the root where there are none.
fn outermost<'a>(bases: impl IntoIterator<Item = &'a String>, root: &'a str) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for base in bases {
        if kept.iter().any(|outer| below(base, outer)) {
            continue;
        }
        kept.retain(|inner| !below(inner, base));
        kept.push(base);
    }
    if kept.is_empty() {
        kept.push(root);
    }
    kept
}

/// Whether `dn` is `base` or lies below it. Letter case and spaces around commas do not count.
fn below(dn: &str, base: &str) -> bool {
    let (dn, base) = (normal(dn), normal(base));
    dn.strip_suffix(&base).is_some_and(|rest| rest.is_empty() || (rest.ends_with(',') && !rest.ends_with("\\,")))
}

/// Compares two DNs, whatever they are.
#[cfg(feature = "fuzzing")]
pub(super) fn read_any(dn: &str, base: &str) {
    assert!(below(dn, dn), "a DN is not itself");
    let _ = below(dn, base);
    let bases = [base.to_owned(), dn.to_owned()];
    assert!(!outermost(&bases, "DC=x").is_empty());
}

fn normal(dn: &str) -> String {
    let parts: Vec<_> = dn.split(',').map(str::trim).collect();
    fold(&parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{GroupEntry, UserEntry};

    fn subtrees() -> Subtrees {
        Subtrees { user_bases: Vec::new(), group_bases: Vec::new(), user_filter: None, group_filter: None }
    }

    #[test]
    fn a_base_within_another_is_not_searched_twice() {
        let bases = ["OU=a,OU=b,DC=x", "ou=B, dc=x", "OU=c,DC=x"].map(str::to_owned);
        assert_eq!(outermost(&bases, "DC=x"), ["ou=B, dc=x", "OU=c,DC=x"]);
        assert_eq!(outermost(&[], "DC=x"), ["DC=x"]);
    }

    #[test]
    fn both_kinds_are_searched_in_each_others_bases() {
        let mut subtrees = subtrees();
        subtrees.user_bases = vec!["OU=u,DC=x".into()];
        assert_eq!(subtrees.for_both("DC=x"), ["DC=x"]);
        subtrees.group_bases = vec!["OU=g,DC=x".into(), "OU=u,DC=x".into()];
        assert_eq!(subtrees.for_both("DC=x"), ["OU=u,DC=x", "OU=g,DC=x"]);
    }

    #[test]
    fn an_entry_elsewhere_is_not_held() {
        let mut subtrees = subtrees();
        subtrees.user_bases = vec!["OU=AADDC Users,DC=x".into()];
        let user = |dn: &str| Entry::User(Box::new(UserEntry { dn: dn.into(), ..UserEntry::default() }));
        assert!(subtrees.hold(&user("CN=Alice,ou=aaddc users,dc=X")));
        assert!(!subtrees.hold(&user("CN=Alice,CN=Users,DC=x")));
        assert!(!subtrees.hold(&user("CN=Alice\\,OU=AADDC Users,DC=x")), "an escaped comma parts nothing");
        assert!(subtrees.hold(&Entry::Group(Box::new(GroupEntry { dn: "CN=g,DC=x".into(), ..GroupEntry::default() }))));
    }

    #[test]
    fn filters_are_added() {
        let mut subtrees = subtrees();
        assert_eq!(subtrees.both("(a=1)".into()), "(a=1)");
        subtrees.user_filter = Some("(department=IT)".into());
        assert_eq!(subtrees.users("(a=1)".into()), "(&(a=1)(department=IT))");
        assert_eq!(subtrees.groups("(a=1)".into()), "(a=1)");
        assert_eq!(subtrees.both("(a=1)".into()), "(&(a=1)(|(&(objectClass=user)(department=IT))(objectClass=group)))");
    }
}
