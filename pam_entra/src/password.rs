//! The password group: says that, and where, a password of the directory is changed; changes none itself.
//!
//! It never answers success: passwd(1) and login(1) would tell the person that the password was changed.

use entra_wire::pam::{Code, Outcome, flags};
use entra_wire::protocol::Op;
use pam::constants::{PAM_CHANGE_EXPIRED_AUTHTOK, PamFlag, PamResultCode};
use pam::module::PamHandle;

use crate::options::Call;
use crate::{decide, report, request, status};

/// `PAM_PRELIM_CHECK` of `<security/pam_modules.h>`: the first of two calls, in which nothing is changed yet.
const PRELIM_CHECK: PamFlag = 0x4000;
/// What the person reads where the daemon has no better sentence.
const ELSEWHERE: &str = "The password of a directory account cannot be changed on this computer. Change it in the \
                         directory, for example on your organisation's password page.";

/// `pam_sm_chauthtok`.
pub(crate) fn change(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    let Ok(user) = decide::user_of_ours(pamh, false) else { return status::NOT_OURS };
    if call.flags & PRELIM_CHECK == 0 {
        // The check below ends every stack that heeds it; a stack that does not gets the same answer again.
        return status::NOT_CHANGED;
    }
    let expired = if call.flags & PAM_CHANGE_EXPIRED_AUTHTOK == 0 { 0 } else { flags::CHANGE_EXPIRED };
    let mut outcome = request::ask(pamh, Op::ChangeCheck, &user, expired, None);
    if outcome.code == Code::Success {
        outcome = Outcome {
            reason: "changed-elsewhere".into(),
            message: outcome.message,
            ..Outcome::bare(Code::PasswordRefused)
        };
    }
    if outcome.message.is_empty() {
        ELSEWHERE.clone_into(&mut outcome.message);
    }
    report::outcome(pamh, call, "password change", &user, &outcome);
    status::of_change(outcome.code)
}
