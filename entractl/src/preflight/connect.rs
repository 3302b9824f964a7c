//! The ports of a domain controller.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use entra_core::discovery::{KERBEROS_PORT, Server};

use crate::exit::{Exit, Failure};

/// Longest wait for a connection.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Most domain controllers that are tried.
const MOST: usize = 4;
/// Ports that something needs later: what for.
const LATER: [(u16, &str); 2] = [(464, "kpasswd: sets the machine's password"), (445, "SMB: file shares and Samba")];

/// The domain controller whose ports are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The first one that can be used.
    pub server: Server,
    /// Ports that are closed and are needed for something else than LDAP and Kerberos.
    pub closed: Vec<String>,
}

/// The first of the domain controllers whose ports for Kerberos and LDAP are open.
///
/// # Errors
/// Status 4 with every closed port.
pub fn first(servers: &[Server]) -> Result<Reached, Failure> {
    let mut closed = Vec::new();
    for server in servers.iter().take(MOST) {
        let missing = closed_ports(server.addr.ip(), &[KERBEROS_PORT, server.addr.port()]);
        if missing.is_empty() {
            return Ok(Reached { server: server.clone(), closed: later(server.addr.ip()) });
        }
        closed.extend(missing.into_iter().map(|(port, why)| format!("port {port} of {} {why}", name(server))));
    }
    Err(Failure::new(Exit::NoDirectory, "connect", closed.join("; "))
        .remedy("open TCP 88 (Kerberos) and 389 (LDAP) from this host to the domain controllers, or name a --server"))
}

fn later(ip: IpAddr) -> Vec<String> {
    let closed = closed_ports(ip, &LATER.map(|(port, _)| port));
    let what = |port| LATER.iter().find(|(known, _)| *known == port).map_or("", |(_, what)| what);
    closed.into_iter().map(|(port, why)| format!("port {port} {why} ({})", what(port))).collect()
}

fn name(server: &Server) -> String {
    if server.host.is_empty() {
        server.addr.ip().to_string()
    } else {
        format!("{} ({})", server.host, server.addr.ip())
    }
}

/// The ports that do not take a connection, and why; all are tried at once.
fn closed_ports(ip: IpAddr, ports: &[u16]) -> Vec<(u16, String)> {
    thread::scope(|scope| {
        let tried: Vec<_> =
            ports.iter().map(|port| (*port, scope.spawn(|| closed(SocketAddr::new(ip, *port))))).collect();
        tried.into_iter().filter_map(|(port, tried)| Some((port, tried.join().ok()??))).collect()
    })
}

fn closed(addr: SocketAddr) -> Option<String> {
    match TcpStream::connect_timeout(&addr, TIMEOUT) {
        Ok(_) => None,
        Err(error) => Some(match error.kind() {
            ErrorKind::ConnectionRefused => "is closed (connection refused)".into(),
            ErrorKind::TimedOut => format!("does not answer in {} s (filtered, or the host is off)", TIMEOUT.as_secs()),
            _ => format!("cannot be reached: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_closed_port_is_named() {
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = open.local_addr().unwrap().port();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let seen = closed_ports(IpAddr::from([127, 0, 0, 1]), &[port, gone]);
        assert_eq!(seen, [(gone, "is closed (connection refused)".to_owned())]);
        let server = Server { host: "dc1.d.example".into(), addr: SocketAddr::from(([127, 0, 0, 1], gone)) };
        let failure = first(&[server]).unwrap_err();
        assert_eq!(failure.exit, Exit::NoDirectory);
        let named = format!("port {gone} of dc1.d.example (127.0.0.1) is closed");
        assert!(failure.error.contains(&named), "{}", failure.error);
    }
}
