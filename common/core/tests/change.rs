//! Changes of passwords, and what is said of passwords that have to be changed.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;

use entra_core::Error;
use entra_core::auth::{ChangeVerdict, KdcVerdict, Login};
use entra_core::types::AccountState;
use entra_wire::pam::{Code, Context, Outcome, flags};
use support::{FakeDirectory, FakeKdc, Host, pipe};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

struct Scene {
    host: Host,
    kdc: Arc<FakeKdc>,
    login: Login,
}

impl Scene {
    fn new(options: &str) -> Self {
        let host = Host::new(FakeDirectory::with_people(), options);
        let kdc = FakeKdc::saying(KdcVerdict::Success);
        let login = Login::new(host.start(), kdc.clone());
        Self { host, kdc, login }
    }

    async fn check(&self, flags: u32, old: Option<&str>) -> Outcome {
        self.login.change_check(&context(flags), 0, old.map(pipe)).await
    }

    async fn change(&self, flags: u32) -> Outcome {
        self.login.change(&context(flags), 0, pipe("old"), pipe("new")).await
    }

    async fn account(&self) -> Outcome {
        self.login.account(&context(0), 0).await
    }
}

fn context(flags: u32) -> Context<'static> {
    Context { user: "alice", service: "passwd", rhost: "", tty: "pts/0", flags }
}

fn expiring(at: i64) -> AccountState {
    let password_expires = (at + 11_644_473_600) * 10_000_000;
    AccountState { control: 0x200, password_last_set: 1, password_expires, ..AccountState::default() }
}

fn told(outcome: &Outcome) -> (Code, &str) {
    (outcome.code, &outcome.reason)
}

#[tokio::test]
async fn a_change_goes_to_the_kdc_in_use_and_ends_with_a_ticket() {
    let scene = Scene::new("");
    assert_eq!(told(&scene.check(0, None).await), (Code::Success, ""));
    assert_eq!(told(&scene.check(0, Some("old")).await), (Code::Success, ""));
    let outcome = scene.change(0).await;
    assert_eq!(told(&outcome), (Code::Success, "changed"));
    assert_eq!(outcome.env, ["KRB5CCNAME=FILE:/tmp/krb5cc_other"]);
    let changes = scene.kdc.changes.lock().unwrap();
    assert_eq!((changes[0].kpasswd.port(), changes[0].kpasswd.ip()), (464, changes[0].kdc.ip()));
    assert_eq!(changes[0].principal, "Alice@contoso.com");
    assert_eq!(scene.kdc.asked.lock().unwrap().len(), 1, "one exchange with the new password");
}

