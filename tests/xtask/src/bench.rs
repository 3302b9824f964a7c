//! `cargo xtask bench`: entrad beside SSSD and winbind on one directory; docs/benchmarks.md and its picture.
//!
//! What is measured stands in `tests/bench`; this builds the packages and the programs that it needs.

use std::process::Command;

use crate::package;
use crate::run::{self, Outcome, root};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Measure the packages that are in target/packages already
    #[arg(long)]
    packed: bool,
    /// The rest is for the bench itself: --users 2000|50000|both, --rows PART..., --quick, --render, --keep
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// Does it.
///
/// # Errors
/// Which step failed.
pub fn run(options: &Options) -> Outcome {
    if !options.packed {
        package::deb()?;
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--release", "--package", "entra-bench"]).current_dir(root());
    run::run(&mut build)?;
    let built = package::target().join("release");
    run::run(Command::new(built.join("bench")).arg("--built").arg(&built).args(&options.more))
}
