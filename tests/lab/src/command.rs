//! Running programs with a deadline and with their output kept.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit status; 128 + signal when a signal ended it, 124 when its time was up.
    pub status: i32,
    /// Standard output (bytes that are not UTF-8 replaced).
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Output {
    /// Whether the exit status is 0.
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// Standard output without the line end, or an error that shows everything.
    ///
    /// # Errors
    /// When the exit status is not 0.
    pub fn text(self) -> Result<String> {
        if self.ok() { Ok(self.stdout.trim_end().to_owned()) } else { Err(Error::new(self.describe())) }
    }

    /// Status and both streams in one block, for a failing test's message.
    pub fn describe(&self) -> String {
        let mut text = format!("status {}", self.status);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "\n--- {name}\n{}", stream.trim_end());
            }
        }
        text
    }
}

/// Exit status of a program that was stopped because its time was up, as timeout(1) gives it.
pub const TIMED_OUT: i32 = 124;

/// A background process that the program left behind may hold its output streams: the wait for them ends here.
const STREAMS_GRACE: Duration = Duration::from_millis(300);

/// Runs `command` to its end, at most for `limit`, with `input` on its standard input.
///
/// # Errors
/// When it cannot be started or watched. A failing exit status is no error.
pub fn capture(command: &mut Command, input: Option<&[u8]>, limit: Duration) -> Result<Output> {
    let start = Instant::now();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().doing(|| format!("start {}", describe(command)))?;
    if let (Some(mut stdin), Some(bytes)) = (child.stdin.take(), input.map(<[u8]>::to_vec)) {
        // A thread of its own: a program that writes before it reads must not block us. Its end without reading is fine.
        thread::spawn(move || stdin.write_all(&bytes));
    }
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, start + limit).doing(|| format!("wait for {}", describe(command)))?;
    let took = start.elapsed();
    let end = Instant::now() + STREAMS_GRACE;
    Ok(Output { status, stdout: collect(&stdout, end), stderr: collect(&stderr, end), took })
}

/// Runs `command` to its end and insists on success.
///
/// # Errors
/// When it cannot be started, its time is up or its exit status is not 0; the message has its output.
pub fn must(command: &mut Command, limit: Duration) -> Result<Output> {
    let output = capture(command, None, limit)?;
    if output.ok() { Ok(output) } else { Err(Error::new(format!("{}: {}", describe(command), output.describe()))) }
}

/// The command line as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(mut stream) = stream {
        thread::spawn(move || {
            let mut chunk = [0; 16384];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn collect(stream: &Receiver<Vec<u8>>, end: Instant) -> String {
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.recv_timeout(end.saturating_duration_since(Instant::now())) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The exit status as a shell gives it.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn wait(child: &mut Child, end: Instant) -> std::io::Result<i32> {
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(exit_code(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(TIMED_OUT);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_output_and_status_come_through() {
        let output = capture(
            Command::new("sh").args(["-c", "cat; echo no >&2; exit 7"]),
            Some(b"in\n"),
            Duration::from_secs(10),
        )
        .unwrap();
        assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (7, "in\n", "no\n"));
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let output = capture(Command::new("sleep").arg("60"), None, Duration::from_millis(50)).unwrap();
        assert_eq!(output.status, TIMED_OUT);
    }

    #[test]
    fn a_background_child_that_holds_the_streams_does_not_hold_the_caller() {
        let output =
            capture(Command::new("sh").args(["-c", "sleep 5 & echo out"]), None, Duration::from_secs(20)).unwrap();
        assert_eq!(output.stdout, "out\n");
        assert!(output.took < Duration::from_secs(4));
    }
}
