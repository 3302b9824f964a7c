//! Updates that the DNS server takes from this machine alone: a key by TKEY and GSSAPI, then TSIG with it (RFC 3645).

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use entra_krb5::gss::{Context, Initiator, Protection, Source, Step};

use super::wire::{self, ANY, Change, Message, Reader, TKEY, TSIG, Unreadable};

/// Longest wait for a connection and for each answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Port of DNS.
const PORT: u16 = 53;
/// Name of the algorithm (RFC 3645 2).
const ALGORITHM: &str = "gss-tsig";
/// Seconds by which clocks may differ; Kerberos has checked them before.
const FUDGE: u16 = 300;
/// Life that is asked for the key, in seconds: one registration.
const KEY_LIFE: u32 = 600;
/// TKEY mode of a GSSAPI negotiation (RFC 2930 2.5).
const GSSAPI: u16 = 3;
/// Most rounds of the negotiation; Kerberos needs one.
const ROUNDS: usize = 4;

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// The server does not answer.
    #[error("the DNS server {0} does not answer: {1}")]
    Unreachable(IpAddr, String),
    /// The server refuses, with its code (RFC 6895 2.3).
    #[error("the DNS server refuses: {}", code_name(*.0))]
    Refused(u16),
    /// No key could be agreed on.
    #[error("no key with the DNS server: {0}")]
    NoKey(String),
    /// What came is not what the server we know would say.
    #[error("{0}")]
    Broken(String),
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A connection to a DNS server.
pub(super) struct Connection {
    stream: TcpStream,
    server: IpAddr,
}

impl Connection {
    /// Connects over TCP.
    pub(super) fn open(server: IpAddr) -> Result<Self, Error> {
        let unreachable = |error: std::io::Error| Error::Unreachable(server, error.to_string());
        let stream = TcpStream::connect_timeout(&SocketAddr::new(server, PORT), TIMEOUT).map_err(unreachable)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(unreachable)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(unreachable)?;
        Ok(Self { stream, server })
    }

    /// The zone that holds `name`, where this server has it itself.
    pub(super) fn zone(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut rest = name;
        // A zone of one label would be a root domain's: nobody's host is in it.
        while rest.contains('.') {
            let answer = self.exchange(&wire::question(random_id(), rest, wire::SOA, wire::IN))?;
            let message = Message::read(&answer)?;
            let found = message.sections[0].iter().any(|record| record.kind == wire::SOA && record.name == rest);
            if found {
                return Ok(message.authoritative.then(|| rest.to_owned()));
            }
            rest = rest.split_once('.').map_or("", |(_, rest)| rest);
        }
        Ok(None)
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let server = self.server;
        let broken = |error: std::io::Error| Error::Unreachable(server, error.to_string());
        let length = u16::try_from(request.len()).map_err(|_| Error::Broken("the request is too long".into()))?;
        self.stream.write_all(&[&length.to_be_bytes(), request].concat()).map_err(broken)?;
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).map_err(broken)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut answer).map_err(broken)?;
        if answer.get(..2) != request.get(..2) {
            return Err(Error::Broken("the DNS server answers another question".into()));
        }
        Ok(answer)
    }
}

/// A connection with a key.
pub(super) struct Session {
    connection: Connection,
    context: Context,
    key: String,
}

impl Session {
    /// Agrees on a key with the server whose DNS name is `host`, as the owner of the ticket in `ccache`.
    pub(super) fn start(
        mut connection: Connection,
        host: &str,
        realm: &str,
        kdc: SocketAddr,
        ccache: &str,
    ) -> Result<Self, Error> {
        let no_key = |error: entra_krb5::gss::Error| Error::NoKey(error.to_string());
        let source = Source { realm: realm.into(), kdc, ccache: ccache.into(), deadline: Instant::now() + TIMEOUT };
        let key = format!("{}.sig-{host}", u32::from(random_id()) << 16 | u32::from(random_id()));
        let mut step = Initiator::start(&source, &format!("DNS/{host}@{realm}"), Protection::Seal).map_err(no_key)?;
        for _ in 0..ROUNDS {
            match step {
                Step::Established(context, token) if token.is_empty() => {
                    return Ok(Self { connection, context, key });
                }
                Step::Established(context, token) => {
                    negotiate(&mut connection, &key, &token)?;
                    return Ok(Self { connection, context, key });
                }
                Step::Continue(initiator, token) => {
                    let answer = negotiate(&mut connection, &key, &token)?;
                    step = initiator.step(&answer).map_err(no_key)?;
                }
            }
        }
        Err(Error::NoKey("the negotiation does not end".into()))
    }

