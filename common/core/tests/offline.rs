//! Logins while the domain is away, against what an online login left.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use entra_core::auth::{KdcVerdict, Login};
use entra_core::lookup::Lookup;
use entra_core::store::CredentialStore;
use entra_core::types::AccountState;
use entra_wire::pam::{Code, Context, Outcome};
use support::{DOMAIN, FakeDirectory, FakeKdc, Host, pipe, sid};

const RIGHT: &str = "Right-Password-1";
const DAY: u64 = 86_400;

/// A host, its logins, and the KDC behind them.
struct Scene {
    host: Host,
    kdc: Arc<FakeKdc>,
    lookup: Arc<Lookup>,
    login: Login,
}

impl Scene {
    fn new(options: &str) -> Self {
        let host = Host::new(FakeDirectory::with_people(), options);
        let kdc = FakeKdc::saying(KdcVerdict::Success);
        let (lookup, login) = start(&host, &kdc);
        Self { host, kdc, lookup, login }
    }

    /// A new daemon over the same files.
    /// As the daemon ends: what was answered is in the store then.
    async fn restart(&mut self) {
        self.lookup.settle().await;
        (self.lookup, self.login) = start(&self.host, &self.kdc);
    }

    async fn try_password(&self, password: &str) -> Outcome {
        let context = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };
        self.login.authenticate(&context, 0, pipe(password)).await
    }

    /// An online login, until what it leaves is kept.
    async fn log_in_online(&self, password: &str) {
        let before = self.login.offline_until(&sid(1103), DOMAIN).await.unwrap();
        assert_eq!(self.try_password(password).await.code, Code::Success);
        let limit = Instant::now() + Duration::from_secs(10);
        while self.login.offline_until(&sid(1103), DOMAIN).await.unwrap() == before {
            assert!(Instant::now() < limit, "nothing was kept");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn refused(&self, password: &str, code: Code, reason: &str) {
        let outcome = self.try_password(password).await;
        assert_eq!((outcome.code, outcome.reason.as_str()), (code, reason), "{outcome:?}");
        assert!(outcome.message.ends_with('.'), "{outcome:?}");
    }
}

fn start(host: &Host, kdc: &Arc<FakeKdc>) -> (Arc<Lookup>, Login) {
    let lookup = host.start();
    let store = Arc::new(CredentialStore::open(&host.file("credentials.db")).unwrap());
    (Arc::clone(&lookup), Login::new(lookup, kdc.clone()).with_offline(store))
}

#[tokio::test]
async fn who_logged_in_before_gets_in_and_is_told_so() {
    let mut scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.pass(3600);
    scene.host.directory.cut();
    let outcome = scene.try_password(RIGHT).await;
    assert_eq!((outcome.code, outcome.reason.as_str()), (Code::Success, "offline"));
    assert!(outcome.message.contains("offline") && outcome.message.contains("2027-01-15 08:00 UTC"), "{outcome:?}");
    assert!(outcome.env.is_empty(), "no ticket was got");
    scene.restart().await;
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline", "after a restart");
    let context = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };
    assert_eq!(scene.login.account(&context, 0).await.code, Code::Success);
}

#[tokio::test]
async fn only_an_outage_leads_to_an_offline_login() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    // The KDC is there and has the last word, also where the password is the one that was right before.
    for verdict in [
        KdcVerdict::WrongPassword,
        KdcVerdict::Revoked,
        KdcVerdict::KdcNotVerified("false".into()),
        KdcVerdict::ClockSkew { why: "an hour".into(), ahead: Some(3600) },
        KdcVerdict::Failed("broken".into()),
    ] {
        scene.kdc.say(verdict.clone());
        assert_ne!(scene.try_password(RIGHT).await.code, Code::Success, "{verdict:?}");
    }
    assert_eq!(scene.kdc.compared.load(Ordering::SeqCst), 0);
    // A KDC that falls silent while it is asked is an outage.
    scene.kdc.say(KdcVerdict::Unreachable("silence".into()));
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
    *scene.kdc.answer.lock().unwrap() = Err(entra_core::Error::Offline("no answer in time".into()));
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
    *scene.kdc.answer.lock().unwrap() = Err(entra_core::Error::Busy("flooded".into()));
    assert_eq!(scene.try_password(RIGHT).await.code, Code::Unavailable, "a flood is no outage");
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_counts_by_the_last_login() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene
        .host
        .directory
        .set_state("Alice", AccountState { password_last_set: 2, control: 0x200, ..Default::default() });
    scene.host.pass(60);
    scene.log_in_online("Changed-Password-2").await;
    scene.host.directory.cut();
    scene.refused(RIGHT, Code::WrongPassword, "wrong-password").await;
    assert_eq!(scene.try_password("Changed-Password-2").await.reason, "offline");
}

