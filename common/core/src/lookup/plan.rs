//! Which domain is asked, and for what: from a query to a list of searches.

use crate::Error;
use crate::config::IdMapping;
use crate::directory::Key;
use crate::types::{NameForm, fold};

use super::{DomainContext, Lookup, Query};

/// One search: a domain, and the key to ask it for.
pub(super) struct Step<'a> {
    pub(super) domain: &'a DomainContext,
    pub(super) key: Key,
}

/// What a plan came to.
pub(super) struct Plan<'a> {
    /// In the order of the configuration.
    pub(super) steps: Vec<Step<'a>>,
    /// A domain that could have held the answer cannot be asked.
    pub(super) blocked: Option<Error>,
}

impl Lookup {
    /// The searches that answer `query` for users (`upn` = true) or groups. Domains not met yet are asked for their
    /// SID and names first; one that cannot be reached blocks a "there is none", not another domain's answer.
    pub(super) async fn plan(&self, query: &Query, upn: bool) -> Plan<'_> {
        let mut plan = Plan { steps: Vec::new(), blocked: None };
        for domain in &self.domains {
            match self.learn(domain).await {
                Ok(info) => {
                    let key = match query {
                        Query::Name(name) => name_key(name, &domain.config.name, &info.netbios, upn),
                        Query::Sid(sid) => (sid.domain().as_ref() == Some(&info.sid)).then(|| Key::Sid(sid.clone())),
                        Query::FormerSid(sid) => Some(Key::FormerSid(sid.clone())),
                        Query::Id(id) => self.id_key(*id, domain),
                    };
                    plan.steps.extend(key.map(|key| Step { domain, key }));
                }
                Err(error) => plan.blocked = Some(error),
            }
        }
        plan
    }

    fn id_key(&self, id: u32, domain: &DomainContext) -> Option<Key> {
        if domain.config.id_mapping == IdMapping::Rfc2307 {
            return self.mapper.posix_id_allowed(&domain.config.name, id).then_some(Key::PosixId(id));
        }
        let (owner, sid) = self.mapper.sid_of(id)?;
        (owner == domain.config.name).then_some(Key::Sid(sid))
    }

    /// An id as the SID that it is computed from, where it is computed; `None` where no domain can own it.
    pub(super) fn normalise_id(&self, query: Query) -> Option<Query> {
        let Query::Id(id) = query else { return Some(query) };
        if let Some((_, sid)) = self.mapper.sid_of(id) {
            return Some(Query::Sid(sid));
        }
        let could_be = self.domains.iter().any(|domain| {
            let met = match domain.config.id_mapping {
                // The directory alone knows whose number it is.
                IdMapping::Rfc2307 => false,
                // The range is known before the domain's SID is.
                IdMapping::Rid => domain.info().is_some(),
                IdMapping::Sssd => self.mapper.own_range(&domain.config.name).is_some(),
            };
            let (low, high) = domain.config.id_range;
            !met && (low..=high).contains(&id)
        });
        could_be.then_some(query)
    }
}

fn name_key(name: &str, dns_name: &str, netbios: &str, upn: bool) -> Option<Key> {
    let names_domain = |text: &str| fold(text) == dns_name || fold(text) == fold(netbios);
    match NameForm::parse(name)? {
        NameForm::Short(account) => Some(Key::Sam(account)),
        NameForm::DownLevel { domain, account } => names_domain(&domain).then_some(Key::Sam(account)),
        NameForm::At { account, suffix } if names_domain(&suffix) => {
            Some(if upn { Key::SamOrUpn { sam: account, upn: name.to_owned() } } else { Key::Sam(account) })
        }
        NameForm::At { .. } => upn.then(|| Key::Upn(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, upn: bool) -> Option<Key> {
        name_key(name, "aadds.contoso.com", "AADDS", upn)
    }

    #[test]
    fn every_form_asks_for_the_right_thing() {
        assert_eq!(key("alice", true), Some(Key::Sam("alice".into())));
        assert_eq!(key("aadds\\alice", true), Some(Key::Sam("alice".into())));
        assert_eq!(key("aadds.contoso.com\\alice", true), Some(Key::Sam("alice".into())));
        assert_eq!(key("other\\alice", true), None);
        assert_eq!(key("alice@contoso.com", true), Some(Key::Upn("alice@contoso.com".into())));
        assert_eq!(
            key("alice@aadds.contoso.com", true),
            Some(Key::SamOrUpn { sam: "alice".into(), upn: "alice@aadds.contoso.com".into() })
        );
    }

    #[test]
    fn a_group_has_no_upn() {
        assert_eq!(key("staff@contoso.com", false), None);
        assert_eq!(key("staff@aadds.contoso.com", false), Some(Key::Sam("staff".into())));
    }
}
