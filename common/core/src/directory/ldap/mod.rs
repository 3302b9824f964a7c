//! The LDAP adapter: Active Directory over sealed GSSAPI, or over TLS with GSSAPI bound to it.
//!
//! From the bottom: [`crate::ber`] and [`sasl`] speak on a fresh TCP connection, [`tls`] and [`wire`] protect it, [`seal`] carries
//! it, [`messages`] keeps from ldap3 what would overrun it, [`connection`] searches on it, [`connect`] finds the DC that
//! serves, [`link`] keeps a connection and hides its losses, and the rest asks AD's questions: [`entry`], [`filter`], [`subtrees`], [`find`], [`members`], [`enumerate`], before a join
//! [`rights`] and [`root_dse`], and behind it [`policy`],
//! [`demands`] and [`cloud_trust`] with [`forest_trust`] and [`change_record`].

mod change_record;
mod cloud_trust;
mod connect;
mod connection;
mod demands;
mod entry;
mod enumerate;
mod filter;
mod find;
mod forest_trust;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod link;
mod members;
mod messages;
mod policy;
mod profile;
mod rights;
mod root_dse;
mod sasl;
mod seal;
mod subtrees;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub use self::change_record::Change;
pub use self::cloud_trust::{CloudComputer, CloudKey, CloudTrust, TrustedDomain};
use self::connect::Connector;
pub use self::demands::{Demand, demands_binding, demands_signing};
use self::entry::Extras;
pub use self::filter::is_filter;
pub use self::forest_trust::{TopLevelName, top_level_names};
use self::link::Link;
pub use self::policy::SecurityPolicy;
pub use self::rights::Rights;
pub use self::root_dse::{RootDse, root_dse};
use self::subtrees::Subtrees;
pub use self::tls::{TlsVersion, tls_versions};
use super::{Batches, ChangeMark, Directory, DomainInfo, Health, Key};
use crate::Error;
use crate::auth::Kdc;
use crate::config::{Domain, IdMapping};
use crate::discovery::{Server, Servers};
use crate::types::{Entry, GroupEntry, Sid, UserEntry};

/// What the adapter needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain.
    pub domain: Domain,
    /// The krb5.conf that this adapter writes, in an existing folder that it may write. `KRB5_CONFIG` should name it
    /// from the process' start on, so that the host's own krb5.conf does not count; it names no KDC, and serves every
    /// domain.
    pub profile_path: PathBuf,
    /// Residual name of the ccache into which [`Kdc::machine_ticket`] puts the ticket: `FILE:/run/…`.
    pub machine_ccache: String,
    /// Longest time of one lookup.
    pub lookup_deadline: Duration,
    /// Longest time of one page of an enumeration, or of all members of a group.
    pub bulk_deadline: Duration,
}

impl Settings {
    /// The daemon's settings: profile and ccache in its private folder.
    pub fn new(domain: Domain, private_dir: &Path, lookup_deadline: Duration) -> Self {
        Self {
            domain,
            profile_path: private_dir.join("krb5.conf"),
            machine_ccache: format!("FILE:{}", private_dir.join("machine.ccache").display()),
            lookup_deadline,
            bulk_deadline: Duration::from_secs(10),
        }
    }
}

/// One domain's directory over LDAP. Cheap to share; connects when it is first asked.
pub struct LdapDirectory {
    domain: Domain,
    subtrees: Subtrees,
    link: Arc<Link>,
    /// For large groups and enumerations: a server answers one connection's searches in turn, and nobody's lookup is to
    /// stand behind those. Opened when it is wanted, closed when it is idle.
    second: Arc<Link>,
    info: OnceLock<DomainInfo>,
    /// About how many accounts there are; `None` inside where nobody may tell.
    accounts: OnceLock<Option<u64>>,
    lookup_deadline: Duration,
    bulk_deadline: Duration,
}

impl LdapDirectory {
    /// Checks the settings; connects to nobody.
    ///
    /// # Errors
    /// [`Error::Config`] when a server or a filter cannot be used.
    pub fn new(settings: Settings, kdc: Arc<dyn Kdc>) -> Result<Self, Error> {
        let domain = settings.domain.clone();
        let subtrees = Subtrees::new(&domain)?;
        let servers = Arc::new(Servers::new(&domain)?);
        let (lookup_deadline, bulk_deadline) = (settings.lookup_deadline, settings.bulk_deadline);
        let connector = Connector::new(settings, Arc::clone(&servers), kdc);
        let link = Arc::new(Link::new(domain.name.clone(), connector, servers));
        Ok(Self {
            domain,
            subtrees,
            second: Arc::new(link.beside()),
            link,
            info: OnceLock::new(),
            accounts: OnceLock::new(),
            lookup_deadline,
            bulk_deadline,
        })
    }

