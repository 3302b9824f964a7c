//! Who may log in: the rules of the configuration against a directory in memory, for every service, and what explains
//! them.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;
use std::time::Duration;

use entra_core::auth::{KdcVerdict, Login};
use entra_core::control::{Explanation, Reply, RuleOutcome};
use entra_core::store::IdentityStore;
use entra_core::types::AccountState;
use entra_wire::pam::{Code, Context};
use support::{DOMAIN, FakeDirectory, FakeKdc, Host};

/// A host whose domain has these rules: `[access]`, and `[sshd]` for the table of that service.
struct Scene {
    host: Host,
    login: Login,
}

fn scene(rules: &str) -> Scene {
    let table = |name: &str| format!("[domains.\"{DOMAIN}\".access{name}]");
    let rules = rules.replace("[access]", &table("")).replace("[sshd]", &table(".services.sshd"));
    let host = Host::new(FakeDirectory::with_people(), &rules);
    let login = Login::new(host.start(), FakeKdc::saying(KdcVerdict::Success)).on_host("client1");
    Scene { host, login }
}

impl Scene {
    async fn told(&self, user: &str, service: &str) -> (Code, String) {
        let context = Context { user, service, rhost: "192.0.2.1", tty: "ssh", flags: 0 };
        let outcome = self.login.account(&context, 0).await;
        (outcome.code, outcome.reason)
    }

    async fn lets_in(&self, user: &str, service: &str) -> bool {
        match self.told(user, service).await {
            (Code::Success, _) => true,
            (Code::Denied, reason) if reason == "not-permitted" => false,
            other => panic!("{user} {service}: {other:?}"),
        }
    }

    async fn explain(&self, user: &str, service: Option<&str>) -> Explanation {
        match self.login.explain(user, service.map(str::to_owned)).await.unwrap() {
            Reply::Explanation(explanation) => *explanation,
            other => panic!("{other:?}"),
        }
    }
}

/// Rules, and whether alice (a member of `Linux Admins`, 1200) and bob are let in by sshd and by login.
#[tokio::test]
async fn rules_combine_in_their_order() {
    let deny = "[access]\ndefault = \"deny\"\n";
    let group = support::sid(1200);
    let cases: &[(String, [bool; 4])] = &[
        (String::new(), [true, true, true, true]),
        (deny.into(), [false, false, false, false]),
        // Every form of a name.
        (format!("{deny}allow_users = [\"alice\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_users = [\"Alice@Contoso.com\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_users = [\"aadds\\\\bob\"]\n"), [false, false, true, true]),
        (format!("{deny}allow_users = [\"bob@aadds.contoso.com\"]\n"), [false, false, true, true]),
        (format!("{deny}allow_users = [\"{}\"]\n", support::sid(1104)), [false, false, true, true]),
        (format!("{deny}allow_groups = [\"linux admins\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_groups = [\"AADDS\\\\Linux Admins\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_groups = [\"Linux Admins@aadds.contoso.com\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_groups = [\"{group}\"]\n"), [true, true, false, false]),
        (format!("{deny}allow_groups = [\"Domain Users\"]\n"), [true, true, true, true]),
        (format!("{deny}permit = [\"Linux Admins\"]\nallow_users = [\"bob\"]\n"), [true, true, true, true]),
        // Deny wins.
        ("[access]\ndeny_users = [\"alice\"]\n".into(), [false, false, true, true]),
        ("[access]\ndeny_groups = [\"Linux Admins\"]\n".into(), [false, false, true, true]),
        (
            format!("{deny}allow_users = [\"alice\", \"bob\"]\ndeny_groups = [\"{group}\"]\n"),
            [false, false, true, true],
        ),
        ("[access]\ndeny_users = [\"alice\"]\n[sshd]\ndefault = \"allow\"\n".into(), [false, false, true, true]),
        ("[sshd]\ndeny_users = [\"alice\"]\n".into(), [false, true, true, true]),
        // A service adds to the domain's rules, and with a default of its own stands alone.
        (format!("{deny}allow_users = [\"alice\"]\n[sshd]\nallow_users = [\"bob\"]\n"), [true, true, true, false]),
        (
            format!("{deny}allow_users = [\"alice\"]\n[sshd]\ndefault = \"deny\"\nallow_users = [\"bob\"]\n"),
            [false, true, true, false],
        ),
        (format!("{deny}[sshd]\ndefault = \"allow\"\n"), [true, false, true, false]),
        ("[sshd]\ndefault = \"deny\"\nallow_groups = [\"Linux Admins\"]\n".into(), [true, true, false, true]),
        // A filter narrows; alone beside "deny" it lets in.
        ("[access]\nfilter = \"(a=1)\"\n".into(), [true, true, false, false]),
        (format!("{deny}filter = \"(a=1)\"\n"), [true, true, false, false]),
        (format!("{deny}filter = \"(a=1)\"\nallow_users = [\"bob\"]\n"), [false, false, false, false]),
        ("[sshd]\nfilter = \"(a=1)\"\n".into(), [true, true, false, true]),
        ("[access]\nfilter = \"(a=1)\"\n[sshd]\nfilter = \"(b=1)\"\n".into(), [false, true, false, false]),
    ];
    for (rules, expected) in cases {
        let scene = scene(rules);
        scene.host.directory.matching.lock().unwrap().push(("CN=Alice".into(), "(a=1)".into()));
        let mut found = Vec::new();
        for user in ["alice", "bob"] {
            for service in ["sshd", "login"] {
                let let_in = scene.lets_in(user, service).await;
                assert_eq!(scene.explain(user, Some(service)).await.permitted, let_in, "{rules}");
                found.push(let_in);
            }
        }
        assert_eq!(found, expected, "{rules}");
    }
}

