//! One row for every account state × {authentication, account, change of the password} × {right, wrong password} ×
//! {online, offline}: PAM code, reason and the person's sentence.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::{ChangeVerdict, KdcVerdict, Login};
use entra_core::lookup::{Freshness, Query};
use entra_core::store::CredentialStore;
use entra_core::types::{AccountState, LogonHours};
use entra_wire::pam::{Code, Context, Outcome};
use support::{DOMAIN, FakeDirectory, FakeKdc, Host, pipe, sid};

const RIGHT: &str = "Right-Password-1";

/// An account, what an Active Directory KDC says of it with the right password, and to a request for a change.
struct State {
    name: &'static str,
    account: AccountState,
    kdc: KdcVerdict,
    change: ChangeVerdict,
    /// Whether the KDC says so without a look at the password.
    whatever: bool,
}

/// What comes of it: authentication with the right and the wrong password, the account phase, the check of the old
/// password before a change with the right and the wrong one. `-` is plain success.
struct Row(&'static str, [&'static str; 2], &'static str, [&'static str; 2]);

const AWAY: &str = "directory-unreachable";
const WRONG: &str = "wrong-password";

#[rustfmt::skip]
const ONLINE: [Row; 10] = [
    Row("fit",              ["-", WRONG],                      "-",                     ["-", WRONG]),
    Row("disabled",         ["account-disabled", WRONG],       "account-disabled",      ["account-disabled", WRONG]),
    Row("expired",          ["account-expired", WRONG],        "account-expired",       ["account-expired", WRONG]),
    Row("locked",           ["account-locked"; 2],             "account-locked",        ["account-locked"; 2]),
    Row("must-change",      ["password-expired", WRONG],       "must-change-password",  ["-", WRONG]),
    Row("password-expired", ["password-expired", WRONG],       "password-expired",      ["-", WRONG]),
    Row("hours",            ["outside-logon-hours", WRONG],    "outside-logon-hours",   ["outside-logon-hours", WRONG]),
    Row("workstation",      ["workstation-not-permitted", WRONG], "workstation-not-permitted", ["workstation-not-permitted", WRONG]),
    Row("smartcard",        ["smartcard-required", WRONG],     "-",                     ["smartcard-required", WRONG]),
    Row("no-password",      ["-", WRONG],                      "-",                     ["-", WRONG]),
];

// What was shut stays shut; a password that must change cannot be changed now.
#[rustfmt::skip]
const OFFLINE: [Row; 10] = [
    Row("fit",              ["offline", WRONG],                "-",                     [AWAY; 2]),
    Row("disabled",         ["account-disabled"; 2],           "account-disabled",      [AWAY; 2]),
    Row("expired",          ["account-expired"; 2],            "account-expired",       [AWAY; 2]),
    Row("locked",           ["account-locked"; 2],             "account-locked",        [AWAY; 2]),
    Row("must-change",      ["offline", WRONG],                "-",                     [AWAY; 2]),
    Row("password-expired", ["offline", WRONG],                "-",                     [AWAY; 2]),
    Row("hours",            ["outside-logon-hours"; 2],        "outside-logon-hours",   [AWAY; 2]),
    Row("workstation",      ["workstation-not-permitted"; 2],  "workstation-not-permitted", [AWAY; 2]),
    Row("smartcard",        ["smartcard-required"; 2],         "-",                     [AWAY; 2]),
    Row("no-password",      ["offline", WRONG],                "-",                     [AWAY; 2]),
];

/// The sentence of each reason, as far as it does not hold a date.
fn sentence(reason: &str) -> &'static str {
    match reason {
        "-" => "",
        "offline" => "The domain cannot be reached: you are logged in offline, with what was known on ",
        WRONG => "The password is wrong.",
        AWAY => "The domain cannot be reached, so your account could not be checked. Try again later.",
        "account-disabled" => "Your account is disabled. Ask your administrator.",
        "account-expired" => "Your account has expired. Ask your administrator.",
        "account-locked" => "Your account is locked after too many wrong passwords. Try again later.",
        "must-change-password" => "You must change your password before you can log in.",
        "password-expired" => "Your password has expired and must be changed.",
        "outside-logon-hours" => "Your account may not log in at this hour.",
        "workstation-not-permitted" => "Your account may not log in at this computer. Ask your administrator.",
        "smartcard-required" => "Your account logs in with a smart card, not with a password.",
        other => panic!("{other} has no sentence here"),
    }
}

/// The PAM code of each reason, as docs/reason-codes.md promises it.
fn documented(reason: &str) -> &'static str {
    let text = include_str!("../../../docs/reason-codes.md");
    let name = if reason == "-" { "| (none) |".to_owned() } else { format!("| `{reason}` |") };
    let row = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{reason}"));
    row.split('|').next().unwrap().trim()
}

