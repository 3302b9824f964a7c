//! From the daemon's outcome to PAM codes: the only place that names them.

use entra_wire::pam::Code;
use pam::constants::PamResultCode;

/// The user is root, local, or another module's: PAM goes on as if this module were not there.
pub(crate) const NOT_OURS: PamResultCode = PamResultCode::PAM_USER_UNKNOWN;
/// A password that cannot be right: none, empty, or too long to be sent.
pub(crate) const BAD_PASSWORD: PamResultCode = PamResultCode::PAM_AUTH_ERR;
/// Nobody answers the prompt.
pub(crate) const NO_CONVERSATION: PamResultCode = PamResultCode::PAM_CONV_ERR;
/// The password was not changed.
pub(crate) const NOT_CHANGED: PamResultCode = PamResultCode::PAM_AUTHTOK_ERR;
/// The old password is not there.
pub(crate) const NO_OLD_PASSWORD: PamResultCode = PamResultCode::PAM_AUTHTOK_RECOVERY_ERR;
/// Only an expired password was to be changed, and this one has not expired (as pam_unix answers).
pub(crate) const UNCHANGED_AS_ASKED: PamResultCode = PamResultCode::PAM_SUCCESS;

/// `pam_sm_authenticate`.
///
/// A password that is right but must be changed is a success here: the account group, which PAM asks next, answers
/// PAM_NEW_AUTHTOK_REQD, and that is where applications act on it. In this group `default=die` would refuse the login
/// before the person could be told.
pub(crate) fn of_auth(code: Code) -> PamResultCode {
    match code {
        Code::MustChange => PamResultCode::PAM_SUCCESS,
        other => of_account(other),
    }
}

/// `pam_sm_acct_mgmt`.
pub(crate) fn of_account(code: Code) -> PamResultCode {
    match code {
        Code::Success => PamResultCode::PAM_SUCCESS,
        Code::UnknownUser => PamResultCode::PAM_USER_UNKNOWN,
        Code::WrongPassword => PamResultCode::PAM_AUTH_ERR,
        Code::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Code::Denied => PamResultCode::PAM_PERM_DENIED,
        Code::AccountExpired => PamResultCode::PAM_ACCT_EXPIRED,
        Code::MustChange => PamResultCode::PAM_NEW_AUTHTOK_REQD,
        Code::MaxTries => PamResultCode::PAM_MAXTRIES,
        Code::PasswordRefused | Code::Failed => PamResultCode::PAM_SYSTEM_ERR,
    }
}

/// `pam_sm_setcred`: the codes that it may give (pam_setcred(3)), and an outage, which the profiles ignore.
pub(crate) fn of_credentials(code: Code) -> PamResultCode {
    match code {
        Code::Success => PamResultCode::PAM_SUCCESS,
        Code::UnknownUser => PamResultCode::PAM_USER_UNKNOWN,
        Code::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Code::AccountExpired | Code::MustChange => PamResultCode::PAM_CRED_EXPIRED,
        _ => PamResultCode::PAM_CRED_ERR,
    }
}

/// `pam_sm_open_session` and `pam_sm_close_session`.
pub(crate) fn of_session(code: Code) -> PamResultCode {
    match code {
        Code::Success => PamResultCode::PAM_SUCCESS,
        Code::UnknownUser => PamResultCode::PAM_USER_UNKNOWN,
        Code::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        _ => PamResultCode::PAM_SESSION_ERR,
    }
}

/// `pam_sm_chauthtok`.
pub(crate) fn of_change(code: Code) -> PamResultCode {
    match code {
        Code::Success => PamResultCode::PAM_SUCCESS,
        Code::WrongPassword => PamResultCode::PAM_AUTH_ERR,
        Code::MaxTries => PamResultCode::PAM_MAXTRIES,
        Code::UnknownUser => PamResultCode::PAM_USER_UNKNOWN,
        Code::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Code::Denied | Code::AccountExpired => PamResultCode::PAM_PERM_DENIED,
        _ => PamResultCode::PAM_AUTHTOK_ERR,
    }
}

/// A prompt that failed: an application driven by events is asked to call again, any other failure is one of the
/// conversation.
pub(crate) fn of_conversation(code: &PamResultCode) -> PamResultCode {
    match code {
        PamResultCode::PAM_CONV_AGAIN | PamResultCode::PAM_INCOMPLETE => PamResultCode::PAM_INCOMPLETE,
        PamResultCode::PAM_BUF_ERR => PamResultCode::PAM_BUF_ERR,
        _ => NO_CONVERSATION,
    }
}
