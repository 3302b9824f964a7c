//! How near each domain controller is: all are asked at once by the LDAP ping, and who is slow is not waited for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::cldap::{self, Netlogon};
use super::{LDAP_PORT, dns};

/// Longest wait for the first answer.
const FIRST: Duration = Duration::from_millis(400);
/// Longest wait for the others behind it: who takes longer is far, and that is all there is to know.
const OTHERS: Duration = Duration::from_millis(150);

/// What one address answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pong {
    pub(super) netlogon: Netlogon,
    pub(super) round_trip: Duration,
}

/// Asks all of them for `domain`. Holds the answers that came in time.
pub(super) async fn all(domain: &str, addresses: impl Iterator<Item = IpAddr>) -> HashMap<IpAddr, Pong> {
    let mut asked = JoinSet::new();
    for ip in addresses {
        let domain = domain.to_owned();
        asked.spawn(async move { Some((ip, one(&domain, ip).await?)) });
    }
    let mut answers = HashMap::new();
    let mut end = Instant::now() + FIRST;
    while let Ok(Some(joined)) = tokio::time::timeout_at(end.into(), asked.join_next()).await {
        if let Ok(Some((ip, pong))) = joined {
            if answers.is_empty() {
                end = end.min(Instant::now() + OTHERS);
            }
            answers.insert(ip, pong);
        }
    }
    answers
}

async fn one(domain: &str, ip: IpAddr) -> Option<Pong> {
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.ok()?;
    // Connected: what others send does not count, and a closed port is known at once.
    socket.connect(SocketAddr::new(ip, LDAP_PORT)).await.ok()?;
    let id = dns::draw(i32::MAX as u32 - 1) + 1;
    let asked = Instant::now();
    socket.send(&cldap::question(id, domain)).await.ok()?;
    let mut datagram = vec![0; cldap::LONGEST];
    loop {
        let count = timeout(FIRST, socket.recv(&mut datagram)).await.ok()?.ok()?;
        if let Some(netlogon) = cldap::answer(&datagram[..count], id) {
            return Some(Pong { netlogon, round_trip: asked.elapsed() });
        }
    }
}
