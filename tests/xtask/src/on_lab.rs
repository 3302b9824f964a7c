//! Programs that work on the packages and on labs of their own: `cargo xtask bench` (docs/benchmarks.md and its picture;
//! `tests/bench`) and `cargo xtask chaos` (docs/reliability.md; `tests/chaos`). This builds what they need and starts them.

use std::process::Command;

use crate::package;
use crate::run::{self, Outcome, root};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Take the packages that are in target/packages already
    #[arg(long)]
    packed: bool,
    /// The rest is for the program itself; bench: --users 2000|50000|both, --rows PART..., --quick, --render, --keep;
    /// chaos: FAULT..., --quick, --keep, --reuse
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// Measures entrad beside SSSD and winbind.
///
/// # Errors
/// Which step failed.
pub fn bench(options: &Options) -> Outcome {
    // What is measured beside a lookup must not take longer than it.
    let built = build(options, "entra-bench", &["--release"])?.join("release");
    run::run(Command::new(built.join("bench")).arg("--built").arg(&built).args(&options.more))
}

/// Makes faults under a load of lookups and logins.
///
/// # Errors
/// Which step failed.
pub fn chaos(options: &Options) -> Outcome {
    let built = build(options, "entra-chaos", &[])?.join("debug");
    run::run(Command::new(built.join("chaos")).args(&options.more))
}

/// Builds the packages and the programs of one of ours; gives the target folder.
fn build(options: &Options, program: &str, more: &[&str]) -> Result<std::path::PathBuf, String> {
    if !options.packed {
        package::deb()?;
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--package", program]).args(more).current_dir(root());
    run::run(&mut build)?;
    Ok(package::target())
}
