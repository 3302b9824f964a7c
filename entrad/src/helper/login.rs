//! `authenticate`: one AS exchange that carries proof of the password, then the proof that the KDC is the real one and
//! that the ticket is this account's, then the ticket as the person's own file.

use std::net::SocketAddr;
use std::time::Instant;

use entra_core::auth::{AuthAnswer, AuthRequest, KdcVerdict};
use entra_krb5::{Ccache, Context, Credentials, Error, Keytab, Kind, Password, Principal, Profile, Verified, verify};

use super::attempt::{Attempt, CHANGE_SERVICE, Kdcs, OpenedArmor, PATIENCE, Target};
use super::{Failure, Job, machine_failure, password, ticket};

/// An answer, and what went wrong beside it.
pub(super) type Answer = (AuthAnswer, Option<String>);

/// Runs the attempt. With any verdict but `Success` nothing is written.
pub(crate) fn authenticate(job: &Job, request: &AuthRequest, deadline: Instant) -> Result<Answer, Failure> {
    authenticate_with(job, request, password::read(deadline)?, deadline)
}

/// As [`authenticate`], with a password that is here already.
pub(super) fn authenticate_with(
    job: &Job,
    request: &AuthRequest,
    password: Password,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let profile =
        Profile::new(&request.realm, &[request.kdc]).ok_or_else(|| Failure::Refused("a realm that is none".into()))?;
    let context = Context::new(&profile).map_err(machine_failure)?;
    // First of all: without the machine's key no KDC can be verified, and no password is sent to one that cannot.
    let keytab = Keytab::file(&context, &job.keytab).map_err(machine_failure)?;
    let machine = keytab.machine_principal(&request.realm).map_err(machine_failure)?;
    let machine = Principal::parse(&context, &machine).map_err(machine_failure)?;
    let armor = OpenedArmor::open(&context, &job.machine_ccache, job.worker.0, &request.realm);
    let ccache = Ccache::memory(&context).map_err(machine_failure)?;
    let client = match Principal::enterprise(&context, &request.principal) {
        Ok(client) => client,
        Err(error) => return Ok(verdict(KdcVerdict::Failed(error.message))),
    };
    let kdcs = Kdcs { first: request.kdc, others: &request.other_kdcs };
    let target = Target { realm: &request.realm, kdcs, require_fast: request.require_fast, deadline };
    let attempt = Attempt::new(&context, target, client, password, armor);
    let tgt = match attempt.run(None, &ccache) {
        Ok(tgt) => tgt,
        Err(error) if error.kind == Kind::KeyExpired => return Ok(verdict(expired(&attempt))),
        Err(error) => {
            return Ok((verdict(verdict_of(error)).0, attempt.without_armor.take().map(|why| unproven(&why))));
        }
    };
    // The password has done its work: no copy of it is left when this process becomes the person.
    let kdc = attempt.kdc();
    drop(attempt);
    let machine = Machine { keytab: &keytab, principal: &machine };
    let verified = match machine.verified(&context, &tgt, kdc, request, deadline) {
        Ok(verified) => verified,
        Err(error) if matches!(error.kind, Kind::TimedOut | Kind::Unreachable) => {
            return Ok(verdict(KdcVerdict::Unreachable(error.message)));
        }
        Err(error) => return Ok(verdict(KdcVerdict::KdcNotVerified(error.message))),
    };
    let Some(sid) = verified.sid else {
        return Ok(verdict(KdcVerdict::Failed("the KDC's tickets carry no logon information: is it AD?".into())));
    };
    if sid.as_bytes() != request.expected_sid.to_bytes() {
        return Ok(verdict(KdcVerdict::IdentityMismatch));
    }
    let times = Some(ticket::times(&tgt));
    drop((tgt, keytab));
    let (ccache, note) = match &request.ccache {
        None => (None, None),
        Some(target) => match ticket::write_as(&context, &ccache, target) {
            Ok((name, note)) => (Some(name), note),
            // A login without a ticket is still a login: what fails is noted.
            Err(why) => (None, Some(why)),
        },
    };
    Ok((AuthAnswer { verdict: KdcVerdict::Success, ccache, times }, note))
}

/// Whose key proves the KDC.
struct Machine<'a> {
    keytab: &'a Keytab<'a>,
    principal: &'a Principal<'a>,
}

impl Machine<'_> {
    /// [`verify`] by the KDC that gave the ticket, or by another one of the realm where that has gone silent since: they
    /// share the key of tickets, and what is asked holds no proof of the password.
    fn verified(
        &self,
        context: &Context,
        tgt: &Credentials<'_>,
        kdc: SocketAddr,
        request: &AuthRequest,
        deadline: Instant,
    ) -> Result<Verified, Error> {
        let all = [request.kdc].into_iter().chain(request.other_kdcs.iter().copied());
        let mut others = all.filter(|other| *other != kdc).peekable();
        let mut kdc = kdc;
        loop {
            let until = if others.peek().is_some() { deadline.min(Instant::now() + PATIENCE) } else { deadline };
            let verified = verify(context, tgt, self.keytab, self.principal, kdc, until);
            match (&verified, others.next()) {
                (Err(error), Some(next)) if matches!(error.kind, Kind::TimedOut | Kind::Unreachable) => kdc = next,
                _ => return verified,
            }
        }
    }
}

fn verdict(verdict: KdcVerdict) -> Answer {
    (AuthAnswer { verdict, ccache: None, times: None }, None)
}

/// What is to be thought of a refusal by a KDC that could not use the machine's ticket: the person is told what it said,
/// and whoever reads the log that nothing proves it.
fn unproven(why: &str) -> String {
    format!(
        "the KDC refuses, and does not know this host's own ticket ({why}): nothing proves what it says of the password, \
         and it may be false; `entractl testjoin` tells whether this host's key is still the domain's"
    )
}

/// "Expired" says nothing about the password: some KDCs look at the account's state first, and anybody can say it in the
/// KDC's place. Whoever gets a ticket to change it, inside the machine's session with the KDC, knows it.
fn expired(attempt: &Attempt<'_>) -> KdcVerdict {
    let unused = Ccache::memory(attempt.context);
    match unused.and_then(|unused| attempt.run_armored(CHANGE_SERVICE, &unused)) {
        Ok(_) => KdcVerdict::PasswordExpired { proven: true },
        Err(error) if error.kind == Kind::WrongPassword => KdcVerdict::WrongPassword,
        Err(error) if error.kind == Kind::Revoked => KdcVerdict::Revoked,
        Err(error) => KdcVerdict::KdcNotVerified(format!(
            "it says that the password has expired, and proves neither that nor itself: {}",
            error.message
        )),
    }
}

fn verdict_of(error: Error) -> KdcVerdict {
    match error.kind {
        Kind::WrongPassword => KdcVerdict::WrongPassword,
        Kind::KeyExpired => KdcVerdict::PasswordExpired { proven: false },
        Kind::Revoked => KdcVerdict::Revoked,
        Kind::UnknownPrincipal => KdcVerdict::UnknownPrincipal,
        Kind::ClockSkew => KdcVerdict::ClockSkew { why: error.message, ahead: error.ahead },
        Kind::EtypeNotSupported => KdcVerdict::NoCommonEtype(error.message),
        Kind::NoFast => KdcVerdict::NoFast(error.message),
        Kind::Unreachable | Kind::TimedOut => KdcVerdict::Unreachable(error.message),
        Kind::Policy => KdcVerdict::Policy,
        _ => KdcVerdict::Failed(error.message),
    }
}
