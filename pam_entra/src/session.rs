//! The session group: the daemon learns of sessions, and the session learns where its credential cache is.
//!
//! A login without a password (a public key, cron, su from root) passes no authentication of ours: this group is then
//! the first to set KRB5CCNAME.

use entra_wire::protocol::Op;
use pam::constants::PamResultCode;
use pam::module::PamHandle;

use crate::options::Call;
use crate::{decide, report, request, status};

/// `pam_sm_open_session`.
pub(crate) fn open(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    tell(pamh, call, Op::OpenSession, "session opening")
}

/// `pam_sm_close_session`.
pub(crate) fn close(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    tell(pamh, call, Op::CloseSession, "session closing")
}

fn tell(pamh: &mut PamHandle, call: &Call, op: Op, what: &str) -> PamResultCode {
    let Ok(user) = decide::user_of_ours(pamh, false) else { return status::NOT_OURS };
    let outcome = request::ask(pamh, op, &user, 0, &[]);
    report::outcome(pamh, call, what, &user, &outcome);
    status::of_session(outcome.code)
}
