//! What is known of the domains without asking them: their names and SIDs, remembered across restarts, so that
//! `AADDS\alice` resolves from the store while the network is away.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::directory::DomainInfo;
use crate::types::{DomainId, NameForm, fold};
use crate::whole_file;

use super::{Lookup, Query};

/// The names under which the configured domains are known.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownNames {
    /// DNS name and, once met, NetBIOS name.
    domains: Vec<(DomainId, Option<String>)>,
    /// Whether `account@domain` may be taken for the account of that name. Only where nobody can be asked: it may be the
    /// UPN of somebody whom this host has not met.
    pub(super) implied: bool,
}

impl KnownNames {
    /// The account that a name form speaks of, folded, and the domain that it names. The outer `None`: it names a
    /// domain that is not ours.
    pub(super) fn account(&self, form: &NameForm) -> Option<(Option<&str>, String)> {
        match form {
            NameForm::Short(account) => Some((None, fold(account))),
            NameForm::DownLevel { domain, account } | NameForm::At { account, suffix: domain } => {
                let wanted = fold(domain);
                let known = self.domains.iter().find(|(dns, netbios)| {
                    *dns == wanted || netbios.as_deref().is_some_and(|netbios| fold(netbios) == wanted)
                })?;
                Some((Some(&known.0), fold(account)))
            }
        }
    }
}

/// The only element, if there is exactly one: a name that two domains hold is never guessed.
pub(super) fn only<T>(mut found: Vec<T>) -> Option<T> {
    if found.len() == 1 { found.pop() } else { None }
}

impl Lookup {
    /// `implied`: see [`KnownNames::implied`].
    pub(super) fn known_names(&self, implied: bool) -> KnownNames {
        KnownNames {
            implied,
            domains: self
                .domains
                .iter()
                .map(|domain| (domain.config.name.clone(), domain.info().map(|info| info.netbios)))
                .collect(),
        }
    }

    /// An id as a key of its own, where no SID can be computed from it.
    pub(super) fn id_as_key(&self, id: u32) -> Option<Query> {
        self.mapper.sid_of(id).is_none().then_some(Query::Id(id))
    }

    /// The down-level names of an account, and the short one where there is one domain only. Not `account@domain`: that
    /// may be somebody else's UPN, so it is remembered only for who asked by it.
    pub(super) fn qualified_names(&self, domain: &str, sam: &str) -> Vec<Query> {
        let sam = fold(sam);
        let mut keys = vec![Query::Name(format!("{domain}\\{sam}"))];
        if let Some(info) = self.domain(domain).and_then(super::DomainContext::info) {
            keys.push(Query::Name(format!("{}\\{sam}", fold(&info.netbios))));
        }
        if self.domains.len() == 1 && !self.is_reserved_group(&sam) {
            keys.push(Query::Name(sam));
        }
        keys
    }
}

/// The file that remembers [`DomainInfo`] across restarts.
#[derive(Clone, Debug)]
pub(super) struct Acquaintances {
    path: PathBuf,
}

impl Acquaintances {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What was remembered; nothing where the file is missing or damaged (the domains will be met again).
    pub(super) fn load(&self) -> Vec<DomainInfo> {
        let Ok(text) = std::fs::read(&self.path) else { return Vec::new() };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            log::warn!("{} is damaged and will be written anew: {error}", self.path.display());
            Vec::new()
        })
    }

    /// Replaces the file as a whole.
    pub(super) fn save(&self, known: &[DomainInfo]) -> Result<(), Error> {
        // The first lookups after a start meet a domain at once, and one may not rename what another is writing.
        static WRITING: Mutex<()> = Mutex::new(());
        let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(known).map_err(|error| Error::Io(error.to_string()))?;
        Ok(whole_file::replace(&self.path, &text, 0o600)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_that_meet_a_domain_at_once_all_remember_it() {
        let dir = std::env::temp_dir().join(format!("entra-known-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let acquaintances = Acquaintances::at(&dir.join("domains.json"));
        let failed = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..200).find_map(|_| acquaintances.save(&[]).err()))).collect();
            all.into_iter().find_map(|one| one.join().unwrap())
        });
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(failed.is_none(), "{failed:?}");
    }
}
