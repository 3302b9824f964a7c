//! One helper process. FFI edge: the passwords' descriptors have to become numbers 3 and 4 between fork and exec.

use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use super::queue::Weight;
use super::seqpacket::MAX_DESCRIPTORS;

/// Longest answer of a helper, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// A helper at work.
pub(crate) struct Helper {
    child: Child,
    stdout: ChildStdout,
    answer: Vec<u8>,
    /// When it is killed.
    pub(crate) deadline: Instant,
    /// Whose request it does.
    pub(crate) id: u64,
    /// What it takes.
    pub(super) weight: Weight,
}

/// What reading from a helper gave.
pub(crate) enum Progress {
    /// Nothing more for now.
    Pending,
    /// All that it said.
    Ended(Vec<u8>),
    /// It said too much, or cannot be read.
    Broken,
}

impl Helper {
    /// Executes `program` with `job` on descriptor 0, its answer on 1, passwords on 3 and 4, and nothing else: no
    /// argument, no environment, no other descriptor.
    pub(super) fn start(
        program: &Path,
        job: &[u8],
        passwords: Vec<OwnedFd>,
        id: u64,
        deadline: Instant,
        weight: Weight,
    ) -> Result<Self> {
        let (reader, mut writer) = std::io::pipe()?;
        // A pipe takes the whole job without a reader: it is far shorter than 64 KiB.
        writer.write_all(job)?;
        drop(writer);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("ENTRA_NSS_OFF", "1")
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut numbers = [None; MAX_DESCRIPTORS];
        for (place, password) in numbers.iter_mut().zip(&passwords) {
            *place = Some(password.as_raw_fd());
        }
        // SAFETY: the closure only calls async-signal-safe functions and owns what it uses. The descriptors stay open
        // until `spawn` returns, and none of them is 3 or 4 itself (the broker keeps those taken), so the copies are
        // not close-on-exec.
        unsafe {
            command.pre_exec(move || {
                for (target, descriptor) in (3..).zip(numbers) {
                    if let Some(descriptor) = descriptor
                        && libc::dup2(descriptor, target) < 0
                    {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                crate::privileges::default_termination();
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        drop(passwords);
        let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        set_nonblocking(stdout.as_fd())?;
        Ok(Self { child, stdout, answer: Vec::new(), deadline, id, weight })
    }

    /// Where the answer comes from.
    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// Takes what the helper has said so far.
    pub(crate) fn read(&mut self) -> Progress {
        let mut part = [0; 4096];
        loop {
            match self.stdout.read(&mut part) {
                Ok(0) => return Progress::Ended(std::mem::take(&mut self.answer)),
                Ok(count) if self.answer.len() + count > MAX_ANSWER => return Progress::Broken,
                Ok(count) => self.answer.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Pending,
                Err(_) => return Progress::Broken,
            }
        }
    }

    /// Ends it. Its answer, if any, was read before; a helper says its answer last.
    pub(crate) fn kill(mut self) -> Child {
        // Fails where it has ended by itself, which is as good.
        let _ = self.child.kill();
        self.child
    }
}

fn set_nonblocking(descriptor: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no pointers; the descriptor is open for the call.
    let outcome = unsafe {
        let flags = libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL);
        if flags < 0 { flags } else { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }
    };
    if outcome < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
