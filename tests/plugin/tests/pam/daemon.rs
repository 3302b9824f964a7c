//! A daemon of the tests on `pam.sock`: remembers what it was asked and answers as a test says. FFI edge (SCM_RIGHTS).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Context, Outcome, flags};
use entra_wire::paths::PAM_SOCKET;
use entra_wire::protocol::{ALIVE, Op};

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub op: Op,
    pub user: String,
    pub service: String,
    pub rhost: String,
    pub tty: String,
    pub flags: u32,
    /// What the first stream held that came with the request, to its end.
    pub password: Option<Vec<u8>>,
    /// The same of the second one: the new password of a change.
    pub new_password: Option<Vec<u8>>,
    /// The request as it came, without the pipe.
    pub frame: Vec<u8>,
}

/// How a request is answered.
pub enum Answer {
    /// As the protocol says.
    Outcome(Outcome),
    /// Bytes that may be anything.
    Bytes(Vec<u8>),
    /// Nothing: the connection is closed.
    HangUp,
    /// Nothing: the connection stays open.
    Silence,
    /// Signs of life for so long, and then the answer.
    Late(Duration, Outcome),
    /// One sign of life, and nothing more.
    Hangs,
}

/// A running daemon.
#[derive(Clone)]
pub struct Daemon {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Daemon {
    /// Listens, and answers each request with what `answer` gives.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = UnixListener::bind(PAM_SOCKET).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let daemon = Self { asked: asked.clone() };
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = receive(&mut stream);
                let answer = answer(&request);
                // Remembered before it is answered: the test asks as soon as it has its answer.
                asked.lock().unwrap().push(request);
                match answer {
                    Answer::Outcome(outcome) => stream.write_all(&outcome.encode()).unwrap(),
                    Answer::Bytes(bytes) => stream.write_all(&bytes).unwrap(),
                    Answer::HangUp => {}
                    Answer::Silence => kept.push(stream),
                    Answer::Late(time, outcome) => {
                        let until = Instant::now() + time;
                        while Instant::now() < until {
                            stream.write_all(&ALIVE).unwrap();
                            std::thread::sleep(Duration::from_millis(500));
                        }
                        stream.write_all(&outcome.encode()).unwrap();
                    }
                    Answer::Hangs => {
                        stream.write_all(&ALIVE).unwrap();
                        kept.push(stream);
                    }
                }
            }
        });
        daemon
    }

    /// A daemon that answers every request with this code and nothing else.
    pub fn saying(code: Code) -> Self {
        Self::start(move |_| Answer::Outcome(Outcome::bare(code)))
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn receive(stream: &mut UnixStream) -> Asked {
    let mut first = [0; 4];
    let files = receive_first(stream, &mut first);
    let mut frame = vec![0; u32::from_le_bytes(first) as usize];
    stream.read_exact(&mut frame).unwrap();
    let mut passwords = files.into_iter().map(|mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let (password, new_password) = (passwords.next(), passwords.next());
    let (op, context) = Context::decode(&frame).unwrap();
    Asked {
        op,
        user: context.user.into(),
        service: context.service.into(),
        rhost: context.rhost.into(),
        tty: context.tty.into(),
        // Each request asks for signs of life; the tests speak of the others.
        flags: context.flags ^ flags::SIGNS,
        password,
        new_password,
        frame,
    }
}

/// The frame's length, and the descriptors beside its first byte.
fn receive_first(stream: &UnixStream, length: &mut [u8; 4]) -> Vec<File> {
    let mut part = libc::iovec { iov_base: length.as_mut_ptr().cast(), iov_len: length.len() };
    let mut control = [0u64; 8];
    // SAFETY: every pointer in the message is to a local of the stated size; the descriptor that comes is ours alone.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let count = libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_WAITALL | libc::MSG_CMSG_CLOEXEC);
        assert_eq!(count, 4, "a request's length");
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() {
            return Vec::new();
        }
        let bytes = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
        assert!(bytes == 4 || bytes == 8, "one descriptor or two");
        #[allow(clippy::cast_ptr_alignment)] // CMSG_DATA is aligned for a descriptor (cmsg(3)).
        let first = libc::CMSG_DATA(header).cast::<i32>();
        (0..bytes / 4).map(|at| File::from_raw_fd(first.add(at).read_unaligned())).collect()
    }
}
