//! The SASL security layer (RFC 4422 3.7): sealed frames on the wire, plain LDAP on the inside.
//!
//! ldap3's own frame decoder fails on result sets of ordinary size, so the layer lives here and ldap3 gets one end of a
//! socketpair. A frame is a length of four bytes, big-endian, and one wrapped token. Frames and LDAP messages do not
//! line up: a frame may hold many messages or a part of one, and a read may end anywhere.

use std::io;
use std::sync::{Mutex, PoisonError};

use entra_krb5::gss;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest frame that is accepted: what three bytes can announce (RFC 4752 3.1).
pub(super) const MAX_FRAME: usize = 0x00ff_ffff;
/// Longest frame that is sent, whatever the server offers.
const MAX_SENT: u32 = 0x1_0000;

/// What seals and opens. A trait so that the framing can be tested without a KDC.
pub(super) trait Layer: Send {
    fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>>;
    fn open(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>>;
}

impl Layer for gss::Context {
    fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        self.wrap(plain, true).map_err(io::Error::other)
    }

    fn open(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
        self.unwrap(sealed).map_err(io::Error::other).and_then(only_sealed)
    }
}

/// Takes what was sealed, not what was signed only: somebody between could have read that, so the negotiation was not
/// kept.
fn only_sealed((plain, sealed): (Vec<u8>, bool)) -> io::Result<Vec<u8>> {
    if sealed { Ok(plain) } else { Err(io::Error::other("the server sent a frame that is not sealed")) }
}

/// Most plain bytes per frame, for a server that takes frames of `offered` bytes.
///
/// # Errors
/// When the server's frames are too small to hold anything.
pub(super) fn chunk_size(context: &mut gss::Context, offered: u32) -> Result<usize, gss::Error> {
    // The offer does not count the four bytes of length, but some servers count them.
    context.wrap_size_limit(offered.min(MAX_SENT).saturating_sub(4)).map(|limit| limit as usize)
}

/// Carries bytes between `plain` and `wire` until either side ends. Both directions run side by side, so that a peer
/// that does not read holds up one direction only.
///
/// # Errors
/// When either side fails, or a frame is not genuine.
pub(super) async fn pump(
    layer: impl Layer,
    chunk: usize,
    plain: impl AsyncRead + AsyncWrite + Unpin,
    wire: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let layer = Mutex::new(layer);
    let (plain_in, plain_out) = tokio::io::split(plain);
    let (wire_in, wire_out) = tokio::io::split(wire);
    tokio::select! {
        ended = sealing(&layer, chunk, plain_in, wire_out) => ended,
        ended = opening(&layer, wire_in, plain_out) => ended,
    }
}

/// Carries bytes as they are between `plain` and a channel that is secure by itself, until either side ends.
///
/// # Errors
/// When either side fails.
pub(super) async fn relay(
    plain: impl AsyncRead + AsyncWrite + Unpin,
    channel: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let (mut plain_in, mut plain_out) = tokio::io::split(plain);
    let (mut wire_in, mut wire_out) = tokio::io::split(channel);
    let ended = tokio::select! {
        ended = tokio::io::copy(&mut plain_in, &mut wire_out) => ended,
        ended = tokio::io::copy(&mut wire_in, &mut plain_out) => ended,
    };
    // The server is told where it still listens, and not waited for.
    let _ = wire_out.shutdown().await;
    ended.map(drop)
}

async fn sealing<L: Layer>(
    layer: &Mutex<L>,
    chunk: usize,
    mut plain: impl AsyncRead + Unpin,
    mut wire: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; chunk.max(1)];
    loop {
        let count = plain.read(&mut buffer).await?;
        if count == 0 {
            return wire.shutdown().await;
        }
        let sealed = lock(layer).seal(&buffer[..count])?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        let mut frame = Vec::with_capacity(4 + sealed.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&sealed);
        wire.write_all(&frame).await?;
    }
}

async fn opening<L: Layer>(
    layer: &Mutex<L>,
    mut wire: impl AsyncRead + Unpin,
    mut plain: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut frame = Vec::new();
    loop {
        let mut length = [0; 4];
        match wire.read_exact(&mut length).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return plain.shutdown().await,
            other => other?,
        };
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(io::Error::other(format!("the server announced a frame of {length} bytes")));
        }
        frame.resize(length, 0);
        wire.read_exact(&mut frame).await?;
        let opened = lock(layer).open(&frame)?;
        plain.write_all(&opened).await?;
    }
}

