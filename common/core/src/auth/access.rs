//! Whether an account may log in: the directory's own state first, then the rules of the configuration.

use std::sync::Arc;

use crate::Error;
use crate::config::Access;
use crate::lookup::{Answer, Freshness, Lookup, Query};
use crate::types::{AccountState, Sid, UserRecord};

use super::sentence::Refusal;

/// What the account's own attributes say, at this Unix time. A disabled account stays disabled whatever else holds.
pub(super) fn state(state: &AccountState, now: u64) -> Result<(), Refusal> {
    if state.is_disabled() {
        Err(Refusal::AccountDisabled)
    } else if state.is_expired(now) {
        Err(Refusal::AccountExpired)
    } else if state.is_locked() {
        Err(Refusal::AccountLocked)
    } else if state.must_change() {
        Err(Refusal::MustChange)
    } else if state.password_expired() {
        Err(Refusal::PasswordExpired)
    } else {
        Ok(())
    }
}

/// How long a lockout counts that was seen before the directory went away: AD's default duration. Nobody can say offline
/// when it was lifted.
const LOCKOUT: u64 = 30 * 60;

/// What is known of the account while the directory is away. What an administrator has shut stays shut. A password that
/// has to be changed cannot be changed now: that is demanded again by the first online login.
pub(super) fn offline_state(user: &Answer<UserRecord>, now: u64) -> Result<(), Refusal> {
    match state(&user.value.state, now) {
        Err(Refusal::MustChange | Refusal::PasswordExpired) => Ok(()),
        Err(Refusal::AccountLocked) if now.saturating_sub(user.fetched) >= LOCKOUT => Ok(()),
        other => other,
    }
}

/// The rule that lets a user in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// No rule names the user, and everybody else may log in.
    Default,
    /// A member of this permitted group.
    Group(String),
}

/// What the domain's rules say. Groups are read anew, so that a revoked membership counts at this login.
pub(super) async fn rules(lookup: &Arc<Lookup>, user: &UserRecord, access: &Access) -> Result<Rule, Refusal> {
    let memberships = lookup.memberships(&user.sid, Freshness::Fresh).await;
    if access.default_allow {
        // The groups were read for their own sake: the session's initgroups finds them fresh.
        return Ok(Rule::Default);
    }
    let groups = match memberships {
        Ok(Some(memberships)) => memberships.value,
        Ok(None) => return Err(Refusal::NotPermitted),
        Err(error) => return Err(unreachable(&error)),
    };
    for name in &access.permit {
        let sid = match permitted_sid(lookup, name).await {
            Ok(Some(sid)) => sid,
            Ok(None) => {
                log::warn!("access: the permitted group {name:?} does not exist in the directory");
                continue;
            }
            Err(error) => return Err(unreachable(&error)),
        };
        if groups.groups.contains(&sid) || user.primary_group == sid {
            return Ok(Rule::Group(name.clone()));
        }
    }
    Err(Refusal::NotPermitted)
}

async fn permitted_sid(lookup: &Arc<Lookup>, name: &str) -> Result<Option<Sid>, Error> {
    if let Ok(sid) = name.parse() {
        return Ok(Some(sid));
    }
    Ok(lookup.group(Query::name(name), Freshness::Cached).await?.map(|group| group.value.sid.clone()))
}

/// An error of the core as a refusal.
pub(super) fn unreachable(error: &Error) -> Refusal {
    match error {
        Error::Offline(_) | Error::MachineUnauthorized(_) | Error::Protocol(_) => Refusal::DirectoryUnreachable,
        Error::Busy(_) => Refusal::Busy,
        _ => Refusal::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn good() -> AccountState {
        AccountState { control: 0x200, password_last_set: 1, account_expires: i64::MAX, ..AccountState::default() }
    }

    #[test]
    fn every_state_has_its_refusal() {
        assert_eq!(state(&good(), NOW), Ok(()));
        let cases = [
            (AccountState { control: 0x202, ..good() }, Refusal::AccountDisabled),
            (AccountState { account_expires: 1, ..good() }, Refusal::AccountExpired),
            (AccountState { computed: 0x10, ..good() }, Refusal::AccountLocked),
            (AccountState { password_last_set: 0, ..good() }, Refusal::MustChange),
            (AccountState { computed: 0x80_0000, ..good() }, Refusal::PasswordExpired),
        ];
        for (account, refusal) in cases {
            assert_eq!(state(&account, NOW), Err(refusal));
        }
    }

    #[test]
    fn an_expiry_counts_from_its_second_on() {
        let at = |unix: i64| AccountState { account_expires: (unix + 11_644_473_600) * 10_000_000, ..good() };
        assert_eq!(state(&at(NOW.cast_signed() + 1), NOW), Ok(()));
        assert_eq!(state(&at(NOW.cast_signed()), NOW), Err(Refusal::AccountExpired));
    }

    #[test]
    fn offline_what_was_shut_stays_shut_and_a_lockout_passes() {
        let seen = |state: AccountState, ago: u64| {
            let record = UserRecord {
                domain: "a.example".into(),
                sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
                guid: Vec::new(),
                dn: String::new(),
                sam: "alice".into(),
                upn: None,
                name: "alice".into(),
                uid: 1,
                gid: 1,
                primary_group: "S-1-5-21-1-2-3-513".parse().unwrap(),
                gecos: String::new(),
                home: String::new(),
                shell: String::new(),
                ssh_keys: Vec::new(),
                state,
            };
            let answer = Answer { value: Arc::new(record), source: crate::control::Source::Stale, fetched: NOW - ago };
            offline_state(&answer, NOW)
        };
        assert_eq!(seen(AccountState { control: 0x202, ..good() }, 1_000_000), Err(Refusal::AccountDisabled));
        assert_eq!(seen(AccountState { account_expires: 1, ..good() }, 1_000_000), Err(Refusal::AccountExpired));
        assert_eq!(seen(AccountState { computed: 0x10, ..good() }, LOCKOUT - 1), Err(Refusal::AccountLocked));
        assert_eq!(seen(AccountState { computed: 0x10, ..good() }, LOCKOUT), Ok(()));
        assert_eq!(seen(AccountState { password_last_set: 0, ..good() }, 60), Ok(()));
    }

    #[test]
    fn never_is_written_in_two_ways() {
        for never in [0, i64::MAX] {
            assert_eq!(state(&AccountState { account_expires: never, ..good() }, NOW), Ok(()));
        }
    }

    #[test]
    fn a_password_that_never_expires_need_not_be_changed() {
        let account = AccountState { control: 0x200 | 0x1_0000, password_last_set: 0, ..good() };
        assert_eq!(state(&account, NOW), Ok(()));
    }
}
