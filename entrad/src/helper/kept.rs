//! `keep-password`, `ticket-from-kept` and `forget-password`: a password that was proven offline waits in the kernel for one
//! attempt at a ticket.

use std::ffi::CString;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use entra_core::auth::{AuthRequest, Kept};
use entra_krb5::Password;

use super::login::{self, Answer};
use super::{Failure, Job, password};
use crate::keyring;

/// How long the KDC may take to be reached before the password is touched.
const REACH: Duration = Duration::from_secs(3);

/// Keeps the password from the pipe.
pub(crate) fn keep(kept: &Kept, life: Duration, deadline: Instant) -> Result<(), Failure> {
    let secret = password::read_bytes(deadline)?;
    if secret.is_empty() {
        return Err(Failure::Refused("an empty password".into()));
    }
    keyring::keep(&name(kept)?, &secret, life).map_err(|error| refused_by_kernel(&error))
}

/// One attempt at a ticket with what is kept. The password is taken out before it is used: whatever comes of the attempt,
/// there is no second one, and a password that was changed meanwhile is wrong once.
///
/// # Errors
/// [`Failure::Offline`] where the KDC is not reached: then the password is still there.
pub(crate) fn ticket(job: &Job, request: &AuthRequest, deadline: Instant) -> Result<Answer, Failure> {
    let target = request.ccache.as_ref().ok_or_else(|| Failure::Refused("a ticket without a ccache".into()))?;
    let name = name(&Kept { uid: target.uid, sid: request.expected_sid.clone() })?;
    let reach = REACH.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
    TcpStream::connect_timeout(&request.kdc, reach)
        .map_err(|error| Failure::Offline(format!("the KDC {}: {error}", request.kdc)))?;
    let secret = keyring::take(&name)
        .map_err(|error| refused_by_kernel(&error))?
        .ok_or_else(|| Failure::Internal("no password is kept any more".into()))?;
    let password = Password::new(secret).map_err(|error| Failure::Refused(error.message))?;
    login::authenticate_with(job, request, password, deadline)
}

/// Forgets it.
pub(crate) fn forget(kept: &Kept) -> Result<(), Failure> {
    keyring::forget(&name(kept)?).map_err(|error| refused_by_kernel(&error))
}

/// What /proc/keys shows of it.
fn name(kept: &Kept) -> Result<CString, Failure> {
    CString::new(format!("entra:password:{}:{}", kept.uid, kept.sid))
        .map_err(|_| Failure::Refused("a SID that is none".into()))
}

fn refused_by_kernel(error: &std::io::Error) -> Failure {
    Failure::Internal(format!("the kernel's keys (keyctl): {error}"))
}
