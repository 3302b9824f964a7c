//! `cargo xtask chaos`: faults made in the lab under a load of lookups and logins; docs/reliability.md.
//!
//! The faults and the load stand in `tests/chaos`; this builds the packages and the programs.

use std::process::Command;

use crate::package;
use crate::run::{self, Outcome, root};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Take the packages that are in target/packages already
    #[arg(long)]
    packed: bool,
    /// The rest is for the table itself: FAULT…, --quick, --keep, --reuse
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
    build.args(["build", "--quiet", "--package", "entra-chaos"]).current_dir(root());
    run::run(&mut build)?;
    run::run(Command::new(package::target().join("debug/chaos")).args(&options.more))
}
