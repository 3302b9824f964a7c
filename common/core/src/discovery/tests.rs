//! From DNS to a list of domain controllers, with servers on this host's own addresses (127/8).

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::servers::tests::domain;
use super::{LDAP_PORT, Server, Servers, cldap};
use crate::ber;

/// Longest wait for what takes a moment.
const LIMIT: Duration = Duration::from_secs(20);

/// What DNS says: hosts of the domain, each with the last part of its address.
type Zone = Arc<Mutex<Vec<(&'static str, u8)>>>;

/// A DNS server with the SRV records of these hosts and their addresses; gives its address.
async fn dns(zone: &Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (addr, zone) = (socket.local_addr().unwrap(), Arc::clone(zone));
    tokio::spawn(async move {
        let mut datagram = [0; 4096];
        while let Ok((count, asker)) = socket.recv_from(&mut datagram).await {
            let asked = Message::from_vec(&datagram[..count]).unwrap();
            let query = asked.queries[0].clone();
            let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
            answer.add_query(query.clone());
            for (host, last) in zone.lock().unwrap().iter() {
                let name = Name::from_ascii(format!("{host}.example.com.")).unwrap();
                let data = match query.query_type() {
                    RecordType::SRV => RData::SRV(SRV::new(0, 100, LDAP_PORT, name)),
                    RecordType::A if *query.name() == name => RData::A(A::new(127, 77, 0, *last)),
                    _ => continue,
                };
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            socket.send_to(&answer.to_vec().unwrap(), asker).await.unwrap();
        }
    });
    addr
}

/// Answers LDAP pings at 127.77.0.`last` for this domain; `None` where this process may not.
async fn controller(last: u8, domain: &'static str) -> Option<()> {
    let socket = UdpSocket::bind((IpAddr::from([127, 77, 0, last]), LDAP_PORT)).await.ok()?;
    tokio::spawn(async move {
        let mut datagram = [0; 4096];
        while let Ok((count, asker)) = socket.recv_from(&mut datagram).await {
            let ber::Parsed::Element(_, message, _) = ber::parse(&datagram[..count], count) else { continue };
            let id = ber::children(message).next().and_then(|(_, id)| ber::unsigned(id)).unwrap();
            let answer = cldap::tests::datagram(id, &cldap::tests::blob(domain, &[0]));
            socket.send_to(&answer, asker).await.unwrap();
        }
    });
    Some(())
}

fn server((host, last): (&str, u8)) -> Server {
    Server { host: format!("{host}.example.com"), addr: SocketAddr::from(([127, 77, 0, last], LDAP_PORT)) }
}

#[tokio::test]
async fn a_controller_that_changes_its_name_and_address_is_found_where_the_old_one_fails() {
    let zone = Zone::new(Mutex::new(vec![("dc1", 1)]));
    let servers = Arc::new(Servers::new(&domain(&[], dns(&zone).await)).unwrap());
    assert_eq!(servers.candidates(LIMIT).await.unwrap(), [server(("dc1", 1))]);
    *zone.lock().unwrap() = vec![("dc9", 9)];
    assert_eq!(servers.exhausted(LIMIT).await, [server(("dc9", 9))]);
    assert_eq!(servers.known(), [server(("dc9", 9))]);
    assert_eq!(servers.exhausted(LIMIT).await, [], "it was tried already");
    // The same name with another address is another server.
    *zone.lock().unwrap() = vec![("dc9", 10)];
    assert_eq!(servers.exhausted(LIMIT).await, [server(("dc9", 10))]);
}

#[tokio::test]
async fn who_answers_for_another_domain_is_no_candidate_and_who_is_silent_is_the_last() {
    let Some(()) = controller(21, "evil.example").await else {
        println!("skipped: only root can answer on port {LDAP_PORT}");
        return;
    };
    controller(22, "example.com").await.unwrap();
    let zone = Zone::new(Mutex::new(vec![("dc0", 20), ("dc1", 21), ("dc2", 22)]));
    let servers = Arc::new(Servers::new(&domain(&[], dns(&zone).await)).unwrap());
    assert_eq!(servers.candidates(LIMIT).await.unwrap(), [server(("dc2", 22)), server(("dc0", 20))]);
}
