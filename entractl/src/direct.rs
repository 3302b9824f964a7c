//! Asking the directory from this process, without the daemon and what it keeps: the same lookups over an empty store,
//! with a ticket of this machine's own. Ids are the daemon's, because its record of slices is read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entra_core::Error;
use entra_core::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};
use entra_core::config::{Config, Domain};
use entra_core::control::{AccountRef, Accounts, Position, Range, Reply, Request};
use entra_core::directory::DomainInfo;
use entra_core::directory::ldap::{LdapDirectory, Settings as LdapSettings};
use entra_core::idmap::IdMapper;
use entra_core::lookup::{Allowance, Clock, DomainContext, Lookup, Settings};
use entra_core::store::{IdentityStore, SliceStore};
use entra_core::types::fold;
use entra_krb5::Kind;

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::host::private::PrivateFolder;
use crate::host::{Paths, need_root};
use crate::output::unix_now;
use crate::preflight::block_on;

/// Longest wait for one lookup, with DNS, ticket and connection before it: nobody's login waits behind it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Longest wait for the machine ticket.
const TICKET: Duration = Duration::from_secs(5);
/// How long answers serve the rest of the same question.
const LIFE: Duration = Duration::from_secs(3600);

/// Asks the directory what the daemon would be asked.
///
/// # Errors
/// Status 5 for anybody but root, 4 where the directory is away, 1 where the configuration or the keytab is wrong.
pub fn ask(verb: &str, request: Request) -> Result<Reply, Failure> {
    need_root(verb)?;
    let paths = Paths::installed();
    let config = entra_core::config::load(&paths.config).map_err(|error| Failure::no(verb, error.to_string()))?;
    if config.domains.is_empty() {
        return Err(Failure::no(verb, "no domain is configured").remedy("`entractl join DOMAIN`"));
    }
    let name = format!("/run/entractl-direct.{}", std::process::id());
    let folder =
        PrivateFolder::make(Path::new(&name)).map_err(|error| Failure::no(verb, format!("{name}: {error}")))?;
    let reply = block_on(verb, async {
        let lookup = wire(config, &paths, &folder).map_err(|error| explain(verb, &error))?;
        answer(&lookup, request).await.map_err(|error| explain(verb, &error))
    })?;
    match reply {
        Reply::NotFound => Err(daemon::no_such_entry(verb)),
        reply => Ok(reply),
    }
}

/// The configured domains that can be reached, with what the directory says of each.
///
/// # Errors
/// As [`ask`]; also where none can be reached.
pub fn acquaint(verb: &str) -> Result<Vec<(Domain, DomainInfo)>, Failure> {
    need_root(verb)?;
    let paths = Paths::installed();
    let config = entra_core::config::load(&paths.config).map_err(|error| Failure::no(verb, error.to_string()))?;
    let name = format!("/run/entractl-direct.{}", std::process::id());
    let folder =
        PrivateFolder::make(Path::new(&name)).map_err(|error| Failure::no(verb, format!("{name}: {error}")))?;
    block_on(verb, async {
        let lookup = wire(config, &paths, &folder).map_err(|error| explain(verb, &error))?;
        let (mut met, mut unmet) = (Vec::new(), Error::Config("no domain is configured".into()));
        for domain in lookup.domains() {
            match lookup.learn(domain).await {
                Ok(info) => met.push((domain.config.clone(), info)),
                Err(error) => unmet = error,
            }
        }
        if met.is_empty() { Err(explain(verb, &unmet)) } else { Ok(met) }
    })
}

/// Every user and every group of the configured domains, by a configuration that need not be the host's, over an empty
/// record of slices.
///
/// # Errors
/// As [`ask`].
pub fn everybody(verb: &str, config: Config) -> Result<(Vec<AccountRef>, Vec<AccountRef>), Failure> {
    need_root(verb)?;
    let name = format!("/run/entractl-direct.{}", std::process::id());
    let folder =
        PrivateFolder::make(Path::new(&name)).map_err(|error| Failure::no(verb, format!("{name}: {error}")))?;
    let paths = Paths { slices: folder.file("no-slices"), ..Paths::installed() };
    block_on(verb, async {
        let listed = async {
            let lookup = wire(config, &paths, &folder)?;
            for domain in lookup.domains() {
                lookup.learn(domain).await?;
            }
            Ok((all_users(&lookup).await?, all_groups(&lookup).await?))
        };
        listed.await.map_err(|error| explain(verb, &error))
    })
}