#[tokio::test]
async fn a_managed_domain_says_where_and_sends_no_password() {
    let own = "password_change_hint = \"Change it at https://password.contoso.com.\"";
    for (options, place) in [("", "https://myaccount.microsoft.com"), (own, "https://password.contoso.com")] {
        let scene = Scene::new(&format!("preset = \"entra-ds\"\n{options}\n"));
        for outcome in [scene.check(0, None).await, scene.check(0, Some("old")).await, scene.change(0).await] {
            assert_eq!(told(&outcome), (Code::PasswordRefused, "change-elsewhere"));
            assert!(outcome.message.contains(place), "{outcome:?}");
        }
        assert!(scene.kdc.changes.lock().unwrap().is_empty());
        let must_change = AccountState { control: 0x200, password_last_set: 0, ..AccountState::default() };
        scene.host.directory.set_state("Alice", must_change);
        let outcome = scene.account().await;
        assert_eq!(told(&outcome), (Code::MustChange, "must-change-password"));
        assert!(outcome.message.contains(place), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_an_expired_password_means_is_asked_of_the_directory() {
    let scene = Scene::new("");
    assert_eq!(told(&scene.check(flags::CHANGE_EXPIRED, None).await), (Code::Success, "not-expired"));
    for state in [
        AccountState { control: 0x200, password_last_set: 0, ..AccountState::default() },
        AccountState { control: 0x200, password_last_set: 1, computed: 0x80_0000, ..AccountState::default() },
    ] {
        scene.host.directory.set_state("Alice", state.clone());
        assert_eq!(told(&scene.check(flags::CHANGE_EXPIRED, None).await), (Code::Success, ""), "{state:?}");
    }
}

#[tokio::test]
async fn changed_is_said_when_it_was_and_never_else() {
    let scene = Scene::new("");
    let why = || "because".to_owned();
    for (verdict, code, reason) in [
        (Ok(ChangeVerdict::Refused("Too short.".into())), Code::PasswordRefused, "password-policy"),
        (Ok(ChangeVerdict::Unknown(why())), Code::Failed, "change-unknown"),
        (Ok(ChangeVerdict::WrongPassword), Code::WrongPassword, "wrong-password"),
        (Ok(ChangeVerdict::Unreachable(why())), Code::Unavailable, "kdc-unreachable"),
        (Ok(ChangeVerdict::Failed(why())), Code::Failed, "kdc-failed"),
        (Ok(ChangeVerdict::Proven), Code::Failed, "kdc-failed"),
        (Err(Error::Offline(why())), Code::Failed, "change-unknown"),
        (Err(Error::Io(why())), Code::Failed, "change-unknown"),
        (Err(Error::Busy(why())), Code::Unavailable, "busy"),
    ] {
        *scene.kdc.change.lock().unwrap() = verdict.clone();
        let outcome = scene.change(0).await;
        assert_eq!(told(&outcome), (code, reason), "{verdict:?}");
        assert!(!outcome.message.contains("has been changed"), "{outcome:?}");
    }
    assert!(scene.kdc.asked.lock().unwrap().is_empty(), "no login with a password that may not count");
    let words = scene.kdc.change.lock().unwrap().clone();
    assert!(words.is_err());
    *scene.kdc.change.lock().unwrap() = Ok(ChangeVerdict::Refused("It must have 7 characters.".into()));
    assert!(scene.change(0).await.message.ends_with("It must have 7 characters."));
}

#[tokio::test]
async fn a_login_goes_on_only_with_a_ticket_of_the_real_kdc() {
    let scene = Scene::new("");
    for verdict in [KdcVerdict::Unreachable("gone".into()), KdcVerdict::WrongPassword, KdcVerdict::IdentityMismatch] {
        scene.kdc.say(verdict.clone());
        let in_login = scene.change(flags::CHANGE_EXPIRED).await;
        assert_eq!(told(&in_login), (Code::Failed, "changed-without-login"), "{verdict:?}");
        assert!(in_login.message.contains("Log in again"), "{in_login:?}");
        assert_eq!(told(&scene.change(0).await), (Code::Success, "changed"), "passwd, {verdict:?}");
    }
    // A KDC that is not the real one may have said anything.
    scene.kdc.say(KdcVerdict::KdcNotVerified("false".into()));
    for flags in [0, flags::CHANGE_EXPIRED] {
        assert_eq!(told(&scene.change(flags).await), (Code::Failed, "change-unknown"));
    }
}

#[tokio::test]
async fn without_the_directory_nothing_is_changed() {
    let scene = Scene::new("");
    assert_eq!(scene.account().await.code, Code::Success);
    scene.host.directory.cut();
    for outcome in [scene.check(0, None).await, scene.check(0, Some("old")).await, scene.change(0).await] {
        assert_eq!(told(&outcome), (Code::Unavailable, "directory-unreachable"));
    }
    assert!(scene.kdc.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_old_password_is_told_from_a_shut_account() {
    let scene = Scene::new("");
    *scene.kdc.proof.lock().unwrap() = Ok(ChangeVerdict::WrongPassword);
    assert_eq!(told(&scene.check(0, Some("wrong")).await), (Code::WrongPassword, "wrong-password"));
    *scene.kdc.proof.lock().unwrap() = Ok(ChangeVerdict::Revoked);
    let disabled = AccountState { control: 0x202, password_last_set: 1, ..AccountState::default() };
    scene.host.directory.set_state("Alice", disabled);
    assert_eq!(told(&scene.check(0, Some("old")).await), (Code::AccountExpired, "account-disabled"));
}

#[tokio::test]
async fn a_password_is_spoken_of_before_it_expires() {
    let scene = Scene::new("password_warning = \"5d\"\n");
    for (at, message) in [
        (NOW + 6 * DAY, ""),
        (NOW + 5 * DAY, "Your password expires in 5 days (2027-01-20 08:00 UTC)."),
        (NOW + 5 * DAY - 60, "Your password expires in 5 days (2027-01-20 07:59 UTC)."),
        (NOW + DAY + 1, "Your password expires in 24 hours (2027-01-16 08:00 UTC)."),
        (NOW + 7200, "Your password expires in 2 hours (2027-01-15 10:00 UTC)."),
        (NOW + 10, "Your password expires within the hour (2027-01-15 08:00 UTC)."),
        (NOW - 1, ""),
    ] {
        scene.host.directory.set_state("Alice", expiring(at));
        let outcome = scene.account().await;
        assert_eq!((outcome.code, outcome.message.as_str()), (Code::Success, message), "{}", at - NOW);
    }
    scene.host.directory.set_state("Alice", expiring(NOW + DAY));
    let silent = Context { service: "cron", tty: "cron", ..context(0) };
    assert_eq!(scene.login.account(&silent, 0).await.message, "", "cron mails what it is told");
    let never = AccountState { password_expires: i64::MAX, ..expiring(0) };
    scene.host.directory.set_state("Alice", never);
    assert_eq!(scene.account().await.message, "");
}

#[tokio::test]
async fn the_warning_can_be_switched_off_and_a_managed_domain_adds_the_place() {
    let scene = Scene::new("password_warning = \"0s\"\n");
    scene.host.directory.set_state("Alice", expiring(NOW + 10));
    assert_eq!(scene.account().await.message, "");
    let scene = Scene::new("preset = \"entra-ds\"\n");
    scene.host.directory.set_state("Alice", expiring(NOW + DAY));
    assert!(scene.account().await.message.contains("https://myaccount.microsoft.com"));
}
