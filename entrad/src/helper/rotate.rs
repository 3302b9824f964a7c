//! `rotate-keytab`: a new password for the machine, where its keys are older than they may be. The password is made,
//! used and forgotten in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use entra_core::auth::RotateRequest;
use entra_core::machine::{self, Error, Places, Server};

use super::{Failure, Job};
use crate::privileges::Lock;

/// Where one change of the host's membership at a time is ensured: `entractl` holds it too.
const LOCK: &str = "/run/entractl.lock";

/// Port of kpasswd (RFC 3244).
const KPASSWD: u16 = 464;

/// Gives the version of the new keys; nothing where it is not time.
pub(crate) fn run(job: &Job, request: &RotateRequest, deadline: Instant) -> Result<Option<u32>, Failure> {
    let places = Places::installed(&job.keytab);
    if !machine::is_due(&places, &request.realm, request.older_than).map_err(failure)? {
        return Ok(None);
    }
    // Somebody joins, leaves or rotates right now: the next round looks again.
    let Ok(_lock) = Lock::take(Path::new(LOCK)) else { return Ok(None) };
    let server = Server { realm: &request.realm, kdc: request.kdc, kpasswd: request.kpasswd };
    machine::rotate(&places, server, deadline).map(|rotated| Some(rotated.kvno)).map_err(failure)
}

/// Brings a change that was broken off to its end. Whatever hinders it shows at what comes next.
pub(crate) fn take_up(job: &Job, realm: &str, kdc: SocketAddr, deadline: Instant) {
    let places = Places::installed(&job.keytab);
    if places.journal.exists()
        && let Ok(_lock) = Lock::take(Path::new(LOCK))
    {
        let kpasswd = SocketAddr::new(kdc.ip(), KPASSWD);
        let _ = machine::rotate(&places, Server { realm, kdc, kpasswd }, deadline);
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Offline(why) => Failure::Offline(why),
        Error::Refused(why) => Failure::Machine(why),
        Error::Host(why) => Failure::Internal(why),
        Error::Samba(_) => Failure::Internal(error.to_string()),
    }
}
