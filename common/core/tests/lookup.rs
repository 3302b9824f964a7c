//! Lookups against a directory in memory: what a user of the host would notice.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;
use std::time::Duration;

use entra_core::Error;
use entra_core::control::Source;
use entra_core::lookup::{Allowance, Freshness, Lookup, Query, asked_by};
use entra_core::types::UserRecord;
use support::{ALICE_UID, FakeDirectory, Host, sid};

async fn user(lookup: &Arc<Lookup>, name: &str) -> Option<UserRecord> {
    let answer = lookup.user(Query::name(name), Freshness::Cached).await.unwrap();
    answer.map(|answer| (*answer.value).clone())
}

/// Writes come behind the replies; a flush of nobody waits for them.
async fn settle(lookup: &Arc<Lookup>) {
    lookup.flush(Some("nobody@nowhere")).await.unwrap();
}

const FORMS: [&str; 7] = [
    "alice",
    "ALICE",
    "alice@contoso.com",
    "AADDS\\alice",
    "aadds.contoso.com\\Alice",
    "alice@aadds.contoso.com",
    "alice@AADDS",
];

#[tokio::test]
async fn every_name_form_means_the_same_user() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    for form in FORMS {
        let alice = user(&lookup, form).await.unwrap_or_else(|| panic!("{form} names nobody"));
        assert_eq!((alice.name.as_str(), alice.uid, alice.gid), ("alice", ALICE_UID, 674_000_513), "{form}");
        assert_eq!((alice.home.as_str(), alice.gecos.as_str()), ("/home/alice", "Alice Example"));
    }
    for query in [Query::Id(ALICE_UID), Query::Sid(sid(1103))] {
        let answer = lookup.user(query, Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(answer.value.name, "alice");
    }
    for nobody in ["alice@other.example", "OTHER\\alice", "alic", ""] {
        assert!(user(&lookup, nobody).await.is_none(), "{nobody}");
    }
}

#[tokio::test]
async fn a_restart_without_network_still_answers_by_every_form() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    let alice = user(&lookup, "alice").await.unwrap();
    let groups = lookup.memberships(&alice.sid, Freshness::Cached).await.unwrap().unwrap();
    let ids = lookup.group_ids(&alice, &groups.value).await.unwrap();
    settle(&lookup).await;
    drop(lookup);

    host.directory.cut();
    host.pass(365 * 24 * 3600);
    let lookup = host.start();
    for form in FORMS {
        assert_eq!(user(&lookup, form).await.map(|alice| alice.uid), Some(ALICE_UID), "{form}");
    }
    let by_uid = lookup.user(Query::Id(ALICE_UID), Freshness::Fresh).await.unwrap().unwrap();
    assert_eq!(by_uid.source, Source::Stale);
    let again = lookup.memberships(&alice.sid, Freshness::Cached).await.unwrap().unwrap();
    assert_eq!(lookup.group_ids(&alice, &again.value).await.unwrap(), ids);
}

#[tokio::test]
async fn an_outage_is_never_not_found() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    host.directory.cut();
    for query in [Query::name("bob"), Query::Id(ALICE_UID + 1), Query::name("nobody")] {
        let answer = lookup.user(query.clone(), Freshness::Cached).await;
        assert!(matches!(answer, Err(Error::Offline(_))), "{query:?}: {answer:?}");
    }
    host.directory.mend();
    assert!(user(&lookup, "bob").await.is_some());
}

#[tokio::test]
async fn before_the_domain_was_met_an_id_of_its_range_may_be_somebodys() {
    for (mapping, uid) in [("", ALICE_UID), ("id_mapping = \"rid\"\nid_range = \"1000000-1999999\"\n", 1_001_103)] {
        let host = Host::new(FakeDirectory::with_people(), mapping);
        host.directory.cut();
        let lookup = host.start();
        let answer = lookup.user(Query::Id(uid), Freshness::Cached).await;
        assert!(matches!(answer, Err(Error::Offline(_))), "{mapping:?}: {answer:?}");
        host.directory.mend();
        let alice = lookup.user(Query::Id(uid), Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(alice.value.name, "alice", "{mapping:?}");
    }
}

#[tokio::test]
async fn a_directory_that_says_nothing_is_left_within_the_deadline_and_cached_users_do_not_wait() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    *host.directory.slow.lock().unwrap() = Duration::from_secs(3600);
    let answer = lookup.user(Query::name("bob"), Freshness::Cached).await;
    assert!(matches!(answer, Err(Error::Offline(_))));
    host.pass(2 * 3600);
    let stale = lookup.user(Query::name("alice"), Freshness::Cached).await.unwrap().unwrap();
    assert_eq!(stale.source, Source::Stale);
}