#[tokio::test]
async fn without_an_online_login_before_there_is_none() {
    let scene = Scene::new("");
    let context = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };
    assert_eq!(scene.login.account(&context, 0).await.code, Code::Success);
    scene.host.directory.cut();
    scene.refused(RIGHT, Code::Unavailable, "offline-unknown").await;
}

#[tokio::test]
async fn where_it_is_switched_off_nothing_is_kept() {
    let scene = Scene::new("offline_login = false\n");
    assert_eq!(scene.try_password(RIGHT).await.code, Code::Success);
    scene.host.directory.cut();
    scene.refused(RIGHT, Code::Unavailable, "directory-unreachable").await;
    assert_eq!(scene.kdc.made.load(Ordering::SeqCst), 0);
    assert_eq!(scene.login.offline_until(&sid(1103), DOMAIN).await.unwrap(), None);
}

#[tokio::test]
async fn it_ends_with_its_last_second() {
    let scene = Scene::new("offline_max_age = \"2d\"\n");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    scene.host.pass(2 * DAY);
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline", "it renews nothing");
    scene.host.pass(1);
    scene.refused(RIGHT, Code::Unavailable, "offline-too-old").await;
    assert_eq!(scene.login.offline_until(&sid(1103), DOMAIN).await.unwrap(), None);
    assert_eq!(scene.login.purge_offline().await.unwrap(), 1);
}

#[tokio::test]
async fn wrong_passwords_cost_time_and_in_the_end_the_way_in() {
    let mut scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    for _ in 0..3 {
        scene.refused("guess", Code::WrongPassword, "wrong-password").await;
    }
    // The right one has to wait too, and trying early changes nothing.
    scene.refused(RIGHT, Code::MaxTries, "offline-delayed").await;
    scene.restart().await;
    scene.refused(RIGHT, Code::MaxTries, "offline-delayed").await;
    assert_eq!(scene.kdc.compared.load(Ordering::SeqCst), 3);
    scene.host.pass(10);
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
    for number in 0..15 {
        scene.host.pass(900);
        scene.refused("guess", Code::WrongPassword, "wrong-password").await;
        assert_eq!(scene.kdc.compared.load(Ordering::SeqCst), 5 + number);
    }
    scene.host.pass(10 * DAY);
    scene.refused(RIGHT, Code::MaxTries, "offline-locked").await;
    assert_eq!(scene.login.offline_until(&sid(1103), DOMAIN).await.unwrap(), None);
    scene.host.directory.mend();
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline", "an online login opens it again");
}

#[tokio::test]
async fn many_attempts_at_once_are_counted_one_by_one() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    let tries = (0..20).map(|_| scene.try_password("guess"));
    let mut outcomes = Vec::new();
    for outcome in join_all(tries).await {
        outcomes.push(outcome.reason);
    }
    assert_eq!(outcomes.iter().filter(|reason| *reason == "wrong-password").count(), 3, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|reason| *reason == "offline-delayed").count(), 17, "{outcomes:?}");
}

#[tokio::test]
async fn a_crowd_gets_in_one_after_the_other() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    scene.kdc.slow.store(true, Ordering::SeqCst);
    // One account, so one at a time: twenty take six seconds.
    let outcomes = join_all((0..20).map(|_| scene.try_password(RIGHT))).await;
    assert!(outcomes.iter().all(|outcome| outcome.reason == "offline"), "{outcomes:?}");
}

