//! `samba`: Samba's file server on the users of the domain, with the ids that lookups give and one owner of the
//! machine's password.

mod configure;
pub(super) mod idmap;
pub(super) mod plan;
pub(super) mod programs;
pub(super) mod secrets;
pub(super) mod smb_conf;
#[allow(unsafe_code)] // FFI edge: libtdb.
mod tdb;
pub(super) mod undo;

use std::path::Path;

use crate::cli::SambaAction;
use crate::exit::Failure;
use crate::output::{Answer, Output};

/// Does it.
pub(super) fn run(action: &SambaAction, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    match action {
        SambaAction::Configure(options) if options.remove => configure::remove(options, output),
        SambaAction::Configure(options) => configure::run(options, output),
        SambaAction::Idmap { words } => Ok(idmap::answer(words, socket)),
    }
}
