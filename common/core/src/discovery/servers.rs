//! Which DC to try next: the list, who failed lately, who is in use.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::nearness::{Class, classify};
use super::{LDAP_PORT, LDAPS_PORT, LocateError, Pinned, Server, dns, ping};
use crate::config::LdapSecurity;
use crate::{Error, config};

/// How long a list is used before DNS is asked again. Behind that it is still used while DNS is being asked, or dead.
const LIST_LIFE: Duration = Duration::from_secs(5 * 60);
/// How long a server that failed is put behind the others; doubled at each failure in a row.
const FIRST_BACK_OFF: Duration = Duration::from_secs(5);
/// Longest time behind the others.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(120);
/// Longest wait for DNS when it is asked in the background.
const BACKGROUND: Duration = Duration::from_secs(10);

/// The DCs of one domain.
#[derive(Debug)]
pub struct Servers {
    domain: String,
    pinned: Vec<Pinned>,
    resolvers: Vec<SocketAddr>,
    /// Port in the place of LDAP's own: SRV records and names without a port mean it.
    port: u16,
    state: Mutex<State>,
    refreshing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    read: Option<Instant>,
    ranking: Ranking,
}

/// The list, with what is known of each server. Pure: time is a parameter.
#[derive(Debug, Default)]
struct Ranking {
    list: Vec<(Class, Server)>,
    current: Option<SocketAddr>,
    failures: HashMap<SocketAddr, Failure>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    count: u32,
    until: Instant,
}

impl Servers {
    /// # Errors
    /// [`Error::Config`] when a pinned server is neither a host name nor an address.
    pub fn new(domain: &config::Domain) -> Result<Self, Error> {
        let pinned = domain
            .servers
            .iter()
            .map(|text| text.parse::<Pinned>().map_err(|error| Error::Config(format!("servers: {error}"))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            domain: domain.name.clone(),
            pinned,
            resolvers: domain.dns_servers.clone(),
            port: if domain.ldap_security == LdapSecurity::Ldaps { LDAPS_PORT } else { LDAP_PORT },
            state: Mutex::default(),
            refreshing: AtomicBool::new(false),
        })
    }

    /// The DCs in the order in which to try them: the one in use first, those that failed lately last. Waits for DNS,
    /// for `timeout` at most, only while no DC is known.
    ///
    /// # Errors
    /// [`Error::Offline`] when DNS names no DC, with [`LocateError`]'s text.
    pub async fn candidates(self: &Arc<Self>, timeout: Duration) -> Result<Vec<Server>, Error> {
        let now = Instant::now();
        let (known, fresh) = {
            let state = self.lock();
            (state.ranking.ordered(now), state.read.is_some_and(|read| now.duration_since(read) < LIST_LIFE))
        };
        if known.is_empty() {
            let found = self.ask(timeout).await.map_err(|error| Error::Offline(error.to_string()))?;
            return Ok(self.replace(found));
        }
        if !fresh && !self.refreshing.swap(true, Ordering::AcqRel) {
            let servers = Arc::clone(self);
            tokio::spawn(async move {
                match servers.ask(BACKGROUND).await {
                    Ok(found) => drop(servers.replace(found)),
                    Err(error) => log::info!("{}: the known DCs stay in use: {error}", servers.domain),
                }
                servers.refreshing.store(false, Ordering::Release);
            });
        }
        Ok(known)
    }

    /// The DCs that are known, in the order of [`Self::candidates`].
    pub fn known(&self) -> Vec<Server> {
        self.lock().ranking.ordered(Instant::now())
    }

    /// This DC answers: it comes first from now on.
    pub fn succeeded(&self, server: &Server) {
        let mut state = self.lock();
        state.ranking.failures.remove(&server.addr);
        state.ranking.current = Some(server.addr);
    }