#[tokio::test]
async fn whose_turn_does_not_come_is_told_so_and_has_lost_no_attempt() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    scene.kdc.slow.store(true, Ordering::SeqCst);
    scene.kdc.hands.close();
    for _ in 0..20 {
        scene.refused("guess", Code::Unavailable, "busy").await;
    }
    scene.kdc.slow.store(false, Ordering::SeqCst);
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
}

#[tokio::test]
async fn a_helper_that_fails_counts_no_wrong_password() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    scene.kdc.broken.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        scene.refused(RIGHT, Code::Unavailable, "helper-ended").await;
    }
    scene.kdc.broken.store(false, Ordering::SeqCst);
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
}

#[tokio::test]
async fn what_was_shut_before_the_outage_stays_shut() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    let context = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };
    for (state, reason) in [
        (AccountState { control: 0x202, password_last_set: 1, ..AccountState::default() }, "account-disabled"),
        (AccountState { control: 0x200, account_expires: 1, ..AccountState::default() }, "account-expired"),
    ] {
        scene.host.directory.mend();
        scene.host.directory.set_state("Alice", state);
        assert_eq!(scene.login.account(&context, 0).await.reason, reason, "online");
        scene.host.directory.cut();
        scene.refused(RIGHT, Code::AccountExpired, reason).await;
        assert_eq!(scene.login.account(&context, 0).await.reason, reason);
    }
    assert_eq!(scene.kdc.compared.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_flushed_cache_forgets_no_verifier() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.lookup.flush(None).await.unwrap();
    let context = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };
    assert_eq!(scene.login.account(&context, 0).await.code, Code::Success);
    scene.host.directory.cut();
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
}

#[tokio::test]
async fn the_same_password_is_hashed_once() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    for _ in 0..5 {
        scene.host.pass(60);
        scene.log_in_online(RIGHT).await;
    }
    assert_eq!(scene.kdc.made.load(Ordering::SeqCst), 1);
    // One made at another cost is made anew.
    let store = CredentialStore::open(&scene.host.file("credentials.db")).unwrap();
    let mut old = store.get(&sid(1103)).unwrap().unwrap();
    old.verifier = old.verifier.replace("m=65536", "m=19456");
    store.put(&sid(1103), DOMAIN, &old).unwrap();
    scene.host.pass(60);
    scene.log_in_online(RIGHT).await;
    assert_eq!(scene.kdc.made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn many_logins_at_once_hash_the_password_once() {
    let scene = Scene::new("");
    let outcomes = join_all((0..50).map(|_| scene.try_password(RIGHT))).await;
    assert!(outcomes.iter().all(|outcome| outcome.code == Code::Success), "{outcomes:?}");
    scene.host.pass(60);
    scene.log_in_online(RIGHT).await;
    assert_eq!(scene.kdc.made.load(Ordering::SeqCst), 1);
}

/// Where alice's ticket of an offline login will be.
const CCACHE: &str = "KRB5CCNAME=FILE:/tmp/krb5cc_";

impl Scene {
    /// Alice, in by the password of her last online login, with it kept.
    async fn in_offline() -> Self {
        let scene = Self::new("offline_keep_password = true\n");
        scene.log_in_online(RIGHT).await;
        scene.host.directory.cut();
        let outcome = scene.try_password(RIGHT).await;
        assert_eq!(outcome.reason, "offline");
        assert!(outcome.env.iter().any(|pair| pair.starts_with(CCACHE)), "{outcome:?}");
        assert_eq!(scene.kept(), 1);
        scene
    }

    fn kept(&self) -> usize {
        self.kdc.kept.lock().unwrap().len()
    }

    fn tried(&self) -> usize {
        self.kdc.tried.lock().unwrap().len()
    }

    /// Brings the domain back, and lets the daemon see it.
    async fn back(&self) {
        self.host.directory.mend();
        self.lookup.user(entra_core::lookup::Query::name("alice"), entra_core::lookup::Freshness::Fresh).await.unwrap();
    }
}

const SESSION: Context<'_> = Context { user: "alice", service: "login", rhost: "", tty: "tty1", flags: 0 };

#[tokio::test]
async fn the_ticket_of_an_offline_login_comes_with_the_domain() {
    let scene = Scene::in_offline().await;
    let opened = scene.login.open_session(&SESSION).await;
    assert!(opened.env.iter().any(|pair| pair.starts_with(CCACHE)), "{opened:?}");
    for _ in 0..3 {
        scene.login.get_missing_tickets().await;
    }
    assert_eq!((scene.tried(), scene.kept()), (0, 1), "nobody is asked while the domain is away");
    scene.back().await;
    scene.login.get_missing_tickets().await;
    assert_eq!((scene.tried(), scene.kept()), (1, 0));
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.tried(), 1);
    // It is the session's ticket from now on, and goes with it.
    scene.login.close_session(&SESSION).await;
    assert_eq!(scene.kdc.destroyed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_kept_password_is_tried_once_whatever_the_kdc_says() {
    for verdict in
        [KdcVerdict::WrongPassword, KdcVerdict::Unreachable("cut off".into()), KdcVerdict::KdcNotVerified("x".into())]
    {
        let scene = Scene::in_offline().await;
        scene.login.open_session(&SESSION).await;
        scene.kdc.say(verdict.clone());
        scene.back().await;
        for _ in 0..3 {
            scene.login.get_missing_tickets().await;
        }
        assert_eq!((scene.tried(), scene.kept()), (1, 0), "{verdict:?}");
    }
    // A KDC that was not reached has not seen it.
    let scene = Scene::in_offline().await;
    scene.login.open_session(&SESSION).await;
    *scene.kdc.answer.lock().unwrap() = Err(entra_core::Error::Offline("no route".into()));
    scene.back().await;
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.kept(), 1);
    scene.kdc.say(KdcVerdict::Success);
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.kept(), 0);
}

