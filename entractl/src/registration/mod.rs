//! This host's name in the domain's DNS: address records and, where there is a zone for them, the way back. The records
//! are the machine's own, made with its ticket, so that nobody else may change them and `leave` can take them out.

mod secure;
mod wire;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use entra_core::discovery::Server;
use serde::{Deserialize, Serialize};

use secure::{Connection, Error, Session};
use wire::Change;

/// Most addresses that are registered.
const MOST: usize = 4;

/// What was registered: kept in the journal of a join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Fully qualified name.
    pub name: String,
    /// Addresses that the name has.
    pub addresses: Vec<IpAddr>,
    /// Those of them that lead back to the name.
    pub reverse: Vec<IpAddr>,
}

/// Longest wait for the machine ticket.
const TICKET: Duration = Duration::from_secs(10);

/// Reads a DNS server's answer, whatever it is; gives the number of its records.
#[cfg(feature = "fuzzing")]
pub fn records_in(bytes: &[u8]) -> Option<usize> {
    wire::Message::read(bytes).ok().map(|message| message.sections.iter().map(Vec::len).sum())
}

/// A domain controller, and where this machine's keys are.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The domain controller.
    pub server: &'a Server,
    /// Its DNS name.
    pub host: &'a str,
    /// Realm.
    pub realm: &'a str,
    /// Keytab with the machine's keys.
    pub keytab: &'a Path,
    /// Where a ticket may be written, in a private folder.
    pub ccache: &'a Path,
}

impl Machine<'_> {
    /// Gets the machine's ticket and goes on with it.
    ///
    /// # Errors
    /// In one sentence, why there is no ticket, or what `go_on` gave.
    pub fn with_ticket<T>(self, go_on: impl FnOnce(Dns<'_>) -> Result<T, String>) -> Result<T, String> {
        let Machine { server, host, realm, keytab, ccache } = self;
        entra_krb5::initial_with_keytab(realm, server.kdc(), None, keytab, ccache, TICKET)
            .map_err(|error| format!("no ticket for this machine: {error}"))?;
        let ccache = format!("FILE:{}", ccache.display());
        go_on(Dns { server: server.addr.ip(), host, realm, kdc: server.kdc(), ccache: &ccache })
    }
}

/// The DNS server and the ticket that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Dns<'a> {
    /// A domain controller.
    pub server: IpAddr,
    /// Its DNS name.
    pub host: &'a str,
    /// Realm.
    pub realm: &'a str,
    /// The KDC that gives the service ticket.
    pub kdc: SocketAddr,
    /// Residual name of the ccache with the machine's ticket.
    pub ccache: &'a str,
}

/// Registers the name with this host's addresses, in place of what it had. `note` is told what is about to be made.
///
/// # Errors
/// In one sentence, why the name could not be registered; that an address has no way back is no error.
pub fn register(
    dns: Dns<'_>,
    name: &str,
    addresses: &[IpAddr],
    note: impl FnOnce(&Registered) -> std::io::Result<()>,
) -> Result<Registered, String> {
    if addresses.is_empty() {
        return Err("this host has no address that the domain could use".into());
    }
    let mut connection = Connection::open(dns.server).map_err(|error| error.to_string())?;
    let zone = connection.zone(name).map_err(|error| error.to_string())?;
    let zone = zone.ok_or_else(|| format!("the DNS server {} has no zone for {name}", dns.server))?;
    let mut session = start(dns, connection)?;
    let mut registered = Registered { name: name.into(), addresses: addresses.to_vec(), reverse: addresses.to_vec() };
    note(&registered).map_err(|error| error.to_string())?;
    session.update(&zone, &forward(name, addresses)).map_err(|error| error.to_string())?;
    for addr in addresses {
        let (kind, data) = wire::address_data(*addr);
        if !session.has(name, kind, &data).map_err(|error| error.to_string())? {
            return Err(format!("the DNS server took the record of {addr} and does not have it"));
        }
    }
    registered.reverse.retain(|addr| point_back(dns, *addr, name).is_ok());
    Ok(registered)
}

