//! Not built yet.

use crate::run::Outcome;

/// Does it.
pub fn run() -> Outcome {
    Err("not built yet".into())
}
