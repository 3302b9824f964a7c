//! Every refusal: its stable reason code for the log, and its one plain sentence for the person.

use entra_wire::pam::{Code, Outcome};

/// Why a login was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    WrongPassword,
    DirectoryUnreachable,
    KdcUnreachable,
    /// The directory does not let this host read the attributes that decide.
    AccountUnreadable,
    AccountDisabled,
    AccountLocked,
    AccountExpired,
    MustChange,
    PasswordExpired,
    /// logonHours.
    OutsideLogonHours,
    /// userWorkstations.
    WorkstationNotPermitted,
    /// A password was offered where the domain wants a smart card.
    SmartcardRequired,
    NotPermitted,
    /// A rule that may refuse cannot be understood.
    RuleBroken,
    IdentityMismatch,
    KdcNotVerified,
    /// By how many seconds this host's clock is ahead, where that is known.
    ClockSkew(Option<i64>),
    NoCommonEtype,
    NoFast,
    KdcPolicy,
    KdcFailed,
    /// No online login before this outage, or offline logins are off.
    OfflineUnknown,
    /// The last online login is past `offline_max_age`.
    OfflineTooOld,
    /// Too many wrong passwords offline: again in so many seconds.
    OfflineDelayed(u64),
    /// Too many wrong passwords offline: an online login has to come first.
    OfflineLocked,
    Busy,
    /// The Kerberos helper was killed, or is being replaced.
    HelperEnded,
    Internal,
}

impl Refusal {
    /// The answer to the module.
    pub(super) fn outcome(self) -> Outcome {
        let (code, reason, message) = match self {
            Self::WrongPassword => (Code::WrongPassword, "wrong-password", "The password is wrong."),
            Self::DirectoryUnreachable => (
                Code::Unavailable,
                "directory-unreachable",
                "The domain cannot be reached, so your account could not be checked. Try again later.",
            ),
            Self::KdcUnreachable => (
                Code::Unavailable,
                "kdc-unreachable",
                "The domain cannot be reached, so your password could not be checked. Try again later.",
            ),
            Self::AccountUnreadable => (
                Code::Unavailable,
                "account-unreadable",
                "The domain does not show the state of your account. Ask your administrator.",
            ),
            Self::AccountDisabled => {
                (Code::AccountExpired, "account-disabled", "Your account is disabled. Ask your administrator.")
            }
            Self::AccountLocked => (
                Code::MaxTries,
                "account-locked",
                "Your account is locked after too many wrong passwords. Try again later.",
            ),
            Self::AccountExpired => {
                (Code::AccountExpired, "account-expired", "Your account has expired. Ask your administrator.")
            }
            Self::MustChange => {
                (Code::MustChange, "must-change-password", "You must change your password before you can log in.")
            }
            Self::PasswordExpired => {
                (Code::MustChange, "password-expired", "Your password has expired and must be changed.")
            }
            Self::OutsideLogonHours => {
                (Code::Denied, "outside-logon-hours", "Your account may not log in at this hour.")
            }
            Self::WorkstationNotPermitted => (
                Code::Denied,
                "workstation-not-permitted",
                "Your account may not log in at this computer. Ask your administrator.",
            ),
            Self::SmartcardRequired => {
                (Code::Denied, "smartcard-required", "Your account logs in with a smart card, not with a password.")
            }
            Self::RuleBroken => {
                (Code::Denied, "access-rule-broken", "Who may log in here cannot be told now. Ask your administrator.")
            }
            Self::NotPermitted => {
                (Code::Denied, "not-permitted", "Your account may not log in here. Ask your administrator.")
            }
            Self::IdentityMismatch => (
                Code::Denied,
                "identity-mismatch",
                "The domain's answer was for another account. Ask your administrator.",
            ),
            Self::KdcNotVerified => (
                Code::Unavailable,
                "kdc-not-verified",
                "The domain's answer could not be verified, so you were not logged in. Ask your administrator.",
            ),
            Self::ClockSkew(None) => (
                Code::Unavailable,
                "clock-skew",
                "The clocks of this computer and of the domain differ too much. Ask your administrator.",
            ),
            Self::ClockSkew(Some(ahead)) => {
                let way = if ahead < 0 { "behind" } else { "ahead of" };
                let message = format!(
                    "The clock of this computer is {} seconds {way} the domain's. Ask your administrator.",
                    ahead.unsigned_abs()
                );
                return Outcome { code: Code::Unavailable, reason: "clock-skew".into(), message, env: Vec::new() };
            }
            Self::NoCommonEtype => (
                Code::Denied,
                "no-common-etype",
                "The domain has no key of your account that this computer accepts. Change your password once, elsewhere, \
                 or ask your administrator.",
            ),
            Self::NoFast => (
                Code::Unavailable,
                "fast-unavailable",
                "Your password can be checked only under the protection that is required here, which the domain does not \
                 offer now. Ask your administrator.",
            ),
            Self::KdcPolicy => (
                Code::Denied,
                "kdc-policy",
                "The domain does not let you log in at this computer, at this hour or in this way.",
            ),
            Self::KdcFailed => (
                Code::Failed,
                "kdc-failed",
                "The domain could not check your password. The system's log has the reason.",
            ),
            Self::OfflineUnknown => (
                Code::Unavailable,
                "offline-unknown",
                "The domain cannot be reached, and you have not logged in on this computer before. Try again later.",
            ),
            Self::OfflineTooOld => (
                Code::Unavailable,
                "offline-too-old",
                "The domain cannot be reached, and your last login with it was too long ago. Try again later.",
            ),
            Self::OfflineDelayed(seconds) => {
                let message = format!("Too many wrong passwords. Try again in {}.", duration(seconds));
                return Outcome { code: Code::MaxTries, reason: "offline-delayed".into(), message, env: Vec::new() };
            }
            Self::OfflineLocked => (
                Code::MaxTries,
                "offline-locked",
                "Too many wrong passwords. You can log in again once the domain can be reached.",
            ),
            Self::Busy => (Code::Unavailable, "busy", "Too many logins at once. Try again."),
            Self::HelperEnded => (
                Code::Unavailable,
                "helper-ended",
                "Your password could not be checked on this computer just now. Try again.",
            ),
            Self::Internal => (Code::Failed, "internal", "Something went wrong. The system's log has the reason."),
        };
        Outcome { code, reason: reason.to_owned(), message: message.to_owned(), env: Vec::new() }
    }
}

