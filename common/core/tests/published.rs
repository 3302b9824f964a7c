//! What lookups put into the shared cache, as the modules would read it.

#![allow(clippy::unwrap_used)] // Test code.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use entra_core::cache::{Key, Now, Settings, SharedCache};
use entra_core::lookup::{Freshness, Lookup, Query};
use entra_wire::cache_map::{Place, SharedMap, View, mapping};
use support::{ALICE_UID, FakeDirectory, Host, sid};

const ADMINS: u32 = 674_001_200;

/// A host with lookups that publish, and a process that reads.
struct Stage {
    host: Host,
    lookup: Arc<Lookup>,
    map: SharedMap,
    place: Place,
}

impl Stage {
    fn new() -> Self {
        let host = Host::new(FakeDirectory::with_people(), "");
        fs::set_permissions(&host.folder, Permissions::from_mode(0o755)).unwrap();
        let lookup = host.start();
        lookup.publish_to(SharedCache::start(settings(&host.folder), now(0)));
        let place = Place::new(&host.folder, Path::new("/nonexistent")).unwrap();
        Self { host, lookup, map: SharedMap::new(), place }
    }

    /// A lookup as the socket serves it.
    async fn user(&self, query: Query) -> bool {
        let user = self.lookup.user(query.clone(), Freshness::Cached).await.unwrap();
        match &user {
            Some(user) => self.lookup.show_user(user, &query),
            None => self.lookup.show_no_user(&query),
        }
        user.is_some()
    }

    async fn groups_of_alice(&self, freshness: Freshness) {
        let user = self.lookup.user(Query::name("alice"), Freshness::Cached).await.unwrap().unwrap().value;
        let memberships = self.lookup.memberships(&user.sid, freshness).await.unwrap().unwrap();
        let ids = self.lookup.group_ids(&user, &memberships.value).await.unwrap();
        self.lookup.show_groups_of(&user, &memberships, &ids);
    }

    fn read<T>(&self, look: impl FnOnce(View<'_, entra_wire::cache_map::Mapped>) -> T) -> T {
        self.map.refresh(&self.place);
        let (memory, _) = self.map.mapped().unwrap();
        look(View::open(&memory, mapping::now()).unwrap())
    }

    fn uid_of(&self, name: &str) -> Option<u32> {
        self.read(|view| view.user(&Key::UserName(name.as_bytes())).map(|user| user.uid))
    }

    fn is_absent(&self, key: &Key<'_>) -> bool {
        self.read(|view| view.is_absent(key))
    }

    fn groups(&self) -> Option<Vec<u32>> {
        self.read(|view| view.groups_of(ALICE_UID).map(|groups| groups.gids().collect()))
    }
}

fn settings(folder: &Path) -> Settings {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    Settings {
        path: file("cache.map"),
        max_size: 4 << 20,
        ranges: vec![(200_000, 2_000_199_999)],
        passwd: file("passwd"),
        group: file("group"),
    }
}

fn now(later: u32) -> Now {
    let (tick, beat) = mapping::tick_and_beat();
    Now { tick: tick + later, beat }
}

#[tokio::test]
async fn a_user_is_published_under_its_names_and_those_that_somebody_asked_for() {
    let stage = Stage::new();
    assert!(stage.user(Query::name("alice")).await);
    for name in ["alice", "ALICE", "alice@contoso.com"] {
        assert_eq!(stage.uid_of(name), Some(ALICE_UID), "{name}");
    }
    // The latter ones may be somebody else's UPN: they are published when the directory has said whose they are.
    for name in ["AADDS\\alice", "aadds.contoso.com\\alice", "alice@aadds.contoso.com", "alice@AADDS"] {
        assert_eq!(stage.uid_of(name), None, "{name}");
        assert!(stage.user(Query::name(name)).await);
        assert_eq!(stage.uid_of(name), Some(ALICE_UID), "{name}");
    }
    assert_eq!(stage.uid_of("bob"), None, "nobody has asked for bob");
    let by_sid = stage.read(|view| view.user(&Key::UserSid(&sid(1103).to_bytes())).map(|user| user.uid));
    assert_eq!(by_sid, Some(ALICE_UID));
}

#[tokio::test]
async fn what_is_not_there_is_published_until_it_comes() {
    let stage = Stage::new();
    let (carol, uid) = (Key::UserName(b"carol"), Key::Uid(ALICE_UID + 2));
    assert!(!stage.user(Query::name("carol")).await && !stage.user(Query::Id(ALICE_UID + 2)).await);
    assert!(!stage.user(Query::Id(300_000)).await, "in the range, and no domain's");
    for key in [&carol, &uid, &Key::Uid(300_000)] {
        assert!(stage.is_absent(key), "{key:?}");
    }
    stage.host.directory.add_user(1105, "carol", None);
    stage.host.pass(16);
    assert!(stage.user(Query::name("carol")).await);
    assert!(!stage.is_absent(&carol) && !stage.is_absent(&uid));
    assert_eq!(stage.uid_of("carol"), Some(ALICE_UID + 2));
}

#[tokio::test]
async fn an_outage_publishes_nobodys_absence() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    stage.host.directory.cut();
    assert!(stage.lookup.user(Query::name("bob"), Freshness::Cached).await.is_err());
    assert!(!stage.is_absent(&Key::UserName(b"bob")));
    assert_eq!(stage.uid_of("alice"), Some(ALICE_UID));
}

