//! `cloud-trust`: Kerberos to Azure Files through the trust between the domain and Entra ID.

mod commands;
mod configure;
mod objects;
mod plugin;
mod probe;
mod shares;
mod snippet;
mod status;
mod tenant;

use std::path::Path;

use crate::cli::CloudTrustAction;
use crate::exit::Failure;
use crate::host::Paths;
use crate::output::{Answer, Output, Step};

/// Does it.
pub(super) fn run(action: &CloudTrustAction, output: &mut Output<'_>) -> Result<Answer, Failure> {
    match action {
        CloudTrustAction::Configure(options) => configure::run(options, output),
        CloudTrustAction::Probe(options) => probe::run(options, output),
        CloudTrustAction::Status { max_age } => status::run(*max_age),
    }
}

/// What `check cloud-trust` says.
pub(super) fn check(paths: &Paths) -> Vec<Step> {
    configure::check(paths, Path::new("/"))
}
