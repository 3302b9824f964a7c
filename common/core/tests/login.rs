//! Logins against a directory and a KDC in memory: every verdict, as PAM and the person see it.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;

use entra_core::auth::{AuthAnswer, KdcVerdict, Login, PasswordPipe, TicketTimes};
use entra_core::types::AccountState;
use entra_wire::pam::{Code, Context, Outcome, flags};
use support::{ALICE_UID, FakeDirectory, FakeKdc, Host};

fn context(user: &str) -> Context<'_> {
    Context { user, service: "sshd", rhost: "192.0.2.1", tty: "ssh", flags: 0 }
}

fn pipe() -> PasswordPipe {
    support::pipe("a password")
}

async fn authenticate(host: &Host, kdc: &Arc<FakeKdc>, user: &str) -> Outcome {
    Login::new(host.start(), kdc.clone()).authenticate(&context(user), 0, pipe()).await
}

async fn account(host: &Host, user: &str) -> Outcome {
    Login::new(host.start(), FakeKdc::saying(KdcVerdict::Success)).account(&context(user), 0).await
}

fn normal() -> AccountState {
    AccountState { control: 0x200, password_last_set: 1, ..AccountState::default() }
}

#[tokio::test]
async fn a_right_password_leaves_a_ticket_that_the_session_finds() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    let login = Login::new(host.start(), kdc.clone());
    let outcome = login.authenticate(&context("alice@contoso.com"), 0, pipe()).await;
    assert_eq!(outcome.code, Code::Success);
    assert_eq!(outcome.env, ["KRB5CCNAME=FILE:/tmp/krb5cc_other"]);
    assert_eq!(login.open_session(&context("alice")).await.env, outcome.env);

    let asked = kdc.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].realm.as_str(), asked[0].principal.as_str()), ("AADDS.CONTOSO.COM", "Alice@contoso.com"));
    assert_eq!(asked[0].expected_sid, support::sid(1103));
    let target = asked[0].ccache.as_ref().unwrap();
    assert_eq!((target.uid, target.name.as_str()), (ALICE_UID, "FILE:/tmp/krb5cc_674001103"));
}

#[tokio::test]
async fn a_user_without_upn_is_asked_for_by_name_and_realm() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    assert_eq!(authenticate(&host, &kdc, "bob").await.code, Code::Success);
    assert_eq!(kdc.asked.lock().unwrap()[0].principal, "bob@AADDS.CONTOSO.COM");
}

#[tokio::test]
async fn every_verdict_has_its_code_and_reason() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let why = || "because".to_owned();
    let cases = [
        (KdcVerdict::WrongPassword, Code::WrongPassword, "wrong-password"),
        (KdcVerdict::PasswordExpired { proven: false }, Code::WrongPassword, "wrong-password"),
        // The directory knows of no expiry: whoever says so is not the domain's KDC.
        (KdcVerdict::PasswordExpired { proven: true }, Code::Unavailable, "kdc-not-verified"),
        (KdcVerdict::IdentityMismatch, Code::Denied, "identity-mismatch"),
        (KdcVerdict::UnknownPrincipal, Code::Denied, "identity-mismatch"),
        (KdcVerdict::KdcNotVerified(why()), Code::Unavailable, "kdc-not-verified"),
        (KdcVerdict::ClockSkew { why: why(), ahead: None }, Code::Unavailable, "clock-skew"),
        (KdcVerdict::NoCommonEtype(why()), Code::Denied, "no-common-etype"),
        (KdcVerdict::NoFast(why()), Code::Unavailable, "fast-unavailable"),
        (KdcVerdict::Unreachable(why()), Code::Unavailable, "kdc-unreachable"),
        (KdcVerdict::Policy, Code::Denied, "kdc-policy"),
        (KdcVerdict::Failed(why()), Code::Failed, "kdc-failed"),
    ];
    for (verdict, code, reason) in cases {
        let outcome = authenticate(&host, &FakeKdc::saying(verdict.clone()), "alice").await;
        assert_eq!((outcome.code, outcome.reason.as_str()), (code, reason), "{verdict:?}");
        assert!(outcome.message.ends_with('.') && outcome.env.is_empty(), "{verdict:?}");
    }
}

