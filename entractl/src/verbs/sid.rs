//! `sid`: the user or group that has a SID.

use std::path::Path;

use entra_core::control::{Reply, Request};

use super::{ask, group, sid_text, user};
use crate::cli::SourceChoice;
use crate::daemon;
use crate::exit::Failure;
use crate::output::Answer;

/// Asks.
pub(super) fn run(sid: &str, source: SourceChoice, socket: &Path) -> Result<Answer, Failure> {
    let reply = ask("sid", Request::Sid { sid: sid_text("sid", sid)? }, socket, source)?;
    // The JSON is the tagged reply: a program must see which of the two it is.
    match &reply {
        Reply::User(view) => Ok(Answer::done(user::render(view, source), &reply)),
        Reply::Group(view) => Ok(Answer::done(group::render(view), &reply)),
        _ => Err(daemon::unexpected("sid")),
    }
}
