//! One question to the daemon. Whatever goes wrong on the way becomes an outcome, so that a group has one path.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use entra_wire::client::{self, CallError, Patience, Trust};
use entra_wire::pam::{Code, Context, Outcome, flags};
use entra_wire::paths;
use entra_wire::protocol::{Op, Status};
use pam::items::{Item, RHost, Service, Tty};
use pam::module::PamHandle;

use crate::authtok;

/// Longest silence of the daemon: it sends a sign of life every two seconds while it works at a request. A daemon that hangs
/// holds up nobody for longer than that.
const SILENCE: Duration = Duration::from_secs(6);
/// Longest wait for an authentication. The daemon gives the KDC and what comes before and after it 23 s, and 25 s more
/// where it is the turn of others first: a crowd at once. `LOGIN_TIMEOUT` of login(1) (60 s) and sshd's LoginGraceTime
/// (120 s) lie above.
const AUTHENTICATION: Duration = Duration::from_secs(50);
/// Longest wait for a password to be changed: the change, and then a login with the new one.
const CHANGE: Duration = Duration::from_secs(70);
/// Longest wait for the account check: the user, the groups and the groups of the rules are asked for anew, each within
/// the daemon's own deadline, before what is cached counts.
const ACCOUNT: Duration = Duration::from_secs(15);
/// Longest wait for any other answer: it comes from the daemon's memory or from one search in the directory.
const OTHERS: Duration = Duration::from_secs(5);
/// Longest answer, in bytes: two sentences and a few variables.
const MAX_ANSWER: usize = 16 * 1024;
/// Longest service, host or terminal that is sent, in bytes; the rest is cut.
const MAX_DETAIL: usize = 1024;

/// Asks `op` about `user`; `flags` as in [`entra_wire::pam::flags`]. The passwords go beside the request, each in a
/// stream.
pub(crate) fn ask(pamh: &PamHandle, op: Op, user: &str, flags: u32, passwords: &[&[u8]]) -> Outcome {
    let streams: std::io::Result<Vec<OwnedFd>> =
        passwords.iter().map(|password| authtok::stream_of(password)).collect();
    let Ok(streams) = streams else { return of_trouble(CallError::Resources) };
    let (service, rhost, tty) = (
        detail(pamh.get_item::<Service>().ok().flatten()),
        detail(pamh.get_item::<RHost>().ok().flatten()),
        detail(pamh.get_item::<Tty>().ok().flatten()),
    );
    let flags = flags | flags::SIGNS;
    let frame = Context { user, service: &service, rhost: &rhost, tty: &tty, flags }.encode(op);
    let timeout = match op {
        Op::Change => CHANGE,
        Op::Authenticate => AUTHENTICATION,
        Op::Account => ACCOUNT,
        _ if !passwords.is_empty() => AUTHENTICATION,
        _ => OTHERS,
    };
    let mut outcome = exchange(&frame, &streams, timeout).unwrap_or_else(|error| match (op, error) {
        // The daemon had the request, or may have had it.
        (Op::Change, CallError::TimedOut | CallError::Broken) => changed_or_not(),
        _ => of_trouble(error),
    });
    if outcome.code == Code::Unavailable && matches!(op, Op::SetCred | Op::OpenSession | Op::CloseSession) {
        // Whether to let the person in was decided before: there is nothing to tell, and cron mails what it is told.
        outcome.message.clear();
    }
    outcome
}

/// PAM_RHOST for the log; empty where there is none.
pub(crate) fn remote_host(pamh: &PamHandle) -> String {
    detail(pamh.get_item::<RHost>().ok().flatten())
}

/// `text`, at most `limit` bytes of it, whole characters.
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn exchange(frame: &[u8], passwords: &[OwnedFd], timeout: Duration) -> Result<Outcome, CallError> {
    let fds: Vec<BorrowedFd<'_>> = passwords.iter().map(AsFd::as_fd).collect();
    let mut reply = Vec::new();
    let patience = Patience { whole: timeout, silence: SILENCE };
    client::call_patiently(paths::PAM_SOCKET.as_ref(), Trust::Root, frame, &fds, MAX_ANSWER, patience, &mut reply)?;
    let (status, mut payload) = client::open_reply(&reply)?;
    match status {
        Status::Ok => Ok(Outcome::decode(&mut payload)?),
        Status::NotFound => Ok(Outcome::bare(Code::UnknownUser)),
        Status::Offline => Ok(unavailable("offline")),
        Status::Busy => Ok(unavailable("daemon-busy")),
        Status::Refused => Ok(Outcome { reason: "caller-refused".into(), ..Outcome::bare(Code::Denied) }),
        Status::BadRequest => Ok(unavailable("daemon-of-another-version")),
    }
}

fn of_trouble(error: CallError) -> Outcome {
    unavailable(match error {
        CallError::NotRunning => "daemon-not-running",
        CallError::TimedOut => "daemon-timed-out",
        CallError::Untrusted => "socket-not-root's",
        CallError::Broken => "daemon-broke-off",
        CallError::Resources => "no-descriptors-or-memory",
    })
}

fn changed_or_not() -> Outcome {
    Outcome {
        reason: "change-unknown".to_owned(),
        message: "It is not known whether your password was changed: no answer came. Try the new password first, then \
                  the old one."
            .to_owned(),
        ..Outcome::bare(Code::Failed)
    }
}

fn unavailable(reason: &str) -> Outcome {
    Outcome {
        reason: reason.to_owned(),
        message: "Your account cannot be checked right now. Try again in a while.".to_owned(),
        ..Outcome::bare(Code::Unavailable)
    }
}

fn detail<'a, T: Item<'a> + std::ops::Deref<Target = &'a CStr>>(item: Option<T>) -> String {
    cut(item.map(|item| item.to_string_lossy().into_owned()).unwrap_or_default(), MAX_DETAIL)
}