/// Seconds in words that a person can wait by.
fn duration(seconds: u64) -> String {
    match seconds {
        1 => "1 second".into(),
        few @ 0..100 => format!("{few} seconds"),
        many => format!("{} minutes", many.div_ceil(60)),
    }
}

/// How far off something is: whole hours below two days, where a day more or less counts, then the nearest number of days.
pub(super) fn in_days(seconds: u64) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    match (seconds / HOUR, (seconds + DAY / 2) / DAY) {
        (0, _) => "within the hour".into(),
        (1, _) => "in 1 hour".into(),
        (hours @ 2..48, _) => format!("in {hours} hours"),
        (_, days) => format!("in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every refusal once; the match keeps the list whole.
    fn all() -> Vec<Refusal> {
        let next = |refusal| match refusal {
            Refusal::WrongPassword => Some(Refusal::DirectoryUnreachable),
            Refusal::DirectoryUnreachable => Some(Refusal::KdcUnreachable),
            Refusal::KdcUnreachable => Some(Refusal::AccountUnreadable),
            Refusal::AccountUnreadable => Some(Refusal::AccountDisabled),
            Refusal::AccountDisabled => Some(Refusal::AccountLocked),
            Refusal::AccountLocked => Some(Refusal::AccountExpired),
            Refusal::AccountExpired => Some(Refusal::MustChange),
            Refusal::MustChange => Some(Refusal::PasswordExpired),
            Refusal::PasswordExpired => Some(Refusal::OutsideLogonHours),
            Refusal::OutsideLogonHours => Some(Refusal::WorkstationNotPermitted),
            Refusal::WorkstationNotPermitted => Some(Refusal::SmartcardRequired),
            Refusal::SmartcardRequired => Some(Refusal::NotPermitted),
            Refusal::NotPermitted => Some(Refusal::RuleBroken),
            Refusal::RuleBroken => Some(Refusal::IdentityMismatch),
            Refusal::IdentityMismatch => Some(Refusal::KdcNotVerified),
            Refusal::KdcNotVerified => Some(Refusal::ClockSkew(None)),
            Refusal::ClockSkew(None) => Some(Refusal::ClockSkew(Some(-3))),
            Refusal::ClockSkew(Some(_)) => Some(Refusal::NoCommonEtype),
            Refusal::NoCommonEtype => Some(Refusal::NoFast),
            Refusal::NoFast => Some(Refusal::KdcPolicy),
            Refusal::KdcPolicy => Some(Refusal::KdcFailed),
            Refusal::KdcFailed => Some(Refusal::OfflineUnknown),
            Refusal::OfflineUnknown => Some(Refusal::OfflineTooOld),
            Refusal::OfflineTooOld => Some(Refusal::OfflineDelayed(40)),
            Refusal::OfflineDelayed(_) => Some(Refusal::OfflineLocked),
            Refusal::OfflineLocked => Some(Refusal::Busy),
            Refusal::Busy => Some(Refusal::HelperEnded),
            Refusal::HelperEnded => Some(Refusal::Internal),
            Refusal::Internal => None,
        };
        std::iter::successors(Some(Refusal::WrongPassword), |refusal| next(*refusal)).collect()
    }

    #[test]
    fn every_reason_is_documented_and_every_sentence_is_one() {
        let documented = include_str!("../../../../docs/reason-codes.md");
        for refusal in all() {
            let outcome = refusal.outcome();
            assert!(documented.contains(&format!("| `{}` |", outcome.reason)), "{} is not documented", outcome.reason);
            assert!(outcome.message.ends_with('.') && outcome.message.len() < 200, "{}", outcome.message);
        }
    }

    #[test]
    fn times_are_told_as_people_tell_them() {
        assert_eq!(
            [1, 40, 99, 100, 900].map(duration),
            ["1 second", "40 seconds", "99 seconds", "2 minutes", "15 minutes"]
        );
        // No password of 90 days expires in 89 days a second after it was set, and none of 47 hours in one day.
        for (seconds, told) in [
            (1, "within the hour"),
            (3599, "within the hour"),
            (3600, "in 1 hour"),
            (2 * 3600, "in 2 hours"),
            (86_399, "in 23 hours"),
            (86_400, "in 24 hours"),
            (2 * 86_400 - 1, "in 47 hours"),
            (2 * 86_400, "in 2 days"),
            (5 * 43_200 - 1, "in 2 days"),
            (5 * 43_200, "in 3 days"),
            (14 * 86_400 - 60, "in 14 days"),
            (90 * 86_400 - 1, "in 90 days"),
        ] {
            assert_eq!(in_days(seconds), told, "{seconds}");
        }
    }
}
