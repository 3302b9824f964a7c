//! A person at a terminal of a node: waits for a text, types a line.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{Output, exit_code};
use crate::error::{Doing, Error, Result};
use crate::node::Node;

/// A program on a terminal of its own (script(1) makes it in the node, so that the program sees a real one there).
pub struct Terminal {
    node: Node,
    /// Where the PID of what to end stands in the node.
    record: String,
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// Up to here [`Terminal::expect`] has read.
    read: usize,
    begun: Instant,
    end: Instant,
}

impl Terminal {
    /// Starts a shell command on a terminal, as root; after `limit` it is ended, with status [`TIMED_OUT`].
    ///
    /// [`TIMED_OUT`]: crate::TIMED_OUT
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(node: &Node, command: &str, limit: Duration) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let record = format!("/run/lab/terminal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let seconds = format!("{:.3}", limit.as_secs_f64());
        // The PID stays that of script(1)'s keeper: a signal to it ends both, and the terminal with them.
        let script = r#"echo $$ >"$1"; exec timeout --kill-after=1 "$2" script -qefc "$3" /dev/null"#;
        let mut start = node.interactive(&["sh", "-c", script, "sh", &record, &seconds, command]);
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = start.spawn().doing(|| format!("start {command} on a terminal"))?;
        let (sender, screen) = channel();
        if let Some(mut stdout) = child.stdout.take() {
            thread::spawn(move || {
                let mut part = [0; 4096];
                while let Ok(count @ 1..) = stdout.read(&mut part) {
                    if sender.send(part[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        let keyboard = child.stdin.take();
        let begun = Instant::now();
        Ok(Self {
            node: node.clone(),
            record,
            child,
            keyboard,
            screen,
            shown: Vec::new(),
            read: 0,
            begun,
            end: begun + limit,
        })
    }

    /// Waits until one of some texts stands on the screen, after what was waited for before; says which one.
    ///
    /// # Errors
    /// When the program ends or its time is up before; the message has the screen.
    pub fn expect(&mut self, texts: &[&str]) -> Result<usize> {
        loop {
            let unread = &self.shown[self.read..];
            let place = |text: &&str| unread.windows(text.len()).position(|window| window == text.as_bytes());
            let found = texts.iter().enumerate().find_map(|(which, text)| Some((which, place(text)? + text.len())));
            if let Some((which, end)) = found {
                self.read += end;
                return Ok(which);
            }
            match self.screen.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
                Ok(part) => self.shown.extend(part),
                Err(_) => return Err(Error::new(format!("{texts:?} did not appear on the screen:\n{}", self.text()))),
            }
        }
    }

    /// Types a line.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn enter(&mut self, line: &str) -> Result<()> {
        let typed =
            self.keyboard.as_mut().map_or(Ok(()), |keyboard| keyboard.write_all(format!("{line}\n").as_bytes()));
        typed.doing(|| format!("type on a terminal that shows:\n{}", self.text()))
    }

    /// Waits for the program's end; the output is all that stood on the screen.
    ///
    /// # Errors
    /// When the program cannot be waited for.
    pub fn finish(mut self) -> Result<Output> {
        while let Ok(part) = self.screen.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
            self.shown.extend(part);
        }
        // script(1) would wait for more input.
        self.keyboard = None;
        let _ = self.node.sh(r#"rm -f "$1""#, &[&self.record])?;
        let status = exit_code(self.child.wait().doing(|| "wait for a terminal".into())?);
        Ok(Output { status, stdout: self.text(), stderr: String::new(), took: self.begun.elapsed() })
    }

    /// Cuts the line; the output is all that stood on the screen.
    ///
    /// # Errors
    /// When there is nothing to end any more, or it cannot be waited for.
    pub fn hang_up(self) -> Result<Output> {
        self.node.sh(r#"kill "$(cat "$1")""#, &[&self.record])?.text()?;
        self.finish()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace('\r', "")
    }
}
