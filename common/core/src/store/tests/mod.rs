//! What the identity store finds again; what both stores survive is in [`damage`].

mod at_rest;
mod damage;
mod listing;

use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::types::{AccountState, GroupRecord, Sid, UserRecord, fold};

const DOMAIN: &str = "S-1-5-21-1-2-3";

/// A folder of one test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("entra-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("identity.db")
    }

    fn open(&self) -> IdentityStore {
        IdentityStore::open(&self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sid(rid: u32) -> Sid {
    DOMAIN.parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

fn user(rid: u32, sam: &str) -> UserRecord {
    UserRecord {
        domain: "a.example".into(),
        sid: sid(rid),
        former_sids: Vec::new(),
        guid: vec![7; 16],
        dn: format!("CN={sam},DC=a,DC=example"),
        sam: sam.into(),
        upn: Some(format!("{sam}@Contoso.com")),
        name: fold(sam),
        uid: 200_000 + rid,
        gid: 200_513,
        primary_group: sid(513),
        gecos: "Alice Example".into(),
        home: format!("/home/{sam}"),
        shell: "/bin/bash".into(),
        ssh_keys: Vec::new(),
        state: AccountState { control: 512, ..AccountState::default() },
    }
}

fn group(rid: u32, sam: &str) -> GroupRecord {
    GroupRecord {
        domain: "a.example".into(),
        sid: sid(rid),
        former_sids: Vec::new(),
        guid: vec![9; 16],
        dn: format!("CN={sam},DC=a,DC=example"),
        sam: sam.into(),
        name: fold(sam),
        gid: 200_000 + rid,
    }
}

fn names(found: &[Stored<UserRecord>]) -> Vec<&str> {
    found.iter().map(|user| user.value.name.as_str()).collect()
}

#[test]
fn a_user_is_found_by_every_key_and_after_a_restart() {
    let folder = Folder::new("keys");
    let alice = user(1103, "Alicé");
    folder.open().put_users([&alice], 1000).unwrap();
    let store = folder.open();
    let stored = [Stored { value: alice.clone(), fetched: 1000 }];
    assert_eq!(store.users_by_sam(None, "alicé").unwrap(), stored);
    assert_eq!(store.users_by_sam(Some("a.example"), "alicé").unwrap(), stored);
    assert_eq!(store.users_by_upn("alicé@contoso.com").unwrap(), stored);
    assert_eq!(store.user_by_uid(201_103).unwrap().as_ref(), stored.first());
    assert_eq!(store.user_by_sid(&alice.sid).unwrap().as_ref(), stored.first());
    assert!(store.users_by_sam(Some("b.example"), "alicé").unwrap().is_empty());
    assert!(store.users_by_sam(None, "Alicé").unwrap().is_empty(), "names are asked for folded");
    assert_eq!(store.user_by_uid(201_104).unwrap(), None);
    assert_eq!(store.group_by_sid(&alice.sid).unwrap(), None, "a user is no group");
}

#[test]
fn a_former_sid_finds_the_account_until_the_directory_says_otherwise() {
    let folder = Folder::new("former");
    let store = folder.open();
    let old = |rid| "S-1-5-21-9-8-7".parse::<Sid>().unwrap().with_rid(rid).unwrap();
    let alice = UserRecord { former_sids: vec![old(500), old(501)], ..user(1103, "alice") };
    let staff = GroupRecord { former_sids: vec![old(502)], ..group(2000, "staff") };
    store.put_users([&alice], 1000).unwrap();
    store.put_groups([&staff], 1000).unwrap();
    for former in &alice.former_sids {
        assert_eq!(store.user_by_former_sid(former).unwrap().unwrap().value, alice);
    }
    assert_eq!(store.group_by_former_sid(&old(502)).unwrap().unwrap().value, staff);
    assert_eq!(store.user_by_former_sid(&old(502)).unwrap(), None, "a group is no user");
    assert_eq!(store.user_by_former_sid(&alice.sid).unwrap(), None, "the present one is none of them");
    // Two that claim one SID: nobody is guessed.
    store.put_users([&UserRecord { former_sids: vec![old(501)], ..user(1104, "bob") }], 1001).unwrap();
    assert_eq!(store.user_by_former_sid(&old(501)).unwrap(), None);
    store.put_users([&UserRecord { former_sids: Vec::new(), ..alice.clone() }], 1002).unwrap();
    assert_eq!(store.user_by_former_sid(&old(500)).unwrap(), None);
    assert_eq!(store.user_by_former_sid(&old(501)).unwrap().unwrap().value.name, "bob");
    store.flush(&sid(1104)).unwrap();
    assert_eq!(store.user_by_former_sid(&old(501)).unwrap(), None);
}

#[test]
fn a_group_is_found_by_every_key() {
    let folder = Folder::new("groups");
    let store = folder.open();
    let staff = group(2000, "Staff");
    store.put_groups([&staff], 5).unwrap();
    let stored = [Stored { value: staff.clone(), fetched: 5 }];
    assert_eq!(store.groups_by_sam(None, "staff").unwrap(), stored);
    assert_eq!(store.groups_by_sam(Some("a.example"), "staff").unwrap(), stored);
    assert_eq!(store.group_by_gid(202_000).unwrap().as_ref(), stored.first());
    assert_eq!(store.group_by_sid(&staff.sid).unwrap().as_ref(), stored.first());
    // The name moves to another group.
    store.put_groups([&group(2001, "STAFF")], 6).unwrap();
    assert_eq!(store.groups_by_sam(None, "staff").unwrap()[0].value.gid, 202_001);
    assert_eq!(store.group_by_gid(202_000).unwrap(), None);
}

#[test]
fn a_renamed_user_leaves_the_old_names() {
    let folder = Folder::new("renamed");
    let store = folder.open();
    store.put_users([&user(1, "alice")], 1).unwrap();
    store.put_users([&user(1, "alicia")], 2).unwrap();
    assert!(store.users_by_sam(None, "alice").unwrap().is_empty());
    assert!(store.users_by_upn("alice@contoso.com").unwrap().is_empty());
    assert_eq!(names(&store.users_by_sam(None, "alicia").unwrap()), ["alicia"]);
    assert_eq!(store.stats().unwrap().users, 1);
}

#[test]
fn the_newest_holder_of_a_name_has_it() {
    let folder = Folder::new("moved");
    let store = folder.open();
    store.put_users([&user(1, "alice"), &user(2, "bob")], 1).unwrap();
    // alice was deleted and made anew.
    store.put_users([&user(3, "Alice")], 2).unwrap();
    let found = store.users_by_sam(None, "alice").unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].value.sid, sid(3));
    assert_eq!(store.user_by_sid(&sid(1)).unwrap(), None, "nobody answers to a name that is another's");
    // A UPN moves; its former holder keeps the rest.
    let mut carol = user(4, "carol");
    carol.upn = Some("BOB@contoso.com".into());
    store.put_users([&carol], 3).unwrap();
    assert_eq!(names(&store.users_by_upn("bob@contoso.com").unwrap()), ["carol"]);
    assert_eq!(names(&store.users_by_sam(None, "bob").unwrap()), ["bob"]);
    // Two swap their names within one batch.
    store.put_users([&user(3, "bob"), &user(2, "alice")], 4).unwrap();
    assert_eq!(store.users_by_sam(None, "bob").unwrap()[0].value.sid, sid(3));
    assert_eq!(store.users_by_sam(None, "alice").unwrap()[0].value.sid, sid(2));
}

#[test]
fn one_name_in_two_domains_is_found_twice() {
    let folder = Folder::new("domains");
    let store = folder.open();
    let mut other = user(77, "alice");
    other.domain = "b.example".into();
    other.sid = "S-1-5-21-7-7-7-77".parse().unwrap();
    other.upn = None;
    store.put_users([&user(1, "alice"), &other], 1).unwrap();
    let found = store.users_by_sam(None, "alice").unwrap();
    assert_eq!(found.iter().map(|user| user.value.domain.as_str()).collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!(store.users_by_sam(Some("b.example"), "alice").unwrap()[0].value, other);
    assert_eq!(listing::names(&store, Kind::Users, "b.example", ""), ["alice"]);
}

#[test]
fn memberships_are_known_or_unknown() {
    let folder = Folder::new("memberships");
    let store = folder.open();
    assert_eq!(store.groups_of_user(&sid(1)).unwrap(), None);
    assert_eq!(store.members_of(&sid(2000)).unwrap(), None);
    store.put_groups_of_user(&sid(1), &[sid(513), sid(2000)], 10).unwrap();
    store.put_groups_of_user(&sid(2), &[], 11).unwrap();
    let members: Vec<_> =
        (1..=5000).map(|rid| Member { sid: sid(rid), name: format!("user{rid}"), is_group: rid % 100 == 0 }).collect();
    store.put_members(&sid(2000), &members, 12).unwrap();
    assert_eq!(store.groups_of_user(&sid(1)).unwrap(), Some(Stored { value: vec![sid(513), sid(2000)], fetched: 10 }));
    assert_eq!(store.groups_of_user(&sid(2)).unwrap(), Some(Stored { value: vec![], fetched: 11 }));
    assert_eq!(store.members_of(&sid(2000)).unwrap(), Some(Stored { value: members, fetched: 12 }));
    store.put_groups_of_user(&sid(1), &[sid(513)], 20).unwrap();
    assert_eq!(store.groups_of_user(&sid(1)).unwrap().unwrap().value, [sid(513)]);
}

#[test]
fn flush_forgets_and_counts_accounts() {
    let folder = Folder::new("flush");
    let store = folder.open();
    store.put_users([&user(1, "alice"), &user(2, "bob")], 100).unwrap();
    store.put_groups([&group(2000, "staff")], 50).unwrap();
    store.put_groups_of_user(&sid(1), &[sid(2000)], 100).unwrap();
    assert_eq!(store.stats().unwrap(), Stats { users: 2, groups: 1, oldest: Some(50) });
    assert_eq!(store.flush(&sid(1)).unwrap(), 1);
    assert_eq!(store.flush(&sid(1)).unwrap(), 0);
    assert_eq!(store.groups_of_user(&sid(1)).unwrap(), None);
    store.apply(&[Change::Remove(sid(2000))]).unwrap();
    assert_eq!(store.stats().unwrap(), Stats { users: 1, groups: 0, oldest: Some(100) });
    assert_eq!(store.flush_all().unwrap(), 1);
    assert_eq!(store.stats().unwrap(), Stats::default());
}

#[test]
fn purge_takes_the_oldest_first_and_ends() {
    let folder = Folder::new("purge");
    let store = folder.open();
    for rid in 1..=10 {
        store.put_users([&user(rid, &format!("user{rid}"))], u64::from(rid)).unwrap();
    }
    // A user is a row of its own and one of the list.
    assert_eq!(store.purge(8, 4).unwrap(), 8);
    assert_eq!(store.stats().unwrap().oldest, Some(5));
    assert_eq!(store.purge(8, 4).unwrap(), 6);
    assert_eq!(store.purge(8, 4).unwrap(), 0);
    assert_eq!(store.stats().unwrap(), Stats { users: 3, groups: 0, oldest: Some(8) });
}

#[test]
fn two_stores_on_one_file_see_each_other() {
    let folder = Folder::new("two");
    let (one, two) = (folder.open(), folder.open());
    one.put_users([&user(1, "alice")], 1).unwrap();
    two.put_users([&user(2, "bob")], 1).unwrap();
    for store in [&one, &two] {
        assert_eq!(listing::names(store, Kind::Users, "a.example", ""), ["alice", "bob"]);
    }
}

#[test]
fn threads_read_and_write_at_once() {
    let folder = Folder::new("threads");
    let store = folder.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for at in 1..50 {
                    let rid = thread * 100 + at;
                    store.put_users([&user(rid, &format!("user{rid}"))], 1).unwrap();
                    assert!(store.user_by_sid(&sid(rid)).unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(store.stats().unwrap().users, 4 * 49);
}

#[test]
fn no_lookup_reads_everything() {
    use super::accounts::sql as accounts;
    use super::former::sql as former;
    use super::memberships::sql as memberships;
    use crate::store::listing::sql as lists;
    let folder = Folder::new("plan");
    let store = folder.open();
    let plan = |query: &str| {
        store
            .read(|connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
                let count = statement.parameter_count();
                let keys = rusqlite::params_from_iter(std::iter::repeat_n("1", count));
                let rows = statement.query_map(keys, |row| row.get::<_, String>(3))?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?.join("; "))
            })
            .unwrap()
    };
    for query in [
        accounts::USER_BY_SAM,
        accounts::USER_BY_SAM_IN,
        accounts::USER_BY_UPN,
        accounts::USER_BY_UID,
        accounts::USER_BY_SID,
        accounts::GROUP_BY_SAM,
        accounts::GROUP_BY_SAM_IN,
        accounts::GROUP_BY_GID,
        accounts::GROUP_BY_SID,
        accounts::UNLIST_USERS_OF_SAM,
        accounts::UNLIST_GROUPS_OF_SAM,
        accounts::OTHER_USERS_OF_SAM,
        accounts::OTHER_USERS_OF_UPN,
        accounts::OTHER_GROUPS_OF_SAM,
        former::USER_BY_FORMER,
        former::GROUP_BY_FORMER,
        former::FORGET,
        memberships::GROUPS_OF_USER,
        memberships::MEMBERS_OF,
        lists::PAGE,
        lists::PASS,
        lists::NOT_SEEN,
    ] {
        let plan = plan(query);
        assert!(plan.contains("USING INDEX") && !plan.contains("SCAN"), "{query}: {plan}");
    }
}

#[test]
fn a_hundred_thousand_users() {
    const USERS: u32 = 100_000;
    let folder = Folder::new("many");
    let store = folder.open();
    let users: Vec<_> = (1..=USERS).map(|rid| user(rid, &format!("user{rid}"))).collect();
    let begun = Instant::now();
    for batch in users.chunks(1000) {
        store.put_users(batch, 1).unwrap();
    }
    let written = begun.elapsed();
    let begun = Instant::now();
    for rid in (1..=USERS).step_by(100) {
        assert_eq!(store.users_by_sam(None, &format!("user{rid}")).unwrap()[0].value.sid, sid(rid));
    }
    let read = begun.elapsed() / (USERS / 100);
    let size = std::fs::metadata(folder.file()).unwrap().len();
    println!("{USERS} users written in {written:?}, {size} bytes; one read in {read:?}");
    assert_eq!(store.stats().unwrap().users, u64::from(USERS));
    assert_eq!(store.flush_all().unwrap(), u64::from(USERS));
    assert!(listing::names(&store, Kind::Users, "a.example", "").is_empty());
    let left = std::fs::metadata(folder.file()).unwrap().len();
    assert!(left < size / 10, "{left} of {size} bytes are kept");
}
