//! Which versions of TLS a server speaks: each is offered alone, in a greeting made by hand, because no library that is
//! fit for use offers the old ones. Nothing is trusted and nothing is agreed: the connection ends after the first answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// As much of an answer as is looked at: a ServerHello is far shorter.
const ENOUGH: usize = 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0 (RFC 2246), which RFC 8996 forbids.
    V10,
    /// TLS 1.1 (RFC 4346), which RFC 8996 forbids.
    V11,
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

impl TlsVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V10, Self::V11, Self::V12, Self::V13];

    /// Whether a client of today refuses it.
    pub fn is_old(self) -> bool {
        self < Self::V12
    }

    fn number(self) -> u16 {
        0x0301 + self as u16
    }
}

impl std::fmt::Display for TlsVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TLS 1.{}", *self as u16)
    }
}

/// The versions that the server at `addr` (a port of TLS, such as 636) speaks, oldest first. Each question has a deadline
/// of its own; one that is not answered counts as a version that is not spoken.
///
/// # Errors
/// When the port takes no connection, in the system's words.
pub async fn tls_versions(addr: SocketAddr) -> Result<Vec<TlsVersion>, String> {
    let mut spoken = Vec::new();
    for version in TlsVersion::ALL {
        let connected = timeout(PATIENCE, TcpStream::connect(addr)).await.map_err(|_| "no answer".to_owned())?;
        let stream = connected.map_err(|error| error.to_string())?;
        if let Ok(Ok(answer)) = timeout(PATIENCE, ask(stream, version)).await
            && is_agreed(&answer, version)
        {
            spoken.push(version);
        }
    }
    Ok(spoken)
}

async fn ask(mut stream: TcpStream, version: TlsVersion) -> std::io::Result<Vec<u8>> {
    stream.write_all(&greeting(version)).await?;
    let mut answer = Vec::new();
    let mut chunk = [0; ENOUGH];
    // One record: its length stands in bytes 3 and 4.
    while answer.len() < ENOUGH {
        let wanted = answer.get(3..5).map_or(5, |length| 5 + usize::from(u16::from_be_bytes([length[0], length[1]])));
        if answer.len() >= wanted {
            break;
        }
        match stream.read(&mut chunk).await? {
            0 => break,
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
    Ok(answer)
}

/// A ClientHello (RFC 5246 7.4.1.2, RFC 8446 4.1.2) that offers one version and what servers commonly want with it. It
/// holds no key share: TLS 1.3 answers with a HelloRetryRequest, which is a ServerHello too.
fn greeting(version: TlsVersion) -> Vec<u8> {
    const SUITES: [u16; 19] = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc027, 0x009c,
        0x009d, 0x003c, 0x002f, 0x0035, 0x000a,
    ];
    const GROUPS: [u16; 3] = [0x001d, 0x0017, 0x0018];
    const SIGNATURES: [u16; 9] = [0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201];
    let numbers = |list: &[u16]| list.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let extension = |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &sized(content)].concat();
    let mut extensions = [
        extension(10, &sized(&numbers(&GROUPS))),
        extension(11, &[1, 0]),
        extension(13, &sized(&numbers(&SIGNATURES))),
    ]
    .concat();
    let mut legacy = version.number();
    if version == TlsVersion::V13 {
        legacy = TlsVersion::V12.number();
        extensions.extend(extension(SUPPORTED_VERSIONS, &[&[2][..], &version.number().to_be_bytes()].concat()));
        extensions.extend(extension(51, &sized(&[])));
    }
    // The random is nobody's secret: no key is ever made of it.
    let body = [&legacy.to_be_bytes()[..], &[0x5a; 32], &[0], &sized(&numbers(&SUITES)), &[1, 0], &sized(&extensions)]
        .concat();
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[CLIENT_HELLO][..], &length[1..], &body].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}

/// Bytes behind their length in two bytes.
fn sized(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// Whether an answer is a ServerHello that takes this version. A pure function over bytes that anybody may have sent.
fn is_agreed(answer: &[u8], version: TlsVersion) -> bool {
    chosen(answer) == Some(version.number())
}

/// How many versions an answer agrees to.
#[cfg(feature = "fuzzing")]
pub(in super::super) fn agreed_in(answer: &[u8]) -> usize {
    TlsVersion::ALL.into_iter().filter(|version| is_agreed(answer, *version)).count()
}

/// The version that a ServerHello chooses.
fn chosen(answer: &[u8]) -> Option<u16> {
    let (record, rest) = answer.split_at_checked(5)?;
    let (message, rest) = rest.split_at_checked(4)?;
    if record[0] != HANDSHAKE || message[0] != SERVER_HELLO {
        return None;
    }
    // What follows the message, in this record or the next ones, is none of it.
    let hello = rest.get(..usize::from(number(&message[2..])?))?;
    let legacy = number(hello)?;
    // Behind the random: the session's id, the cipher suite, the compression; then extensions, where there are any.
    let id = usize::from(*hello.get(34)?);
    let Some(mut extensions) = hello.get(35 + id + 3 + 2..) else { return Some(legacy) };
    while let Some((head, after)) = extensions.split_at_checked(4) {
        let (content, after) = after.split_at_checked(usize::from(number(&head[2..])?))?;
        if number(head) == Some(SUPPORTED_VERSIONS) {
            return number(content);
        }
        extensions = after;
    }
    Some(legacy)
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ServerHello with these extensions.
    fn hello(version: u16, extensions: &[u8]) -> Vec<u8> {
        let body = [&version.to_be_bytes()[..], &[7; 32], &[2, 1, 1], &[0x13, 1], &[0], &sized(extensions)].concat();
        let message = [&[SERVER_HELLO, 0, 0, body.len() as u8][..], &body].concat();
        [&[HANDSHAKE, 3, 3][..], &sized(&message)].concat()
    }

    #[test]
    fn the_version_is_the_servers_choice() {
        assert_eq!(chosen(&hello(0x0302, &[])), Some(0x0302));
        let other = [0, 11, 0, 2, 1, 0];
        assert_eq!(chosen(&hello(0x0303, &other)), Some(0x0303));
        let versions = [&other[..], &[0, 43, 0, 2, 3, 4]].concat();
        assert_eq!(chosen(&hello(0x0303, &versions)), Some(0x0304));
        assert!(is_agreed(&hello(0x0303, &versions), TlsVersion::V13));
        assert!(!is_agreed(&hello(0x0303, &other), TlsVersion::V13), "a server that does not know 1.3");
        assert_eq!(chosen(&[21, 3, 1, 0, 2, 2, 70]), None, "an alert");
    }

    #[test]
    fn what_the_server_says_next_is_no_part_of_its_hello() {
        let answer = [hello(0x0303, &[0, 23, 0, 0]), vec![HANDSHAKE, 3, 3, 2, 0x5b, 11, 0, 0, 87, 99]].concat();
        assert_eq!(chosen(&answer), Some(0x0303));
    }

    #[test]
    fn every_length_in_a_greeting_is_right() {
        for version in TlsVersion::ALL {
            let bytes = greeting(version);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[7], bytes[8]])), bytes.len() - 9);
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = chosen(&bytes);
            let _ = chosen(&[&[HANDSHAKE, 3, 3, 0, 99, SERVER_HELLO, 0, 0, 90][..], &bytes].concat());
        }
    }
}
