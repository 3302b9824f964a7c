//! What the bench relies on in the lines of its driver, with this machine's own users.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::Command;

/// The lines that the driver prints: time taken, and what was found.
fn drive(words: &[&str]) -> Vec<(f64, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-driver")).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let parse = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[0].parse::<u64>().is_ok(), "{line}");
        (words[1].parse().unwrap(), words[2].to_owned())
    };
    text.lines().map(parse).collect()
}

fn keys(name: &str, lines: &[&str]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("entra-bench-{name}-{}", std::process::id()));
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
fn a_lookup_is_repeated_in_batches() {
    let lines = drive(&["warm", "--sources", "files", "getpwnam", "root", "--millis", "20"]);
    assert!(lines.len() > 1);
    assert!(lines.iter().all(|(took, found)| *took > 0.0 && found == "1"), "{lines:?}");
}

#[test]
fn a_module_is_called_directly() {
    let lines = drive(&["warm", "--module", "files", "getpwuid", "0", "--millis", "5"]);
    assert!(lines.iter().all(|(_, found)| found == "1"), "{lines:?}");
    let lines = drive(&["warm", "--module", "files", "getgrnam", "no-such-group", "--millis", "5"]);
    assert!(lines.iter().all(|(_, found)| found == "absent"), "{lines:?}");
}

#[test]
fn processes_share_the_keys() {
    let path = keys("shared", &["left-out", "root", "no-such-1", "root", "no-such-2", "root", "too-far"]);
    let file = path.to_str().unwrap();
    for processes in ["1", "2", "3"] {
        let words = ["each", "--sources", "files", "getpwnam", file, "--skip", "1", "--take", "5"];
        let lines = drive(&[words.as_slice(), &["--processes", processes]].concat());
        let found = lines.iter().filter(|(_, found)| found == "1").count();
        assert_eq!((lines.len(), found), (5, 3), "{processes} processes: {lines:?}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_program_that_fails_is_no_time() {
    assert_eq!(drive(&["exec", "--times", "3", "--", "true"]).len(), 3);
    let failed = Command::new(env!("CARGO_BIN_EXE_bench-driver")).args(["exec", "--", "false"]).output().unwrap();
    assert!(!failed.status.success() && failed.stdout.is_empty());
}