#[tokio::test]
async fn a_group_that_this_host_has_too_is_meant_in_the_domain() {
    // `sudo` is reserved: lookups answer it as sudo@aadds.contoso.com only.
    let scene = scene("[access]\ndefault = \"deny\"\nallow_groups = [\"sudo\"]\n");
    assert!(!scene.lets_in("alice", "sshd").await);
    scene.host.directory.join("Alice", 1201);
    assert!(scene.lets_in("alice", "sshd").await);
}

#[tokio::test]
async fn a_denied_group_that_does_not_exist_keeps_everybody_out() {
    let scene = scene("[access]\ndeny_groups = [\"contractors\"]\n");
    for user in ["alice", "bob"] {
        assert_eq!(scene.told(user, "sshd").await, (Code::Denied, "access-rule-broken".into()));
    }
    let found = scene.explain("bob", Some("sshd")).await;
    assert!(!found.permitted && found.decided_by.contains("\"contractors\" does not exist"), "{found:?}");
    // A user who is gone hinders nobody, and a group that is permitted lets nobody in.
    assert!(self::scene("[access]\ndeny_users = [\"nobody\"]\n").lets_in("bob", "sshd").await);
    let permitted = self::scene("[access]\ndefault = \"deny\"\nallow_groups = [\"nobody\"]\n");
    assert!(!permitted.lets_in("bob", "sshd").await);
    scene.host.directory.add_group(1300, "contractors");
    scene.host.directory.join("bob", 1300);
    scene.host.pass(60);
    assert!(scene.lets_in("alice", "sshd").await && !scene.lets_in("bob", "sshd").await);
}

#[tokio::test]
async fn rules_hold_offline_with_what_is_known() {
    let rules = "[access]\nfilter = \"(a=1)\"\ndeny_groups = [\"Linux Admins\"]\n";
    let scene = scene(rules);
    scene.host.directory.add_user(1105, "carol", None);
    for user in ["CN=Alice", "CN=carol"] {
        scene.host.directory.matching.lock().unwrap().push((user.into(), "(a=1)".into()));
    }
    assert!(!scene.lets_in("alice", "sshd").await && !scene.lets_in("bob", "sshd").await);
    assert!(scene.lets_in("carol", "sshd").await);
    scene.host.directory.cut();
    assert!(!scene.lets_in("alice", "sshd").await && !scene.lets_in("bob", "sshd").await);
    assert!(scene.lets_in("carol", "sshd").await);
    // Also after a restart; what was never asked is not guessed. The store is written behind the answers.
    settle(&scene.host).await;
    let restarted = Login::new(scene.host.start(), FakeKdc::saying(KdcVerdict::Success)).on_host("client1");
    let again = Scene { login: restarted, host: Host::new(Arc::new(FakeDirectory::default()), "") };
    assert!(again.lets_in("carol", "sshd").await && !again.lets_in("bob", "sshd").await);
    let other = scene_over(&scene.host, "[access]\nfilter = \"(never=asked)\"\n");
    assert_eq!(other.told("carol", "sshd").await, (Code::Unavailable, "directory-unreachable".into()));
}

