//! In which class of preference a domain controller is: by the SRV priority, by site, by latency. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Server;
use super::ping::Pong;

/// A class: less is tried before more, equals as DNS drew them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    /// The SRV record's priority, or the place in the configuration.
    priority: u16,
    /// Whether it stands in another site than this host, where both are known.
    elsewhere: bool,
    /// The order of magnitude of its latency; the highest where it did not answer.
    distance: u8,
}

impl Class {
    /// A server that is not asked how near it is, because the administrator has ordered them.
    pub(super) fn ordered(place: u16) -> Self {
        Self { priority: place, elsewhere: false, distance: 0 }
    }
}

/// Sorts servers into classes, and leaves out those that answer for another domain, unless all do. An answer proves
/// nothing: it only saves the time that a bind there would take.
pub(super) fn classify(
    domain: &str,
    found: Vec<(u16, Server)>,
    answers: &HashMap<IpAddr, Pong>,
) -> Vec<(Class, Server)> {
    let answer = |server: &Server| answers.get(&server.addr.ip());
    let is_ours = |server: &Server| answer(server).is_none_or(|pong| pong.netlogon.domain.eq_ignore_ascii_case(domain));
    let any = found.iter().any(|(_, server)| is_ours(server));
    let wanted = found.into_iter().filter(|(_, server)| {
        let wanted = !any || is_ours(server);
        if let (false, Some(pong)) = (wanted, answer(server)) {
            log::warn!("{domain}: {server} is left out: it serves {}", pong.netlogon.domain);
        }
        wanted
    });
    wanted
        .map(|(priority, server)| {
            let class = match answer(&server) {
                None => Class { priority, elsewhere: true, distance: u8::MAX },
                Some(Pong { netlogon, round_trip }) => {
                    let known = !netlogon.client_site.is_empty() && !netlogon.dc_site.is_empty();
                    let elsewhere = known && !netlogon.client_site.eq_ignore_ascii_case(&netlogon.dc_site);
                    Class { priority, elsewhere, distance: distance(*round_trip) }
                }
            };
            (class, server)
        })
        .collect()
}

/// Four times as long is one step further, from 4 ms on: less says more about the load of a moment than about the way.
fn distance(round_trip: Duration) -> u8 {
    let mut limit = Duration::from_millis(4);
    let mut steps = 0;
    while round_trip > limit {
        limit *= 4;
        steps += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::cldap::Netlogon;
    use super::*;

    fn server(last: u8) -> Server {
        Server { host: format!("dc{last}.example.com"), addr: ([10, 0, 0, last], 389).into() }
    }

    fn pong(domain: &str, dc_site: &str, client_site: &str, millis: u64) -> Pong {
        let netlogon = Netlogon {
            domain: domain.into(),
            host: String::new(),
            dc_site: dc_site.into(),
            client_site: client_site.into(),
        };
        Pong { netlogon, round_trip: Duration::from_millis(millis) }
    }

    /// The last parts of the addresses, nearest first.
    fn order(found: &[(u16, u8)], answers: &[(u8, Pong)]) -> Vec<u8> {
        let answers = answers.iter().map(|(last, pong)| (IpAddr::from([10, 0, 0, *last]), pong.clone())).collect();
        let found = found.iter().map(|(priority, last)| (*priority, server(*last))).collect();
        let mut classes = classify("example.com", found, &answers);
        classes.sort_by_key(|(class, _)| *class);
        classes.iter().map(|(_, server)| server.host.as_bytes()[2] - b'0').collect()
    }

    #[test]
    fn priority_goes_before_site_and_site_before_latency() {
        let here = |millis| pong("example.com", "A", "a", millis);
        let there = |millis| pong("example.com", "B", "A", millis);
        assert_eq!(order(&[(0, 1), (0, 2), (0, 3)], &[(1, there(1)), (2, here(90)), (3, here(9))]), [3, 2, 1]);
        assert_eq!(order(&[(9, 1), (0, 2)], &[(1, here(1)), (2, there(90))]), [2, 1]);
    }

    #[test]
    fn small_differences_leave_the_draw_of_dns_as_it_is() {
        let near = |millis| pong("example.com", "A", "A", millis);
        assert_eq!(order(&[(0, 2), (0, 1)], &[(1, near(1)), (2, near(3))]), [2, 1]);
    }

    #[test]
    fn silence_comes_last_and_another_domain_not_at_all() {
        let ours = pong("Example.COM", "A", "A", 300);
        let foreign = pong("evil.example", "A", "A", 1);
        assert_eq!(order(&[(0, 1), (0, 2), (0, 3)], &[(2, ours), (3, foreign.clone())]), [2, 1]);
        assert_eq!(order(&[(0, 3)], &[(3, foreign)]), [3], "Kerberos has the last word");
    }
}
