//! What the account's own attributes say, before any rule of the configuration: as a KDC judges them, so that a login by
//! SSH key or GSSAPI, which brings no password to the KDC, is held to the same.

use crate::control::Source;
use crate::lookup::Answer;
use crate::types::{AccountState, UserRecord};

use super::date;
use super::judgement::{Check, Said};
use super::sentence::Refusal;

/// How long a lockout counts while nobody can say whether it was lifted, where the domain's own duration is not known:
/// AD's default.
const LOCKOUT: u64 = 30 * 60;
/// Longest NetBIOS name (MS-NBTE 2.2.1: the sixteenth byte says what kind of name it is).
const NETBIOS_NAME: usize = 15;

/// This host, as userWorkstations may name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Workstation {
    /// First label of the host's name, at most 15 characters, in upper case.
    netbios: String,
    /// First label of the host's name.
    label: String,
}

impl Workstation {
    /// A host by its name, with or without a domain behind it.
    pub(super) fn named(host: &str) -> Self {
        let label = host.split('.').next().unwrap_or_default();
        Self { netbios: label.chars().take(NETBIOS_NAME).collect::<String>().to_uppercase(), label: label.to_owned() }
    }

    fn is_permitted(&self, state: &AccountState, domain: &str) -> bool {
        state.workstation_is_permitted(&self.netbios, &format!("{}.{domain}", self.label))
    }
}

/// What keeps an account out, in the order of weight: a disabled account stays disabled whatever else holds. While the
/// directory is away what an administrator has shut stays shut, and a lockout passes.
pub(super) fn account(user: &Answer<UserRecord>, now: u64, host: &Workstation) -> Vec<Check> {
    let (record, state) = (&user.value, &user.value.state);
    let check = |refuses: bool, rule: &str, refusal: Refusal, detail: String| {
        Check::new(rule, if refuses { Said::Refuses(refusal) } else { Said::Passes }, detail)
    };
    if state.is_unread() {
        return vec![Check::new(
            "userAccountControl",
            Said::Refuses(Refusal::AccountUnreadable),
            "userAccountControl and pwdLastSet cannot be read: let this host's computer account read the property set \
             \"Account Restrictions\" of users",
        )];
    }
    let locked = state.is_locked() && !(user.source == Source::Stale && lockout_is_over(state, user.fetched, now));
    let expires = match state.expires() {
        Some(unix) if state.is_expired(now) => format!("the account has expired, on {}", date::utc(unix)),
        Some(unix) => format!("the account expires on {}", date::utc(unix)),
        None => "the account never expires".into(),
    };
    let lockout = match (state.is_locked(), unix(state.lockout_time)) {
        (true, Some(since)) => format!("the account is locked after wrong passwords, since {}", date::utc(since)),
        (true, None) => "the account is locked after wrong passwords".into(),
        (false, _) => "the account is not locked".into(),
    };
    let hours = state.logon_hours.as_ref().map_or_else(
        || "any hour is permitted".to_owned(),
        |hours| format!("permitted hours in UTC: {hours}; it is {}", date::utc(now)),
    );
    let workstations = state.workstations.as_ref().map_or_else(
        || "any computer is permitted".to_owned(),
        |names| format!("permitted computers: {names}; this one is {}", host.netbios),
    );
    vec![
        check(
            state.is_disabled(),
            "userAccountControl",
            Refusal::AccountDisabled,
            if state.is_disabled() { "the account is disabled" } else { "the account is not disabled" }.into(),
        ),
        check(state.is_expired(now), "accountExpires", Refusal::AccountExpired, expires),
        check(locked, "lockoutTime", Refusal::AccountLocked, lockout),
        check(!state.hour_is_permitted(now), "logonHours", Refusal::OutsideLogonHours, hours),
        check(
            !host.is_permitted(state, &record.domain),
            "userWorkstations",
            Refusal::WorkstationNotPermitted,
            workstations,
        ),
    ]
}

