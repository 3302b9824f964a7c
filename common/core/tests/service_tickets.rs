//! Service tickets behind a login: who gets which, that no login waits for them, and what happens while a KDC is away.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;

use entra_core::Error;
use entra_core::auth::{KdcVerdict, Login, TicketTimes};
use entra_wire::pam::{Code, Context};
use support::{ALICE_UID, FakeDirectory, FakeKdc, Host};

const NOW: u64 = 1_800_000_000;
const SHARE: &str = "cifs/acct.file.core.windows.net";
const FILES: &str = "cifs/files.contoso.com";

struct Scene {
    host: Host,
    kdc: Arc<FakeKdc>,
    login: Login,
}

impl Scene {
    fn new(groups: &str) -> Self {
        let options = format!("service_tickets = [\"{SHARE}\", \"{FILES}\"]\nservice_ticket_groups = {groups}\n");
        let host = Host::new(FakeDirectory::with_people(), &options);
        let kdc = FakeKdc::saying(KdcVerdict::Success);
        kdc.answer.lock().unwrap().as_mut().unwrap().times =
            Some(TicketTimes { ends: NOW + 36_000, renew_till: NOW + 600_000 });
        *kdc.renewal.lock().unwrap() = Ok(TicketTimes { ends: NOW + 72_000, renew_till: NOW + 600_000 });
        let login = Login::new(host.start(), kdc.clone());
        Self { host, kdc, login }
    }

    /// The phases of a login by password, as sshd has them.
    async fn log_in(&self, user: &str) {
        self.prove(user).await;
        let context = Self::context(user);
        assert_eq!(self.login.account(&context, 0).await.code, Code::Success);
        self.login.open_session(&context).await;
    }

    async fn prove(&self, user: &str) {
        let outcome = self.login.authenticate(&Self::context(user), 0, support::pipe("a password")).await;
        assert_eq!(outcome.code, Code::Success);
    }

    fn context(user: &str) -> Context<'_> {
        Context { user, service: "sshd", rhost: "192.0.2.1", tty: "ssh", flags: 0 }
    }

    /// What is asked for now.
    async fn asked(&self) -> Vec<String> {
        self.login.fetch_waiting().await;
        self.kdc.fetched.lock().unwrap().drain(..).map(|request| request.service).collect()
    }

    fn say(&self, service: &'static str, error: Option<Error>) {
        self.kdc.refused_services.lock().unwrap().retain(|(known, _)| *known != service);
        self.kdc.refused_services.lock().unwrap().extend(error.map(|error| (service, error)));
    }
}

fn away() -> Error {
    Error::Offline("Cannot contact any KDC".into())
}

#[tokio::test]
async fn whoever_is_in_the_group_gets_them_behind_the_login() {
    let scene = Scene::new("[\"linux admins\"]");
    scene.log_in("bob").await;
    assert_eq!(scene.asked().await, Vec::<String>::new(), "bob is in no such group");
    scene.log_in("alice").await;
    assert!(scene.kdc.fetched.lock().unwrap().is_empty(), "the login itself asked");
    scene.login.fetch_waiting().await;
    let fetched: Vec<_> = scene.kdc.fetched.lock().unwrap().drain(..).collect();
    assert_eq!(fetched.iter().map(|one| one.service.as_str()).collect::<Vec<_>>(), [SHARE, FILES]);
    assert_eq!((fetched[0].realm.as_str(), fetched[0].ccache.uid), ("AADDS.CONTOSO.COM", ALICE_UID));
    assert_eq!(fetched[0].ccache.name, "FILE:/tmp/krb5cc_other", "the ccache that the login wrote");
    assert_eq!(scene.asked().await, Vec::<String>::new(), "once");
}

#[tokio::test]
async fn without_groups_everybody_gets_them_and_a_group_that_is_none_gives_nobody_any() {
    let everybody = Scene::new("[]");
    everybody.log_in("bob").await;
    assert_eq!(everybody.asked().await, [SHARE, FILES]);
    let nobody = Scene::new("[\"no such group\"]");
    nobody.log_in("alice").await;
    assert_eq!(nobody.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn they_come_anew_with_each_ticket_of_a_session() {
    let scene = Scene::new("[]");
    scene.prove("alice").await;
    assert_eq!(scene.asked().await, Vec::<String>::new(), "there is no session yet");
    scene.login.open_session(&Scene::context("alice")).await;
    assert_eq!(scene.asked().await, [SHARE, FILES]);
    scene.host.pass(1);
    // sudo asks for the password inside of the session: the ccache is a new one.
    scene.prove("alice").await;
    assert_eq!(scene.asked().await, [SHARE, FILES]);
    scene.host.pass(18_000);
    scene.login.keep_tickets().await;
    assert_eq!(scene.asked().await, [SHARE, FILES], "after the renewal");
    // Who has left meanwhile gets nothing.
    scene.host.pass(1);
    scene.prove("alice").await;
    scene.login.close_session(&Scene::context("alice")).await;
    assert_eq!(scene.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_kdc_that_is_away_is_left_alone_and_holds_up_no_other_service() {
    let scene = Scene::new("[]");
    scene.say(SHARE, Some(away()));
    scene.log_in("alice").await;
    assert_eq!(scene.asked().await, [SHARE, FILES]);
    scene.log_in("bob").await;
    assert_eq!(scene.asked().await, [FILES], "it is not asked for each user in turn");
    scene.host.pass(59);
    assert_eq!(scene.asked().await, Vec::<String>::new());
    scene.host.pass(1);
    assert_eq!(scene.asked().await, [SHARE], "one tries it for all");
    scene.say(SHARE, None);
    scene.host.pass(119);
    assert_eq!(scene.asked().await, Vec::<String>::new(), "a longer pause");
    scene.host.pass(1);
    assert_eq!(scene.asked().await, [SHARE, SHARE], "both get theirs, without a login");
    assert_eq!(scene.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_kdc_refuses_is_asked_for_again_with_the_next_ticket() {
    let scene = Scene::new("[]");
    scene.say(SHARE, Some(Error::Io("Server not found in Kerberos database".into())));
    scene.log_in("alice").await;
    assert_eq!(scene.asked().await, [SHARE, FILES]);
    scene.host.pass(10_000);
    assert_eq!(scene.asked().await, Vec::<String>::new());
    scene.host.pass(8_000);
    scene.login.keep_tickets().await;
    assert_eq!(scene.asked().await, [SHARE, FILES]);
}

#[tokio::test]
async fn the_domain_away_puts_it_off() {
    let scene = Scene::new("[]");
    scene.log_in("alice").await;
    scene.host.directory.cut();
    assert_eq!(scene.asked().await, Vec::<String>::new());
    scene.host.directory.mend();
    scene.host.pass(60);
    assert_eq!(scene.asked().await, [SHARE, FILES]);
}
