//! `change-password`: a ticket for `kadmin/changepw` proves the old password, and takes the new one to the kpasswd server
//! (RFC 3244). What cannot be known is said so: a change whose answer was lost may count.

use std::time::Instant;

use entra_core::auth::{ChangeRequest, ChangeVerdict};
use entra_krb5::{Ccache, ChangeAnswer, ChangeError, Context, Error, Kind, Principal, Profile, change_password};

use super::attempt::{Attempt, CHANGE_SERVICE, Kdcs, OpenedArmor, Target};
use super::{Failure, Job, machine_failure, password};

/// Runs it. Without `change` the old password is proven and nothing else.
pub(crate) fn run(
    job: &Job,
    request: &ChangeRequest,
    change: bool,
    deadline: Instant,
) -> Result<ChangeVerdict, Failure> {
    let old = password::read(deadline)?;
    let new = if change { Some(password::read_second(deadline)?) } else { None };
    let profile =
        Profile::new(&request.realm, &[request.kdc]).ok_or_else(|| Failure::Refused("a realm that is none".into()))?;
    let context = Context::new(&profile).map_err(machine_failure)?;
    let client = match Principal::enterprise(&context, &request.principal) {
        Ok(client) => client,
        Err(error) => return Ok(ChangeVerdict::Failed(error.message)),
    };
    let kdcs = Kdcs::only(request.kdc);
    let target = Target { realm: &request.realm, kdcs, require_fast: request.require_fast, deadline };
    let armor = OpenedArmor::open(&context, &job.machine_ccache, job.worker.0, &request.realm);
    let attempt = Attempt::new(&context, target, client, old, armor);
    let unused = Ccache::memory(&context).map_err(machine_failure)?;
    let mut ticket = match attempt.run(Some(CHANGE_SERVICE), &unused) {
        Ok(ticket) => ticket,
        Err(error) => return Ok(verdict_of(error)),
    };
    let Some(new) = new else { return Ok(ChangeVerdict::Proven) };
    Ok(match change_password(&context, &mut ticket, &new, request.kpasswd, deadline) {
        Ok(ChangeAnswer::Changed) => ChangeVerdict::Changed,
        Ok(ChangeAnswer::Refused { words, .. }) => ChangeVerdict::Refused(words),
        Err(ChangeError::NotSent(error)) => verdict_of(error),
        Err(ChangeError::Unanswered(error)) => ChangeVerdict::Unknown(error.message),
    })
}

/// What a failure before anything was sent means.
fn verdict_of(error: Error) -> ChangeVerdict {
    match error.kind {
        Kind::WrongPassword => ChangeVerdict::WrongPassword,
        Kind::Revoked => ChangeVerdict::Revoked,
        Kind::Policy => ChangeVerdict::Policy,
        Kind::UnknownPrincipal => ChangeVerdict::UnknownPrincipal,
        Kind::ClockSkew => ChangeVerdict::ClockSkew(error.message),
        Kind::Unreachable | Kind::TimedOut => ChangeVerdict::Unreachable(error.message),
        _ => ChangeVerdict::Failed(error.message),
    }
}
