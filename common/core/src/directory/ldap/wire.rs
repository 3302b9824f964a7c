//! From a TCP connection to one on which a bind may begin: as it is, or with TLS under it.

use std::io;
use std::net::SocketAddr;

use entra_krb5::gss::Protection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::sasl::{self, BindError};
use super::tls::{TlsError, Trust};
use crate::config::{Domain, LdapSecurity};
use crate::discovery::{LDAP_PORT, LDAPS_PORT};

/// What bytes travel on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that is ready for the bind.
pub(super) struct Wire {
    pub(super) stream: Box<dyn Stream>,
    /// What the bind has to bring.
    pub(super) protection: Protection,
}

/// How connections of one attempt are protected.
pub(super) enum Security {
    /// By the bind itself.
    Seal,
    /// By TLS from the first byte.
    Ldaps(Trust),
    /// By TLS that LDAP asks for.
    StartTls(Trust),
}

/// Why a connection could not be made secure.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSecure {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Ldap(#[from] BindError),
}

impl Security {
    /// What the configuration wants.
    ///
    /// # Errors
    /// [`TlsError::NoTrust`] when TLS is wanted and nobody is trusted.
    pub(super) async fn load(domain: &Domain) -> Result<Self, TlsError> {
        let trust = Trust::load(domain.tls_ca.as_deref());
        Ok(match domain.ldap_security {
            LdapSecurity::Seal => Self::Seal,
            LdapSecurity::Ldaps => Self::Ldaps(trust.await?),
            LdapSecurity::StartTls => Self::StartTls(trust.await?),
        })
    }

    /// Protects a fresh connection to `addr`. An empty `host` is asked of the server and filled in: that proves nothing,
    /// what is verified with it does.
    ///
    /// # Errors
    /// [`NotSecure`]
    pub(super) async fn apply(
        &self,
        host: &mut String,
        addr: SocketAddr,
        mut stream: TcpStream,
    ) -> Result<Wire, NotSecure> {
        if host.is_empty() {
            *host = match self {
                Self::Seal | Self::StartTls(_) => sasl::host_name(&mut stream).await?,
                // A name is wanted for the handshake, so it is asked where none is needed.
                Self::Ldaps(_) => {
                    let plain = SocketAddr::new(addr.ip(), LDAP_PORT);
                    sasl::host_name(&mut TcpStream::connect(plain).await.map_err(BindError::Io)?).await?
                }
            };
        }
        let trust = match self {
            Self::Seal => return Ok(Wire { stream: Box::new(stream), protection: Protection::Seal }),
            Self::Ldaps(trust) => trust,
            Self::StartTls(trust) => {
                if let Some((code, text)) = sasl::start_tls(&mut stream).await? {
                    return Err(TlsError::NoStartTls(code, text).into());
                }
                trust
            }
        };
        let (stream, binding) = trust.handshake(host, stream).await?;
        Ok(Wire { stream: Box::new(stream), protection: Protection::Channel(binding) })
    }
}

/// Words for a port that takes no connection; LDAPS is one that a domain need not have.
pub(super) fn no_port(addr: SocketAddr, error: &io::Error) -> String {
    if addr.port() == LDAPS_PORT && error.kind() == io::ErrorKind::ConnectionRefused {
        return TlsError::NoPort(error.to_string()).to_string();
    }
    error.to_string()
}
