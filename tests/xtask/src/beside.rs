//! Steps that run beside the others, on what those leave of the machine: most of the tests' time is waiting.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::package;
use crate::run::{self, Outcome};

/// What such a step gets of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// As much as the others: for what has deadlines of its own.
    Equal,
    /// What nobody else wants: tests that measure do not notice it.
    Rest,
}

/// Becomes the command of its arguments, with the lowest priority. A kernel that shares its time between sessions first
/// (sched(7), "The autogroup feature") asks for the session's priority too.
const REST: &str = r#"echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@""#;

/// A verb of this program that runs beside the others. Dropping it ends it.
pub struct Beside {
    name: &'static str,
    log: PathBuf,
    pid: u32,
    waiter: Option<JoinHandle<std::io::Result<(ExitStatus, Duration)>>>,
}

impl Beside {
    /// Starts it; what it prints is kept until [`Beside::finish`], so that it does not mix with the others' output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &'static str, share: Share, words: &[&str]) -> Result<Self, String> {
        let describe = |error: std::io::Error| format!("{name}: {error}");
        let folder = package::target();
        fs::create_dir_all(&folder).map_err(describe)?;
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let output = File::create(&log).map_err(describe)?;
        // A session of its own: one that can be ended as a whole.
        let mut command = Command::new("setsid");
        if share == Share::Rest {
            command.args(["sh", "-c", REST, "sh"]);
        }
        command.arg(run::own_program()?).args(words).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(describe)?).stderr(output);
        let begun = Instant::now();
        let mut child = command.spawn().map_err(describe)?;
        let pid = child.id();
        let waiter = thread::spawn(move || child.wait().map(|status| (status, begun.elapsed())));
        Ok(Self { name, log, pid, waiter: Some(waiter) })
    }

    /// Waits for its end, and prints what it printed.
    ///
    /// # Errors
    /// When it failed.
    pub fn finish(mut self) -> Outcome {
        let name = self.name;
        println!("== {name}, beside the others");
        let ended = self.waiter.take().and_then(|waiter| waiter.join().ok());
        let said = fs::read(&self.log).unwrap_or_default();
        print!("{}", String::from_utf8_lossy(&said));
        match ended {
            Some(Ok((status, took))) if status.success() => {
                println!("== {name}: passed in {:.0} s", took.as_secs_f64());
                Ok(())
            }
            Some(Ok((status, _))) => Err(format!("{name}: it ended with {status}")),
            Some(Err(error)) => Err(format!("{name}: {error}")),
            None => Err(format!("{name}: nobody waited for it")),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        // More than once: setsid(1) may not have made the session yet.
        while !waiter.is_finished() {
            let script = r#"kill -TERM "-$1" "$1" 2>/dev/null"#;
            let _ = Command::new("sh").args(["-c", script, "sh", &self.pid.to_string()]).status();
            thread::sleep(Duration::from_millis(50));
        }
        let _ = waiter.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_with_the_rest_has_the_lowest_priority_and_its_own_exit_status() {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", REST, "sh", "sh", "-c", "nice; exit 7"]);
        let output = command.output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"19\n"[..], Some(7)));
    }

    // This program is the tests themselves: `--list` is a verb that passes, an unknown option one that fails.

    #[test]
    fn a_failure_beside_the_others_is_a_failure() {
        assert_eq!(Beside::start("beside that passes", Share::Rest, &["--list"]).unwrap().finish(), Ok(()));
        for share in [Share::Equal, Share::Rest] {
            let failed = Beside::start("beside that fails", share, &["--no-such-option"]).unwrap().finish();
            assert!(failed.is_err_and(|reason| reason.contains("beside that fails: it ended with")));
        }
    }

    #[test]
    #[ignore = "waits for the test that ends it"]
    fn long() {
        thread::sleep(Duration::from_secs(600));
    }

    #[test]
    fn what_is_dropped_ends() {
        let words = ["--ignored", "--exact", "beside::tests::long"];
        let beside = Beside::start("beside that is long", Share::Rest, &words).unwrap();
        let begun = Instant::now();
        drop(beside);
        assert!(begun.elapsed() < Duration::from_secs(300));
    }
}