/// Whether the password has to be changed. It is asked last: an application lets in whoever has changed it, and asks
/// no rule again. While the directory is away it cannot be changed: the first online login demands it again.
pub(super) fn password(user: &Answer<UserRecord>) -> Vec<Check> {
    let state = &user.value.state;
    let (must, expired) = (state.must_change(), state.password_expired());
    if user.source == Source::Stale && (must || expired) {
        return vec![Check::new(
            "pwdLastSet",
            Said::Passes,
            "the password must be changed once the domain is there again",
        )];
    }
    let refuses = |set: bool, refusal: Refusal| if set { Said::Refuses(refusal) } else { Said::Passes };
    vec![
        Check::new(
            "pwdLastSet",
            refuses(must, Refusal::MustChange),
            if must { "the password must be changed at the next login" } else { "the password need not be changed" },
        ),
        Check::new(
            "maxPwdAge",
            refuses(expired, Refusal::PasswordExpired),
            if expired { "the password has expired" } else { "the password has not expired" },
        ),
    ]
}

/// The first of these checks that refuses.
pub(super) fn first_refusal(checks: &[Check]) -> Result<(), Refusal> {
    let refusal = checks.iter().find_map(|check| match check.said {
        Said::Refuses(refusal) => Some(refusal),
        _ => None,
    });
    refusal.map_or(Ok(()), Err)
}

/// Whether a lockout that was seen before the outage counts no more.
fn lockout_is_over(state: &AccountState, seen: u64, now: u64) -> bool {
    // The time of a controller whose clock is ahead is no later than when it was seen.
    let since = unix(state.lockout_time).map_or(seen, |since| since.min(seen));
    now.saturating_sub(since) >= state.lockout_seconds.unwrap_or(LOCKOUT)
}

