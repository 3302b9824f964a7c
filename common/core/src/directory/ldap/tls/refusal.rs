//! Why there is no TLS connection, in sentences that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use rustls::{AlertDescription, CertificateError, Error as Tls, PeerIncompatible};

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum TlsError {
    /// There is nobody to trust.
    #[error("{}: {reason}: name a file of CA certificates with tls_ca, or install ca-certificates", file.display())]
    NoTrust {
        /// The file that was read.
        file: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// A server that cannot be named cannot be verified.
    #[error("`{0}` is no host name that a certificate could be for: name the server in `servers`")]
    NoName(String),
    /// The certificate's signature defines no channel binding.
    #[error(
        "its certificate is signed in a way for which no channel binding is defined (RFC 5929): have one issued with \
         RSA or ECDSA and SHA-256"
    )]
    NoBinding,
    /// The server offers no StartTLS, with its result code and words.
    #[error(
        "it offers no StartTLS (result {0}: {1}): have a certificate installed on the domain controllers (\"secure \
         LDAP\"), or use ldap_security = \"seal\", which needs none"
    )]
    NoStartTls(u32, String),
    /// The port does not take a connection.
    #[error(
        "{0}: have secure LDAP (TCP 636) enabled for the domain, or use ldap_security = \"seal\", which needs no \
         certificate"
    )]
    NoPort(String),
    /// The handshake failed, with the whole sentence.
    #[error("{0}")]
    Handshake(String),
}

impl TlsError {
    /// Words for a handshake with `host` that failed, where `file` holds the authorities that were trusted.
    pub(super) fn refused(error: &io::Error, host: &str, file: &Path) -> Self {
        let text = match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
            Some(Tls::InvalidCertificate(wrong)) => certificate(wrong, host, file),
            Some(tls) => protocol(tls),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    "it ends the connection instead of a TLS handshake: a domain controller does so while it has no \
                     certificate; have one installed (\"secure LDAP\"), or use ldap_security = \"seal\""
                        .into()
                }
                _ => format!("TLS: {error}"),
            },
        };
        Self::Handshake(text)
    }
}

/// What is wrong with a certificate.
fn certificate(wrong: &CertificateError, host: &str, file: &Path) -> String {
    let file = file.display();
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired: have a new one installed on the domain controllers")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: compare this host's clock with its dates")
        }
        CertificateError::UnknownIssuer => format!(
            "the certificate of {host} comes from an authority that is not in {file}: put the authority's certificate \
             into a file and name that with tls_ca"
        ),
        CertificateError::NotValidForName => format!("the certificate is not for {host}{RENAME}"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let plain = |name: &String| {
                // rustls gives `DnsName("dc1.example")`.
                let inner = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
                inner.unwrap_or(name).to_owned()
            };
            let names: Vec<_> = presented.iter().map(plain).collect();
            let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
            format!("the certificate is for {}, not for {host}{RENAME}", printable(&names))
        }
        CertificateError::BadSignature => {
            format!("the certificate of {host} is not signed by the authority it names: it is forged or damaged")
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "the certificate of {host} or of its authority is signed with an algorithm that proves nothing any more, \
             such as SHA-1: have new ones issued with SHA-256"
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not for servers: have one issued for server authentication")
        }
        other => format!(
            "the certificate of {host} cannot be verified ({}): have a new one installed on the domain controllers",
            printable(&other.to_string())
        ),
    }
}

const RENAME: &str = ": have one issued whose subjectAltName names every domain controller (or *.DOMAIN)";

/// What is wrong with the protocol.
fn protocol(error: &Tls) -> String {
    match error {
        Tls::AlertReceived(AlertDescription::ProtocolVersion)
        | Tls::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => {
            "it speaks no TLS 1.2 or later: enable TLS 1.2 on the domain controllers (Entra Domain Services: security \
              settings, \"TLS 1.2 only mode\")"
                .into()
        }
        Tls::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | Tls::PeerIncompatible(_) => format!(
            "it has no cipher suite, curve or signature in common with this host ({}): enable ECDHE with AES-GCM on \
             the domain controllers",
            printable(&error.to_string())
        ),
        Tls::InvalidMessage(_) => "it does not answer in TLS: is this the port of LDAPS (636)?".into(),
        other => format!("TLS: {}", printable(&other.to_string())),
    }
}

/// A peer's words, fit for a log line.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: Tls) -> String {
        TlsError::refused(&io::Error::new(io::ErrorKind::InvalidData, error), "dc1.d.example", Path::new("/ca.pem"))
            .to_string()
    }

    #[test]
    fn each_cause_has_its_remedy() {
        let certificate = |wrong| said(Tls::InvalidCertificate(wrong));
        for (text, cause, remedy) in [
            (certificate(CertificateError::Expired), "of dc1.d.example has expired", "new one installed"),
            (certificate(CertificateError::UnknownIssuer), "not in /ca.pem", "tls_ca"),
            (certificate(CertificateError::NotValidForName), "not for dc1.d.example", "subjectAltName"),
            (said(Tls::AlertReceived(AlertDescription::ProtocolVersion)), "no TLS 1.2", "enable TLS 1.2"),
            (said(Tls::AlertReceived(AlertDescription::HandshakeFailure)), "no cipher suite", "ECDHE"),
        ] {
            assert!(text.contains(cause) && text.contains(remedy), "{text}");
        }
        let closed = TlsError::refused(&io::ErrorKind::UnexpectedEof.into(), "dc1", Path::new("/ca.pem")).to_string();
        assert!(closed.contains("no certificate") && closed.contains("\"seal\""), "{closed}");
    }

    #[test]
    fn names_in_a_certificate_do_no_harm_in_a_log() {
        let presented = vec!["DnsName(\"evil\n.example\")".to_owned()];
        let name = rustls::pki_types::ServerName::try_from("dc1.d.example").unwrap();
        let text =
            said(Tls::InvalidCertificate(CertificateError::NotValidForNameContext { expected: name, presented }));
        assert!(text.contains("is for evil.example, not for dc1.d.example"), "{text}");
    }
}
