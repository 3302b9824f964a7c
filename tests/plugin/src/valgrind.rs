//! Programs under valgrind's memcheck: every process of theirs, forked ones included, must end without an error of
//! memory, without a block that is definitely lost, and (where asked) without a descriptor of its own left open.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child;
use crate::folder::Folder;

/// Exit status of a process in which valgrind found something.
const FOUND: &str = "--error-exitcode=99";

/// Valgrind makes a program twenty to fifty times slower.
const DEADLINE: Duration = Duration::from_secs(300);

/// What a program under valgrind left behind.
pub struct Report {
    /// Its standard output.
    pub stdout: String,
    /// What is wrong, with valgrind's own words; empty where nothing is.
    pub findings: String,
}

impl Report {
    /// The standard output of a program in which nothing was found.
    pub fn clean(self) -> String {
        assert!(self.findings.is_empty(), "{}\n--- its output\n{}", self.findings, self.stdout);
        self.stdout
    }
}

/// Whether what a process still holds at its end counts: blocks that are definitely lost, descriptors left open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leaks {
    /// It does.
    Count,
    /// It does not: the child of a process with busy threads has the memory and the descriptors of those threads and
    /// not the threads, so it cannot but keep what they held at that moment. Errors of memory count all the same.
    Ignore,
}

/// The words that start memcheck, to be put before a program and its arguments; each process writes a log of its own
/// into `logs`.
///
/// Only blocks that are definitely lost count: what a process keeps until its end (glibc's loaded modules, Rust's
/// record of the main thread) is no leak. There are no suppressions.
pub fn words(logs: &Path, leaks: Leaks) -> Vec<String> {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there, "valgrind is missing and nothing was tested: apt-get install valgrind");
    let mut words =
        ["valgrind", "--tool=memcheck", FOUND, "--track-fds=yes", "--num-callers=30"].map(str::to_owned).to_vec();
    // One thread runs at a time: without turns, a thread that waits in a loop for another starves it.
    words.push("--fair-sched=yes".into());
    if leaks == Leaks::Count {
        let all = ["--leak-check=full", "--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"];
        words.extend(all.map(str::to_owned));
    }
    words.push(format!("--log-file={}/%p", logs.display()));
    words
}

/// Runs a command under valgrind, the environment kept, and reads what was found.
pub fn run(command: &Command, leaks: Leaks) -> Report {
    let logs = Folder::new();
    let words = words(logs.path(), leaks);
    wrapped_in(&words, command, &logs, leaks == Leaks::Count)
}

/// The same under helgrind, which looks for locks that are taken in two orders and for memory that threads share without
/// one. There are no suppressions.
pub fn helgrind(command: &Command) -> Report {
    let logs = Folder::new();
    let words = ["valgrind", "--tool=helgrind", FOUND, "--fair-sched=yes", "--num-callers=30"].map(str::to_owned);
    let log = format!("--log-file={}/%p", logs.path().display());
    wrapped_in(&[&words[..], &[log]].concat(), command, &logs, false)
}

fn wrapped_in(words: &[String], command: &Command, logs: &Folder, descriptors: bool) -> Report {
    let mut wrapped = Command::new(&words[0]);
    wrapped.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    let (status, stdout) = child::finish(&mut wrapped, DEADLINE);
    let mut findings = in_logs(logs.path(), descriptors);
    if !status.success() {
        findings = format!("{wrapped:?} ended with {status}\n{findings}");
    }
    Report { stdout, findings }
}

/// What is wrong by the logs in `logs`; empty where nothing is. `descriptors`: one that was opened and is left counts.
pub fn in_logs(logs: &Path, descriptors: bool) -> String {
    let mut findings = Vec::new();
    let mut processes = 0;
    for entry in std::fs::read_dir(logs).unwrap().flatten() {
        let log = std::fs::read_to_string(entry.path()).unwrap();
        processes += 1;
        let clean = log.contains("ERROR SUMMARY: 0 errors ") && !(descriptors && leaves_a_descriptor(&log));
        if !clean {
            findings.push(log);
        }
    }
    assert!(processes > 0, "valgrind wrote no log: nothing was tested");
    findings.join("\n")
}

/// Whether the list of open descriptors has one that the process did not get from its parent.
fn leaves_a_descriptor(log: &str) -> bool {
    let mut lines = log.lines().map(|line| line.trim_start_matches(|c: char| c == '=' || c.is_ascii_digit()).trim());
    while let Some(line) = lines.next() {
        if line.starts_with("Open ") && lines.next().is_none_or(|next| next != "<inherited from parent>") {
            return true;
        }
    }
    false
}
