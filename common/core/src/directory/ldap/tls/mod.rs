//! TLS under LDAP: who is trusted, and the handshake with one domain controller. TLS 1.2 or later, the certificate's chain
//! and the host name verified (RFC 5280, RFC 6125 as `rustls` does), nothing of it optional.
//!
//! Revocation is not asked for: the lists and responders of an internal authority are seldom reachable, and a login must
//! not wait for them. What a stolen certificate would be good for is bounded by Kerberos, which proves the server again.

mod end_point;
mod refusal;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) use self::refusal::TlsError;
#[cfg(feature = "fuzzing")]
pub(super) use self::versions::agreed_in;
pub use self::versions::{TlsVersion, tls_versions};

/// The authorities that the host trusts, as `ca-certificates` (Debian) and its likes elsewhere write them.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The authorities that may vouch for a domain controller.
pub(super) struct Trust {
    file: PathBuf,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Reads the authorities: those of `tls_ca`, else the system's. Read for each attempt to connect, so that a file that
    /// was replaced counts at once.
    ///
    /// # Errors
    /// [`TlsError::NoTrust`] when the file cannot be read or holds no certificate.
    pub(super) async fn load(tls_ca: Option<&Path>) -> Result<Self, TlsError> {
        let file = tls_ca.map_or_else(system, Path::to_path_buf);
        let reading = file.clone();
        let read = tokio::task::spawn_blocking(move || read(&reading));
        let roots = match read.await {
            Ok(roots) => roots,
            Err(error) => Err(error.to_string()),
        };
        let no_trust = |reason| TlsError::NoTrust { file: file.clone(), reason };
        let config = config(roots.map_err(no_trust)?).map_err(|error| no_trust(error.to_string()))?;
        Ok(Self { file, config: Arc::new(config) })
    }

    /// Makes a TLS connection with the server that calls itself `host`. Gives beside it the binding of the channel
    /// (`tls-server-end-point`, RFC 5929 4) for the bind inside it.
    ///
    /// # Errors
    /// [`TlsError`], with the reason and what to do about it.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Vec<u8>), TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::NoName(host.to_owned()))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream =
            connector.connect(name, stream).await.map_err(|error| TlsError::refused(&error, host, &self.file))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let binding = certificate.and_then(|certificate| end_point::binding(certificate)).ok_or(TlsError::NoBinding)?;
        Ok((stream, binding))
    }
}

/// The channel binding of a certificate, whatever it is.
#[cfg(feature = "fuzzing")]
pub(super) fn binding_of(certificate: &[u8]) -> Option<Vec<u8>> {
    end_point::binding(certificate)
}

/// TLS 1.2 or later with a server that one of these authorities vouches for, without any key of this side.
///
/// # Errors
/// When the cryptography has none of these versions.
pub(crate) fn config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Connections are few and long. A resumed one would not show its certificate again.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The file of the authorities that the host trusts.
pub(crate) fn system() -> PathBuf {
    let first = SYSTEM.into_iter().find(|path| Path::new(path).exists());
    first.unwrap_or(SYSTEM[0]).into()
}

/// The authorities in a file of PEM.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn read(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| reason(&error))?;
    for certificate in certificates {
        // Old authorities whose certificates no modern parser takes stand in many a system's file.
        let (_, _) = roots.add_parsable_certificates([certificate.map_err(|error| reason(&error))?]);
    }
    if roots.is_empty() { Err("it holds no certificate in PEM".into()) } else { Ok(roots) }
}

fn reason(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_authorities_nobody_is_trusted() {
        let gone = Trust::load(Some(Path::new("/nonexistent/ca.pem"))).await.err().unwrap().to_string();
        assert!(gone.contains("/nonexistent/ca.pem: No such file") && gone.contains("tls_ca"), "{gone}");
        let empty = Trust::load(Some(Path::new("/dev/null"))).await.err().unwrap().to_string();
        assert!(empty.contains("no certificate in PEM"), "{empty}");
    }
}
