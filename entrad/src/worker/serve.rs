//! Accepting connections, reading one frame, writing one reply: the same for the three sockets.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use entra_core::Error;
use entra_core::lookup::asked_by;
use entra_wire::nss::status_frame;
use entra_wire::protocol::{ALIVE, MAX_REQUEST, Status};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::places::Places;
use super::receive;

/// How long a client may take to send its one request, and to take its reply. A silent client costs a place for this
/// long, and nothing else.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two signs of life; the modules take three times as much for a daemon that hangs.
const SIGN: Duration = Duration::from_secs(2);
/// Pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

/// What one socket does with a request.
pub(super) trait Service: Send + Sync + 'static {
    /// Most descriptors that may come beside a request.
    const DESCRIPTORS: usize;

    /// Whether whoever sent this request is to be told, while it is worked at, that it is.
    fn wants_signs(_body: &[u8]) -> bool {
        false
    }

    /// The reply to a request's body (without the length in front), as a frame.
    fn answer(&self, peer: Peer, body: Vec<u8>, descriptors: Vec<OwnedFd>) -> impl Future<Output = Vec<u8>> + Send;
}

/// Serves a socket in the background, until the runtime ends.
pub(super) fn listen<S: Service>(listener: StdListener, service: Arc<S>) -> Result<(), Error> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let places = Places::of_connections();
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let Ok(peer) = stream.peer_cred() else { continue };
                    let Some(place) = places.take(peer.uid()) else {
                        // The socket's buffer takes these few bytes without a wait.
                        let _ = stream.try_write(&status_frame(Status::Busy));
                        continue;
                    };
                    let service = Arc::clone(&service);
                    tokio::spawn(async move {
                        converse(stream, &*service).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    log::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(())
}

async fn converse<S: Service>(mut stream: UnixStream, service: &S) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let peer = Peer { uid: credentials.uid(), pid: credentials.pid() };
    let request = timeout(CLIENT_PATIENCE, receive::frame(&stream, MAX_REQUEST, S::DESCRIPTORS)).await;
    let reply = match request {
        Ok(Ok((body, descriptors))) => {
            let signs = S::wants_signs(&body);
            let answer = std::pin::pin!(asked_by(peer.uid, service.answer(peer, body, descriptors)));
            if signs { with_signs(&stream, answer).await } else { answer.await }
        }
        Ok(Err(receive::FrameError::Malformed)) => status_frame(Status::BadRequest),
        // Gone, or too slow: there is nobody to tell.
        Ok(Err(receive::FrameError::Closed)) | Err(_) => return,
    };
    let _ = timeout(CLIENT_PATIENCE, stream.write_all(&reply)).await;
}

/// Waits for an answer, and says every now and then that it is worked at; the first time at once.
async fn with_signs(stream: &UnixStream, mut answer: Pin<&mut impl Future<Output = Vec<u8>>>) -> Vec<u8> {
    let mut signs = tokio::time::interval(SIGN);
    loop {
        tokio::select! {
            biased;
            reply = &mut answer => return reply,
            _ = signs.tick() => {
                // The socket's buffer takes far more of them than one request lasts; a client that is gone needs none.
                let _ = stream.try_write(&ALIVE);
            }
        }
    }
}