/// The same code as the module gives it (`pam_entra/src/status.rs`).
fn pam(code: Code) -> &'static str {
    match code {
        Code::Success => "success",
        Code::UnknownUser => "PAM_USER_UNKNOWN",
        Code::WrongPassword => "PAM_AUTH_ERR",
        Code::Unavailable => "PAM_AUTHINFO_UNAVAIL",
        Code::Denied => "PAM_PERM_DENIED",
        Code::AccountExpired => "PAM_ACCT_EXPIRED",
        Code::MustChange => "PAM_NEW_AUTHTOK_REQD",
        Code::MaxTries => "PAM_MAXTRIES",
        Code::PasswordRefused => "PAM_AUTHTOK_ERR",
        Code::Failed => "PAM_SYSTEM_ERR",
    }
}

fn states() -> Vec<State> {
    let fit = || AccountState { control: 0x200, password_last_set: 1, ..AccountState::default() };
    let state = |name, account, kdc, change| State { name, account, kdc, change, whatever: false };
    let never = LogonHours::from_bytes(&[0; 21]).map(Box::new);
    let expired = KdcVerdict::PasswordExpired { proven: true };
    let policy = || ChangeVerdict::Policy;
    vec![
        state("fit", fit(), KdcVerdict::Success, ChangeVerdict::Proven),
        state("disabled", AccountState { control: 0x202, ..fit() }, KdcVerdict::Revoked, ChangeVerdict::Revoked),
        state("expired", AccountState { account_expires: 1, ..fit() }, KdcVerdict::Revoked, ChangeVerdict::Revoked),
        State {
            whatever: true,
            ..state("locked", AccountState { computed: 0x10, ..fit() }, KdcVerdict::Revoked, ChangeVerdict::Revoked)
        },
        state("must-change", AccountState { password_last_set: 0, ..fit() }, expired.clone(), ChangeVerdict::Proven),
        state("password-expired", AccountState { computed: 0x80_0000, ..fit() }, expired, ChangeVerdict::Proven),
        state("hours", AccountState { logon_hours: never, ..fit() }, KdcVerdict::Revoked, ChangeVerdict::Revoked),
        state(
            "workstation",
            AccountState { workstations: Some("OTHER".into()), ..fit() },
            KdcVerdict::Policy,
            policy(),
        ),
        state("smartcard", AccountState { control: 0x4_0200, ..fit() }, KdcVerdict::Policy, policy()),
        state("no-password", AccountState { control: 0x220, ..fit() }, KdcVerdict::Success, ChangeVerdict::Proven),
    ]
}

/// A host where alice has logged in while nothing was wrong, and now is in this state.
async fn scene(state: &State) -> (Host, Arc<FakeKdc>, Login) {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    let lookup = host.start();
    let store = Arc::new(CredentialStore::open(&host.file("credentials.db")).unwrap());
    let login = Login::new(Arc::clone(&lookup), kdc.clone()).with_offline(store).on_host("client1");
    let first = login.authenticate(&context(), 0, pipe(RIGHT)).await;
    assert_eq!(first.code, Code::Success);
    while login.offline_until(&sid(1103), DOMAIN).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    host.directory.set_state("Alice", state.account.clone());
    lookup.user(Query::name("alice"), Freshness::Fresh).await.unwrap();
    // What the account phase rests on offline.
    lookup.memberships(&sid(1103), Freshness::Fresh).await.unwrap();
    (host, kdc, login)
}

fn context() -> Context<'static> {
    Context { user: "alice", service: "sshd", rhost: "192.0.2.1", tty: "ssh", flags: 0 }
}

fn judge(what: &str, outcome: &Outcome, reason: &str, wrong: &mut String) {
    let got = if outcome.reason.is_empty() { "-" } else { &outcome.reason };
    let told = sentence(reason);
    let said = if told.ends_with(' ') { outcome.message.starts_with(told) } else { outcome.message == told };
    if got != reason || pam(outcome.code) != documented(reason) || !said {
        let _ = writeln!(wrong, "{what}: wanted {reason} ({}), got {outcome:?}", documented(reason));
    }
}

#[tokio::test]
async fn every_state_in_every_phase_with_and_without_the_domain() {
    let mut wrong = String::new();
    for (situation, rows) in [("online", &ONLINE), ("offline", &OFFLINE)] {
        for (state, Row(name, auth, account, change)) in states().iter().zip(rows) {
            assert_eq!(state.name, *name, "the tables have the same order");
            let (host, kdc, login) = scene(state).await;
            if situation == "offline" {
                host.directory.cut();
            }
            for (password, right) in [(RIGHT, true), ("not-it", false)] {
                let at = usize::from(!right);
                let asked = right || state.whatever;
                kdc.say(if asked { state.kdc.clone() } else { KdcVerdict::WrongPassword });
                *kdc.proof.lock().unwrap() =
                    Ok(if asked { state.change.clone() } else { ChangeVerdict::WrongPassword });
                let outcome = login.authenticate(&context(), 0, pipe(password)).await;
                judge(&format!("{situation} {name} auth {password}"), &outcome, auth[at], &mut wrong);
                let outcome = login.change_check(&context(), 0, Some(pipe(password))).await;
                judge(&format!("{situation} {name} chauthtok {password}"), &outcome, change[at], &mut wrong);
            }
            let outcome = login.account(&context(), 0).await;
            judge(&format!("{situation} {name} account"), &outcome, account, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
