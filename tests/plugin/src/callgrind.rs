//! Instructions of one shared object, counted by valgrind's callgrind.
//!
//! What the object executes itself is counted, and how often it calls which function of another object; what those do is
//! not. glibc chooses its memcpy by the processor, and its clock is a system call under valgrind: neither count would be
//! the same on another machine. The two that are taken are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child;
use crate::folder::Folder;

/// Callgrind makes a program some fifty times slower.
const DEADLINE: Duration = Duration::from_secs(300);

/// What one object did in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Instructions that it executed itself.
    pub own: u64,
    /// How often it called which function of another object.
    pub calls: BTreeMap<String, u64>,
}

impl Count {
    /// What is done each time, where `self` did something `times` more often than `less` did. Calls that are not made
    /// every time (a quarter of the times, say) are rounded.
    #[must_use]
    pub fn per_time(&self, less: &Self, times: u64) -> Self {
        let each = |more: u64, less: u64| (more.saturating_sub(less) + times / 2) / times;
        let calls = self.calls.iter().map(|(name, count)| {
            let before = less.calls.get(name).copied().unwrap_or_default();
            (name.clone(), each(*count, before))
        });
        Self { own: each(self.own, less.own), calls: calls.filter(|(_, count)| *count > 0).collect() }
    }

    /// Calls of all functions of other objects.
    pub fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }
}

/// Runs a command, its environment kept, and counts what the object with this file name does. Gives its standard output
/// too.
pub fn count(command: &Command, object: &str) -> (Count, String) {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there, "valgrind is missing and nothing was counted: apt-get install valgrind");
    let folder = Folder::new();
    let file = folder.path().join("profile");
    let mut wrapped = Command::new("valgrind");
    wrapped.args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"]);
    wrapped.arg(format!("--callgrind-out-file={}", file.display()));
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    let (status, stdout) = child::finish(&mut wrapped, DEADLINE);
    assert!(status.success(), "{wrapped:?} ended with {status}");
    let profile = std::fs::read_to_string(&file).unwrap();
    let count = read(&profile, object);
    assert!(count.own > 0, "{object} does not occur in the profile: nothing was counted");
    (count, stdout)
}

/// Reads a profile ("Callgrind Format Specification", valgrind's manual): costs stand below `ob=`, the object they
/// belong to; `calls=` belongs to the `cob=` (none: the same object) and `cfn=` above it, and the line behind it is what
/// the callee cost.
fn read(profile: &str, object: &str) -> Count {
    let is_object = |path: &str| Path::new(path).file_name().is_some_and(|name| name == object);
    let mut count = Count::default();
    let (mut inside, mut callee_inside, mut callee) = (false, None, "");
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("ob=") {
            inside = is_object(path);
        } else if let Some(path) = line.strip_prefix("cob=") {
            callee_inside = Some(is_object(path));
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if let Some(call) = line.strip_prefix("calls=") {
            if inside && callee_inside == Some(false) {
                let times: u64 = call.split(' ').next().unwrap().parse().unwrap();
                *count.calls.entry(callee.to_owned()).or_default() += times;
            }
            callee_inside = None;
            lines.next();
        } else if inside && line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost = line.split(' ').nth(1).unwrap_or("0");
            count.own += cost.parse::<u64>().unwrap();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read() {
        let profile = "events: Ir\n\nob=/x/program\nfl=???\nfn=main\n0 1000\ncob=/x/libm.so.2\ncfi=???\ncfn=entry\n\
            calls=7 0\n0 700\n\nob=/x/libm.so.2\nfn=entry\n0 40\n3 2\ncob=/lib/libc.so.6\ncfn=memcpy\ncalls=14 0\n0 9999\n\
            cfn=inner\ncalls=7 0\n0 60\n\nfn=inner\n0 58\n\ntotals: 12345\n";
        let count = read(profile, "libm.so.2");
        assert_eq!(count, Count { own: 100, calls: [("memcpy".to_owned(), 14)].into() });
        assert_eq!(read(profile, "libn.so.2"), Count::default());
    }
}
