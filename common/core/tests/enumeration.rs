//! Enumerations over a directory in memory.

#![allow(clippy::unwrap_used, clippy::panic)] // Test code.

mod support;

use std::sync::Arc;
use std::time::Duration;

use entra_core::control::{Accounts, Range, Reply};
use entra_core::lookup::{Freshness, Lookup, Query};
use support::{FakeDirectory, Host};

async fn listed(lookup: &Arc<Lookup>) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), Vec::new());
    loop {
        let listing = lookup.list_users(&cursor).await.unwrap();
        names.extend(listing.records.iter().map(|user| user.name().to_owned()));
        cursor = listing.cursor;
        if cursor.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn enumeration_is_off_unless_configured() {
    let host = Host::new(FakeDirectory::with_people(), "");
    assert!(host.start().list_users(b"").await.unwrap().records.is_empty());
    let host = Host::new(FakeDirectory::with_people(), "enumerate = true\n");
    let lookup = host.start();
    let names = listed(&lookup).await;
    assert_eq!(names, ["alice", "bob"]);
}

/// Asks until the enumeration is so.
async fn listed_some_time(lookup: &Arc<Lookup>, wanted: &[&str]) {
    let wait = async {
        while listed(lookup).await != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(found.is_ok(), "{:?} instead of {wanted:?}", listed(lookup).await);
}

#[tokio::test]
async fn an_enumeration_follows_the_changes_without_reading_everybody_again() {
    let host = Host::new(FakeDirectory::with_people(), "enumerate = true\n");
    let lookup = host.start();
    assert_eq!(listed(&lookup).await, ["alice", "bob"]);
    let searches = host.directory.searches();
    assert_eq!(listed(&lookup).await, ["alice", "bob"]);
    assert_eq!(host.directory.searches(), searches, "a moment later nobody is asked");
    host.directory.add_user(1105, "carol", None);
    host.directory.changed.lock().unwrap().insert(1105, 7);
    host.directory.users.lock().unwrap()[1].sam = "robert".into();
    host.directory.changed.lock().unwrap().insert(1104, 8);
    host.pass(60);
    listed_some_time(&lookup, &["alice", "robert", "carol"]).await;
    host.pass(60);
    listed_some_time(&lookup, &["alice", "robert", "carol"]).await;
    assert_eq!(*host.directory.passes.lock().unwrap(), [None, Some(0)], "nothing changed the last time");
}

#[tokio::test]
async fn everybody_is_enumerated_again_after_a_change_of_server_and_once_per_life() {
    let host = Host::new(FakeDirectory::with_people(), "enumerate = true\n");
    let lookup = host.start();
    assert_eq!(listed(&lookup).await, ["alice", "bob"]);
    // Numbers of another server say nothing: it may well be behind.
    *host.directory.database.lock().unwrap() = b"another".to_vec();
    host.directory.add_user(1105, "carol", None);
    host.pass(60);
    listed_some_time(&lookup, &["alice", "bob", "carol"]).await;
    // Who is deleted is among nobody's changes.
    host.directory.users.lock().unwrap().retain(|user| user.sam != "bob");
    host.pass(host.config.cache_ttl.as_secs());
    listed_some_time(&lookup, &["alice", "carol"]).await;
    host.directory.cut();
    host.pass(10 * host.config.cache_ttl.as_secs());
    assert_eq!(listed(&lookup).await, ["alice", "carol"], "an outage hides nobody");
}

#[tokio::test]
async fn two_who_enumerate_share_one_pass_and_a_failed_one_is_told() {
    let host = Host::new(FakeDirectory::with_people(), "enumerate = true\n");
    let lookup = host.start();
    *host.directory.slow.lock().unwrap() = Duration::from_millis(20);
    let (one, two) = tokio::join!(listed(&lookup), listed(&lookup));
    assert_eq!((one.len(), two), (2, one));
    assert_eq!(host.directory.passes.lock().unwrap().len(), 1);
    // A directory that thinks for long before it names anybody.
    lookup.flush(None).await.unwrap();
    *host.directory.slow.lock().unwrap() = Duration::from_secs(3);
    let first = lookup.list_users(&[]).await.unwrap();
    assert!(first.records.is_empty() && !first.cursor.is_empty(), "whoever asks is told to ask again");
    let second = lookup.list_users(&first.cursor).await.unwrap();
    assert_ne!(second.cursor, first.cursor, "no cursor leads to itself");
    *host.directory.slow.lock().unwrap() = Duration::ZERO;
    lookup.flush(None).await.unwrap();
    host.directory.cut();
    assert!(lookup.list_users(&[]).await.is_err(), "an outage is no empty domain");
    host.directory.mend();
    assert_eq!(listed(&lookup).await.len(), 2);
    for cursor in [&b"x"[..], b"xyz", &[0, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0]] {
        assert!(lookup.list_users(cursor).await.is_err(), "{cursor:?}");
    }
}

/// What a picker is shown.
async fn picker(lookup: &Arc<Lookup>, prefix: &str) -> Accounts {
    let range = Range { prefix: prefix.into(), ..Range::default() };
    match lookup.stored_users(range).await.unwrap() {
        Reply::Accounts(accounts) => accounts,
        other => panic!("{other:?}"),
    }
}

fn names(accounts: &Accounts) -> Vec<&str> {
    accounts.accounts.iter().map(|account| account.name.as_str()).collect()
}

#[tokio::test]
async fn a_picker_shows_everybody_also_in_an_outage_and_after_a_restart() {
    let host = Host::new(FakeDirectory::with_people(), "enumerate = true\n");
    let lookup = host.start();
    let all = picker(&lookup, "").await;
    assert_eq!((names(&all), all.complete), (vec!["alice", "bob"], true));
    assert_eq!(names(&picker(&lookup, "AL").await), ["alice"]);
    assert_eq!(all.accounts[0].sid, support::sid(1103).to_string());
    host.directory.cut();
    drop(lookup);
    let again = host.start();
    let all = picker(&again, "").await;
    assert_eq!((names(&all), all.complete), (vec!["alice", "bob"], true), "an outage hides nobody");
    host.directory.mend();
    host.directory.users.lock().unwrap().retain(|user| user.sam != "bob");
    host.pass(10 * host.config.cache_ttl.as_secs());
    let gone = async {
        while names(&picker(&again, "").await) != ["alice"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok(), "who was deleted is still shown");
}

#[tokio::test]
async fn a_picker_of_a_domain_that_is_not_enumerated_says_that_it_is_not_whole() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let lookup = host.start();
    lookup.user(Query::name("bob"), Freshness::Cached).await.unwrap().unwrap();
    let known = picker(&lookup, "").await;
    assert_eq!((names(&known), known.complete), (vec!["bob"], false));
}
