//! SIDs of former times (sIDHistory): old access lists go on naming somebody.

#![allow(clippy::unwrap_used)] // Test code.

mod support;

use std::sync::Arc;

use entra_core::Error;
use entra_core::control::Reply;
use entra_core::lookup::{Freshness, Holder, Lookup, Query};
use entra_core::types::Sid;
use support::{ALICE_UID, FakeDirectory, Host, sid};

/// An account of a domain that is gone.
fn old(rid: u32) -> Sid {
    "S-1-5-21-9-8-7".parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

async fn holder(lookup: &Arc<Lookup>, sid: &Sid) -> Option<(String, Sid)> {
    Some(match lookup.holder(sid).await.unwrap()? {
        Holder::User(user) => (user.value.name.clone(), user.value.sid.clone()),
        Holder::Group(group) => (group.value.name.clone(), group.value.sid.clone()),
    })
}

fn people() -> Arc<FakeDirectory> {
    let directory = FakeDirectory::with_people();
    directory.came_from("Alice", &old(500));
    let mut groups = directory.groups.lock().unwrap();
    groups.iter_mut().find(|group| group.sam == "Linux Admins").unwrap().former_sids.push(old(600));
    drop(groups);
    directory
}

#[tokio::test]
async fn a_former_sid_stands_for_who_has_another_one_now() {
    let host = Host::new(people(), "");
    let lookup = host.start();
    assert_eq!(holder(&lookup, &old(500)).await, Some(("alice".into(), sid(1103))));
    assert_eq!(holder(&lookup, &old(600)).await, Some(("linux admins".into(), sid(1200))));
    assert_eq!(holder(&lookup, &sid(1103)).await, Some(("alice".into(), sid(1103))));
    let Reply::User(view) = lookup.describe_sid(&old(500).to_string()).await.unwrap() else { panic!("a user") };
    assert_eq!((view.uid, view.sid, view.former_sids), (ALICE_UID, sid(1103).to_string(), vec![old(500).to_string()]));
    // Asked again, nobody is asked.
    let searches = host.directory.searches();
    assert_eq!(holder(&lookup, &old(500)).await, Some(("alice".into(), sid(1103))));
    assert_eq!(host.directory.searches(), searches);
}

#[tokio::test]
async fn an_id_is_computed_from_the_present_sid_alone() {
    let host = Host::new(people(), "");
    // As if the RID had been changed within the domain: the id of the former one is nobody's.
    host.directory.came_from("Alice", &sid(1999));
    let lookup = host.start();
    assert_eq!(holder(&lookup, &sid(1999)).await, Some(("alice".into(), sid(1103))));
    let former = lookup.user(Query::Id(ALICE_UID - 1103 + 1999), Freshness::Cached).await.unwrap();
    assert!(former.is_none(), "two uids of one user");
    assert_eq!(lookup.user(Query::Id(ALICE_UID), Freshness::Cached).await.unwrap().unwrap().value.name, "alice");
}

#[tokio::test]
async fn who_has_a_sid_now_goes_before_who_had_it() {
    let host = Host::new(people(), "");
    host.directory.came_from("Alice", &sid(1104));
    let lookup = host.start();
    assert_eq!(holder(&lookup, &sid(1104)).await, Some(("bob".into(), sid(1104))));
}

#[tokio::test]
async fn nobodys_sid_is_nobodys_for_a_moment_and_is_noticed_then() {
    let host = Host::new(people(), "");
    let lookup = host.start();
    assert_eq!(holder(&lookup, &old(700)).await, None);
    let searches = host.directory.searches();
    assert_eq!(holder(&lookup, &old(700)).await, None);
    assert_eq!(host.directory.searches(), searches, "it was asked a moment ago");
    for nobody in ["S-1-5-32-544", "S-1-5-11", "S-1-5-21-9-8-7"] {
        assert_eq!(holder(&lookup, &nobody.parse().unwrap()).await, None);
    }
    assert_eq!(host.directory.searches(), searches, "that is no account of any domain");
    // Bob moves; whoever asks for him by name learns of it, and the former SID is nobody's no more.
    host.directory.came_from("bob", &old(700));
    lookup.user(Query::name("bob"), Freshness::Fresh).await.unwrap().unwrap();
    assert_eq!(holder(&lookup, &old(700)).await, Some(("bob".into(), sid(1104))));
}

#[tokio::test]
async fn an_outage_hides_nobody_of_whom_the_store_knows() {
    let host = Host::new(people(), "");
    let lookup = host.start();
    lookup.user(Query::name("alice"), Freshness::Cached).await.unwrap().unwrap();
    lookup.settle().await;
    drop(lookup);
    host.directory.cut();
    let lookup = host.start();
    assert_eq!(
        holder(&lookup, &old(500)).await,
        Some(("alice".into(), sid(1103))),
        "though no one asked for it before"
    );
    assert!(matches!(lookup.holder(&old(701)).await, Err(Error::Offline(_))), "that is no answer of the directory");
}