/// Takes out what was registered. Records that somebody changed since stay.
///
/// # Errors
/// What is left, in one sentence.
pub fn remove(dns: Dns<'_>, registered: &Registered) -> Result<(), String> {
    let mut connection = Connection::open(dns.server).map_err(|error| error.to_string())?;
    let name = &registered.name;
    let zone = connection.zone(name).map_err(|error| error.to_string())?;
    let zone = zone.ok_or_else(|| format!("the DNS server {} has no zone for {name}", dns.server))?;
    let mut session = start(dns, connection)?;
    let gone = |addr: &IpAddr| {
        let (kind, data) = wire::address_data(*addr);
        Change::Remove(name.clone(), kind, data)
    };
    let changes: Vec<_> = registered.addresses.iter().map(gone).collect();
    session.update(&zone, &changes).map_err(|error| error.to_string())?;
    let mut left = Vec::new();
    for addr in &registered.reverse {
        let owner = wire::reverse_name(*addr);
        let change = Change::Remove(owner.clone(), wire::PTR, wire::name_data(name));
        left.extend(change_reverse(dns, *addr, &[change]).err().map(|error| format!("{owner}: {error}")));
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// The addresses from which this host speaks to these servers.
pub fn own_addresses(servers: impl IntoIterator<Item = SocketAddr>) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for server in servers {
        let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
        // Connecting a datagram socket sends nothing and chooses the address.
        let own = UdpSocket::bind(any).and_then(|socket| {
            socket.connect(server)?;
            socket.local_addr()
        });
        found.extend(own.ok().map(|own| own.ip()).filter(|ip| !found.contains(ip) && is_reachable(*ip)));
    }
    found.truncate(MOST);
    found
}

/// Whether others can reach the address.
fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local()),
    }
}

fn start(dns: Dns<'_>, connection: Connection) -> Result<Session, String> {
    Session::start(connection, dns.host, dns.realm, dns.kdc, dns.ccache).map_err(|error| error.to_string())
}

/// The name gets these addresses in place of others of their kinds.
fn forward(name: &str, addresses: &[IpAddr]) -> Vec<Change> {
    let records: Vec<_> = addresses.iter().map(|addr| wire::address_data(*addr)).collect();
    let kinds = [wire::A, wire::AAAA].into_iter().filter(|kind| records.iter().any(|(it, _)| it == kind));
    let mut changes: Vec<_> = kinds.map(|kind| Change::Clear(name.into(), kind)).collect();
    changes.extend(records.into_iter().map(|(kind, data)| Change::Add(name.into(), kind, data)));
    changes
}

fn point_back(dns: Dns<'_>, addr: IpAddr, name: &str) -> Result<(), Error> {
    let owner = wire::reverse_name(addr);
    let changes = [Change::Clear(owner.clone(), wire::PTR), Change::Add(owner, wire::PTR, wire::name_data(name))];
    change_reverse(dns, addr, &changes)
}

fn change_reverse(dns: Dns<'_>, addr: IpAddr, changes: &[Change]) -> Result<(), Error> {
    let mut connection = Connection::open(dns.server)?;
    let owner = wire::reverse_name(addr);
    let zone = connection.zone(&owner)?.ok_or_else(|| Error::Broken(format!("no zone holds {owner}")))?;
    // A key serves one connection only, with some servers.
    Session::start(connection, dns.host, dns.realm, dns.kdc, dns.ccache)?.update(&zone, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_come_are_cleared() {
        let four: IpAddr = "10.0.0.1".parse().unwrap();
        let changes = forward("h.d", &[four]);
        assert_eq!(changes[0], Change::Clear("h.d".into(), wire::A));
        assert_eq!(changes[1], Change::Add("h.d".into(), wire::A, vec![10, 0, 0, 1]));
        assert_eq!(changes.len(), 2, "an IPv6 address that others registered is cleared");
    }

    #[test]
    fn a_host_alone_has_nothing_to_register() {
        assert_eq!(own_addresses(["127.0.0.1:53".parse().unwrap()]), Vec::<IpAddr>::new());
        for local in ["169.254.1.1", "fe80::1", "::1", "0.0.0.0"] {
            assert!(!is_reachable(local.parse().unwrap()), "{local}");
        }
        assert!(is_reachable("10.0.0.1".parse().unwrap()) && is_reachable("2001:db8::1".parse().unwrap()));
    }
}
