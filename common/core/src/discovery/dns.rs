//! Asking DNS for DCs and their addresses. Names are absolute, hosts files are not read, and every question has a
//! deadline. A resolver lives for one round of questions, so that a changed resolv.conf is noticed.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::task::JoinSet;

use super::{Server, SrvTarget, order};

/// Longest wait for one DNS server's answer.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long a round of questions may be silent before another one begins beside it.
const ROUND: Duration = Duration::from_millis(700);
/// Most SRV targets whose addresses are asked; a domain with more DCs is served by those that come first.
const MOST_TARGETS: usize = 32;
/// Most addresses of one host that are used.
const MOST_ADDRESSES: usize = 4;

/// Why no DC was found. The text says which DNS server was asked and which record is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// No DNS server is known.
    #[error("no DNS server is known ({0}): set dns_servers for the domain, or name one in /etc/resolv.conf")]
    NoDnsServer(String),
    /// No DNS server answered.
    #[error("no usable answer about {record} from {}: {reason}. Check the network, or set dns_servers", list(.servers))]
    Unreachable {
        /// The servers that were asked.
        servers: Vec<SocketAddr>,
        /// The record asked for.
        record: String,
        /// The last failure, in the resolver's words.
        reason: String,
    },
    /// The DNS servers answer, and hold no such record.
    #[error(
        "{} has no record {record}. Its zone is not the domain's: set dns_servers to the addresses of the domain \
         controllers, or have this zone forwarded to them",
        list(.servers)
    )]
    Missing {
        /// The servers that were asked.
        servers: Vec<SocketAddr>,
        /// The record asked for.
        record: String,
    },
    /// The text is no DNS name.
    #[error("`{0}` is no DNS name")]
    BadName(String),
}

/// The domain's DCs in the order in which to try them (RFC 2782): the targets of `_ldap._tcp.dc._msdcs.DOMAIN`
/// (MS-ADTS 6.3.2.3), or where that is missing of `_ldap._tcp.DOMAIN`, with their addresses. `dns_servers` empty: those
/// of resolv.conf. The list is never empty.
///
/// # Errors
/// [`LocateError`], after `timeout` at the latest.
pub async fn locate(domain: &str, dns_servers: &[SocketAddr], timeout: Duration) -> Result<Vec<Server>, LocateError> {
    let found = locate_with_priority(domain, dns_servers, timeout).await?;
    Ok(found.into_iter().map(|(_, server)| server).collect())
}

/// As [`locate`], with each server's priority.
///
/// # Errors
/// [`LocateError`], after `timeout` at the latest.
pub(super) async fn locate_with_priority(
    domain: &str,
    dns_servers: &[SocketAddr],
    timeout: Duration,
) -> Result<Vec<(u16, Server)>, LocateError> {
    let record = format!("_ldap._tcp.dc._msdcs.{domain}.");
    if domain.is_empty() || Name::from_ascii(&record).is_err() {
        return Err(LocateError::BadName(domain.to_owned()));
    }
    let servers = Asker::new(dns_servers)?.asked;
    tokio::time::timeout(timeout, rounds(domain, &record, dns_servers)).await.unwrap_or_else(|_| {
        let reason = format!("timed out after {:.1} s", timeout.as_secs_f32());
        Err(LocateError::Unreachable { servers, record: shown(&record), reason })
    })
}

/// Asks, and while the first round is silent again every [`ROUND`]: resolv.conf may have been mended meanwhile. The first
/// answer counts, or where there is none the failure of the round that began last.
async fn rounds(domain: &str, record: &str, dns_servers: &[SocketAddr]) -> Result<Vec<(u16, Server)>, LocateError> {
    let mut running = JoinSet::new();
    let (mut begun, mut failed) = (0_u32, false);
    loop {
        if !failed {
            let asker = Asker::new(dns_servers)?;
            let (domain, record, number) = (domain.to_owned(), record.to_owned(), begun);
            running.spawn(async move { (number, asker.locate(&domain, &record).await) });
            begun += 1;
        }
        let joined = if failed {
            running.join_next().await
        } else {
            let Ok(joined) = tokio::time::timeout(ROUND, running.join_next()).await else { continue };
            joined
        };
        match joined {
            Some(Ok((_, Ok(found)))) => return Ok(found),
            Some(Ok((number, Err(error)))) if number + 1 == begun => return Err(error),
            Some(_) => failed = true,
            None => return Err(LocateError::NoDnsServer("asking ended without an answer".into())),
        }
    }
}

/// The addresses of one host, IPv4 first.
///
/// # Errors
/// [`LocateError`], after `timeout` at the latest.
pub(super) async fn addresses(
    host: &str,
    dns_servers: &[SocketAddr],
    timeout: Duration,
) -> Result<Vec<IpAddr>, LocateError> {
    let asker = Asker::new(dns_servers)?;
    let servers = asker.asked.clone();
    tokio::time::timeout(timeout, asker.addresses(host)).await.unwrap_or_else(|_| {
        let reason = format!("timed out after {:.1} s", timeout.as_secs_f32());
        Err(LocateError::Unreachable { servers, record: format!("A {host}"), reason })
    })
}

/// A number in `0..=most` for spreading load; nothing secret rests on it.
pub(super) fn draw(most: u32) -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (random % (u64::from(most) + 1)) as u32
}

#[derive(Clone)]
struct Asker {
    resolver: TokioResolver,
    asked: Vec<SocketAddr>,
}