#[tokio::test]
async fn a_deleted_user_goes_and_a_new_one_comes() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    assert!(user(&lookup, "carol").await.is_none());
    host.directory.users.lock().unwrap().retain(|user| user.sam != "Alice");
    host.directory.add_user(1105, "carol", None);
    assert!(user(&lookup, "carol").await.is_none(), "the negative answer still lives");
    host.pass(16);
    assert!(user(&lookup, "carol").await.is_some());
    assert!(lookup.user(Query::name("alice"), Freshness::Fresh).await.unwrap().is_none());
    assert!(user(&lookup, "alice").await.is_none());
    assert!(lookup.user(Query::Id(ALICE_UID), Freshness::Fresh).await.unwrap().is_none());
}

#[tokio::test]
async fn fifty_askers_cost_one_search() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "bob").await.is_some());
    *host.directory.slow.lock().unwrap() = Duration::from_millis(50);
    let before = host.directory.searches();
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let lookup = Arc::clone(&lookup);
        askers.spawn(async move { user(&lookup, "alice").await.is_some() });
    }
    while let Some(found) = askers.join_next().await {
        assert!(found.unwrap());
    }
    assert_eq!(host.directory.searches() - before, 1);
}

#[tokio::test]
async fn a_flood_of_unknown_names_is_held_up_and_evicts_nobody() {
    let mut host = Host::new(FakeDirectory::with_people(), "");
    host.unknown = Allowance { burst: 20, every: Duration::from_secs(3600) };
    let lookup = host.start();
    // What the directory has costs nothing, however much of it there is.
    for rid in 2000..2050 {
        host.directory.add_user(rid, &format!("u{rid}"), None);
        let found = asked_by(1000, lookup.user(Query::name(&format!("u{rid}")), Freshness::Cached)).await;
        assert!(found.unwrap().is_some(), "u{rid}");
    }
    let known = lookup.stats().await;
    let ask = async |uid: u32, name: &str| {
        let found = asked_by(uid, lookup.user(Query::name(name), Freshness::Cached)).await;
        found.map(|found| found.is_some())
    };
    for number in 0..20 {
        assert!(!ask(1000, &format!("nobody{number}")).await.unwrap(), "nobody{number}");
    }
    let searches = host.directory.searches();
    for number in 20..200 {
        let answer = ask(1000, &format!("nobody{number}")).await;
        assert!(matches!(answer, Err(Error::Busy(_))), "nobody{number}: {answer:?}");
    }
    assert_eq!(host.directory.searches(), searches, "they reach the directory");
    assert!(ask(1000, "u2000").await.unwrap() && !ask(1000, "nobody0").await.unwrap(), "what is known is told");
    assert!(!ask(1001, "nobody20").await.unwrap() && ask(1001, "alice").await.unwrap(), "others do not wait");
    assert!(user(&lookup, "nobody21").await.is_none(), "nor does the daemon itself");
    let after = lookup.stats().await;
    assert!(after.memory_entries >= known.memory_entries, "{known:?}, {after:?}");
}

