//! Long-lived processes that outlive this one: recorded by PID and start time, so that a reused PID is never taken for
//! ours.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};

/// A process as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Field 22 of /proc/PID/stat, in clock ticks since boot.
    started: u64,
}

impl Process {
    /// The running process `pid`.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let (started, alive) = stat(pid)?;
        alive.then_some(Self { pid, started })
    }

    /// The process that `path` records ("PID START"), if it still runs.
    pub(crate) fn recorded(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let process = Self { pid: pid.parse().ok()?, started: started.parse().ok()? };
        process.alive().then_some(process)
    }

    /// Records it in `path`.
    pub(crate) fn record(self, path: &Path) -> Result<()> {
        fs::write(path, format!("{} {}\n", self.pid, self.started)).doing(|| format!("write {}", path.display()))
    }

    /// Whether it runs (a zombie does not).
    pub(crate) fn alive(self) -> bool {
        stat(self.pid).is_some_and(|(started, alive)| alive && started == self.started)
    }

    /// Kills it and waits until it is gone; the end of a namespace's first process is the end of all in it.
    pub(crate) fn kill(self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while self.alive() {
            // SAFETY: kill only takes numbers. The start time was compared just now, so the PID is the process we made.
            unsafe { libc::kill(self.pid.cast_signed(), libc::SIGKILL) };
            if Instant::now() > end {
                return Err(Error::new(format!("process {} does not end", self.pid)));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn stat(pid: u32) -> Option<(u64, bool)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything: fields count from its end. State is field 3, the start time field 22.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(18)?.parse().ok()?, alive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(process.alive());
        process.kill().unwrap();
        assert!(!process.alive());
        child.wait().unwrap();
    }

    #[test]
    fn another_process_under_the_same_pid_is_not_ours() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let other = Process { started: 1, ..Process::find(child.id()).unwrap() };
        assert!(!other.alive());
        other.kill().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "a process that is not ours was killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