    /// This DC failed: it comes last for a while.
    pub fn failed(&self, server: &Server) {
        // Where many hosts lose one DC at once, they shall not come back at once.
        let jitter = dns::draw(100);
        self.lock().ranking.failed(server.addr, Instant::now(), jitter);
    }

    /// Every DC failed: DNS is asked again, because DCs get replaced and DNS may have lied. Gives those that it names now,
    /// within `timeout`, and did not before; where it says nothing in time it is asked at the next opportunity.
    pub async fn exhausted(self: &Arc<Self>, timeout: Duration) -> Vec<Server> {
        let before = {
            let mut state = self.lock();
            state.read = None;
            state.ranking.list.clone()
        };
        let asked = tokio::time::timeout(timeout, self.ask(timeout)).await;
        let Ok(Ok(found)) = asked else { return Vec::new() };
        let mut now = self.replace(found);
        now.retain(|server| before.iter().all(|(_, known)| known.addr != server.addr));
        now
    }

    fn replace(&self, found: Vec<(Class, Server)>) -> Vec<Server> {
        let now = Instant::now();
        let mut state = self.lock();
        state.read = Some(now);
        state.ranking.replace(found);
        state.ranking.ordered(now)
    }

    /// The DCs with how near they are.
    async fn ask(&self, timeout: Duration) -> Result<Vec<(Class, Server)>, LocateError> {
        let mut found = if self.pinned.is_empty() {
            let found = dns::locate_with_priority(&self.domain, &self.resolvers, timeout).await?;
            let answers = ping::all(&self.domain, found.iter().map(|(_, server)| server.addr.ip())).await;
            classify(&self.domain, found, &answers)
        } else {
            self.ask_pinned(timeout).await?
        };
        for (_, server) in found.iter_mut().filter(|(_, server)| server.addr.port() == LDAP_PORT) {
            server.addr.set_port(self.port);
        }
        Ok(found)
    }

