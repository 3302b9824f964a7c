//! One message to one KDC over TCP, and its reply (RFC 4120 7.2.2). libkrb5's own sending would pick servers, retry
//! and wait as it likes. FFI edge: one option of the socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind};

/// Longest reply that is read, in bytes. A PAC of the largest size that AD issues stays far below.
const MAX_REPLY: usize = 1024 * 1024;
/// Longest silence of a peer that owes an acknowledgement (`TCP_USER_TIMEOUT`): a KDC that thinks has acknowledged the
/// request, one whose cable is out has not. Room for three repetitions on a slow way.
const SILENCE: Duration = Duration::from_secs(4);

/// Sends `request` to `kdc` over TCP (RFC 4120 7.2.2) and gives its reply, all before `deadline`.
///
/// # Errors
/// [`Kind::Unreachable`] when the KDC does not take the connection or closes it, [`Kind::TimedOut`] at the deadline,
/// [`Kind::BadReply`] for a length that no reply has.
pub fn exchange(kdc: SocketAddr, request: &[u8], deadline: Instant) -> Result<Vec<u8>, Error> {
    Connection::open(kdc, deadline)?.exchange(request)
}

/// A connection for one message and its reply. Until [`Connection::exchange`] is called the server has seen nothing.
pub(crate) struct Connection {
    stream: TcpStream,
    server: SocketAddr,
    deadline: Instant,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// As [`exchange`].
    pub(crate) fn open(server: SocketAddr, deadline: Instant) -> Result<Self, Error> {
        let stream = TcpStream::connect_timeout(&server, left(server, deadline)?);
        let stream = stream.map_err(|error| failed(server, &error))?;
        // The prefix and the message leave in one segment anyway; what is saved is the wait for the last one's ACK.
        let _ = stream.set_nodelay(true);
        give_up_after(&stream, SILENCE);
        Ok(Self { stream, server, deadline })
    }

    /// The same with another deadline, which may be later than the one to connect.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    /// This side's address.
    ///
    /// # Errors
    /// As [`exchange`].
    pub(crate) fn local(&self) -> Result<IpAddr, Error> {
        self.stream.local_addr().map(|local| local.ip()).map_err(|error| failed(self.server, &error))
    }

    /// Sends the message and waits for the reply.
    ///
    /// # Errors
    /// As [`exchange`]. The server may have acted on the message all the same.
    pub(crate) fn exchange(mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let (kdc, deadline) = (self.server, self.deadline);
        let length = u32::try_from(request.len()).map_err(|_| Error::ours(Kind::Other, "request too long for TCP"))?;
        let mut message = Vec::with_capacity(4 + request.len());
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(request);
        send(&mut self.stream, kdc, &message, deadline)?;
        let mut prefix = [0; 4];
        receive(&mut self.stream, kdc, &mut prefix, deadline)?;
        let length = u32::from_be_bytes(prefix) as usize;
        if length == 0 || length > MAX_REPLY {
            return Err(Error::ours(Kind::BadReply, format!("the KDC {kdc} announced a reply of {length} bytes")));
        }
        let mut reply = vec![0; length];
        receive(&mut self.stream, kdc, &mut reply, deadline)?;
        Ok(reply)
    }
}

/// Has the kernel end the connection where the peer acknowledges nothing for so long. Without it the deadline counts.
fn give_up_after(stream: &TcpStream, silence: Duration) {
    let millis = libc::c_uint::try_from(silence.as_millis()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the value is an unsigned int that lives for the call, with its size beside it; the descriptor is open.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            (&raw const millis).cast(),
            size_of_val(&millis) as libc::socklen_t,
        );
    }
}

fn send(stream: &mut TcpStream, kdc: SocketAddr, mut bytes: &[u8], deadline: Instant) -> Result<(), Error> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(kdc, deadline)?)).map_err(|error| failed(kdc, &error))?;
        match stream.write(bytes) {
            Ok(0) => return Err(closed(kdc)),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(kdc, &error)),
        }
    }
    Ok(())
}

/// Reads with what is left of the time each time: a KDC that sends a byte now and then cannot stretch the deadline.
fn receive(stream: &mut TcpStream, kdc: SocketAddr, buffer: &mut [u8], deadline: Instant) -> Result<(), Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.set_read_timeout(Some(left(kdc, deadline)?)).map_err(|error| failed(kdc, &error))?;
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(closed(kdc)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(kdc, &error)),
        }
    }
    Ok(())
}

fn left(kdc: SocketAddr, deadline: Instant) -> Result<Duration, Error> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| Error::ours(Kind::TimedOut, format!("the KDC {kdc} did not answer in time")))
}

fn closed(kdc: SocketAddr) -> Error {
    Error::ours(Kind::Unreachable, format!("the KDC {kdc} closed the connection without a reply"))
}

fn failed(kdc: SocketAddr, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            Error::ours(Kind::TimedOut, format!("the KDC {kdc} did not answer in time"))
        }
        _ => Error::ours(Kind::Unreachable, format!("the KDC {kdc} cannot be reached: {error}")),
    }
}
