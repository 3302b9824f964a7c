//! `idmap`: which ids users and groups have here, how a host keeps those that another program gave them, and
//! how files follow those that move.

mod accounts;
mod autorid;
mod chown;
mod compare;
mod peer;
mod plan;
mod show;
mod sssd;
mod truenas;
mod winbind;

use std::path::Path;

use crate::cli::IdmapAction;
use crate::exit::Failure;
use crate::output::Answer;

/// Does it.
pub(super) fn run(action: &IdmapAction, socket: &Path) -> Result<Answer, Failure> {
    match action {
        IdmapAction::Show { account } => show::run(account.as_deref(), socket),
        IdmapAction::Plan(options) => plan::run(options),
        IdmapAction::Chown(options) => chown::run(options),
    }
}
