//! From the proxy's name to its answer, each part before a deadline: addresses, connection, TLS, one request. Blocking, for
//! a command that does nothing else meanwhile.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error as Tls, RootCertStore, StreamOwned};

use super::http::{self, Bad};
use super::message;
use super::url::ProxyUrl;
use crate::directory::ldap::tls;

/// Most addresses of the proxy that are tried.
const MOST_ADDRESSES: usize = 4;

/// Why the proxy gave no Kerberos message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Its name has no address, with the resolver's words.
    #[error("{0}")]
    Name(String),
    /// No address takes a connection, with the reason for each.
    #[error("{0}")]
    Connection(String),
    /// There is nobody to trust: file and reason.
    #[error("{}: {reason}", file.display())]
    NoTrust {
        /// The file that was read.
        file: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// Its certificate has expired.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate is not valid yet.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// Nobody who is trusted vouches for its certificate.
    #[error("its certificate comes from an authority that is not trusted")]
    UnknownAuthority,
    /// Its certificate is for other hosts.
    #[error("its certificate is for another host: {0}")]
    OtherHost(String),
    /// Any other failure of TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// It answers with another HTTP status than 200, with its words.
    #[error("HTTP status {0} {1}")]
    Http(u16, String),
    /// It answers with something else than a KDC-PROXY-MESSAGE.
    #[error("{0}")]
    NoMessage(String),
    /// The deadline passed.
    #[error("no answer in time")]
    TimedOut,
}

/// The authorities that may vouch for the proxy.
pub struct Anchors {
    /// The files that they were read from.
    pub files: Vec<PathBuf>,
    config: Arc<ClientConfig>,
}

impl Anchors {
    /// Reads the authorities of these files; the system's where there are none.
    ///
    /// # Errors
    /// [`ProxyError::NoTrust`] where none of them holds a certificate.
    pub fn load(files: &[PathBuf]) -> Result<Self, ProxyError> {
        let files = if files.is_empty() { vec![tls::system()] } else { files.to_vec() };
        let (mut roots, mut wrong) = (RootCertStore::empty(), None);
        for file in &files {
            match tls::read(file) {
                Ok(more) => roots.extend(more.roots),
                Err(reason) => {
                    wrong.get_or_insert(ProxyError::NoTrust { file: file.clone(), reason });
                }
            }
        }
        if let Some(wrong) = wrong.filter(|_| roots.is_empty()) {
            return Err(wrong);
        }
        let config = tls::config(roots).map_err(|error| ProxyError::Tls(error.to_string()))?;
        Ok(Self { files, config: Arc::new(config) })
    }
}

/// The addresses of the proxy, as every program on the host finds them (getaddrinfo(3)).
///
/// # Errors
/// [`ProxyError::Name`]; [`ProxyError::TimedOut`].
pub fn resolve(url: &ProxyUrl, deadline: Instant) -> Result<Vec<SocketAddr>, ProxyError> {
    let place = (url.host.clone(), url.port);
    let (sender, receiver) = mpsc::channel();
    // getaddrinfo takes no deadline. A thread that outlives it ends with its own time limits.
    std::thread::spawn(move || sender.send(place.to_socket_addrs().map(Iterator::collect::<Vec<_>>)));
    match receiver.recv_timeout(left(deadline)?) {
        Ok(Ok(found)) if found.is_empty() => Err(ProxyError::Name(format!("{} has no address", url.host))),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(ProxyError::Name(format!("{} has no address: {error}", url.host))),
        Err(_) => Err(ProxyError::TimedOut),
    }
}

/// Connects with the first address that takes it.
///
/// # Errors
/// [`ProxyError::Connection`]; [`ProxyError::TimedOut`].
pub fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ProxyError> {
    let mut failed = Vec::new();
    let tried = &addresses[..addresses.len().min(MOST_ADDRESSES)];
    for (at, address) in tried.iter().enumerate() {
        // A silent one leaves time for those behind it.
        let share = left(deadline)? / (tried.len() - at) as u32;
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => failed.push(format!("{address} does not answer")),
            Err(error) => failed.push(format!("{address}: {error}")),
        }
    }
    Err(ProxyError::Connection(failed.join("; ")))
}

/// A TLS connection with the proxy, for one request.
pub struct Channel {
    stream: StreamOwned<ClientConnection, Timed>,
}