#[tokio::test]
async fn local_names_win() {
    let directory = FakeDirectory::with_people();
    directory.add_user(1300, "root", None);
    directory.add_user(1301, "Local", None);
    directory.add_group(1302, "staff");
    let host = Host::new(directory, "");
    let lookup = host.start();
    for name in ["root", "local", "LOCAL", "AADDS\\local"] {
        assert!(user(&lookup, name).await.is_none(), "{name}");
    }
    assert!(lookup.user(Query::Id(674_001_301), Freshness::Cached).await.unwrap().is_none());
    for (short, rid) in [("sudo", 1201), ("staff", 1302)] {
        assert!(lookup.group(Query::name(short), Freshness::Cached).await.unwrap().is_none(), "{short}");
        let shown = lookup.group(Query::Id(674_000_000 + rid), Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(shown.value.name, format!("{short}@aadds.contoso.com"));
        let asked = lookup.group(Query::name(&shown.value.name), Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(asked.value.gid, 674_000_000 + rid);
        assert!(lookup.group(Query::name(short), Freshness::Cached).await.unwrap().is_none(), "{short} after its id");
    }
}

#[tokio::test]
async fn the_names_behind_many_groups_cost_one_search() {
    let directory = FakeDirectory::with_people();
    for rid in 2000..2150 {
        directory.add_group(rid, &format!("team-{rid}"));
        directory.join("bob", rid);
    }
    let host = Host::new(directory, "");
    let lookup = host.start();
    let bob = user(&lookup, "bob").await.unwrap();
    let before = host.directory.searches();
    let groups = lookup.memberships(&bob.sid, Freshness::Cached).await.unwrap().unwrap();
    let ids = lookup.group_ids(&bob, &groups.value).await.unwrap();
    assert_eq!(ids.len(), 150);
    for id in ids {
        let group = lookup.group(Query::Id(id), Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(group.value.name, format!("team-{}", id - 674_000_000));
    }
    assert_eq!(host.directory.searches() - before, 2, "tokenGroups, and one batch of names");
}

#[tokio::test]
async fn a_revoked_membership_is_seen_by_who_asks_anew() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    let alice = user(&lookup, "alice").await.unwrap();
    let before = lookup.memberships(&alice.sid, Freshness::Cached).await.unwrap().unwrap();
    assert!(before.value.groups.contains(&sid(1200)));
    host.directory.leave("Alice", 1200);
    let cached = lookup.memberships(&alice.sid, Freshness::Cached).await.unwrap().unwrap();
    assert!(cached.value.groups.contains(&sid(1200)));
    let fresh = lookup.memberships(&alice.sid, Freshness::Fresh).await.unwrap().unwrap();
    assert!(!fresh.value.groups.contains(&sid(1200)));
}

#[tokio::test]
async fn members_are_read_only_when_the_group_is_asked_for() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    let group = lookup.group(Query::name("linux admins"), Freshness::Cached).await.unwrap().unwrap();
    assert!(lookup.cached_members(&group.value.sid).await.is_none());
    let members = lookup.members(&group.value.sid, Freshness::Cached).await.unwrap().unwrap();
    assert_eq!(members.value.user_names(), ["alice"]);
    assert!(lookup.cached_members(&group.value.sid).await.is_some());
}

#[tokio::test]
async fn a_flush_forgets_answers_and_keeps_ids() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    settle(&lookup).await;
    assert_eq!(lookup.flush(Some("AADDS\\alice")).await.unwrap(), 1);
    host.directory.cut();
    assert!(lookup.user(Query::name("alice"), Freshness::Cached).await.is_err());
    host.directory.mend();
    assert_eq!(user(&lookup, "alice").await.unwrap().uid, ALICE_UID);
}

#[tokio::test]
async fn a_change_of_filter_or_shell_empties_the_cache_and_a_change_of_server_does_not() {
    let mut host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    settle(&lookup).await;
    drop(lookup);

    host.directory.cut();
    host.config.domains[0].servers = vec!["dc9.aadds.contoso.com".into()];
    assert!(user(&host.start(), "alice").await.is_some());
    host.config.domains[0].user_filter = Some("(department=IT)".into());
    let lookup = host.start();
    assert!(lookup.user(Query::name("alice"), Freshness::Cached).await.is_err(), "a filtered user is still cached");
}

#[tokio::test]
async fn what_nobody_renewed_leaves_the_disk() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    host.pass(100);
    assert!(user(&lookup, "bob").await.is_some());
    settle(&lookup).await;
    // Her record, and her row in the list.
    assert_eq!(lookup.purge(Duration::from_secs(50)).await.unwrap(), 2);
    assert_eq!(lookup.stats().await.users, 1);
}

#[tokio::test]
async fn what_is_far_past_its_life_is_asked_for_before_it_is_served() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert_eq!(user(&lookup, "bob").await.unwrap().uid, 674_001_104);
    // Bob leaves, and weeks later another Bob comes.
    host.directory.users.lock().unwrap().retain(|user| user.sam != "bob");
    host.directory.add_user(1500, "bob", None);
    host.pass(30 * 24 * 3600);
    assert_eq!(user(&lookup, "bob").await.unwrap().uid, 674_001_500, "the new Bob got the old one's files");
}

/// Waits for what is done behind the replies.
async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

#[tokio::test]
async fn who_is_asked_for_near_the_end_of_a_life_is_asked_for_again_and_nobody_else_is() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    let life = host.config.cache_ttl.as_secs();
    assert!(user(&lookup, "alice").await.is_some() && user(&lookup, "bob").await.is_some());
    let first = host.directory.searches();
    host.pass(life * 6 / 10);
    assert!(user(&lookup, "alice").await.is_some());
    settle(&lookup).await;
    assert_eq!(host.directory.searches(), first, "it is not due yet");
    host.pass(life * 22 / 100);
    *host.directory.slow.lock().unwrap() = Duration::from_millis(100);
    for _ in 0..20 {
        let answer = lookup.user(Query::name("alice"), Freshness::Cached).await.unwrap().unwrap();
        assert_eq!(answer.source, Source::Cache, "nobody waits for it");
    }
    until(|| host.directory.searches() == first + 1).await;
    let renewed = host.time.load(std::sync::atomic::Ordering::SeqCst);
    loop {
        let answer = lookup.user(Query::name("alice"), Freshness::Cached).await.unwrap().unwrap();
        if answer.fetched == renewed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(host.directory.searches(), first + 1, "once, and for nobody who was not asked for");
}