#[tokio::test]
async fn a_deleted_user_goes_under_every_name() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    stage.groups_of_alice(Freshness::Cached).await;
    assert_eq!(stage.groups(), Some(vec![ADMINS]));
    stage.host.directory.users.lock().unwrap().retain(|user| user.sam != "Alice");
    // As a login asks.
    let gone = stage.lookup.user(Query::Sid(sid(1103)), Freshness::Fresh).await.unwrap();
    assert!(gone.is_none());
    assert_eq!((stage.uid_of("alice"), stage.uid_of("alice@contoso.com"), stage.groups()), (None, None, None));
    let by_uid = stage.read(|view| view.user(&Key::Uid(ALICE_UID)).is_some());
    assert!(!by_uid);
}

#[tokio::test]
async fn a_renamed_user_has_the_new_name_alone() {
    let stage = Stage::new();
    stage.user(Query::name("bob")).await;
    stage.host.directory.users.lock().unwrap().iter_mut().find(|user| user.sam == "bob").unwrap().sam = "robert".into();
    stage.lookup.user(Query::Sid(sid(1104)), Freshness::Fresh).await.unwrap().unwrap();
    assert_eq!((stage.uid_of("bob"), stage.uid_of("robert")), (None, Some(ALICE_UID + 1)));
}

#[tokio::test]
async fn a_login_after_a_revoked_membership_takes_it_from_everybody() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    stage.groups_of_alice(Freshness::Cached).await;
    assert_eq!(stage.groups(), Some(vec![ADMINS]));
    stage.host.directory.leave("Alice", 1200);
    stage.lookup.memberships(&sid(1103), Freshness::Fresh).await.unwrap().unwrap();
    assert_eq!(stage.groups(), Some(vec![]));
}

#[tokio::test]
async fn members_are_whole_where_somebody_asked_for_them() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    let query = Query::name("Linux Admins");
    let group = stage.lookup.group(query.clone(), Freshness::Cached).await.unwrap().unwrap();
    stage.lookup.show_group(&group, None, &query);
    let whole = |stage: &Stage| {
        stage.read(|view| {
            let by_gid = view.group(&Key::Gid(ADMINS), false).map(|group| group.member_count());
            (by_gid, view.group(&Key::GroupName(b"linux admins"), true).map(|group| group.member_count()))
        })
    };
    assert_eq!(whole(&stage), (Some(0), None));
    let members = stage.lookup.members(&group.value.sid, Freshness::Cached).await.unwrap().unwrap();
    assert_eq!(whole(&stage), (Some(1), Some(1)), "as soon as they are known");
    stage.lookup.show_group(&group, Some(&members), &query);
    assert_eq!(whole(&stage), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_flush_leaves_nothing_and_one_of_a_name_leaves_the_others() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    stage.user(Query::name("bob")).await;
    stage.lookup.flush(Some("AADDS\\alice")).await.unwrap();
    assert_eq!((stage.uid_of("alice"), stage.uid_of("bob")), (None, Some(ALICE_UID + 1)));
    stage.lookup.flush(None).await.unwrap();
    assert_eq!(stage.uid_of("bob"), None);
}

#[tokio::test]
async fn an_answer_that_memory_no_longer_holds_is_not_published() {
    let stage = Stage::new();
    let query = Query::name("alice");
    let answer = stage.lookup.user(query.clone(), Freshness::Cached).await.unwrap().unwrap();
    stage.lookup.flush(None).await.unwrap();
    stage.lookup.show_user(&answer, &query);
    assert_eq!(stage.uid_of("alice"), None);
}

#[tokio::test]
async fn who_reads_what_is_due_comes_to_the_daemon_once() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    let life = stage.host.config.cache_ttl.as_secs();
    let later = life * 82 / 100;
    stage.host.pass(later);
    stage.lookup.shared_cache().unwrap().tick(now(later as u32));
    assert_eq!(stage.uid_of("alice"), None, "the daemon is to learn that somebody asks");
    assert!(stage.user(Query::name("alice")).await);
    assert_eq!(stage.uid_of("alice"), Some(ALICE_UID));
}

#[tokio::test]
async fn past_its_life_an_answer_is_published_for_a_moment_only() {
    let stage = Stage::new();
    stage.user(Query::name("alice")).await;
    stage.host.directory.away.store(true, Ordering::SeqCst);
    stage.host.pass(90 * 60);
    stage.lookup.shared_cache().unwrap().tick(now(90 * 60));
    assert_eq!(stage.uid_of("alice"), None);
    assert!(stage.user(Query::name("alice")).await, "an older answer is better than none");
    assert_eq!(stage.uid_of("alice"), Some(ALICE_UID));
    stage.lookup.shared_cache().unwrap().tick(now(90 * 60 + 5));
    assert_eq!(stage.uid_of("alice"), None);
}
