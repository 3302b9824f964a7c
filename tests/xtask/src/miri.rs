//! What packs records into the caller's memory, under Miri: pointers, alignment, what is read before it was written.

use std::process::{Command, Stdio};

use crate::run::{self, Outcome};

/// The module's unit tests that touch memory and nothing else of the system.
const TESTS: [&str; 3] = ["buffer::", "initgroups::", "status::tests::each"];

/// Runs them where a nightly toolchain with Miri is installed; says plainly that nothing was run where none is.
///
/// # Errors
/// When Miri finds something.
pub fn run() -> Outcome {
    let mut ask = Command::new("cargo");
    ask.args(["+nightly", "miri", "--version"]).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    let there = ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED, nothing was run: there is no Miri (rustup component add --toolchain nightly miri rust-src)");
        return Ok(());
    }
    let mut test = Command::new("cargo");
    // The cargo that runs this program tells its children about itself, and the nightly one must not hear of it.
    test.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("RUSTFLAGS");
    test.args(["+nightly", "miri", "test", "--quiet", "--package", "nss_entra", "--"]).args(TESTS);
    run::run(test.current_dir(run::root()))
}
