//! What is said on a new connection before ldap3 gets it: the SASL bind (RFC 4513 5.2, RFC 4752), before it where wanted
//! StartTLS (RFC 4511 4.14), and for a server known by address alone the question for its name.

use entra_krb5::gss::{self, Initiator, Protection, Source, Step};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::seal::MAX_FRAME;
use crate::ber::{self, Parsed};

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
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Name of StartTLS among the extended operations.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// SEC_E_BAD_BINDINGS (MS-ERREF 2.1), which AD and Samba put into the words of a refusal.
pub(super) const BAD_BINDINGS: &str = "80090346";

const SUCCESS: u32 = 0;
const BIND_IN_PROGRESS: u32 = 14;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;

/// The bits of the security layers (RFC 4752 3.3).
const LAYER_NONE: u8 = 1;
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
    /// The server offers security layers only.
    #[error("the server wants to sign or seal, inside TLS too")]
    LayerWanted,
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
/// takes: with [`Protection::Seal`] everything after this is sealed, with any other nothing is. An unknown
/// `principal` is noticed before anything is sent.
///
/// # Errors
/// [`BindError`]; the connection is of no more use unless it was [`gss::ErrorKind::UnknownService`].
pub(super) async fn bind<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    source: &Source,
    principal: &str,
    protection: &Protection,
) -> Result<(gss::Context, u32), BindError> {
    let mut talk = Talk { stream, buffer: Vec::new(), message_id: 0 };
    let (source, principal, guard) = (source.clone(), principal.to_owned(), protection.clone());
    // Asking the KDC for the service ticket blocks.
    let first = tokio::task::spawn_blocking(move || Initiator::start(&source, &principal, guard)).await??;
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
    let (reply, longest) = choose_layer(&offer, protection)?;
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

/// Asks for TLS. Gives the result code and words of a server that does not grant it; after `None` the handshake begins.
///
/// # Errors
/// [`BindError`]
pub(super) async fn start_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> Result<Option<(u32, String)>, BindError> {
    let mut talk = Talk { stream, buffer: Vec::new(), message_id: 0 };
    talk.send(&ber::element(EXTENDED_REQUEST, &ber::element(0x80, START_TLS))).await?;
    let (tag, content) = talk.receive().await?;
    if tag != EXTENDED_RESPONSE {
        return Err(BindError::Protocol("an answer that does not belong to StartTLS"));
    }
    // Bytes sent ahead of TLS would count as if they had come inside it.
    if !talk.buffer.is_empty() {
        return Err(BindError::Protocol("the server sent bytes ahead of TLS"));
    }
    match result(&content) {
        (Some(SUCCESS), _) => Ok(None),
        (Some(code), text) => Ok(Some((code, text))),
        (None, _) => Err(BindError::Protocol("an answer to StartTLS without a result code")),
    }
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

/// Takes the answers to a bind, whatever they are, until it is over.
///
/// # Errors
/// [`BindError`]
#[cfg(feature = "fuzzing")]
pub(super) async fn bind_answers<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), BindError> {
    let mut talk = Talk { stream, buffer: Vec::new(), message_id: 0 };
    while let Some(offer) = talk.bind_step(b"token").await? {
        let _ = choose_layer(&offer, &Protection::Seal);
    }
    Ok(())
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
        let token = ber::children(&content).find(|(tag, _)| *tag == 0x87).map(|(_, token)| token.to_vec());
        let (code, text) = result(&content);
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

/// The code and the words of an `LDAPResult` (RFC 4511 4.1.9).
fn result(content: &[u8]) -> (Option<u32>, String) {
    let mut parts = ber::children(content);
    let code = match parts.next() {
        Some((ENUMERATED, code)) => ber::unsigned(code),
        _ => None,
    };
    (code, parts.nth(1).map(|(_, text)| printable(text)).unwrap_or_default())
}

/// Reads the server's offer (RFC 4752 3.1) and gives the answer that chooses privacy, or no layer inside a channel, with
/// the longest frame that the server takes.
fn choose_layer(offer: &[u8], protection: &Protection) -> Result<(Vec<u8>, u32), BindError> {
    let &[layers, a, b, c] = offer else {
        return Err(BindError::Protocol("the offer of security layers is not four bytes"));
    };
    match protection {
        Protection::Seal if layers & LAYER_PRIVACY == 0 => {
            Err(BindError::Protocol("the server offers no sealing: it must allow LDAP signing and sealing"))
        }
        Protection::Seal => {
            let ours = (MAX_FRAME as u32).to_be_bytes();
            Ok((vec![LAYER_PRIVACY, ours[1], ours[2], ours[3]], u32::from_be_bytes([0, a, b, c])))
        }
        Protection::Channel(_) | Protection::Nothing if layers & LAYER_NONE == 0 => Err(BindError::LayerWanted),
        // Without a layer the size is zero (RFC 4752 3.1).
        Protection::Channel(_) | Protection::Nothing => Ok((vec![LAYER_NONE, 0, 0, 0], 0)),
    }
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
        let (reply, longest) = choose_layer(&[7, 1, 0, 0], &Protection::Seal).unwrap();
        assert_eq!((reply, longest), (vec![4, 0xff, 0xff, 0xff], 0x1_0000));
        assert!(choose_layer(&[3, 1, 0, 0], &Protection::Seal).is_err(), "integrity alone");
        assert!(choose_layer(&[7, 1, 0], &Protection::Seal).is_err(), "too short");
    }

    #[test]
    fn inside_a_channel_there_is_no_layer() {
        let channel = Protection::Channel(Vec::new());
        assert_eq!(choose_layer(&[7, 1, 0, 0], &channel).unwrap(), (vec![1, 0, 0, 0], 0));
        assert!(choose_layer(&[6, 1, 0, 0], &channel).is_err(), "it insists on one");
    }

    /// What [`start_tls`] makes of these bytes.
    async fn start(answer: Vec<u8>) -> Result<Option<(u32, String)>, BindError> {
        let (mut ours, mut theirs) = duplex(4096);
        tokio::spawn(async move {
            let mut asked = [0; 1024];
            assert!(theirs.read(&mut asked).await.unwrap() > 0);
            theirs.write_all(&answer).await.unwrap();
        });
        start_tls(&mut ours).await
    }

    fn extended(code: u32) -> Vec<u8> {
        let result = [ber::integer(ENUMERATED, code), ber::element(OCTETS, b""), ber::element(OCTETS, b"words")];
        let operation = ber::element(EXTENDED_RESPONSE, &result.concat());
        ber::element(SEQUENCE, &[ber::integer(INTEGER, 1), operation].concat())
    }

    #[tokio::test]
    async fn tls_is_granted_or_not() {
        assert_eq!(start(extended(0)).await.unwrap(), None);
        assert_eq!(start(extended(52)).await.unwrap(), Some((52, "words".into())));
        assert!(start(entry(b"dc1")).await.is_err(), "an answer to something else");
    }

    #[tokio::test]
    async fn bytes_ahead_of_tls_are_refused() {
        let early = [extended(0), ber::element(SEQUENCE, b"injected")].concat();
        assert!(matches!(start(early).await, Err(BindError::Protocol(text)) if text.contains("ahead of TLS")));
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
