//! What ldap3 is given of a server: LDAPMessages (RFC 4511 4.1.1) that are neither too long nor nested too deep.
//!
//! ldap3's parser goes one call down for each level and counts none, and keeps a message until it is whole: without a
//! bound in front of it, a server that somebody took over could exhaust the stack or the memory of the whole daemon.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ber::{self, Header};

/// Most levels of a message. A search entry has five (message, entry, list of attributes, attribute, values); none that
/// this program asks for has more.
const DEEPEST: usize = 32;
/// Longest message, in bytes: what one frame of the security layer can announce. An entry with 5,000 members, as many
/// as a domain controller gives at once, has some 2 MB.
const LONGEST: usize = super::seal::MAX_FRAME;
/// Most bytes of an element's tag and length.
const HEADER: usize = 6;

/// Follows the messages of a stream by the headers of their elements, wherever the stream is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    /// What is yet to come of each constructed element that is open, outermost first.
    left: [usize; DEEPEST],
    depth: usize,
    /// What is yet to come of a primitive one.
    skip: usize,
    /// The bytes of a header so far.
    header: [u8; HEADER],
    read: usize,
}

impl Messages {
    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When a message is too long or too deep, or no BER that LDAP allows: nothing of these bytes may be passed on.
    pub(super) fn admit(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        loop {
            let (skipped, after) = rest.split_at(self.skip.min(rest.len()));
            self.skip -= skipped.len();
            rest = after;
            while self.skip == 0 && self.depth > 0 && self.left[self.depth - 1] == 0 {
                self.depth -= 1;
            }
            let Some((byte, after)) = rest.split_first() else { return Ok(()) };
            rest = after;
            self.header[self.read] = *byte;
            self.read += 1;
            match ber::header(&self.header[..self.read]) {
                Header::Read { tag, length, .. } => self.begin(tag, length)?,
                // No header that is allowed has more.
                Header::Incomplete if self.read < HEADER => {}
                Header::Incomplete | Header::Invalid => return Err(refused("that is not the BER of LDAP")),
            }
        }
    }

    /// One element begins: its header is read whole.
    fn begin(&mut self, tag: u8, length: usize) -> io::Result<()> {
        const SEQUENCE: u8 = 0x30;
        const CONSTRUCTED: u8 = 0x20;
        let size = std::mem::take(&mut self.read) + length;
        if let Some(parent) = self.depth.checked_sub(1) {
            let left = self.left[parent].checked_sub(size);
            self.left[parent] = left.ok_or_else(|| refused("with a part that is longer than the whole"))?;
        } else if tag != SEQUENCE {
            return Err(refused("that does not begin as one"));
        } else if length > LONGEST {
            return Err(refused(&format!("of {length} bytes")));
        }
        if tag & CONSTRUCTED == 0 {
            self.skip = length;
            return Ok(());
        }
        let slot = self.left.get_mut(self.depth).ok_or_else(|| refused(&format!("nested deeper than {DEEPEST}")))?;
        *slot = length;
        self.depth += 1;
        Ok(())
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::other(format!("the server sent an LDAP message {what}"))
}

/// The side of a stream that ldap3 reads: what is written to it is admitted first. Reading is as it was.
#[derive(Debug)]
pub(super) struct Admitting<S> {
    stream: S,
    messages: Messages,
}

impl<S> Admitting<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, messages: Messages::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Admitting<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Admitting<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut all = this.messages;
        all.admit(bytes)?;
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        // What was not taken is offered again.
        if written == bytes.len() {
            this.messages = all;
        } else {
            this.messages.admit(&bytes[..written])?;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// A message of so many levels.
    fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(Vec::new(), |content, _| ber::element(0x30, &content))
    }

    /// What is said of a stream that comes in pieces of so many bytes.
    fn said(stream: &[u8], piece: usize) -> Option<String> {
        let mut messages = Messages::default();
        stream.chunks(piece).find_map(|piece| messages.admit(piece).err()).map(|error| error.to_string())
    }

    #[test]
    fn depth_is_counted_wherever_the_stream_is_cut() {
        let usual =
            [nested(DEEPEST), ber::element(0x30, &[ber::integer(2, 1), ber::element(4, &[0x30; 300])].concat())];
        let usual = [usual.concat(), nested(5)].concat();
        for piece in [1, 2, 3, 7, 64, usual.len()] {
            assert_eq!(said(&usual, piece), None, "{piece}");
            for levels in [DEEPEST + 1, 5000] {
                let deep = [usual.clone(), nested(levels)].concat();
                assert!(said(&deep, piece).is_some_and(|text| text.contains("nested deeper than 32")), "{piece}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_message_is_refused_by_its_first_bytes() {
        for (stream, why) in [
            (&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..], "of 2147483647 bytes"),
            (&[0x30, 0x80], "not the BER"),
            (&[0x30, 0x85, 0, 0, 0, 0], "not the BER"),
            (&[0x30, 0x03, 0x1f], "not the BER"),
            (&[0x02, 0x01, 0x01], "does not begin"),
            (&[0x30, 0x03, 0x02, 0x02, 0x01], "longer than the whole"),
            (&[0x30, 0x04, 0x30, 0x02, 0x04, 0x01], "longer than the whole"),
        ] {
            for piece in 1..=stream.len() {
                assert!(said(stream, piece).is_some_and(|text| text.contains(why)), "{stream:x?}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_of_a_refused_piece_reaches_the_reader() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Admitting::new(ours);
        let good = [nested(20), nested(3)].concat();
        let reading = async {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).await.unwrap();
            got
        };
        let writing = async {
            ours.write_all(&good).await.unwrap();
            assert!(ours.write_all(&nested(DEEPEST + 1)).await.is_err());
            drop(ours);
        };
        let (got, ()) = tokio::join!(reading, writing);
        assert_eq!(got, good);
    }

    proptest! {
        #[test]
        fn a_cut_changes_nothing(stream in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..20) {
            let stream = [&[0x30, 0x81, 0x90][..], &stream].concat();
            prop_assert_eq!(said(&stream, piece), said(&stream, stream.len()));
        }

        #[test]
        fn whatever_is_admitted_is_shallow(stream in prop::collection::vec(prop_oneof![Just(0x30_u8), 0..70_u8], 0..300)) {
            fn depth(content: &[u8]) -> usize {
                let below = |(tag, content): (u8, &[u8])| if tag & 0x20 == 0 { 0 } else { 1 + depth(content) };
                ber::children(content).map(below).max().unwrap_or_default()
            }
            let message = ber::element(0x30, &stream);
            prop_assert!(said(&message, message.len()).is_some() || depth(&message) <= DEEPEST);
        }
    }
}