impl Channel {
    /// Makes TLS 1.2 or later with the proxy, its chain and its name verified.
    ///
    /// # Errors
    /// What is wrong with its certificate; [`ProxyError::Tls`]; [`ProxyError::TimedOut`].
    pub fn open(url: &ProxyUrl, stream: TcpStream, anchors: &Anchors, deadline: Instant) -> Result<Self, ProxyError> {
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| ProxyError::Tls(format!("`{}` is no host name that a certificate could be for", url.host)))?;
        let tls = ClientConnection::new(Arc::clone(&anchors.config), name);
        let mut tls = tls.map_err(|error| ProxyError::Tls(error.to_string()))?;
        let mut stream = Timed { stream, deadline };
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|error| failed(&error))?;
        }
        Ok(Self { stream: StreamOwned::new(tls, stream) })
    }

    /// Sends a Kerberos message for `realm` and gives the reply.
    ///
    /// # Errors
    /// [`ProxyError::Http`], [`ProxyError::NoMessage`], [`ProxyError::Tls`], [`ProxyError::TimedOut`].
    pub fn exchange(
        mut self,
        url: &ProxyUrl,
        realm: &str,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, ProxyError> {
        self.stream.sock.deadline = deadline;
        let request = http::request(url, &message::encode(message, realm));
        self.stream.write_all(&request).and_then(|()| self.stream.flush()).map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        let mut part = [0; 8192];
        while bytes.len() < http::LONGEST && !http::is_whole(&bytes) {
            match self.stream.read(&mut part) {
                // Many servers end the connection without ending TLS: the length tells whether something is missing.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        let response = http::parse(&bytes).map_err(|bad| {
            ProxyError::NoMessage(match bad {
                Bad::Incomplete => format!("the connection ended after {} bytes of a response", bytes.len()),
                Bad::NotHttp => "the answer is no HTTP".into(),
            })
        })?;
        if response.status != 200 {
            return Err(ProxyError::Http(response.status, response.reason));
        }
        let reply = message::decode(response.body).map(<[u8]>::to_vec);
        reply.ok_or_else(|| {
            ProxyError::NoMessage(format!("{} bytes that are no KDC-PROXY-MESSAGE", response.body.len()))
        })
    }
}

/// A connection whose every wait ends at the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        left(self.deadline).map_err(|_| io::Error::from(ErrorKind::TimedOut))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn left(deadline: Instant) -> Result<Duration, ProxyError> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
    left.ok_or(ProxyError::TimedOut)
}

fn failed(error: &io::Error) -> ProxyError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
        Some(Tls::InvalidCertificate(wrong)) => certificate(wrong),
        Some(other) => ProxyError::Tls(printable(&other.to_string())),
        None => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ProxyError::TimedOut,
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                ProxyError::Tls("it ended the connection".into())
            }
            _ => ProxyError::Tls(error.to_string()),
        },
    }
}

fn certificate(wrong: &CertificateError) -> ProxyError {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ProxyError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => ProxyError::NotYetValid,
        CertificateError::UnknownIssuer => ProxyError::UnknownAuthority,
        CertificateError::NotValidForName => ProxyError::OtherHost("it names none that fits".into()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // rustls gives `DnsName("login.example")`.
            let plain = |name: &String| name.trim_start_matches("DnsName(\"").trim_end_matches("\")").to_owned();
            ProxyError::OtherHost(printable(&presented.iter().map(plain).collect::<Vec<_>>().join(", ")))
        }
        other => ProxyError::Tls(printable(&other.to_string())),
    }
}

/// A peer's words, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(300)
    }

    #[test]
    fn a_server_that_says_nothing_is_left_at_the_deadline() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = ProxyUrl::parse("https://localhost/x").unwrap();
        let stream = connect(&[silent.local_addr().unwrap()], soon()).unwrap();
        let nobody = Anchors { files: Vec::new(), config: Arc::new(tls::config(RootCertStore::empty()).unwrap()) };
        assert_eq!(Channel::open(&url, stream, &nobody, soon()).err(), Some(ProxyError::TimedOut));
    }

    #[test]
    fn every_address_that_refuses_is_named() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let Err(ProxyError::Connection(text)) = connect(&[gone, gone], soon()) else { panic!("it connected") };
        assert_eq!(text.matches(&gone.to_string()).count(), 2, "{text}");
    }

    #[test]
    fn without_authorities_nobody_is_trusted() {
        let gone = Anchors::load(&[Path::new("/nonexistent/ca.pem").into()]).err().unwrap().to_string();
        assert!(gone.starts_with("/nonexistent/ca.pem: No such file"), "{gone}");
    }
}
