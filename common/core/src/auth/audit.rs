//! The record of every login and refusal: one line of `key=value`, whose form docs/reason-codes.md describes.

use std::fmt::Write;

use entra_wire::pam::{Code, Context, Outcome};

use crate::types::UserRecord;

/// Longest part of a text that somebody else chose, in characters.
const MAX_TEXT: usize = 256;

/// Target of the records of what was granted. A log that leaves out what comes too often writes each of these: whoever
/// guesses passwords must not be able to hide the one that was right.
pub const ADMITTED: &str = "entra_core::auth::admitted";

/// What one record tells besides the outcome.
pub(super) struct Record<'a> {
    /// Which phase: `authenticate`, `account`, `change-check`, `change`.
    pub phase: &'static str,
    /// What the application told the module.
    pub context: &'a Context<'a>,
    /// uid of the process that asked.
    pub by: u32,
    /// The user, where the name means one.
    pub user: Option<&'a UserRecord>,
    /// The rule or attribute that decided, where one did.
    pub rule: Option<&'a str>,
}

impl Record<'_> {
    /// Writes it to the log.
    pub(super) fn write(&self, outcome: &Outcome) {
        if outcome.code == Code::Success {
            log::info!(target: ADMITTED, "{}", self.line(outcome));
        } else {
            log::info!("{}", self.line(outcome));
        }
    }

    fn line(&self, outcome: &Outcome) -> String {
        let mut line = format!("audit: phase={}", self.phase);
        // A name that nobody is known by may be a password that was typed where the name belongs.
        match self.user {
            Some(user) => {
                let _ = write!(line, " user={} sid={} uid={}", quoted(&user.name), user.sid, user.uid);
            }
            None => line.push_str(" user=(unknown) sid=- uid=-"),
        }
        for (key, text) in [("service", self.context.service), ("rhost", self.context.rhost), ("tty", self.context.tty)]
        {
            let _ = write!(line, " {key}={}", quoted(text));
        }
        let reason = if outcome.reason.is_empty() { "-" } else { &outcome.reason };
        let rule = self.rule.or_else(|| attribute(&outcome.reason)).map_or_else(|| "-".to_owned(), quoted);
        let _ = write!(line, " by={} outcome={} reason={reason} rule={rule}", self.by, word(outcome.code));
        line
    }
}

/// In double quotes; quotes, backslashes and whatever a terminal or a log would not show as it is are escaped.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

fn word(code: Code) -> &'static str {
    match code {
        Code::Success => "success",
        Code::UnknownUser => "unknown-user",
        Code::WrongPassword => "wrong-password",
        Code::Unavailable => "unavailable",
        Code::Denied => "denied",
        Code::AccountExpired => "account-expired",
        Code::MustChange => "must-change",
        Code::MaxTries => "max-tries",
        Code::PasswordRefused => "password-refused",
        Code::Failed => "failed",
    }
}

/// The account's attribute behind a reason, where a KDC said no and the account told why.
fn attribute(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "account-disabled" | "smartcard-required" => "userAccountControl",
        "account-expired" => "accountExpires",
        "account-locked" => "lockoutTime",
        "outside-logon-hours" => "logonHours",
        "workstation-not-permitted" => "userWorkstations",
        "must-change-password" => "pwdLastSet",
        "password-expired" => "maxPwdAge",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::state::tests::{answer, fit};

    fn line(context: &Context<'_>, known: bool, outcome: &Outcome, rule: Option<&str>) -> String {
        let user = answer(fit());
        Record { phase: "account", context, by: 0, user: known.then_some(&*user.value), rule }.line(outcome)
    }

    const PLAIN: Context<'_> = Context { user: "alice", service: "sshd", rhost: "192.0.2.1", tty: "ssh", flags: 0 };

    #[test]
    fn a_record_tells_who_from_where_and_why() {
        let denied = Outcome { reason: "not-permitted".into(), ..Outcome::bare(Code::Denied) };
        assert_eq!(
            line(&PLAIN, true, &denied, Some("access.deny_groups")),
            "audit: phase=account user=\"alice\" sid=S-1-5-21-1-2-3-1103 uid=1103 service=\"sshd\" rhost=\"192.0.2.1\" \
             tty=\"ssh\" by=0 outcome=denied reason=not-permitted rule=\"access.deny_groups\""
        );
        let locked = Outcome { reason: "account-locked".into(), ..Outcome::bare(Code::MaxTries) };
        assert!(line(&PLAIN, true, &locked, None).ends_with("reason=account-locked rule=\"lockoutTime\""));
        assert!(line(&PLAIN, true, &Outcome::bare(Code::Success), None).ends_with("outcome=success reason=- rule=-"));
    }

    #[test]
    fn what_others_chose_adds_neither_line_nor_key() {
        let rhost = "x\" by=4\noutcome=success\u{1b}[2K\u{202e}\\";
        let context = Context { rhost, tty: "a\tb\0", service: "s=\"", ..PLAIN };
        let line = line(&context, true, &Outcome::bare(Code::Denied), None);
        assert!(!line.contains(['\n', '\t', '\0', '\u{1b}', '\u{202e}']), "{line}");
        // Outside of quoted texts each key stands once.
        let (mut plain, mut inside, mut escaped) = (String::new(), false, false);
        for char in line.chars() {
            match char {
                '"' if !escaped => inside = !inside,
                _ if !inside => plain.push(char),
                _ => {}
            }
            escaped = char == '\\' && !escaped;
        }
        assert_eq!(plain.matches(" by=").count(), 1, "{plain}");
        assert_eq!(plain.matches("outcome=").count(), 1, "{plain}");
    }

    #[test]
    fn a_name_that_nobody_is_known_by_stays_out_of_the_log() {
        for code in [Code::UnknownUser, Code::Unavailable] {
            let line = line(&Context { user: "S3cret-Pass", ..PLAIN }, false, &Outcome::bare(code), None);
            assert!(line.contains("user=(unknown) sid=- uid=-") && !line.contains("S3cret"), "{line}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "é".repeat(5000);
        let line = line(&Context { rhost: &long, ..PLAIN }, true, &Outcome::bare(Code::Denied), None);
        assert!(line.len() < 1000 && line.contains("é…\""), "{}", line.len());
    }
}