#[tokio::test]
async fn many_that_are_due_at_once_are_asked_for_a_few_at_a_time() {
    let directory = FakeDirectory::with_people();
    for rid in 3000..3100 {
        directory.add_user(rid, &format!("user{rid}"), None);
    }
    let host = Host::new(directory, "");
    let lookup = host.start();
    for rid in 3000..3100 {
        assert!(user(&lookup, &format!("user{rid}")).await.is_some());
    }
    let first = host.directory.searches();
    host.pass(host.config.cache_ttl.as_secs() * 9 / 10);
    *host.directory.slow.lock().unwrap() = Duration::from_millis(10);
    for rid in 3000..3100 {
        assert!(user(&lookup, &format!("user{rid}")).await.is_some());
    }
    until(|| host.directory.searches() == first + 100).await;
    assert!(host.directory.most_at_once() <= 4, "{} at once", host.directory.most_at_once());
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_no_answer_last() {
    let host = Host::new(FakeDirectory::with_people(), "");
    host.pass(10 * 365 * 24 * 3600);
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    assert!(user(&lookup, "carol").await.is_none());
    host.time.fetch_sub(10 * 365 * 24 * 3600, std::sync::atomic::Ordering::SeqCst);
    host.directory.add_user(1105, "carol", None);
    host.directory.users.lock().unwrap().retain(|user| user.sam != "Alice");
    assert!(user(&lookup, "carol").await.is_some(), "the negative answer lives on");
    assert!(user(&lookup, "alice").await.is_none(), "the positive answer lives on");
}

#[tokio::test]
async fn local_files_that_cannot_be_read_make_nobody_unknown() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    assert!(user(&lookup, "alice").await.is_some());
    settle(&lookup).await;
    for file in ["passwd", "group"] {
        let (path, aside) = (host.folder.join(file), host.folder.join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        for name in ["alice", "bob", "nobody"] {
            let answer = lookup.user(Query::name(name), Freshness::Cached).await;
            assert!(answer.is_err(), "{name} without {file}: {answer:?}");
        }
        std::fs::rename(&aside, &path).unwrap();
    }
    settle(&lookup).await;
    assert_eq!(lookup.stats().await.users, 1, "a cached user was removed");
    assert!(user(&lookup, "bob").await.is_some());
}

#[tokio::test]
async fn a_upn_that_looks_like_another_ones_name_means_one_user_everywhere() {
    let directory = FakeDirectory::with_people();
    directory.add_user(1600, "robert", Some("bob@aadds.contoso.com"));
    let host = Host::new(directory, "");
    let lookup = host.start();
    // In whatever order they are met: the explicit UPN is Robert's.
    assert_eq!(user(&lookup, "bob").await.unwrap().uid, 674_001_104);
    assert_eq!(user(&lookup, "bob@aadds.contoso.com").await.unwrap().uid, 674_001_600);
    assert_eq!(user(&lookup, "robert").await.unwrap().uid, 674_001_600);
    settle(&lookup).await;
    drop(lookup);
    host.directory.cut();
    let lookup = host.start();
    assert_eq!(user(&lookup, "bob@aadds.contoso.com").await.unwrap().uid, 674_001_600);
    assert_eq!(user(&lookup, "AADDS\\bob").await.unwrap().uid, 674_001_104);
}

#[tokio::test]
async fn what_was_guessed_in_an_outage_does_not_outlast_it() {
    let directory = FakeDirectory::with_people();
    directory.add_user(1600, "robert", Some("bob@aadds.contoso.com"));
    let host = Host::new(directory, "");
    let lookup = host.start();
    assert!(user(&lookup, "bob").await.is_some());
    settle(&lookup).await;
    drop(lookup);
    let lookup = host.start();
    host.directory.cut();
    assert_eq!(user(&lookup, "bob@aadds.contoso.com").await.unwrap().uid, 674_001_104, "nobody else is known");
    host.directory.mend();
    assert_eq!(user(&lookup, "bob@aadds.contoso.com").await.unwrap().uid, 674_001_600, "the guess lives on");
}