    /// The DC in use, connecting where there is none. The machine ticket is fresh after it.
    ///
    /// # Errors
    /// [`Error::Offline`] at `deadline`, or what the attempt to connect said.
    pub async fn current_server(&self, deadline: Instant) -> Result<Server, Error> {
        self.link.server(deadline).await
    }

    /// The second connection, or the usual one where there is no other to be had.
    async fn apart(&self, deadline: Instant) -> &Arc<Link> {
        /// Longest wait for it: a fraction of what the work takes for which it is wanted.
        const PATIENCE: Duration = Duration::from_secs(1);
        self.second.close_when_idle();
        match self.second.connection(deadline.min(Instant::now() + PATIENCE)).await {
            Ok(_) => &self.second,
            Err(error) => {
                log::debug!("{}: no second connection: {error}", self.domain.name);
                &self.link
            }
        }
    }

    fn soon(&self) -> Instant {
        Instant::now() + self.lookup_deadline
    }

    fn later(&self) -> Instant {
        Instant::now() + self.bulk_deadline
    }

    /// What the configuration makes of an entry besides.
    fn extras(&self) -> Extras<'_> {
        let posix = self.domain.id_mapping == IdMapping::Rfc2307;
        Extras { posix, ssh_keys: &self.domain.ssh_key_attributes }
    }

    /// These attributes, and those that the configuration asks for.
    fn attributes<'a>(&'a self, plain: &[&'a str]) -> Vec<&'a str> {
        let keys = self.extras().ssh_keys.iter().map(String::as_str);
        self.attributes_without_keys(plain).into_iter().chain(keys).collect()
    }

    /// The same for entries that are no users, or of which the name alone counts.
    fn attributes_without_keys<'a>(&self, plain: &[&'a str]) -> Vec<&'a str> {
        let posix: &[&str] = if self.extras().posix { entry::POSIX } else { &[] };
        [plain, posix].concat()
    }
}

#[async_trait]
impl Directory for LdapDirectory {
    async fn domain_info(&self) -> Result<DomainInfo, Error> {
        self.info(self.soon()).await
    }

    async fn kdc(&self) -> Result<SocketAddr, Error> {
        Ok(self.current_server(self.soon()).await?.kdc())
    }

    fn other_kdcs(&self, kdc: SocketAddr) -> Vec<SocketAddr> {
        self.link.servers().into_iter().map(|server| server.kdc()).filter(|other| *other != kdc).collect()
    }

    fn health(&self) -> Health {
        let health = self.link.health();
        Health { searches: health.searches + self.second.searches(), ..health }
    }

    async fn user(&self, key: &Key) -> Result<Option<UserEntry>, Error> {
        self.find_user(key, self.soon()).await
    }

    async fn group(&self, key: &Key) -> Result<Option<GroupEntry>, Error> {
        self.find_group(key, self.soon()).await
    }

    async fn token_groups(&self, dn: &str, sid: &Sid) -> Result<Vec<Sid>, Error> {
        self.read_token_groups(dn, sid, self.soon()).await
    }

    async fn matches(&self, dn: &str, sid: &Sid, filter: &str) -> Result<bool, Error> {
        self.entry_matches(dn, sid, filter, self.soon()).await
    }

    async fn groups_by_sids(&self, sids: &[Sid]) -> Result<Vec<GroupEntry>, Error> {
        self.find_groups(sids, self.later()).await
    }

    async fn members(&self, dn: &str, sid: &Sid) -> Result<Vec<Entry>, Error> {
        self.read_members(dn, sid, self.later()).await
    }

    async fn change_mark(&self) -> Result<ChangeMark, Error> {
        self.mark().await
    }

    async fn list_users(&self, since: Option<u64>, batches: Batches<UserEntry>) -> Result<(), Error> {
        self.list(enumerate::Kind::Users, since, &batches, |entry| match entry {
            Entry::User(user) => Some(*user),
            Entry::Group(_) => None,
        })
        .await
    }

    async fn list_groups(&self, since: Option<u64>, batches: Batches<GroupEntry>) -> Result<(), Error> {
        self.list(enumerate::Kind::Groups, since, &batches, |entry| match entry {
            Entry::Group(group) => Some(*group),
            Entry::User(_) => None,
        })
        .await
    }
}
