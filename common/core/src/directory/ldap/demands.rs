//! What a domain controller demands of those who bind: found out by binding without it, with the machine's own ticket.
//! Nothing is asked behind such a bind.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use entra_krb5::gss::{Protection, Source};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sasl::{self, BindError};
use super::tls::Trust;
use crate::config::Domain;
use crate::discovery::{LDAP_PORT, LDAPS_PORT, Server};

/// Longest wait for one bind, with what comes before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// strongerAuthRequired (RFC 4511 A.1)
const STRONGER: u32 = 8;

/// Whether something is demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A bind without it was refused for that.
    Yes,
    /// A bind without it succeeded.
    No,
    /// Neither: what came instead.
    Unknown(String),
}

/// Whether `server` demands that LDAP without TLS is signed or sealed ("LDAP signing"). `ccache` holds the machine's
/// ticket.
pub async fn demands_signing(domain: &Domain, server: &Server, ccache: &str) -> Demand {
    let addr = SocketAddr::new(server.addr.ip(), LDAP_PORT);
    let asked = async {
        let mut stream = TcpStream::connect(addr).await.map_err(BindError::Io)?;
        let host = named(server, &mut stream).await?;
        bind(domain, server, &host, ccache, &mut stream).await
    };
    judge(timeout(PATIENCE, asked).await.unwrap_or(Err(BindError::Protocol("no answer in time"))), |error| {
        matches!(error, BindError::Refused(STRONGER, _) | BindError::LayerWanted)
    })
}

/// Whether `server` demands channel binding of a bind inside LDAPS. `ccache` holds the machine's ticket.
///
/// # Errors
/// Why there is no TLS that can be trusted, in a sentence with its remedy.
pub async fn demands_binding(domain: &Domain, server: &Server, ccache: &str) -> Result<Demand, String> {
    let ip = server.addr.ip();
    let late = |_| "no answer in time".to_owned();
    let secured = async {
        let trust = Trust::load(domain.tls_ca.as_deref()).await.map_err(|error| error.to_string())?;
        let failed = |error: std::io::Error| error.to_string();
        let host = if server.host.is_empty() {
            let mut plain = TcpStream::connect(SocketAddr::new(ip, LDAP_PORT)).await.map_err(failed)?;
            named(server, &mut plain).await.map_err(|error| error.to_string())?
        } else {
            server.host.clone()
        };
        let stream = TcpStream::connect(SocketAddr::new(ip, LDAPS_PORT)).await.map_err(failed)?;
        let (stream, _) = trust.handshake(&host, stream).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((host, stream))
    };
    let (host, mut stream) = timeout(PATIENCE, secured).await.map_err(late)??;
    let asked = timeout(PATIENCE, bind(domain, server, &host, ccache, &mut stream)).await;
    let asked = asked.unwrap_or(Err(BindError::Protocol("no answer in time")));
    Ok(judge(asked, |error| matches!(error, BindError::Refused(_, text) if text.contains(sasl::BAD_BINDINGS))))
}

async fn named(server: &Server, stream: &mut TcpStream) -> Result<String, BindError> {
    if server.host.is_empty() { sasl::host_name(stream).await } else { Ok(server.host.clone()) }
}

/// Binds with neither a layer nor a binding.
async fn bind<S: AsyncRead + AsyncWrite + Unpin>(
    domain: &Domain,
    server: &Server,
    host: &str,
    ccache: &str,
    stream: &mut S,
) -> Result<(), BindError> {
    let realm = domain.realm();
    let principal = format!("ldap/{host}/{}@{realm}", domain.name);
    let source = Source { realm, kdc: server.kdc(), ccache: ccache.into(), deadline: Instant::now() + PATIENCE };
    sasl::bind(stream, &source, &principal, &Protection::Nothing).await.map(drop)
}

fn judge(outcome: Result<(), BindError>, is_demand: impl FnOnce(&BindError) -> bool) -> Demand {
    match outcome {
        Ok(()) => Demand::No,
        Err(error) if is_demand(&error) => Demand::Yes,
        Err(error) => Demand::Unknown(error.to_string()),
    }
}
