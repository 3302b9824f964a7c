//! `krb5-helper`: one request, one answer, one process. It blocks in libkrb5, holds a password or a key, and becomes the
//! person whose ticket it writes: three things that a daemon should not do.
//!
//! Descriptor 0 gives the [`Job`], 1 takes the [`Reply`], each behind its [`version`]; 3 and 4 give passwords. Nothing else is
//! inherited, nothing is printed, and the answer comes last: whoever reads it may end the process.

mod attempt;
mod change;
mod fetch;
mod kept;
mod login;
mod machine;
#[allow(unsafe_code)] // FFI edge: a descriptor by its number, poll
mod password;
mod request;
mod rotate;
mod ticket;
mod ticket_file;
mod verifier;
pub(crate) mod version;

use std::io::{Read, Write};
use std::time::Instant;

use entra_core::directory::SET_CLOCK;
use entra_krb5::{Error, Kind};

pub use request::{Failure, Job, Reply, Request};

use crate::privileges;
use version::Wrong;

/// Longest job, in bytes.
const MAX_JOB: u64 = 64 * 1024;

/// The whole program. Gives its exit status.
pub fn main() -> i32 {
    // 3 and 4 stay open until it is known whether passwords belong to the request.
    if privileges::harden_helper(5).is_err() {
        return 1;
    }
    let reply = read_job().map_or_else(Reply::Failed, |job| run(&job));
    let written = version::join(&reply).is_ok_and(|bytes| std::io::stdout().lock().write_all(&bytes).is_ok());
    i32::from(!written)
}

fn run(job: &Job) -> Reply {
    // Ends before the broker would end it, so that the answer says what was waited for.
    let deadline = Instant::now() + job.request.timeout();
    let outcome = match &job.request {
        Request::MachineTgt { realm, kdc, .. } => machine::ticket(job, realm, *kdc, deadline).map(Reply::MachineTicket),
        Request::Authenticate(request) => {
            login::authenticate(job, request, deadline).map(|(answer, note)| Reply::Authenticated { answer, note })
        }
        Request::ChangePassword { request, change } => change::run(job, request, *change, deadline).map(Reply::Change),
        Request::Renew(request) => ticket::renew(request).map(Reply::Renewed),
        Request::Fetch(request) => fetch::run(request).map(Reply::Fetched),
        Request::DestroyCcache { ccache, .. } => ticket::destroy(ccache).map(|()| Reply::Destroyed),
        Request::RotateKeytab(request) => rotate::run(job, request, deadline).map(Reply::Rotated),
        Request::KeepPassword { kept, life, .. } => kept::keep(kept, *life, deadline).map(|()| Reply::Kept),
        Request::TicketFromKept(request) => {
            kept::ticket(job, request, deadline).map(|(answer, note)| Reply::Authenticated { answer, note })
        }
        Request::ForgetPassword { kept, .. } => kept::forget(kept).map(|()| Reply::Kept),
        Request::MakeVerifier { .. } => verifier::make(job, deadline).map(Reply::Verifier),
        Request::CheckVerifier { verifier, .. } => verifier::check(job, verifier, deadline).map(Reply::Matches),
    };
    outcome.unwrap_or_else(Reply::Failed)
}

fn read_job() -> Result<Job, Failure> {
    let mut bytes = Vec::new();
    let internal = |text: String| Failure::Internal(format!("the helper's job: {text}"));
    std::io::stdin().lock().take(MAX_JOB).read_to_end(&mut bytes).map_err(|error| internal(error.to_string()))?;
    // A broker of another version sees by the reply's own that this is no answer to believe.
    version::split(&bytes).map_err(|wrong| match wrong {
        Wrong::Version => internal("its broker is of another version".into()),
        Wrong::Text => internal("it cannot be read".into()),
    })
}

/// What a failure means where the machine's own key is in use, not a person's password.
fn machine_failure(error: Error) -> Failure {
    match error.kind {
        Kind::Unreachable | Kind::TimedOut => Failure::Offline(error.message),
        Kind::ClockSkew => Failure::Offline(format!("{}: {SET_CLOCK}", error.message)),
        Kind::WrongPassword => {
            Failure::Machine(format!("the machine's key is not the directory's ({}): join again", error.message))
        }
        Kind::KeyExpired
        | Kind::Revoked
        | Kind::UnknownPrincipal
        | Kind::WrongRealm
        | Kind::EtypeNotSupported
        | Kind::Policy
        | Kind::Keytab => Failure::Machine(error.message),
        _ => Failure::Internal(error.message),
    }
}
