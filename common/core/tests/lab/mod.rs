//! What the tests against a real domain controller share.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use entra_core::Error;
use entra_core::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};
use entra_core::config::{Access, Domain, Fast, IdMapping, LdapSecurity, Preset, PrimaryGroup, UsernameFormat};
use entra_core::directory::ldap::{LdapDirectory, Settings};
use entra_krb5::Kind;

/// What the lab tells: `ENTRA_LAB_DOMAIN`, `ENTRA_LAB_DNS` (address), `ENTRA_LAB_KEYTAB` with `ENTRA_LAB_PRINCIPAL`, and
/// `KRB5_CONFIG` (a file that the adapter may write), all set before the process starts; `ENTRA_LAB_LARGE_GROUP` and
/// `ENTRA_LAB_LARGE_GROUP_SIZE`. `ENTRA_LAB_SERVER` pins a server, such as the proxy that keeps AD's limits.
pub struct Lab {
    pub domain: String,
    pub dns: SocketAddr,
    keytab: PathBuf,
    pub principal: String,
    profile: PathBuf,
    ccache: PathBuf,
    pub large_group: String,
    pub large_group_size: usize,
    /// Of every call. Long, because most tests are about answers, whatever time a busy machine takes.
    pub deadline: Duration,
}

impl Lab {
    pub fn new(test: &str) -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run by the lab"));
        let profile = PathBuf::from(var("KRB5_CONFIG"));
        Self {
            domain: var("ENTRA_LAB_DOMAIN"),
            dns: SocketAddr::new(var("ENTRA_LAB_DNS").parse().unwrap(), 53),
            keytab: var("ENTRA_LAB_KEYTAB").into(),
            principal: var("ENTRA_LAB_PRINCIPAL"),
            ccache: profile.with_file_name(format!("{test}.ccache")),
            profile,
            large_group: var("ENTRA_LAB_LARGE_GROUP"),
            large_group_size: var("ENTRA_LAB_LARGE_GROUP_SIZE").parse().unwrap(),
            deadline: Duration::from_secs(60),
        }
    }

    fn config(&self) -> Domain {
        Domain {
            name: self.domain.clone(),
            preset: Preset::EntraDs,
            servers: std::env::var("ENTRA_LAB_SERVER").into_iter().collect(),
            dns_servers: vec![self.dns],
            base_dn: None,
            user_bases: Vec::new(),
            group_bases: Vec::new(),
            user_filter: None,
            group_filter: None,
            ldap_security: LdapSecurity::Seal,
            tls_ca: None,
            id_mapping: IdMapping::Sssd,
            id_range: (200_000, 2_000_200_000),
            id_slice: None,
            id_blocks: Vec::new(),
            username_format: UsernameFormat::Sam,
            home: "/home/%u".into(),
            shell: "/bin/bash".into(),
            ssh_key_attributes: Vec::new(),
            primary_group: PrimaryGroup::Directory,
            enumerate: true,
            offline_login: true,
            offline_max_age: Duration::from_secs(1),
            offline_keep_password: false,
            keytab_max_age: Duration::ZERO,
            password_change_hint: None,
            password_warning: Duration::from_secs(0),
            fast: Fast::Try,
            ccache: "FILE:/tmp/krb5cc_%U".into(),
            service_tickets: Vec::new(),
            service_ticket_groups: Vec::new(),
            access: Access::default(),
        }
    }

    pub fn directory(&self, change: impl FnOnce(&mut Domain)) -> LdapDirectory {
        let mut domain = self.config();
        change(&mut domain);
        let kdc =
            Machine { keytab: self.keytab.clone(), principal: self.principal.clone(), ccache: self.ccache.clone() };
        let settings = Settings {
            domain,
            profile_path: self.profile.clone(),
            machine_ccache: format!("FILE:{}", self.ccache.display()),
            lookup_deadline: self.deadline,
            bulk_deadline: self.deadline,
        };
        LdapDirectory::new(settings, Arc::new(kdc)).unwrap()
    }
}

/// Gets the machine ticket in this process; the daemon has a helper for it.
struct Machine {
    keytab: PathBuf,
    principal: String,
    ccache: PathBuf,
}

#[async_trait]
impl Kdc for Machine {
    async fn machine_ticket(&self, realm: &str, kdc: SocketAddr) -> Result<MachineTicket, Error> {
        let (realm, keytab, ccache) = (realm.to_owned(), self.keytab.clone(), self.ccache.clone());
        let principal = format!("{}@{realm}", self.principal);
        let timeout = Duration::from_secs(5);
        let got = tokio::task::spawn_blocking(move || {
            entra_krb5::initial_with_keytab(&realm, kdc, Some(&principal), &keytab, &ccache, timeout)
        });
        let got = got.await.map_err(|error| Error::Io(error.to_string()))?;
        got.map(|expires| MachineTicket { expires }).map_err(|error| match error.kind {
            Kind::Keytab | Kind::UnknownPrincipal | Kind::WrongPassword => Error::MachineUnauthorized(error.message),
            _ => Error::Offline(error.message),
        })
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        Err(Error::Config("not asked here".into()))
    }
}

/// Awaits and tells how long it took.
pub async fn timed<T>(what: &str, future: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let value = future.await;
    println!("{what}: {:?}", started.elapsed());
    value
}