    async fn ask_pinned(&self, timeout: Duration) -> Result<Vec<(Class, Server)>, LocateError> {
        let mut asked = JoinSet::new();
        for (rank, pinned) in self.pinned.iter().cloned().enumerate() {
            let resolvers = self.resolvers.clone();
            asked.spawn(async move { (rank, resolve(pinned, &resolvers, timeout).await) });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(rank, _)| *rank);
        let mut found = Vec::new();
        let mut failure = None;
        for (rank, answer) in answers {
            match answer {
                Ok(servers) => {
                    let class = Class::ordered(u16::try_from(rank).unwrap_or(u16::MAX));
                    found.extend(servers.into_iter().map(|server| (class, server)));
                }
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        match failure {
            Some(failure) if found.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ranking {
    fn ordered(&self, now: Instant) -> Vec<Server> {
        let mut list = self.list.clone();
        // Stable: within a class, the order of DNS stays. A nearer class goes before the one in use: that is the way back
        // after a failure, at the next connection.
        list.sort_by_key(|(class, server)| {
            let until = self.failures.get(&server.addr).map(|failure| failure.until).filter(|until| *until > now);
            (until, *class, self.current != Some(server.addr))
        });
        list.into_iter().map(|(_, server)| server).collect()
    }

    /// `jitter`, 0 to 100, makes the time shorter by as many hundredths of its quarter.
    fn failed(&mut self, addr: SocketAddr, now: Instant, jitter: u32) {
        let count = self.failures.get(&addr).map_or(0, |failure| failure.count);
        let wait = FIRST_BACK_OFF.saturating_mul(1 << count.min(8)).min(LONGEST_BACK_OFF);
        let wait = wait / 400 * (400 - jitter.min(100));
        self.failures.insert(addr, Failure { count: count + 1, until: now + wait });
        if self.current == Some(addr) {
            self.current = None;
        }
    }

    fn replace(&mut self, found: Vec<(Class, Server)>) {
        self.failures.retain(|addr, _| found.iter().any(|(_, server)| server.addr == *addr));
        self.list = found;
    }
}

async fn resolve(pinned: Pinned, dns_servers: &[SocketAddr], timeout: Duration) -> Result<Vec<Server>, LocateError> {
    match pinned {
        Pinned::Address(addr) => Ok(vec![Server { host: String::new(), addr }]),
        Pinned::Host { host, port } => Ok(dns::addresses(&host, dns_servers, timeout)
            .await?
            .into_iter()
            .map(|ip| Server { host: host.clone(), addr: SocketAddr::new(ip, port) })
            .collect()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn server(last: u8) -> Server {
        Server { host: format!("dc{last}.example.com"), addr: SocketAddr::from(([10, 0, 0, last], 389)) }
    }

    /// Servers of one class.
    fn equals(numbers: &[u8]) -> Vec<(Class, Server)> {
        numbers.iter().map(|number| (Class::ordered(0), server(*number))).collect()
    }

    fn ranking() -> Ranking {
        Ranking { list: equals(&[1, 2, 3]), ..Ranking::default() }
    }

    fn order(ranking: &Ranking, now: Instant) -> Vec<u8> {
        let last = |server: Server| match server.addr.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        ranking.ordered(now).into_iter().map(last).collect()
    }

    #[test]
    fn the_one_in_use_comes_first_and_a_failed_one_last() {
        let now = Instant::now();
        let mut ranking = ranking();
        ranking.current = Some(server(3).addr);
        assert_eq!(order(&ranking, now), [3, 1, 2]);
        ranking.failed(server(3).addr, now, 0);
        assert_eq!(order(&ranking, now), [1, 2, 3]);
        ranking.failed(server(1).addr, now + Duration::from_secs(1), 0);
        assert_eq!(order(&ranking, now + Duration::from_secs(1)), [2, 3, 1]);
    }

    #[test]
    fn a_failure_is_forgiven_and_weighs_more_when_repeated() {
        let now = Instant::now();
        let mut ranking = ranking();
        ranking.failed(server(1).addr, now, 0);
        assert_eq!(order(&ranking, now + FIRST_BACK_OFF), [1, 2, 3]);
        ranking.failed(server(1).addr, now + FIRST_BACK_OFF, 0);
        assert_eq!(order(&ranking, now + FIRST_BACK_OFF * 2), [2, 3, 1]);
        assert_eq!(order(&ranking, now + FIRST_BACK_OFF * 3), [1, 2, 3]);
        for _ in 0..40 {
            ranking.failed(server(1).addr, now, 0);
        }
        assert_eq!(order(&ranking, now + LONGEST_BACK_OFF), [1, 2, 3]);
    }

    #[test]
    fn a_preferred_one_that_is_back_is_returned_to() {
        let now = Instant::now();
        let mut ranking = Ranking::default();
        ranking.replace(vec![(Class::ordered(0), server(1)), (Class::ordered(1), server(2))]);
        ranking.failed(server(1).addr, now, 0);
        ranking.current = Some(server(2).addr);
        assert_eq!(order(&ranking, now), [2, 1]);
        assert_eq!(order(&ranking, now + FIRST_BACK_OFF), [1, 2]);
    }

    #[test]
    fn hosts_do_not_come_back_all_at_once() {
        let now = Instant::now();
        let until = |jitter| {
            let mut ranking = ranking();
            ranking.failed(server(1).addr, now, jitter);
            ranking.failures[&server(1).addr].until
        };
        assert_eq!(until(0), now + FIRST_BACK_OFF);
        assert_eq!(until(100), now + FIRST_BACK_OFF * 3 / 4);
    }

    #[test]
    fn each_failure_draws_its_own_jitter() {
        let servers = Arc::new(Servers::new(&domain(&[], SocketAddr::from(([127, 0, 0, 1], 9)))).unwrap());
        let before = Instant::now();
        (0..64).for_each(|last| servers.failed(&server(last)));
        // Without it, all of them would be back no sooner than this.
        let sooner = |failure: &Failure| failure.until < before + FIRST_BACK_OFF;
        assert!(servers.lock().ranking.failures.values().any(sooner));
    }

    #[test]
    fn what_is_known_of_servers_that_are_gone_is_dropped() {
        let now = Instant::now();
        let mut ranking = ranking();
        ranking.failed(server(1).addr, now, 0);
        ranking.replace(equals(&[2, 4]));
        assert!(ranking.failures.is_empty());
        assert_eq!(order(&ranking, now), [2, 4]);
    }

    pub(in super::super) fn domain(servers: &[&str], dns: SocketAddr) -> config::Domain {
        config::Domain {
            name: "example.com".into(),
            preset: config::Preset::ActiveDirectory,
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            dns_servers: vec![dns],
            base_dn: None,
            user_bases: Vec::new(),
            group_bases: Vec::new(),
            user_filter: None,
            group_filter: None,
            ldap_security: config::LdapSecurity::Seal,
            tls_ca: None,
            id_mapping: config::IdMapping::Sssd,
            id_range: (200_000, 2_000_200_000),
            id_slice: None,
            id_blocks: Vec::new(),
            username_format: config::UsernameFormat::Sam,
            home: "/home/%u".into(),
            shell: "/bin/bash".into(),
            ssh_key_attributes: Vec::new(),
            primary_group: config::PrimaryGroup::Directory,
            enumerate: false,
            offline_login: true,
            offline_max_age: Duration::from_secs(1),
            offline_keep_password: false,
            keytab_max_age: Duration::ZERO,
            password_change_hint: None,
            password_warning: Duration::from_secs(0),
            fast: config::Fast::Try,
            ccache: "FILE:/tmp/krb5cc_%U".into(),
            service_tickets: Vec::new(),
            service_ticket_groups: Vec::new(),
            access: config::Access::default(),
        }
    }

    #[tokio::test]
    async fn pinned_addresses_need_no_dns_and_keep_their_order() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let servers = Arc::new(Servers::new(&domain(&["10.0.0.2", "10.0.0.1:3389"], nobody)).unwrap());
        let found = servers.candidates(Duration::from_secs(1)).await.unwrap();
        let addrs: Vec<_> = found.iter().map(|server| server.addr.to_string()).collect();
        assert_eq!(addrs, ["10.0.0.2:389", "10.0.0.1:3389"]);
    }

    #[tokio::test]
    async fn ldaps_has_a_port_of_its_own() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut domain = domain(&["10.0.0.2", "10.0.0.1:3636"], nobody);
        domain.ldap_security = LdapSecurity::Ldaps;
        let found = Arc::new(Servers::new(&domain).unwrap()).candidates(Duration::from_secs(1)).await.unwrap();
        let addrs: Vec<_> = found.iter().map(|server| server.addr.to_string()).collect();
        assert_eq!(addrs, ["10.0.0.2:636", "10.0.0.1:3636"]);
    }

    #[tokio::test]
    async fn a_dead_dns_does_not_hide_known_servers() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let servers = Arc::new(Servers::new(&domain(&[], silent.local_addr().unwrap())).unwrap());
        servers.replace(equals(&[1]));
        assert_eq!(servers.exhausted(Duration::from_millis(100)).await, []);
        // The silent DNS server would hold this up for the whole timeout if it were waited for.
        let asked = servers.candidates(Duration::from_secs(600));
        let found = tokio::time::timeout(Duration::from_secs(20), asked).await.expect("no wait").unwrap();
        assert_eq!(found, [server(1)]);
    }

    #[test]
    fn a_pinned_server_that_is_none_is_a_configuration_error() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let error = Servers::new(&domain(&["ldap://dc1"], nobody)).unwrap_err();
        assert!(matches!(&error, Error::Config(text) if text.contains("ldap://dc1")), "{error}");
    }
}
