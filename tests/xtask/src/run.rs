//! Running other programs: each command is named in its failure.

use std::path::PathBuf;
use std::process::Command;

/// Result of a task: the error is one sentence for the developer.
pub type Outcome = Result<(), String>;

/// The workspace's root folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap_or_else(|_| PathBuf::from("."))
}

/// Runs a command to its end, its output shown.
///
/// # Errors
/// When it cannot be started or its exit status is not 0.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", describe(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", describe(command))) }
}

/// Path of this program, to call another of its verbs.
///
/// # Errors
/// When the system does not tell it.
pub fn own_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("cannot find this program's own path: {error}"))
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
