//! The auth group: authentication, and the credentials that it gave.

use std::time::Duration;

use entra_wire::pam::{Code, flags};
use entra_wire::protocol::Op;
use pam::constants::{PAM_DELETE_CRED, PAM_DISALLOW_NULL_AUTHTOK, PamResultCode};
use pam::module::PamHandle;

use crate::options::Call;
use crate::report::AUTHENTICATION;
use crate::{authtok, decide, ffi, report, request, status, uid};

/// How long libpam shall wait after a wrong password, as pam_unix has it: guessing costs time.
pub(crate) const GUESS_DELAY: Duration = Duration::from_secs(2);

/// `pam_sm_authenticate`. PAM_USER stays as it was typed: sshd, login and sudo refuse a name that changes.
pub(crate) fn authenticate(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    ffi::note_must_change(pamh, None);
    let user = match decide::user_of_ours(pamh, true) {
        Ok(user) => user,
        Err(code) => {
            report::left_alone(pamh, call, AUTHENTICATION);
            return code;
        }
    };
    let password = match authtok::obtain(pamh, call) {
        Ok(password) => password,
        Err(code) => return code,
    };
    if !authtok::can_be_sent(password.as_bytes()) {
        ffi::fail_delay(pamh, GUESS_DELAY);
        return status::BAD_PASSWORD;
    }
    let disallow_null = if call.flags & PAM_DISALLOW_NULL_AUTHTOK == 0 { 0 } else { flags::DISALLOW_NULL };
    let before = uid::of(&user);
    let mut outcome = request::ask(pamh, Op::Authenticate, &user, disallow_null, &[password.as_bytes()]);
    drop(password);
    decide::same_identity(&user, before, &mut outcome);
    match outcome.code {
        // An unknown name takes as long as a wrong password.
        Code::WrongPassword | Code::MaxTries | Code::UnknownUser => ffi::fail_delay(pamh, GUESS_DELAY),
        Code::MustChange => ffi::note_must_change(pamh, Some(&user)),
        _ => {}
    }
    report::outcome(pamh, call, AUTHENTICATION, &user, &outcome);
    status::of_auth(outcome.code)
}

/// `pam_sm_setcred`: makes, renews or removes what the login gave (the credential cache).
pub(crate) fn set_credentials(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    let Ok(user) = decide::user_of_ours(pamh, false) else { return status::NOT_OURS };
    // Without a flag PAM_ESTABLISH_CRED is meant (pam_setcred(3)).
    let wanted = if call.flags & PAM_DELETE_CRED == 0 { flags::CRED_ESTABLISH } else { flags::CRED_DELETE };
    let outcome = request::ask(pamh, Op::SetCred, &user, wanted, &[]);
    report::outcome(pamh, call, "credentials", &user, &outcome);
    status::of_credentials(outcome.code)
}