    /// Changes a zone: all of it or nothing.
    pub(super) fn update(&mut self, zone: &str, changes: &[Change]) -> Result<(), Error> {
        let id = random_id();
        let mut request = wire::update(id, zone, changes);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let stamp = Stamp { time: now };
        let broken = |error: entra_krb5::gss::Error| Error::Broken(error.to_string());
        let code = self.context.sign(&[&request[..], &stamp.variables(&self.key)].concat()).map_err(broken)?;
        wire::put_record(&mut request, &self.key, TSIG, ANY, 0, &stamp.data(&code, id));
        wire::count_additional(&mut request);
        let answer = self.connection.exchange(&request)?;
        // The signature of the answer is not looked at: Samba before 4.20 signs something else than RFC 8945 says, and
        // whoever could forge an answer could swallow the request as well. What counts is what the server then has.
        match Message::read(&answer)?.code {
            0 => Ok(()),
            code => Err(Error::Refused(code)),
        }
    }

    /// Whether the server has this record.
    pub(super) fn has(&mut self, name: &str, kind: u16, data: &[u8]) -> Result<bool, Error> {
        let answer = self.connection.exchange(&wire::question(random_id(), name, kind, wire::IN))?;
        let message = Message::read(&answer)?;
        Ok(message.sections[0].iter().any(|record| record.kind == kind && record.data == data))
    }
}

/// One round of TKEY: our token for the server's.
fn negotiate(connection: &mut Connection, key: &str, token: &[u8]) -> Result<Vec<u8>, Error> {
    let mut request = wire::question(random_id(), key, TKEY, ANY);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as u32;
    wire::put_record(&mut request, key, TKEY, ANY, 0, &tkey_data(now, token));
    wire::count_additional(&mut request);
    let answer = connection.exchange(&request)?;
    let message = Message::read(&answer)?;
    if message.code != 0 {
        return Err(Error::Refused(message.code));
    }
    let record = message.sections[0].iter().find(|record| record.kind == TKEY);
    let record = record.ok_or_else(|| Error::NoKey("the DNS server sends none".into()))?;
    let mut reader = Reader { bytes: record.data, at: 0 };
    reader.name()?;
    reader.take(8)?;
    let (_mode, error, length) = (reader.u16()?, reader.u16()?, reader.u16()?);
    if error != 0 {
        return Err(Error::NoKey(code_name(error)));
    }
    Ok(reader.take(length.into())?.to_vec())
}

fn tkey_data(now: u32, token: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    wire::put_name(&mut data, ALGORITHM);
    data.extend(now.to_be_bytes());
    data.extend(now.saturating_add(KEY_LIFE).to_be_bytes());
    data.extend(GSSAPI.to_be_bytes());
    data.extend([0, 0]);
    data.extend((token.len() as u16).to_be_bytes());
    data.extend(token);
    data.extend([0, 0]);
    data
}

/// What of a TSIG record is signed with the message (RFC 8945 4.3.3).
#[derive(Debug)]
struct Stamp {
    time: u64,
}

impl Stamp {
    fn variables(&self, key: &str) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_name(&mut out, key);
        out.extend(ANY.to_be_bytes());
        out.extend([0; 4]);
        wire::put_name(&mut out, ALGORITHM);
        out.extend(&self.time.to_be_bytes()[2..]);
        out.extend(FUDGE.to_be_bytes());
        // No error, no other data.
        out.extend([0; 4]);
        out
    }

    fn data(&self, code: &[u8], id: u16) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_name(&mut out, ALGORITHM);
        out.extend(&self.time.to_be_bytes()[2..]);
        out.extend(FUDGE.to_be_bytes());
        out.extend((code.len() as u16).to_be_bytes());
        out.extend(code);
        out.extend(id.to_be_bytes());
        out.extend([0; 4]);
        out
    }
}

/// A number that a guesser off the path does not know.
fn random_id() -> u16 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u16
}

fn code_name(code: u16) -> String {
    let known = match code {
        1 => "FORMERR: it does not understand the request",
        2 => "SERVFAIL: it failed",
        4 => "NOTIMP: it takes no updates",
        5 => "REFUSED: the record or the zone is not this machine's to change",
        9 => "NOTAUTH: the zone is not its own",
        16 => "BADSIG: it does not accept the signature",
        17 => "BADKEY: it does not accept the ticket",
        18 => "BADTIME: the clocks differ",
        _ => return format!("code {code}"),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_beside_the_message() {
        let stamp = Stamp { time: 1 };
        let wanted: &[u8] = b"\x01k\x01d\0\0\xff\0\0\0\0\x08gss-tsig\0\0\0\0\0\0\x01\x01\x2c\0\0\0\0";
        assert_eq!(stamp.variables("K.d"), wanted);
        let record: &[u8] = b"\x08gss-tsig\0\0\0\0\0\0\x01\x01\x2c\0\x02ab\x12\x34\0\0\0\0";
        assert_eq!(stamp.data(b"ab", 0x1234), record);
    }
}