#[tokio::test]
async fn a_kept_password_goes_with_the_session_the_day_and_the_next_login() {
    let scene = Scene::in_offline().await;
    scene.login.open_session(&SESSION).await;
    scene.login.open_session(&SESSION).await;
    scene.login.close_session(&SESSION).await;
    assert_eq!(scene.kept(), 1, "another session waits for it");
    scene.login.close_session(&SESSION).await;
    assert_eq!(scene.kept(), 0);

    let scene = Scene::in_offline().await;
    scene.host.pass(60);
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.kept(), 1, "its session may still open");
    scene.host.pass(60);
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.kept(), 0, "nobody came");

    let scene = Scene::in_offline().await;
    assert_eq!(scene.kdc.kept.lock().unwrap().values().next(), Some(&Duration::from_secs(DAY)));
    scene.login.open_session(&SESSION).await;
    scene.host.pass(DAY);
    scene.login.get_missing_tickets().await;
    assert_eq!(scene.kept(), 0, "it is a day old");

    let scene = Scene::in_offline().await;
    scene.login.open_session(&SESSION).await;
    scene.host.directory.mend();
    assert_eq!(scene.try_password(RIGHT).await.reason, "");
    assert_eq!((scene.kept(), scene.tried()), (0, 0), "the login has brought a ticket");
}

#[tokio::test]
async fn no_password_is_kept_where_nobody_said_so() {
    let scene = Scene::new("");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    assert_eq!(scene.try_password(RIGHT).await.reason, "offline");
    scene.refused("wrong", Code::WrongPassword, "wrong-password").await;
    assert_eq!(scene.kept(), 0);
    assert!(!scene.login.may_keep_passwords());
    // Nor a wrong one where somebody did.
    let scene = Scene::new("offline_keep_password = true\n");
    scene.log_in_online(RIGHT).await;
    scene.host.directory.cut();
    scene.refused("wrong", Code::WrongPassword, "wrong-password").await;
    assert_eq!(scene.kept(), 0);
}

/// Polls all of them to their end, together.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(std::mem::take(&mut done)) } else { std::task::Poll::Pending }
    })
    .await
}
