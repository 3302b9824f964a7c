//! Is this user ours? Decided here, before any IPC, so that a daemon that is dead or slow keeps no local user out.

use entra_wire::guard::{id_may_be_ours, name_may_be_ours};
use entra_wire::pam::{Code, Outcome};
use entra_wire::stated::Stated;
use entra_wire::{local, paths};
use pam::constants::PamResultCode;
use pam::items::User;
use pam::module::PamHandle;

use crate::{status, uid};

/// PAM_USER where the daemon must be asked about it. `may_prompt`: ask for a name where the application gave none
/// (pam_get_user(3)), which only authentication does.
///
/// # Errors
/// [`status::NOT_OURS`] for root, for every name of `/etc/passwd`, for names that no directory has and for users whose
/// id lies outside our ranges; a failed conversation, where a name had to be asked for.
pub(crate) fn user_of_ours(pamh: &mut PamHandle, may_prompt: bool) -> Result<String, PamResultCode> {
    if may_prompt && matches!(pamh.get_item::<User>(), Ok(None)) {
        // Its result goes through UTF-8 and would make "not ours" of some names an error: the item is read below.
        if let Err(code @ (PamResultCode::PAM_CONV_ERR | PamResultCode::PAM_CONV_AGAIN)) = pamh.get_user(None) {
            return Err(status::of_conversation(&code));
        }
    }
    let Ok(Some(user)) = pamh.get_item::<User>() else { return Err(status::NOT_OURS) };
    if may_be_ours(user.to_bytes()) { text(user.to_bytes()) } else { Err(status::NOT_OURS) }
}

/// Refuses a success where the name meant another uid before the directory was asked: the application may hold that
/// one, of an account that is gone, and would run the session as somebody else than who proved the password.
pub(crate) fn same_identity(user: &str, before: Option<u32>, outcome: &mut Outcome) {
    if !matches!(outcome.code, Code::Success | Code::MustChange) {
        return;
    }
    if before.is_some_and(|before| uid::of(user).is_some_and(|now| now != before)) {
        *outcome = Outcome {
            reason: "identity-changed".into(),
            message: "Your account was renewed in the domain. Log in once more.".into(),
            ..Outcome::bare(Code::Denied)
        };
    }
}

fn text(name: &[u8]) -> Result<String, PamResultCode> {
    std::str::from_utf8(name).map(str::to_owned).map_err(|_| status::NOT_OURS)
}

fn may_be_ours(name: &[u8]) -> bool {
    if !name_may_be_ours(name) || is_local(name) {
        return false;
    }
    // A directory's name is found in any letter case, and its canonical form is the lower one: "Root" is "root" then.
    let lower = name.to_ascii_lowercase();
    if lower != name && (!name_may_be_ours(&lower) || is_local(&lower)) {
        return false;
    }
    // Known, with an id that is not ours: another NSS module's user. Unknown: new to us, or the daemon is away; only
    // the daemon can tell.
    // Without a domain nothing is ours, so that a host that has not joined is as it was before.
    let ranges = Stated::of_config(paths::CONFIG.as_ref()).ranges;
    if ranges.is_empty() {
        return false;
    }
    let known = std::str::from_utf8(name).ok().and_then(uid::of);
    known.is_none_or(|uid| id_may_be_ours(uid, &ranges))
}

fn is_local(name: &[u8]) -> bool {
    local::has_name(local::passwd(), name)
}