/// Waits until carol and her groups are on disk.
async fn settle(host: &Host) {
    let store = IdentityStore::open(&host.file("identity.db")).unwrap();
    let carol = support::sid(1105);
    for _ in 0..500 {
        if store.user_by_sid(&carol).unwrap().is_some() && store.groups_of_user(&carol).unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store was not written");
}

/// Other rules over the files and the directory of a host.
fn scene_over(host: &Host, rules: &str) -> Scene {
    let mut other = Host::new(Arc::clone(&host.directory), &rules.replace("[access]", &table_access()));
    std::fs::remove_dir_all(&other.folder).unwrap();
    other.folder = host.folder.join("other");
    std::fs::create_dir_all(&other.folder).unwrap();
    for file in ["passwd", "group", "idmap.db", "identity.db", "domains.json"] {
        std::fs::copy(host.file(file), other.file(file)).unwrap();
    }
    let login = Login::new(other.start(), FakeKdc::saying(KdcVerdict::Success)).on_host("client1");
    Scene { host: other, login }
}

fn table_access() -> String {
    format!("[domains.\"{DOMAIN}\".access]")
}

#[tokio::test]
async fn a_refusal_goes_before_a_password_that_must_change() {
    // An application lets in whoever has changed the password, and asks no rule again.
    let must = AccountState { control: 0x200, password_last_set: 0, ..AccountState::default() };
    let scene = scene("[access]\ndeny_users = [\"alice\"]\n");
    scene.host.directory.set_state("Alice", must.clone());
    assert_eq!(scene.told("alice", "sshd").await, (Code::Denied, "not-permitted".into()));
    let open = self::scene("");
    open.host.directory.set_state("Alice", must);
    assert_eq!(open.told("alice", "sshd").await, (Code::MustChange, "must-change-password".into()));
}

#[tokio::test]
async fn an_explanation_shows_every_rule_in_order() {
    let scene = scene(
        "[access]\ndefault = \"deny\"\npermit = [\"Linux Admins\"]\ndeny_users = [\"mallory\"]\n\
         [sshd]\nallow_users = [\"bob\"]\n",
    );
    let outcome = |found: &Explanation, rule: &str| {
        found.rules.iter().find(|check| check.rule == rule).map(|check| check.outcome)
    };
    let found = scene.explain("alice", Some("sshd")).await;
    let names: Vec<_> = found.rules.iter().map(|check| check.rule.as_str()).collect();
    assert_eq!(
        names,
        [
            "userAccountControl",
            "accountExpires",
            "lockoutTime",
            "logonHours",
            "userWorkstations",
            "access.deny_users",
            "access.services.sshd.allow_users",
            "access.permit",
            "access.default",
            "pwdLastSet",
            "maxPwdAge",
        ]
    );
    assert_eq!(outcome(&found, "access.deny_users"), Some(RuleOutcome::Passes));
    assert_eq!(outcome(&found, "access.permit"), Some(RuleOutcome::Allows));
    assert_eq!(outcome(&found, "access.default"), Some(RuleOutcome::NotReached));
    assert!(found.decided_by.contains(&format!("\"Linux Admins\", {}", support::sid(1200))), "{found:?}");
    assert_eq!((found.permitted, found.fetched, found.groups_fetched), (true, 1_800_000_000, Some(1_800_000_000)));

    scene.host.directory.set_state("Alice", AccountState { control: 0x202, ..AccountState::default() });
    let found = scene.explain("alice", Some("login")).await;
    assert_eq!(outcome(&found, "userAccountControl"), Some(RuleOutcome::Refuses));
    assert_eq!(outcome(&found, "access.permit"), Some(RuleOutcome::NotReached));
    assert_eq!((found.permitted, found.reason.as_str()), (false, "account-disabled"));
}
