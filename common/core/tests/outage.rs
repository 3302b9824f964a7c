//! What callers of the LDAP adapter see when domain controllers fail. Needs the lab, as `directory.rs` does; relays on
//! loopback addresses stand for DCs that can be cut off. Run by root: the relays take ports 88 and 389.

#![allow(clippy::unwrap_used, clippy::panic)]

mod lab;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use entra_core::Error;
use entra_core::directory::{Directory, Key};
use lab::{Lab, timed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A lookup's deadline: what an outage may cost.
const LOOKUP: Duration = Duration::from_secs(3);

/// What a relay does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Carries them.
    Open,
    /// Lets them hang, and new ones too: a DC that stopped.
    Frozen,
    /// Cuts them, and new ones too.
    Cut,
}

/// A second address of the lab's DC.
struct Relay {
    ip: Ipv4Addr,
    mode: watch::Sender<Mode>,
}

impl Relay {
    async fn new(last: u8, dc: IpAddr) -> Self {
        let ip = Ipv4Addr::new(127, 9, 9, last);
        let (mode, _) = watch::channel(Mode::Open);
        for port in [88, 389] {
            let listener = TcpListener::bind(SocketAddr::from((ip, port))).await.unwrap();
            let mode = mode.clone();
            tokio::spawn(async move {
                while let Ok((near, _)) = listener.accept().await {
                    tokio::spawn(carry(near, SocketAddr::new(dc, port), mode.subscribe()));
                }
            });
        }
        Self { ip, mode }
    }

    fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn carry(near: TcpStream, far: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let Ok(far) = TcpStream::connect(far).await else { return };
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let both = async {
        // Either side's end is the end; why does not matter here.
        tokio::select! {
            _ = tokio::io::copy(&mut near_in, &mut far_out) => {}
            _ = tokio::io::copy(&mut far_in, &mut near_out) => {}
        }
    };
    tokio::pin!(both);
    loop {
        let now = *mode.borrow_and_update();
        tokio::select! {
            () = &mut both, if now == Mode::Open => return,
            changed = mode.changed(), if now != Mode::Cut => if changed.is_err() { return },
            else => return,
        }
    }
}

fn alice() -> Key {
    Key::Sam("alice".into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_lost_connection_does_not_show() {
    let mut lab = Lab::new("lost");
    lab.deadline = LOOKUP;
    let relay = Relay::new(1, lab.dns.ip()).await;
    let directory = lab.directory(|domain| domain.servers = vec![relay.ip.to_string()]);
    for round in 0..5 {
        assert!(timed("user", directory.user(&alice())).await.unwrap().is_some(), "round {round}");
        relay.set(Mode::Cut);
        // The relay's tasks cut what they carry before new connections are carried again.
        tokio::time::sleep(Duration::from_millis(50)).await;
        relay.set(Mode::Open);
    }
    assert!(directory.health().online);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn a_server_that_stops_is_replaced_within_one_lookup() {
    let mut lab = Lab::new("frozen");
    lab.deadline = LOOKUP;
    let (first, second) = (Relay::new(2, lab.dns.ip()).await, Relay::new(3, lab.dns.ip()).await);
    let directory = lab.directory(|domain| domain.servers = vec![first.ip.to_string(), second.ip.to_string()]);
    assert!(directory.user(&alice()).await.unwrap().is_some());
    assert_eq!(directory.health().address.map(|address| address.ip()), Some(IpAddr::V4(first.ip)));
    first.set(Mode::Frozen);
    assert!(timed("user past a frozen server", directory.user(&alice())).await.unwrap().is_some());
    assert_eq!(directory.health().address.map(|address| address.ip()), Some(IpAddr::V4(second.ip)));
    assert!(timed("next user", directory.user(&alice())).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's domain controller"]
async fn an_outage_is_told_and_ends_by_itself() {
    let mut lab = Lab::new("outage");
    lab.deadline = LOOKUP;
    let relay = Relay::new(4, lab.dns.ip()).await;
    let directory = lab.directory(|domain| domain.servers = vec![relay.ip.to_string()]);
    assert!(directory.user(&alice()).await.unwrap().is_some());
    for mode in [Mode::Cut, Mode::Frozen] {
        relay.set(mode);
        let error = timed(&format!("{mode:?}, first lookup"), directory.user(&alice())).await.unwrap_err();
        assert!(matches!(error, Error::Offline(_)), "{error:?}");
        // Once it is known, nobody waits for as long again.
        let started = Instant::now();
        for _ in 0..10 {
            let error = directory.user(&alice()).await.unwrap_err();
            assert!(matches!(error, Error::Offline(_)), "{error:?}");
        }
        println!("{mode:?}, later lookups: {:?} each", started.elapsed() / 10);
        let health = directory.health();
        assert!(!health.online && health.reason.is_some(), "{health:?}");
        relay.set(Mode::Open);
        let started = Instant::now();
        let back = async {
            while directory.user(&alice()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("it comes back");
        println!("back from {mode:?}: {:?}", started.elapsed());
        assert!(directory.health().online);
    }
}
