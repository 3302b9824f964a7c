//! A daemon that the test plays: a listening socket, a thread per connection.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use entra_wire::protocol::MAX_REQUEST;

/// What becomes of one request.
pub enum Reply {
    /// These bytes, then the end of the connection: a whole frame, a part of one, or anything else.
    Bytes(Vec<u8>),
    /// No answer, and the connection stays open until the asker leaves.
    Silence,
}

/// A listening socket; it is gone when dropped.
pub struct FakeDaemon {
    socket: PathBuf,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    /// Answers each request's body (without its length) with what `answer` gives for it.
    pub fn answering(socket: &Path, answer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(socket, move |mut stream| {
            let Some(body) = read_frame(&mut stream) else { return };
            match answer(&body) {
                // The asker may have left already.
                Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
                Reply::Silence => drop(stream.read(&mut [0])),
            }
        })
    }

    /// Hands each connection to `serve`, in a thread of its own.
    pub fn serving(socket: &Path, serve: impl Fn(UnixStream) + Send + Sync + 'static) -> Self {
        let listening = UnixListener::bind(socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (counted, stopped, serve) = (Arc::clone(&connections), Arc::clone(&stop), Arc::new(serve));
        let listener = std::thread::spawn(move || {
            for stream in listening.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream.unwrap()));
            }
        });
        Self { socket: socket.to_owned(), connections, stop, listener: Some(listener) }
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is to stop.
        if UnixStream::connect(&self.socket).is_ok()
            && let Some(listener) = self.listener.take()
        {
            let _ = listener.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The body of the next frame; none at the end of the stream.
pub fn read_frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = u32::from_le_bytes(length) as usize;
    assert!((4..=MAX_REQUEST).contains(&length), "a module sent a request of {length} bytes");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}