async fn answer(lookup: &Arc<Lookup>, request: Request) -> Result<Reply, Error> {
    // An id is a domain's only once the domain's SID is known.
    let mut unmet = None;
    for domain in lookup.domains() {
        unmet = lookup.learn(domain).await.err().or(unmet);
    }
    let reply = match request {
        Request::User { key } => lookup.describe_user(key).await?,
        Request::Group { key } => lookup.describe_group(key).await?,
        Request::Sid { sid } => lookup.describe_sid(&sid).await?,
        Request::Users { range } => Reply::Accounts(sorted(lookup, all_users(lookup).await?, &range)),
        Request::Groups { range } => Reply::Accounts(sorted(lookup, all_groups(lookup).await?, &range)),
        _ => return Err(Error::Config("only the daemon can answer that".into())),
    };
    match (reply, unmet) {
        // A domain that was not asked may have it.
        (Reply::NotFound, Some(error)) => Err(error),
        (reply, _) => Ok(reply),
    }
}

async fn all_users(lookup: &Arc<Lookup>) -> Result<Vec<AccountRef>, Error> {
    let (mut all, mut cursor) = (Vec::new(), Vec::new());
    loop {
        let (accounts, next) = lookup.list_accounts(&cursor).await?;
        all.extend(accounts);
        cursor = next;
        if cursor.is_empty() {
            return Ok(all);
        }
    }
}

async fn all_groups(lookup: &Arc<Lookup>) -> Result<Vec<AccountRef>, Error> {
    let (mut all, mut cursor) = (Vec::new(), Vec::new());
    loop {
        let page = lookup.list_groups(&cursor).await?;
        all.extend(page.records.iter().map(AccountRef::from));
        cursor = page.cursor;
        if cursor.is_empty() {
            return Ok(all);
        }
    }
}

/// The directory lists in an order of its own: sorted as the daemon's lists are, and cut to what was asked for.
fn sorted(lookup: &Lookup, all: Vec<AccountRef>, range: &Range) -> Accounts {
    let names = lookup.domains().iter().map(|domain| domain.config.name.clone());
    let ranks: BTreeMap<String, usize> = names.enumerate().map(|(rank, name)| (name, rank)).collect();
    select(all, &ranks, range)
}

fn select(mut all: Vec<AccountRef>, ranks: &BTreeMap<String, usize>, range: &Range) -> Accounts {
    let rank = |domain: &str| ranks.get(domain).copied().unwrap_or(usize::MAX);
    let prefix = fold(&range.prefix);
    all.retain(|account| fold(&account.name).starts_with(&prefix));
    if let Some(Position { domain, name }) = &range.after {
        all.retain(|account| (rank(&account.domain), account.name.as_str()) > (rank(domain), name.as_str()));
    }
    all.sort_by(|one, two| (rank(&one.domain), &one.name).cmp(&(rank(&two.domain), &two.name)));
    Accounts { accounts: all, next: None, complete: true }
}

/// The lookups of the daemon, with a directory of their own and nothing kept.
fn wire(config: Config, paths: &Paths, folder: &PrivateFolder) -> Result<Arc<Lookup>, Error> {
    let mapper = IdMapper::open(SliceStore::copy_of(&paths.slices)?, &config.domains)?;
    let store = Arc::new(IdentityStore::open(&folder.file("identity.db"))?);
    let mut domains = Vec::with_capacity(config.domains.len());
    for (at, mut domain) in config.domains.into_iter().enumerate() {
        // Whether the host lists a domain is about getent; here somebody asked for the list.
        domain.enumerate = true;
        let private = folder.file(&format!("domain-{at}"));
        std::fs::create_dir(&private)?;
        let settings = LdapSettings::new(domain.clone(), &private, DEADLINE);
        let kdc = MachineKdc { keytab: paths.keytab.clone(), ccache: private.join("machine.ccache") };
        let directory = Arc::new(LdapDirectory::new(settings, Arc::new(kdc))?);
        domains.push(DomainContext::new(domain, directory));
    }
    let settings = Settings {
        cache_ttl: LIFE,
        negative_ttl: LIFE,
        deadline: DEADLINE,
        unknown: Allowance::default(),
        reserved_groups: config.reserved_groups,
        passwd: entra_wire::local::passwd().to_owned(),
        group: entra_wire::local::group().to_owned(),
        known_domains: folder.file("domains.json"),
    };
    let clock: Clock = Arc::new(unix_now);
    Lookup::new(domains, mapper, store, settings, clock)
}

