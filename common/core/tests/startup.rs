//! What a start costs with many users on disk. Alone in its program, because it counts what the process reads.

#![allow(clippy::unwrap_used)] // Test code.

mod support;

use std::time::Instant;

use entra_core::lookup::{Freshness, Query};
use entra_core::store::IdentityStore;
use entra_core::types::{AccountState, UserRecord};
use support::{ALICE_UID, DOMAIN, FakeDirectory, Host, sid};

const USERS: u32 = 20_000;

fn user(rid: u32) -> UserRecord {
    let name = format!("user{rid}");
    UserRecord {
        domain: DOMAIN.into(),
        sid: sid(rid),
        former_sids: Vec::new(),
        guid: vec![7; 16],
        dn: format!("CN={name},OU=AADDC Users,DC=aadds,DC=contoso,DC=com"),
        sam: name.clone(),
        upn: Some(format!("{name}@contoso.com")),
        uid: ALICE_UID - 1103 + rid,
        gid: ALICE_UID - 1103 + 513,
        primary_group: sid(513),
        gecos: format!("User {rid}"),
        home: format!("/home/{name}"),
        name,
        shell: "/bin/bash".into(),
        ssh_keys: Vec::new(),
        state: AccountState::default(),
    }
}

/// Bytes that this process has read so far, from whatever (proc(5), `/proc/pid/io`).
fn bytes_read() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_start_does_not_read_the_store() {
    let host = Host::new(FakeDirectory::with_people(), "");
    let query = Query::name("alice");
    let lookup = host.start();
    assert!(lookup.user(query.clone(), Freshness::Cached).await.unwrap().is_some());
    lookup.flush(Some("nobody@nowhere")).await.unwrap();
    drop(lookup);
    let path = host.file("identity.db");
    let store = IdentityStore::open(&path).unwrap();
    let users: Vec<_> = (2000..2000 + USERS).map(user).collect();
    for batch in users.chunks(1000) {
        store.put_users(batch, 1_800_000_000).unwrap();
    }
    drop(store);
    host.directory.cut();
    let size = std::fs::metadata(&path).unwrap().len();

    let (before, begun) = (bytes_read(), Instant::now());
    let lookup = host.start();
    for name in ["user2000", "USER12345", "user21999"] {
        assert!(lookup.user(Query::name(name), Freshness::Cached).await.unwrap().is_some(), "{name}");
    }
    let read = bytes_read() - before;
    println!("{read} bytes of {size} read in {:?}", begun.elapsed());
    assert!(read < size / 20, "{read} bytes of {size} were read before the first answers");
}