fn lock<L>(layer: &Mutex<L>) -> std::sync::MutexGuard<'_, L> {
    layer.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    /// Marks what went through it, and refuses what did not.
    struct Marking;

    impl Layer for Marking {
        fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
            Ok([b"<", plain, b">"].concat())
        }

        fn open(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
            match sealed {
                [b'<', plain @ .., b'>'] => Ok(plain.to_vec()),
                _ => Err(io::Error::other("not genuine")),
            }
        }
    }

    fn frames(chunks: &[&[u8]]) -> Vec<u8> {
        let frame = |chunk: &&[u8]| [&(chunk.len() as u32 + 2).to_be_bytes()[..], b"<", chunk, b">"].concat();
        chunks.iter().flat_map(frame).collect()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn frames_may_be_cut_anywhere(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cut in 1_usize..50,
        ) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let wanted = chunks.concat();
            let sent = frames(&chunks);
            let got = run(async {
                let (ours, plain) = duplex(64);
                let (wire, mut theirs) = duplex(16);
                let pumped = tokio::spawn(pump(Marking, 100, plain, wire));
                let (mut read, _write) = tokio::io::split(ours);
                tokio::spawn(async move {
                    for piece in sent.chunks(cut) {
                        theirs.write_all(piece).await.unwrap();
                        theirs.flush().await.unwrap();
                    }
                });
                let mut got = Vec::new();
                read.read_to_end(&mut got).await.unwrap();
                pumped.await.unwrap().unwrap();
                got
            });
            prop_assert_eq!(got, wanted);
        }

        #[test]
        fn nothing_is_sent_in_larger_frames_than_agreed(
            sent in prop::collection::vec(any::<u8>(), 1..5_000),
            chunk in 1_usize..700,
        ) {
            let (got, longest) = run(async {
                let (mut ours, plain) = duplex(1 << 16);
                let (wire, mut theirs) = duplex(64);
                tokio::spawn(pump(Marking, chunk, plain, wire));
                ours.write_all(&sent).await.unwrap();
                let (mut got, mut longest) = (Vec::new(), 0);
                while got.len() < sent.len() {
                    let length = theirs.read_u32().await.unwrap() as usize;
                    let mut frame = vec![0; length];
                    theirs.read_exact(&mut frame).await.unwrap();
                    longest = longest.max(length);
                    got.extend_from_slice(&frame[1..length - 1]);
                }
                (got, longest)
            });
            prop_assert_eq!(got, sent);
            prop_assert!(longest <= chunk + 2, "{} > {}", longest, chunk + 2);
        }
    }

    #[tokio::test]
    async fn much_flows_both_ways_at_once() {
        let much: Vec<u8> = (0..1_u32 << 20).map(|index| (index >> 8) as u8).collect();
        let (ours, plain) = duplex(4096);
        let (wire, theirs) = duplex(4096);
        tokio::spawn(pump(Marking, 1000, plain, wire));
        // The far side is a pump too, turned round: what arrives there comes out plain.
        let (far_plain, far) = duplex(4096);
        tokio::spawn(pump(Marking, 1000, far_plain, theirs));
        let (mut near_in, mut near_out) = tokio::io::split(ours);
        let (mut far_in, mut far_out) = tokio::io::split(far);
        let (first, second) = (much.clone(), much.clone());
        let writers = async move { tokio::join!(near_out.write_all(&first), far_out.write_all(&second)) };
        let (mut at_far, mut at_near) = (vec![0; much.len()], vec![0; much.len()]);
        let readers = async { tokio::join!(far_in.read_exact(&mut at_far), near_in.read_exact(&mut at_near)) };
        let both = async { tokio::join!(writers, readers) };
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), both).await.expect("no standstill");
        assert!(matches!(ended, ((Ok(()), Ok(())), (Ok(_), Ok(_)))));
        assert!(at_far == much && at_near == much);
    }

    #[test]
    fn a_frame_that_is_signed_only_is_refused() {
        assert_eq!(only_sealed((b"plain".to_vec(), true)).unwrap(), b"plain");
        assert!(only_sealed((b"plain".to_vec(), false)).unwrap_err().to_string().contains("not sealed"));
    }

    #[tokio::test]
    async fn a_frame_that_is_not_genuine_ends_it() {
        let (_ours, plain) = duplex(64);
        let (wire, mut theirs) = duplex(64);
        theirs.write_all(&[0, 0, 0, 2, b'x', b'y']).await.unwrap();
        assert_eq!(pump(Marking, 10, plain, wire).await.unwrap_err().to_string(), "not genuine");
    }

    #[tokio::test]
    async fn a_monstrous_frame_is_refused_by_its_length() {
        let (_ours, plain) = duplex(64);
        let (wire, mut theirs) = duplex(64);
        theirs.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.unwrap();
        assert!(pump(Marking, 10, plain, wire).await.unwrap_err().to_string().contains("announced"));
    }
}
