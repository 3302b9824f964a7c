//! The account group: may this user come in now?

use entra_wire::pam::{Code, Outcome, flags};
use entra_wire::protocol::Op;
use pam::constants::{PAM_DISALLOW_NULL_AUTHTOK, PamResultCode};
use pam::module::PamHandle;

use crate::options::Call;
use crate::{decide, ffi, report, request, status, uid};

/// `pam_sm_acct_mgmt`: disabled, locked, expired, refused by a rule, or a password that must be changed.
pub(crate) fn check(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    let Ok(user) = decide::user_of_ours(pamh, false) else { return status::NOT_OURS };
    let disallow_null = if call.flags & PAM_DISALLOW_NULL_AUTHTOK == 0 { 0 } else { flags::DISALLOW_NULL };
    let before = uid::of(&user);
    let mut outcome = request::ask(pamh, Op::Account, &user, disallow_null, &[]);
    decide::same_identity(&user, before, &mut outcome);
    // Authentication let an expired password through because this group would stop it: it does, whatever the daemon
    // remembers of that login.
    let told = ffi::must_change(pamh, &user);
    if outcome.code == Code::Success && told {
        outcome = Outcome { reason: "password-must-change".into(), ..Outcome::bare(Code::MustChange) };
    }
    if outcome.code == Code::MustChange && told {
        // One sentence is enough, and authentication said it.
        outcome.message.clear();
    }
    report::outcome(pamh, call, "account check", &user, &outcome);
    status::of_account(outcome.code)
}