impl Asker {
    fn new(dns_servers: &[SocketAddr]) -> Result<Self, LocateError> {
        let mut config = if dns_servers.is_empty() {
            read_system_conf().map_err(|error| LocateError::NoDnsServer(format!("/etc/resolv.conf: {error}")))?.0
        } else {
            ResolverConfig::from_name_servers(dns_servers.iter().map(|addr| name_server(*addr)).collect())
        };
        // One server's "no such name" is not the last word: the first one may be a public resolver, the second the DC.
        for server in &mut config.name_servers {
            server.trust_negative_responses = false;
        }
        let asked: Vec<_> = config
            .name_servers
            .iter()
            .map(|server| SocketAddr::new(server.ip, server.connections.first().map_or(53, |first| first.port)))
            .collect();
        if asked.is_empty() {
            return Err(LocateError::NoDnsServer("resolv.conf names none".into()));
        }
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options();
        let resolver = builder.build().map_err(|error| LocateError::NoDnsServer(error.to_string()))?;
        Ok(Self { resolver, asked })
    }

    async fn locate(&self, domain: &str, record: &str) -> Result<Vec<(u16, Server)>, LocateError> {
        let targets = match self.targets(record).await {
            Err(LocateError::Missing { servers, record }) => {
                let plain = format!("_ldap._tcp.{domain}.");
                // Both are missing: name the one that a DC registers first.
                self.targets(&plain).await.map_err(|error| match error {
                    LocateError::Missing { .. } => LocateError::Missing { servers, record },
                    other => other,
                })?
            }
            answer => answer?,
        };
        let targets: Vec<_> = order(targets, draw).into_iter().take(MOST_TARGETS).collect();
        let mut asked = JoinSet::new();
        for (rank, target) in targets.into_iter().enumerate() {
            let asker = self.clone();
            asked.spawn(async move { (rank, asker.addresses(&target.host).await, target) });
        }
        let mut answers: Vec<_> = asked.join_all().await;
        answers.sort_by_key(|(rank, ..)| *rank);
        let mut failure = None;
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (_, addresses, target) in answers {
            match addresses {
                Ok(addresses) => found.extend(
                    addresses
                        .into_iter()
                        .map(|ip| Server { host: target.host.clone(), addr: SocketAddr::new(ip, target.port) })
                        .filter(|server| seen.insert(server.addr))
                        .map(|server| (target.priority, server)),
                ),
                Err(error) => {
                    log::debug!("{}: {error}", target.host);
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(failure) if found.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    async fn targets(&self, record: &str) -> Result<Vec<SrvTarget>, LocateError> {
        let lookup = self.resolver.srv_lookup(record).await.map_err(|error| self.failure(record, &error))?;
        let targets: Vec<_> = lookup
            .answers()
            .iter()
            .filter_map(|answer| match &answer.data {
                // A target of "." says that the service is decidedly not there (RFC 2782).
                RData::SRV(srv) if !srv.target.is_root() => Some(SrvTarget {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
                }),
                _ => None,
            })
            .collect();
        if targets.is_empty() {
            return Err(self.missing(record));
        }
        Ok(targets)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LocateError> {
        let name = format!("{host}.");
        let record = format!("A {name}");
        let lookup = self.resolver.lookup_ip(name).await.map_err(|error| self.failure(&record, &error))?;
        let found: Vec<_> = lookup.iter().take(MOST_ADDRESSES).collect();
        if found.is_empty() { Err(self.missing(&record)) } else { Ok(found) }
    }

    fn failure(&self, record: &str, error: &NetError) -> LocateError {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => self.missing(record),
            other => LocateError::Unreachable {
                servers: self.asked.clone(),
                record: shown(record),
                reason: other.to_string(),
            },
        }
    }

    fn missing(&self, record: &str) -> LocateError {
        LocateError::Missing { servers: self.asked.clone(), record: shown(record) }
    }
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(addr.ip());
    for connection in &mut server.connections {
        connection.port = addr.port();
    }
    server
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = ATTEMPT;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.edns0 = true;
    options
}

/// A record's name without the dot that makes it absolute: it would look like the end of a sentence.
fn shown(record: &str) -> String {
    record.trim_end_matches('.').to_owned()
}

fn list(servers: &[SocketAddr]) -> String {
    let names: Vec<_> =
        servers.iter().map(|addr| if addr.port() == 53 { addr.ip().to_string() } else { addr.to_string() }).collect();
    format!("DNS server {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_server_and_the_record() {
        let servers = vec!["10.0.0.1:53".parse().unwrap(), "[fd00::1]:5353".parse().unwrap()];
        let text = LocateError::Missing { servers, record: "_ldap._tcp.dc._msdcs.x.com".into() }.to_string();
        assert!(
            text.starts_with("DNS server 10.0.0.1, [fd00::1]:5353 has no record _ldap._tcp.dc._msdcs.x.com."),
            "{text}"
        );
        assert!(text.contains("dns_servers"), "{text}");
    }

    #[tokio::test]
    async fn a_dns_server_that_refuses_is_unreachable_and_named() {
        // Bound and closed again: nobody answers there.
        let addr = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = locate("example.com", &[addr], Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(&error, LocateError::Unreachable { servers, .. } if servers == &[addr]), "{error:?}");
    }

    #[tokio::test]
    async fn a_silent_dns_server_does_not_outlast_the_timeout() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let timeout = Duration::from_millis(200);
        let dns_servers = [silent.local_addr().unwrap()];
        let asked = locate("example.com", &dns_servers, timeout);
        let answer = tokio::time::timeout(Duration::from_secs(20), asked).await.expect("the timeout holds");
        assert!(matches!(answer, Err(LocateError::Unreachable { .. })), "{answer:?}");
    }
}
