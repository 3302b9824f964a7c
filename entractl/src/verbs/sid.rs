//! `sid`: the user or group that has a SID.

use std::path::Path;

use entra_core::control::{Reply, Request};

use super::{group, sid_text, user};
use crate::daemon;
use crate::exit::Failure;
use crate::output::Answer;

/// Asks the daemon.
pub(super) fn run(sid: &str, socket: &Path) -> Result<Answer, Failure> {
    let reply = daemon::ask(socket, "sid", &Request::Sid { sid: sid_text("sid", sid)? })?;
    // The JSON is the tagged reply: a program must see which of the two it is.
    match &reply {
        Reply::User(view) => Ok(Answer::done(user::render(view), &reply)),
        Reply::Group(view) => Ok(Answer::done(group::render(view), &reply)),
        _ => Err(daemon::unexpected("sid")),
    }
}
