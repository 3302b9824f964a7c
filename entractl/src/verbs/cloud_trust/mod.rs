//! `cloud-trust`: Kerberos to Azure Files through the trust between the domain and Entra ID.

mod commands;
mod configure;
mod logins;
mod objects;
mod plugin;
mod probe;
mod shares;
mod snippet;
mod status;
mod tenant;

use std::path::{Path, PathBuf};

use crate::cli::CloudTrustAction;
use crate::exit::Failure;
use crate::host::{Paths, file};
use crate::output::{Answer, Output, Step};

/// Does it.
pub(super) fn run(action: &CloudTrustAction, output: &mut Output<'_>) -> Result<Answer, Failure> {
    match action {
        CloudTrustAction::Configure(options) => configure::run(options, output),
        CloudTrustAction::Probe(options) => probe::run(options, output),
        CloudTrustAction::Status { max_age } => status::run(*max_age),
    }
}

/// Removes the krb5 settings with the domain whose trust they were for. Gives the file where there was one; what stands
/// under its name and is somebody else's stays.
///
/// # Errors
/// A sentence where it cannot be removed.
pub(super) fn forget(paths: &Paths) -> Result<Option<PathBuf>, String> {
    let path = snippet::path(paths);
    let ours = std::fs::read(&path).is_ok_and(|bytes| snippet::is_ours(&String::from_utf8_lossy(&bytes)));
    if !ours {
        return Ok(None);
    }
    file::remove(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(path))
}

/// What `check cloud-trust` says.
pub(super) fn check(paths: &Paths) -> Vec<Step> {
    configure::check(paths, Path::new("/"))
}
