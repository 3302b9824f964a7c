//! The password group: proves the old password, then has the daemon change it in the directory.
//!
//! It answers success only where the daemon did: passwd(1) and login(1) tell the person then that the password was
//! changed.

use entra_wire::pam::{Code, Outcome, flags};
use entra_wire::protocol::Op;
use pam::constants::{PAM_CHANGE_EXPIRED_AUTHTOK, PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PamFlag, PamResultCode};
use pam::conv::Conv;
use pam::items::{AuthTok, OldAuthTok};
use pam::module::PamHandle;
use pam::secret::SecretBytes;

use crate::auth::GUESS_DELAY;
use crate::options::Call;
use crate::{authtok, decide, ffi, report, request, status};

/// `PAM_PRELIM_CHECK` of `<security/pam_modules.h>`: the first of two calls, in which nothing is changed yet.
const PRELIM_CHECK: PamFlag = 0x4000;
/// Reason of the daemon's answer where only an expired password was to be changed, and this one has not.
const NOT_EXPIRED: &str = "not-expired";
/// New passwords that a person may try until one pleases the directory.
const TRIES: usize = 3;

/// `pam_sm_chauthtok`.
pub(crate) fn change(pamh: &mut PamHandle, call: &Call) -> PamResultCode {
    let Ok(user) = decide::user_of_ours(pamh, false) else { return status::NOT_OURS };
    let expired = if call.flags & PAM_CHANGE_EXPIRED_AUTHTOK == 0 { 0 } else { flags::CHANGE_EXPIRED };
    if call.flags & PRELIM_CHECK == 0 { update(pamh, call, &user, expired) } else { check(pamh, call, &user, expired) }
}

/// Whether the password may be changed here, before the person is asked for anything; then the old one.
fn check(pamh: &mut PamHandle, call: &Call, user: &str, expired: u32) -> PamResultCode {
    ffi::note_unexpired(pamh, None);
    let outcome = request::ask(pamh, Op::ChangeCheck, user, expired, &[]);
    let unexpired = outcome.reason == NOT_EXPIRED;
    if outcome.code != Code::Success || unexpired {
        report::outcome(pamh, call, "password change", user, &outcome);
        // This login stands or falls with the change: "need not be changed" would let it through unproven.
        if unexpired && ffi::must_change(pamh, user) {
            return status::NOT_CHANGED;
        }
        if unexpired {
            ffi::note_unexpired(pamh, Some(user));
        }
        return status::of_change(outcome.code);
    }
    let old = match old_password(pamh, call) {
        Ok(old) => old,
        Err(code) => return code,
    };
    let outcome = if authtok::can_be_sent(old.as_bytes()) {
        request::ask(pamh, Op::ChangeCheck, user, expired, &[old.as_bytes()])
    } else {
        Outcome { reason: "no-password".into(), ..Outcome::bare(Code::WrongPassword) }
    };
    if outcome.code == Code::WrongPassword {
        ffi::fail_delay(pamh, GUESS_DELAY);
    }
    report::outcome(pamh, call, "password change", user, &outcome);
    status::of_change(outcome.code)
}

fn update(pamh: &mut PamHandle, call: &Call, user: &str, expired: u32) -> PamResultCode {
    if ffi::unexpired(pamh, user) {
        return status::UNCHANGED_AS_ASKED;
    }
    let Ok(Some(old)) = pamh.get_item::<OldAuthTok>() else { return status::NO_OLD_PASSWORD };
    let old = old.to_owned_secret();
    for _ in 0..TRIES {
        let (new, given) = match new_password(pamh, call, &old) {
            Ok(Some(new)) => new,
            Ok(None) => continue,
            Err(code) => return code,
        };
        let outcome = request::ask(pamh, Op::Change, user, expired, &[old.as_bytes(), new.as_bytes()]);
        report::outcome(pamh, call, "password change", user, &outcome);
        match outcome.code {
            Code::Success => {
                ffi::note_must_change(pamh, None);
                ffi::set_authtok(pamh, new.as_bytes());
                return status::of_change(Code::Success);
            }
            // The person may choose another one; a password that another module gave stays what it is.
            Code::PasswordRefused if !given => {}
            code => return status::of_change(code),
        }
    }
    status::NOT_CHANGED
}

/// PAM_OLDAUTHTOK where a module before this one left it, else the answer to a prompt, which is left as that.
fn old_password(pamh: &mut PamHandle, call: &Call) -> Result<SecretBytes, PamResultCode> {
    if let Ok(Some(known)) = pamh.get_item::<OldAuthTok>() {
        return Ok(known.to_owned_secret());
    }
    if call.use_first_pass {
        return Err(status::NO_OLD_PASSWORD);
    }
    let old = prompt(pamh, "Current password: ")?;
    ffi::set_old_authtok(pamh, old.as_bytes());
    Ok(old)
}

/// The new password, and whether another module gave it: PAM_AUTHTOK where one did (a check of its quality), else what
/// the person types twice. `None`: what was typed cannot be it, and the person was told why.
fn new_password(
    pamh: &mut PamHandle,
    call: &Call,
    old: &SecretBytes,
) -> Result<Option<(SecretBytes, bool)>, PamResultCode> {
    if let Ok(Some(known)) = pamh.get_item::<AuthTok>() {
        let known = known.to_owned_secret();
        return if authtok::can_be_sent(known.as_bytes()) { Ok(Some((known, true))) } else { Err(status::NOT_CHANGED) };
    }
    let new = prompt(pamh, "New password: ")?;
    // An empty line is how a person gives up (passwd(1)).
    if new.as_bytes().is_empty() {
        tell(pamh, call, "No new password was given. Your password stays as it is.");
        return Err(status::NOT_CHANGED);
    }
    let again = prompt(pamh, "Retype new password: ")?;
    let wrong = if new.as_bytes() != again.as_bytes() {
        "The two passwords are not the same."
    } else if new.as_bytes() == old.as_bytes() {
        "The new password is the old one."
    } else if !authtok::can_be_sent(new.as_bytes()) {
        "The new password is too long."
    } else {
        return Ok(Some((new, false)));
    };
    tell(pamh, call, wrong);
    Ok(None)
}

fn prompt(pamh: &PamHandle, text: &str) -> Result<SecretBytes, PamResultCode> {
    let answer = match pamh.get_item::<Conv>() {
        Ok(Some(conversation)) => conversation.send(PAM_PROMPT_ECHO_OFF, text),
        _ => return Err(status::NO_CONVERSATION),
    };
    answer.map_err(|code| status::of_conversation(&code))?.ok_or(status::NO_CONVERSATION)
}

fn tell(pamh: &PamHandle, call: &Call, sentence: &str) {
    if !call.quiet
        && let Ok(Some(conversation)) = pamh.get_item::<Conv>()
    {
        // An application that cannot show text loses the sentence, not the answer.
        let _ = conversation.send(PAM_ERROR_MSG, sentence);
    }
}