/// Gets tickets with the keytab in this process, which is root's.
pub(crate) struct MachineKdc {
    /// The machine's keytab.
    pub(crate) keytab: PathBuf,
    /// Where the ticket is written.
    pub(crate) ccache: PathBuf,
}

#[async_trait]
impl Kdc for MachineKdc {
    async fn machine_ticket(&self, realm: &str, kdc: SocketAddr) -> Result<MachineTicket, Error> {
        let (keytab, ccache, realm) = (self.keytab.clone(), self.ccache.clone(), realm.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            entra_krb5::initial_with_keytab(&realm, kdc, None, &keytab, &ccache, TICKET)
        });
        let expires = asked.await.map_err(|error| Error::Io(error.to_string()))?.map_err(ticket_error)?;
        Ok(MachineTicket { expires })
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        Err(Error::Config("nobody logs in here".into()))
    }
}

fn ticket_error(error: entra_krb5::Error) -> Error {
    match error.kind {
        Kind::Unreachable | Kind::TimedOut | Kind::ClockSkew => Error::Offline(error.message),
        Kind::WrongPassword
        | Kind::KeyExpired
        | Kind::Revoked
        | Kind::UnknownPrincipal
        | Kind::WrongRealm
        | Kind::EtypeNotSupported
        | Kind::Policy
        | Kind::Keytab => Error::MachineUnauthorized(error.message),
        _ => Error::Io(error.message),
    }
}

/// The failure of a verb whose question to the directory ended so.
pub(crate) fn explain(verb: &str, error: &Error) -> Failure {
    let (exit, remedy) = match error {
        Error::Offline(_) => (Exit::NoDirectory, "`entractl check` names what keeps the directory away"),
        Error::MachineUnauthorized(_) => (Exit::No, "`entractl testjoin` names what is wrong with the join"),
        Error::StoreCorrupt(_) => (Exit::No, "restore /var/lib/entra/idmap.db from a backup: ids depend on it"),
        Error::Ambiguous(_) => (Exit::No, "name the domain too: DOMAIN\\NAME"),
        Error::Config(_) => (Exit::No, "`entractl config check`"),
        Error::Protocol(_) | Error::Busy(_) | Error::Interrupted(_) | Error::Io(_) => {
            (Exit::No, "`entractl check` looks at every part")
        }
    };
    Failure::new(exit, verb, error.to_string()).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(domain: &str, name: &str) -> AccountRef {
        AccountRef { name: name.into(), domain: domain.into(), id: 1, sid: String::new() }
    }

    #[test]
    fn a_list_is_in_the_order_of_the_configuration_and_goes_on_behind_a_place() {
        let ranks = BTreeMap::from([("z.example".to_owned(), 0), ("a.example".to_owned(), 1)]);
        let all = || vec![account("a.example", "alice"), account("z.example", "bob"), account("z.example", "Al")];
        let names = |range: &Range| -> Vec<String> {
            select(all(), &ranks, range).accounts.into_iter().map(|account| account.name).collect()
        };
        assert_eq!(names(&Range::default()), ["Al", "bob", "alice"]);
        assert_eq!(names(&Range { prefix: "aL".into(), ..Range::default() }), ["Al", "alice"]);
        let behind = Position { domain: "z.example".into(), name: "Al".into() };
        assert_eq!(names(&Range { after: Some(behind), ..Range::default() }), ["bob", "alice"]);
    }

    #[test]
    fn a_directory_that_is_away_has_its_status() {
        assert_eq!(explain("user", &Error::Offline("no DC".into())).exit, Exit::NoDirectory);
        let refused = explain("user", &Error::MachineUnauthorized("no key".into()));
        assert_eq!(refused.exit, Exit::No);
        assert!(refused.remedy.unwrap().contains("testjoin"));
    }
}
