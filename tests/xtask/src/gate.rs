//! What a warm lookup costs, in instructions: more than a table says is a failure. No clock is asked, so it does not
//! matter what else the machine does.

use std::process::Command;

use crate::run::{self, Outcome};

/// Counts and compares; prints each count.
///
/// # Errors
/// When a lookup costs more than it did, or valgrind is missing.
pub fn run() -> Outcome {
    let words = ["test", "--quiet", "--package", "entra-plugin-tests", "--test", "nss_cost", "--"];
    let mut test = Command::new(env!("CARGO"));
    run::run(test.current_dir(run::root()).args(words).args(["--include-ignored", "--nocapture"]))
}
