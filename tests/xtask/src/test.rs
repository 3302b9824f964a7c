//! All tests.

use crate::run::Outcome;

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {}

/// Does it.
pub fn run(_options: &Options) -> Outcome {
    Err("not built yet".into())
}