#[tokio::test]
async fn an_expired_password_counts_when_the_directory_says_so_too() {
    let host = Host::new(FakeDirectory::with_people(), "");
    for state in [
        AccountState { computed: AccountState::PASSWORD_EXPIRED, ..normal() },
        AccountState { password_last_set: 0, ..normal() },
    ] {
        host.directory.set_state("Alice", state.clone());
        let kdc = FakeKdc::saying(KdcVerdict::PasswordExpired { proven: true });
        let outcome = authenticate(&host, &kdc, "alice").await;
        assert_eq!((outcome.code, outcome.reason.as_str()), (Code::MustChange, "password-expired"));
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named_with_its_seconds() {
    let host = Host::new(FakeDirectory::with_people(), "");
    for (ahead, part) in [(412, "412 seconds ahead of"), (-7200, "7200 seconds behind")] {
        let verdict = KdcVerdict::ClockSkew { why: "skew".into(), ahead: Some(ahead) };
        let outcome = authenticate(&host, &FakeKdc::saying(verdict), "alice").await;
        assert!(outcome.message.contains(part), "{outcome:?}");
    }
}

#[tokio::test]
async fn fast_is_required_where_the_configuration_says_so() {
    for (options, required) in [("", false), ("fast = \"try\"\n", false), ("fast = \"require\"\n", true)] {
        let host = Host::new(FakeDirectory::with_people(), options);
        let kdc = FakeKdc::saying(KdcVerdict::Success);
        authenticate(&host, &kdc, "alice").await;
        assert_eq!(kdc.asked.lock().unwrap()[0].require_fast, required, "{options}");
    }
}

#[tokio::test]
async fn revoked_is_explained_by_the_account() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let cases = [
        (AccountState { control: 0x202, ..normal() }, Code::AccountExpired, "account-disabled"),
        (AccountState { account_expires: 1, ..normal() }, Code::AccountExpired, "account-expired"),
        (AccountState { computed: 0x10, ..normal() }, Code::MaxTries, "account-locked"),
        (normal(), Code::MaxTries, "account-locked"),
    ];
    for (state, code, reason) in cases {
        host.directory.set_state("Alice", state.clone());
        let outcome = authenticate(&host, &FakeKdc::saying(KdcVerdict::Revoked), "alice").await;
        assert_eq!((outcome.code, outcome.reason.as_str()), (code, reason));
    }
}

#[tokio::test]
async fn without_the_directory_nobody_is_let_in_and_nobody_is_called_unknown() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    let login = Login::new(lookup, kdc.clone());
    assert_eq!(login.account(&context("alice"), 0).await.code, Code::Success);
    host.directory.cut();
    for user in ["alice", "bob"] {
        assert_eq!(login.authenticate(&context(user), 0, pipe()).await.code, Code::Unavailable, "{user}");
    }
    assert!(kdc.asked.lock().unwrap().is_empty(), "a password was sent although the directory is away");
}

#[tokio::test]
async fn unknown_users_are_no_business_of_ours() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    for user in ["nobody", "root", "local", ""] {
        assert_eq!(authenticate(&host, &kdc, user).await.code, Code::UnknownUser, "{user}");
        assert_eq!(account(&host, user).await.code, Code::UnknownUser, "{user}");
    }
    assert!(kdc.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_account_phase_judges_the_state() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let cases = [
        (normal(), Code::Success),
        (AccountState { control: 0x202, ..normal() }, Code::AccountExpired),
        (AccountState { account_expires: 1, ..normal() }, Code::AccountExpired),
        (AccountState { computed: 0x10, ..normal() }, Code::MaxTries),
        (AccountState { password_last_set: 0, ..normal() }, Code::MustChange),
        (AccountState { computed: 0x80_0000, ..normal() }, Code::MustChange),
    ];
    for (state, code) in cases {
        host.directory.set_state("Alice", state.clone());
        assert_eq!(account(&host, "alice").await.code, code, "{state:?}");
    }
}

