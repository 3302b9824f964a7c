//! A person's ccache, written, renewed and removed as that person: no path, link or keyring of theirs can make root do
//! anything.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entra_core::auth::{CcacheTarget, RenewRequest, TicketTimes};
use entra_krb5::{Ccache, Context, Credentials, Error, Kind, Profile};

use super::{Failure, ticket_file};
use crate::privileges;

/// How long a KCM daemon may take for a ticket: it is on this host, and a login is nearly over.
const KCM_PATIENCE: Duration = Duration::from_secs(2);

/// Becomes the person and writes their ticket. Gives the ccache's name, another one than asked for where that belongs to
/// somebody else, and what is to be said of that.
///
/// # Errors
/// A sentence with libkrb5's words.
pub(super) fn write_as(
    context: &Context,
    from: &Ccache<'_>,
    target: &CcacheTarget,
) -> Result<(String, Option<String>), String> {
    privileges::become_user(target.uid, target.gid)
        .map_err(|error| format!("the helper cannot become uid {}: {error}", target.uid))?;
    write(context, from, &target.name)
}

/// `renew`: the ticket's life begins anew, in the same ccache, beside the tickets for services.
pub(crate) fn renew(request: &RenewRequest) -> Result<TicketTimes, Failure> {
    let target = &request.ccache;
    let profile =
        Profile::new(&request.realm, &[request.kdc]).ok_or_else(|| Failure::Refused("a realm that is none".into()))?;
    let context = Context::new(&profile).map_err(failure)?;
    privileges::become_user(target.uid, target.gid)
        .map_err(|error| Failure::Internal(format!("becoming uid {}: {error}", target.uid)))?;
    let old = Ccache::resolve(&context, &target.name).map_err(failure)?;
    let renewed = old.renewed().map_err(failure)?;
    let fresh = Ccache::memory(&context).map_err(failure)?;
    fresh.initialize(&old.owner().map_err(failure)?).map_err(failure)?;
    fresh.store(&renewed).map_err(failure)?;
    // They are as good as before, and somebody may be working with them.
    old.copy_service_tickets(&fresh, SystemTime::now()).map_err(failure)?;
    drop(old);
    let (written, _) = write(&context, &fresh, &target.name).map_err(Failure::Internal)?;
    if written != target.name {
        // The sessions know the name that was taken from them: a copy beside it serves nobody.
        remove(&context, &written)?;
        return Err(Failure::Internal(format!("{} belongs to somebody else now", target.name)));
    }
    Ok(times(&renewed))
}

/// `destroy-ccache`.
pub(crate) fn destroy(target: &CcacheTarget) -> Result<(), Failure> {
    let context = Context::without_realm().map_err(failure)?;
    privileges::become_user(target.uid, target.gid)
        .map_err(|error| Failure::Internal(format!("becoming uid {}: {error}", target.uid)))?;
    remove(&context, &target.name)
}

/// The life of a ticket.
pub(super) fn times(ticket: &Credentials<'_>) -> TicketTimes {
    TicketTimes { ends: unix(ticket.end()), renew_till: unix(ticket.renew_till()) }
}

fn write(context: &Context, from: &Ccache<'_>, name: &str) -> Result<(String, Option<String>), String> {
    let Some(path) = name.strip_prefix("FILE:") else {
        let copied = if name.starts_with("KCM:") {
            copy_to_daemon(from.memory_name(), name.to_owned())
        } else {
            Ccache::resolve(context, name).and_then(|to| from.copy_to(&to)).map_err(|error| error.message)
        };
        copied.map_err(|why| format!("the ccache {name} cannot be written: {why}"))?;
        return Ok((name.to_owned(), None));
    };
    let written = ticket_file::write(context, from, path)?;
    let note = (written != path).then(|| format!("{path} belongs to somebody else, so it is {written}"));
    Ok((format!("FILE:{written}"), note))
}

/// Copies a ccache of this process's memory into the KCM daemon. libkrb5 waits for the daemon's answer without an end, so
/// a thread of its own does: one that hangs ends with this process and keeps nobody out.
fn copy_to_daemon(from: String, to: String) -> Result<(), String> {
    let (done, outcome) = mpsc::channel();
    let copy = move || {
        // The memory's ccaches belong to the process, contexts to a thread.
        let context = Context::without_realm()?;
        Ccache::resolve(&context, &from)?.copy_to(&Ccache::resolve(&context, &to)?)
    };
    // Nobody hears it any more where it comes too late.
    let work = move || done.send(copy().map_err(|error: Error| error.message)).unwrap_or_default();
    thread::Builder::new().spawn(work).map_err(|error| error.to_string())?;
    outcome.recv_timeout(KCM_PATIENCE).unwrap_or_else(|_| Err("the KCM daemon does not answer".into()))
}

fn remove(context: &Context, name: &str) -> Result<(), Failure> {
    Ccache::resolve(context, name).and_then(Ccache::destroy).map_err(failure)
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What a failure means where a person's ticket is in use.
pub(super) fn failure(error: Error) -> Failure {
    match error.kind {
        Kind::Unreachable | Kind::TimedOut => Failure::Offline(error.message),
        _ => Failure::Internal(error.message),
    }
}