/// A FILETIME in Unix seconds; `None` where there is none.
fn unix(filetime: i64) -> Option<u64> {
    u64::try_from(filetime / 10_000_000 - 11_644_473_600).ok().filter(|_| filetime != 0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::LogonHours;

    const NOW: u64 = 1_800_000_000;

    pub(in crate::auth) fn fit() -> AccountState {
        AccountState { control: 0x200, password_last_set: 1, account_expires: i64::MAX, ..AccountState::default() }
    }

    /// An account in this state, as the directory says now.
    pub(in crate::auth) fn answer(state: AccountState) -> Answer<UserRecord> {
        let record = UserRecord {
            domain: "d.example".into(),
            sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
            former_sids: Vec::new(),
            guid: Vec::new(),
            dn: String::new(),
            sam: "Alice".into(),
            upn: Some("Alice.A@contoso.com".into()),
            name: "alice".into(),
            uid: 1103,
            gid: 513,
            primary_group: "S-1-5-21-1-2-3-513".parse().unwrap(),
            gecos: String::new(),
            home: String::new(),
            shell: String::new(),
            ssh_keys: Vec::new(),
            state,
        };
        Answer { value: Arc::new(record), source: Source::Directory, fetched: NOW }
    }

    fn online(state: AccountState) -> Result<(), Refusal> {
        first_refusal(&account(&answer(state), NOW, &Workstation::named("client1.d.example")))
    }

    /// As seen so long before the directory went away.
    fn offline(state: AccountState, ago: u64) -> Result<(), Refusal> {
        let seen = Answer { source: Source::Stale, fetched: NOW - ago, ..answer(state) };
        first_refusal(&account(&seen, NOW, &Workstation::named("client1")))?;
        first_refusal(&password(&seen))
    }

    fn filetime(unix: u64) -> i64 {
        (i64::try_from(unix).unwrap() + 11_644_473_600) * 10_000_000
    }

    /// Every hour of the week but the one in which NOW lies.
    fn not_now() -> Option<Box<LogonHours>> {
        let mut week = [0xff; 21];
        let hour = usize::try_from((NOW / 3600 + 96) % 168).unwrap();
        week[hour / 8] &= !(1 << (hour % 8));
        LogonHours::from_bytes(&week).map(Box::new)
    }

    #[test]
    fn every_state_has_its_refusal() {
        assert_eq!(online(fit()), Ok(()));
        let cases = [
            (AccountState { control: 0, ..fit() }, Refusal::AccountUnreadable),
            (AccountState { password_last_set: AccountState::UNREAD, ..fit() }, Refusal::AccountUnreadable),
            (AccountState { control: 0x202, ..fit() }, Refusal::AccountDisabled),
            (AccountState { account_expires: 1, ..fit() }, Refusal::AccountExpired),
            (AccountState { computed: 0x10, ..fit() }, Refusal::AccountLocked),
            (AccountState { logon_hours: not_now(), ..fit() }, Refusal::OutsideLogonHours),
            (AccountState { workstations: Some("OTHER".into()), ..fit() }, Refusal::WorkstationNotPermitted),
        ];
        for (state, refusal) in cases {
            assert_eq!(online(state.clone()), Err(refusal));
            assert_eq!(offline(state, 60), Err(refusal), "what was shut stays shut");
        }
        let passwords = [
            (AccountState { password_last_set: 0, ..fit() }, Refusal::MustChange),
            (AccountState { computed: 0x80_0000, ..fit() }, Refusal::PasswordExpired),
        ];
        for (state, refusal) in passwords {
            assert_eq!(online(state.clone()), Ok(()));
            assert_eq!(first_refusal(&password(&answer(state.clone()))), Err(refusal));
            assert_eq!(offline(state, 60), Ok(()), "it cannot be changed now");
        }
    }

    #[test]
    fn an_expiry_counts_from_its_second_on_and_never_is_written_in_two_ways() {
        let at = |account_expires| online(AccountState { account_expires, ..fit() });
        assert_eq!(at(filetime(NOW + 1)), Ok(()));
        assert_eq!(at(filetime(NOW)), Err(Refusal::AccountExpired));
        assert_eq!((at(0), at(i64::MAX)), (Ok(()), Ok(())));
    }

    #[test]
    fn an_hour_that_is_not_permitted_ends_with_the_hour() {
        let state = AccountState { logon_hours: not_now(), ..fit() };
        let at = |now| first_refusal(&account(&answer(state.clone()), now, &Workstation::named("client1")));
        let begins = NOW - NOW % 3600;
        assert_eq!(at(begins - 1), Ok(()));
        assert_eq!(at(begins), Err(Refusal::OutsideLogonHours));
        assert_eq!(at(begins + 3599), Err(Refusal::OutsideLogonHours));
        assert_eq!(at(begins + 3600), Ok(()));
    }

    #[test]
    fn a_workstation_is_this_host_by_its_netbios_name_or_dns_name() {
        let at = |host: &str, names: &str| {
            let state = AccountState { workstations: Some(names.into()), ..fit() };
            first_refusal(&account(&answer(state), NOW, &Workstation::named(host))).is_ok()
        };
        for names in ["CLIENT1", "client1", "other, Client1", "x,client1.D.example", "", ","] {
            assert!(at("client1", names) && at("client1.elsewhere.example", names), "{names}");
        }
        for names in ["CLIENT", "CLIENT11", "CLIENT1.other.example", "*", "other"] {
            assert!(!at("client1", names), "{names}");
        }
        // A NetBIOS name ends after 15 characters.
        assert!(at("a-very-long-host-name", "A-VERY-LONG-HOS"));
        assert!(!at("a-very-long-host-name", "A-VERY-LONG-HOST"));
        assert!(!at("", "client1"), "a host without a name is none of a list");
    }

    #[test]
    fn offline_a_lockout_passes() {
        let since = |ago: u64| AccountState { computed: 0x10, lockout_time: filetime(NOW - ago), ..fit() };
        assert_eq!(offline(since(LOCKOUT - 1), 60), Err(Refusal::AccountLocked));
        assert_eq!(offline(since(LOCKOUT), 60), Ok(()));
        assert_eq!(online(since(LOCKOUT)), Err(Refusal::AccountLocked), "the directory knows better");
        for (seconds, over) in [(60, true), (86_400, false), (u64::MAX, false)] {
            let state = AccountState { lockout_seconds: Some(seconds), ..since(LOCKOUT) };
            assert_eq!(offline(state, 60).is_ok(), over, "the domain's own duration: {seconds}");
        }
        // Without a time, or with one ahead of the clock, it counts from when it was seen.
        let unknown = AccountState { computed: 0x10, ..fit() };
        assert_eq!(offline(unknown.clone(), LOCKOUT - 1), Err(Refusal::AccountLocked));
        assert_eq!(offline(unknown, LOCKOUT), Ok(()));
        let ahead = AccountState { computed: 0x10, lockout_time: filetime(NOW + 1_000_000), ..fit() };
        assert_eq!(offline(ahead, LOCKOUT), Ok(()));
    }

    #[test]
    fn a_password_that_never_expires_or_that_a_smart_card_replaces_need_not_be_changed() {
        for flag in [AccountState::PASSWORD_NEVER_EXPIRES, AccountState::SMARTCARD_REQUIRED] {
            let state = AccountState { control: 0x200 | flag, password_last_set: 0, ..fit() };
            assert_eq!(first_refusal(&password(&answer(state))), Ok(()));
        }
    }
}