#[tokio::test]
async fn permit_lets_in_members_only_and_at_once_when_they_leave() {
    let options =
        format!("[domains.\"{}\".access]\ndefault = \"deny\"\npermit = [\"Linux Admins\"]\n", support::DOMAIN);
    let host = Host::new(FakeDirectory::with_people(), &options);
    let login = Login::new(host.start(), FakeKdc::saying(KdcVerdict::Success));
    assert_eq!(login.account(&context("alice"), 0).await.code, Code::Success);
    assert_eq!(login.account(&context("bob"), 0).await.code, Code::Denied);
    host.directory.leave("Alice", 1200);
    assert_eq!(login.account(&context("alice"), 0).await.code, Code::Denied);
}

#[tokio::test]
async fn a_broker_that_fails_is_no_wrong_password() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    for (error, code) in [
        (entra_core::Error::Offline("deadline".into()), Code::Unavailable),
        (entra_core::Error::Busy("full".into()), Code::Unavailable),
        (entra_core::Error::Io("gone".into()), Code::Failed),
    ] {
        *kdc.answer.lock().unwrap() = Err(error);
        assert_eq!(authenticate(&host, &kdc, "alice").await.code, code);
    }
    *kdc.answer.lock().unwrap() = Ok(AuthAnswer { verdict: KdcVerdict::Success, ccache: None, times: None });
    assert_eq!(authenticate(&host, &kdc, "alice").await.env, Vec::<String>::new());
}

#[tokio::test]
async fn the_ticket_is_renewed_for_a_session_and_goes_with_the_last_one() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    let now = 1_800_000_000;
    kdc.answer.lock().unwrap().as_mut().unwrap().times = Some(TicketTimes { ends: now + 600, renew_till: now + 6000 });
    *kdc.renewal.lock().unwrap() = Ok(TicketTimes { ends: now + 900, renew_till: now + 6000 });
    let login = Login::new(host.start(), kdc.clone());
    let context = |flags| Context { flags, ..context("alice") };
    assert_eq!(login.authenticate(&context(0), 0, pipe()).await.code, Code::Success);
    assert!(login.set_credentials(&context(flags::CRED_ESTABLISH)).await.env[0].starts_with("KRB5CCNAME=FILE:"));
    login.open_session(&context(0)).await;
    login.open_session(&context(0)).await;

    host.pass(299);
    login.keep_tickets().await;
    assert_eq!(kdc.renewed.lock().unwrap().len(), 0, "half of its life is not over");
    host.pass(1);
    login.keep_tickets().await;
    login.keep_tickets().await;
    assert_eq!(kdc.renewed.lock().unwrap().len(), 1, "once, and then it is fresh");
    host.directory.cut();
    host.pass(400);
    login.keep_tickets().await;
    host.directory.mend();
    login.keep_tickets().await;
    assert_eq!(kdc.renewed.lock().unwrap().len(), 2, "an outage is waited out");

    // login(1) deletes the credentials before it closes the session; the other one keeps them.
    login.set_credentials(&context(flags::CRED_DELETE)).await;
    login.close_session(&context(0)).await;
    assert!(kdc.destroyed.lock().unwrap().is_empty());
    login.close_session(&context(0)).await;
    assert_eq!(kdc.destroyed.lock().unwrap()[0].name, "FILE:/tmp/krb5cc_other");
    assert!(login.open_session(&context(0)).await.env.is_empty());
}

#[tokio::test]
async fn logins_share_one_ccache_also_beside_a_name_that_is_taken() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let kdc = FakeKdc::saying(KdcVerdict::Success);
    let login = Login::new(host.start(), kdc.clone());
    let beside = format!("FILE:/tmp/krb5cc_{ALICE_UID}_abcdefghij");
    kdc.answer.lock().unwrap().as_mut().unwrap().ccache = Some(beside.clone());
    for _ in 0..2 {
        login.authenticate(&context("alice"), 0, pipe()).await;
        login.open_session(&context("alice")).await;
    }
    let asked = kdc.asked.lock().unwrap().iter().map(|one| one.ccache.clone().unwrap().name).collect::<Vec<_>>();
    assert_eq!(asked, [format!("FILE:/tmp/krb5cc_{ALICE_UID}"), beside]);
}
