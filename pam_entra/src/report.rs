//! What an outcome leaves behind: one sentence for the person, one line for the log, variables for the session.

use std::fmt::Write;

use entra_wire::pam::{Code, Outcome};
use pam::constants::{PAM_ERROR_MSG, PAM_TEXT_INFO};
use pam::conv::Conv;
use pam::module::PamHandle;

use crate::options::Call;
use crate::{ffi, request};

/// The noun under which [`outcome`] logs a login, also where `debug` is off.
pub(crate) const AUTHENTICATION: &str = "authentication";
/// Longest sentence that is shown, in bytes (PAM_MAX_MSG_SIZE).
const MAX_SENTENCE: usize = 512;
/// The only variable that the daemon may set, with the kinds of credential cache that outlive a helper process.
const ENVIRONMENT: &str = "KRB5CCNAME=";
const CACHE_KINDS: [&str; 5] = ["FILE:", "DIR:", "KEYRING:persistent:", "KEYRING:user:", "KCM:"];

/// Shows, logs and sets what `outcome` says about `what` (a noun: "authentication") of `user`.
pub(crate) fn outcome(pamh: &mut PamHandle, call: &Call, what: &str, user: &str, outcome: &Outcome) {
    show(pamh, call, outcome);
    log(pamh, call, what, user, outcome);
    for pair in outcome.env.iter().filter(|pair| may_be_set(pair)) {
        ffi::put_env(pamh, pair);
    }
}

/// Says in the log, where `debug` asks for it, that a user was left to other modules.
pub(crate) fn left_alone(pamh: &PamHandle, call: &Call, what: &str) {
    if call.debug {
        ffi::log(pamh, libc::LOG_DEBUG, &format!("{what}: not a user of the directory, left to other modules"));
    }
}

fn show(pamh: &PamHandle, call: &Call, outcome: &Outcome) {
    // A name that nobody knows is no reason to speak: other modules may know it.
    if call.quiet || outcome.message.is_empty() || outcome.code == Code::UnknownUser {
        return;
    }
    let style = if outcome.code == Code::Success { PAM_TEXT_INFO } else { PAM_ERROR_MSG };
    if let Ok(Some(conversation)) = pamh.get_item::<Conv>() {
        // An application that cannot show text loses the sentence, not the answer.
        let _ = conversation.send(style, &sentence(&outcome.message));
    }
}

fn log(pamh: &PamHandle, call: &Call, what: &str, user: &str, outcome: &Outcome) {
    let (priority, result) = match outcome.code {
        Code::Success if what == AUTHENTICATION => (libc::LOG_INFO, "success"),
        Code::Success => (libc::LOG_DEBUG, "success"),
        Code::UnknownUser => (libc::LOG_DEBUG, "user unknown"),
        Code::Unavailable => (libc::LOG_WARNING, "not possible now"),
        Code::Failed => (libc::LOG_ERR, "failure"),
        _ => (libc::LOG_NOTICE, "failure"),
    };
    if priority == libc::LOG_DEBUG && !call.debug {
        return;
    }
    let mut line = format!("{what} {result};");
    // Writing into a String cannot fail.
    // People type passwords at the name prompt: a name is written only once the daemon knew it.
    if !matches!(outcome.code, Code::UnknownUser | Code::Unavailable) {
        let _ = write!(line, " user={user:?}");
    }
    let rhost = request::remote_host(pamh);
    if !rhost.is_empty() {
        let _ = write!(line, " rhost={rhost:?}");
    }
    if !outcome.reason.is_empty() {
        let _ = write!(line, " reason={}", outcome.reason.escape_debug());
    }
    ffi::log(pamh, priority, &line);
}

fn may_be_set(pair: &str) -> bool {
    pair.strip_prefix(ENVIRONMENT).is_some_and(|value| {
        CACHE_KINDS.iter().any(|kind| value.starts_with(kind)) && !value.chars().any(char::is_control)
    })
}

fn sentence(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    request::cut(shown, MAX_SENTENCE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_credential_cache_reaches_the_session() {
        assert!(may_be_set("KRB5CCNAME=FILE:/tmp/krb5cc_674001103"));
        for pair in ["LD_PRELOAD=/tmp/x.so", "KRB5CCNAME=", "KRB5CCNAME=FILE:/tmp/a\nPATH=/tmp", "KRB5CCNAMEX=FILE:/a"]
        {
            assert!(!may_be_set(pair), "{pair:?}");
        }
    }

    #[test]
    fn a_sentence_is_one_printable_line() {
        assert_eq!(sentence("a\nb\u{1b}[2J"), "a b [2J");
        assert!(sentence(&"é".repeat(400)).len() < MAX_SENTENCE);
    }
}
