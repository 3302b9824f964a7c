//! What is said on a new connection before it is sealed: the SASL bind (RFC 4513 5.2, RFC 4752), and for a server known
//! by address alone the question for its name.

use entra_krb5::gss::{self, Initiator, Source, Step};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::ber::{self, Parsed};
use super::seal::MAX_FRAME;

/// Longest message that is accepted from a peer that has not proved who it is.
const MAX_MESSAGE: usize = 0x1_0000;

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;

const SUCCESS: u32 = 0;
const BIND_IN_PROGRESS: u32 = 14;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;

/// The bit of privacy among the security layers (RFC 4752 3.3).
const LAYER_PRIVACY: u8 = 4;

/// Why a bind did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    /// GSSAPI failed on this side.
    #[error(transparent)]
    Gss(#[from] gss::Error),
    /// The server refused, with its result code (RFC 4511 4.1.9) and words.
    #[error("the bind was refused with result {0}: {1}")]
    Refused(u32, String),
    /// The server cannot serve now.
    #[error("the server is busy: {0}")]
    Busy(String),
    /// What came is not what the protocol demands.
    #[error("{0}")]
    Protocol(&'static str),
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The blocking thread did not finish.
    #[error("the GSSAPI thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Binds with a ticket from `source` to the service `principal`. Gives the context and the longest frame that the server
/// takes; everything after this is sealed. An unknown `principal` is noticed before anything is sent.
///
/// # Errors
/// [`BindError`]; the connection is of no more use unless it was [`gss::ErrorKind::UnknownService`].
pub(super) async fn bind<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    source: &Source,
    principal: &str,
) -> Result<(gss::Context, u32), BindError> {
    let mut talk = Talk { stream, buffer: Vec::new(), message_id: 0 };
    let (source, principal) = (source.clone(), principal.to_owned());
    // Asking the KDC for the service ticket blocks.
    let first = tokio::task::spawn_blocking(move || Initiator::start(&source, &principal)).await??;
    let mut step = first;
    let mut context = loop {
        match step {
            Step::Continue(initiator, token) => {
                let answer = talk.bind_step(&token).await?.ok_or(BindError::Protocol("the bind ended too early"))?;
                step = initiator.step(&answer)?;
            }
            Step::Established(context, token) => {
                let offer =
                    talk.bind_step(&token).await?.ok_or(BindError::Protocol("no security layer was offered"))?;
                break (context, offer);
            }
        }
    };
    let (offer, _) = context.0.unwrap(&context.1)?;
    let (reply, longest) = choose_privacy(&offer)?;
    let reply = context.0.wrap(&reply, false)?;
    if talk.bind_step(&reply).await?.is_some() {
        return Err(BindError::Protocol("the server wants more than the protocol has"));
    }
    // Bytes sent ahead of the layer are nobody's.
    if !talk.buffer.is_empty() {
        return Err(BindError::Protocol("the server sent bytes that are not sealed"));
    }
    Ok((context.0, longest))
}

/// The `dnsHostName` that the server's rootDSE gives without a bind, in lower case. Proves nothing: the bind to the DC's
/// own three-part principal does.
///
/// # Errors
/// [`BindError`]
pub(super) async fn host_name<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<String, BindError> {
    let mut talk = Talk { stream, buffer: Vec::new(), message_id: 0 };
    let request = ber::element(
        SEARCH_REQUEST,
        &[
            ber::element(OCTETS, b""),
            ber::integer(ENUMERATED, 0),
            ber::integer(ENUMERATED, 0),
            ber::integer(INTEGER, 1),
            ber::integer(INTEGER, 0),
            ber::element(0x01, &[0]),
            ber::element(0x87, b"objectClass"),
            ber::element(SEQUENCE, &ber::element(OCTETS, b"dnsHostName")),
        ]
        .concat(),
    );
    talk.send(&request).await?;
    let mut name = None;
    loop {
        let (tag, content) = talk.receive().await?;
        match tag {
            SEARCH_ENTRY => name = name.or_else(|| first_value(&content)),
            SEARCH_DONE => break,
            _ => return Err(BindError::Protocol("an answer that does not belong to a search")),
        }
    }
    name.ok_or(BindError::Protocol("the server does not tell its DNS name (dnsHostName in the rootDSE)"))
}

struct Talk<'a, S> {
    stream: &'a mut S,
    buffer: Vec<u8>,
    message_id: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// Sends a token; gives the server's, or `None` where the bind is complete.
    async fn bind_step(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, BindError> {
        let sasl = [ber::element(OCTETS, b"GSSAPI"), ber::element(OCTETS, token)].concat();
        let request = [ber::integer(INTEGER, 3), ber::element(OCTETS, b""), ber::element(0xa3, &sasl)].concat();
        self.send(&ber::element(BIND_REQUEST, &request)).await?;
        let (tag, content) = self.receive().await?;
        if tag != BIND_RESPONSE {
            return Err(BindError::Protocol("an answer that does not belong to a bind"));
        }
        let mut parts = ber::children(&content);
        let code = match parts.next() {
            Some((ENUMERATED, code)) => ber::unsigned(code),
            _ => None,
        };
        let text = parts.nth(1).map(|(_, text)| printable(text)).unwrap_or_default();
        let token = parts.find(|(tag, _)| *tag == 0x87).map(|(_, token)| token.to_vec());
        match code {
            Some(SUCCESS) => Ok(None),
            Some(BIND_IN_PROGRESS) => Ok(Some(token.unwrap_or_default())),
            Some(BUSY | UNAVAILABLE) => Err(BindError::Busy(text)),
            Some(code) => Err(BindError::Refused(code, text)),
            None => Err(BindError::Protocol("a bind response without a result code")),
        }
    }

    async fn send(&mut self, operation: &[u8]) -> Result<(), BindError> {
        self.message_id += 1;
        let message = [&ber::integer(INTEGER, self.message_id), operation].concat();
        self.stream.write_all(&ber::element(SEQUENCE, &message)).await?;
        Ok(())
    }

    /// The next message's operation: tag and content.
    async fn receive(&mut self) -> Result<(u8, Vec<u8>), BindError> {
        loop {
            if self.buffer.first().is_some_and(|first| *first != SEQUENCE) {
                return Err(BindError::Protocol("the peer does not speak LDAP"));
            }
            match ber::parse(&self.buffer, MAX_MESSAGE) {
                Parsed::Element(SEQUENCE, message, rest) => {
                    let (id, operation) = {
                        let mut parts = ber::children(message);
                        let id = parts.next().filter(|(tag, _)| *tag == INTEGER).and_then(|(_, id)| ber::unsigned(id));
                        (id, parts.next().map(|(tag, content)| (tag, content.to_vec())))
                    };
                    let used = self.buffer.len() - rest.len();
                    self.buffer.drain(..used);
                    return match (id, operation) {
                        (Some(id), Some(operation)) if id == self.message_id => Ok(operation),
                        // A message of id 0 is the notice of disconnection (RFC 4511 4.4.1).
                        (Some(0), _) => Err(BindError::Busy("it closes the connection".into())),
                        _ => Err(BindError::Protocol("an LDAP message that answers nothing")),
                    };
                }
                Parsed::Incomplete => {}
                Parsed::Element(..) | Parsed::Invalid => {
                    return Err(BindError::Protocol("the peer does not speak LDAP"));
                }
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }
}

/// Reads the server's offer (RFC 4752 3.1) and gives the answer that chooses privacy, with the longest frame that the
/// server takes.
fn choose_privacy(offer: &[u8]) -> Result<(Vec<u8>, u32), BindError> {
    let &[layers, a, b, c] = offer else {
        return Err(BindError::Protocol("the offer of security layers is not four bytes"));
    };
    if layers & LAYER_PRIVACY == 0 {
        return Err(BindError::Protocol("the server offers no sealing: it must allow LDAP signing and sealing"));
    }
    let ours = (MAX_FRAME as u32).to_be_bytes();
    Ok((vec![LAYER_PRIVACY, ours[1], ours[2], ours[3]], u32::from_be_bytes([0, a, b, c])))
}

/// The first value of the first attribute of a search entry, as a lower-case host name.
fn first_value(entry: &[u8]) -> Option<String> {
    let (_, attributes) = ber::children(entry).nth(1)?;
    let (_, attribute) = ber::children(attributes).next()?;
    let (_, values) = ber::children(attribute).nth(1)?;
    let (_, value) = ber::children(values).next()?;
    let name = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    // It becomes part of a Kerberos principal: nothing that has a meaning there.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// A diagnostic message, fit for a log line.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[test]
    fn privacy_is_chosen_or_nothing() {
        let (reply, longest) = choose_privacy(&[7, 1, 0, 0]).unwrap();
        assert_eq!((reply, longest), (vec![4, 0xff, 0xff, 0xff], 0x1_0000));
        assert!(choose_privacy(&[3, 1, 0, 0]).is_err(), "integrity alone");
        assert!(choose_privacy(&[7, 1, 0]).is_err(), "too short");
    }

    /// Serves one answer and reads what was asked.
    async fn ask(answer: Vec<u8>) -> Result<String, BindError> {
        let (mut ours, mut theirs) = duplex(4096);
        tokio::spawn(async move {
            let mut asked = [0; 1024];
            assert!(theirs.read(&mut asked).await.unwrap() > 0);
            theirs.write_all(&answer).await.unwrap();
        });
        host_name(&mut ours).await
    }

    fn entry(name: &[u8]) -> Vec<u8> {
        let values = ber::element(0x31, &ber::element(OCTETS, name));
        let attribute = ber::element(SEQUENCE, &[ber::element(OCTETS, b"dnsHostName"), values].concat());
        let entry = [ber::element(OCTETS, b""), ber::element(SEQUENCE, &attribute)].concat();
        let done = [ber::integer(ENUMERATED, 0), ber::element(OCTETS, b""), ber::element(OCTETS, b"")].concat();
        [ber::element(SEARCH_ENTRY, &entry), ber::element(SEARCH_DONE, &done)]
            .into_iter()
            .flat_map(|operation| ber::element(SEQUENCE, &[ber::integer(INTEGER, 1), operation].concat()))
            .collect()
    }

    #[tokio::test]
    async fn a_server_tells_its_name() {
        assert_eq!(ask(entry(b"DC1.Example.com")).await.unwrap(), "dc1.example.com");
    }

    #[tokio::test]
    async fn a_name_that_would_change_the_principal_is_refused() {
        assert!(matches!(ask(entry(b"dc1/x@EVIL")).await, Err(BindError::Protocol(_))));
    }

    #[tokio::test]
    async fn a_peer_that_speaks_something_else_is_refused() {
        assert!(matches!(ask(b"HTTP/1.1 400 Bad Request\r\n".to_vec()).await, Err(BindError::Protocol(_))));
        assert!(matches!(ask(vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).await, Err(BindError::Protocol(_))));
    }
}
