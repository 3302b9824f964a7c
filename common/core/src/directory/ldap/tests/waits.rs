//! How long lookups wait for a connection that does not come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::over;
use crate::Error;
use crate::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};

/// Takes longer than anybody waits.
struct Hanging;

#[async_trait]
impl Kdc for Hanging {
    async fn machine_ticket(&self, _: &str, _: SocketAddr) -> Result<MachineTicket, Error> {
        std::future::pending().await
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn who_comes_after_somebody_who_waited_in_vain_does_not_wait_as_long() {
    // A port that takes connections, and nobody behind it.
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    silent.listen(8).unwrap();
    let directory = over(silent.local_addr().unwrap().as_socket().unwrap(), Arc::new(Hanging));
    let wait = async |longest: Duration| {
        let begun = Instant::now();
        assert!(matches!(directory.link.connection(begun + longest).await, Err(Error::Offline(_))));
        begun.elapsed()
    };
    let first = Duration::from_secs(1);
    assert!(wait(first).await >= first, "the attempt goes on all the time");
    assert!(wait(first).await < first);
}
