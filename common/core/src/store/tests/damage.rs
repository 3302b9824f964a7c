//! What both stores survive: damaged, foreign and loose files, other versions, a full disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::Error;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_reads_the_files() {
    let folder = Folder::new("mode");
    std::fs::write(folder.file(), "").unwrap();
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = folder.open();
    store.put_users([&user(1, "alice")], 1).unwrap();
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    SliceStore::open(&folder.0.join("idmap.db")).unwrap();
    assert_eq!(mode(&folder.0.join("idmap.db")), 0o600);
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let zeros = vec![0; 100_000];
    for (name, content) in [("zeros", &zeros[..]), ("text", b"this is no database, and long enough to be looked at")] {
        let folder = Folder::new(name);
        std::fs::write(folder.file(), content).unwrap();
        let store = folder.open();
        store.put_users([&user(1, "alice")], 1).unwrap();
        assert_eq!(names(&store.users_by_sam(None, "alice").unwrap()), ["alice"], "{name}");
        drop(store);
        assert_eq!(folder.open().stats().unwrap().users, 1, "{name}");
    }
}

#[test]
fn a_truncated_file_is_begun_anew() {
    let users: Vec<_> = (1..500).map(|rid| user(rid, &format!("user{rid}"))).collect();
    for keep in [100, 4096, 50_000] {
        let folder = Folder::new("truncated");
        folder.open().put_users(&users, 1).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
        assert!(file.metadata().unwrap().len() > keep);
        file.set_len(keep).unwrap();
        let store = folder.open();
        assert_eq!(store.stats().unwrap().users, 0, "{keep}");
        store.put_users(&users, 2).unwrap();
        assert_eq!(store.stats().unwrap().users, 499, "{keep}");
    }
}

#[test]
fn damage_that_shows_while_running_is_said_once() {
    let folder = Folder::new("running");
    let store = folder.open();
    store.put_users([&user(1, "alice")], 1).unwrap();
    store.write(|transaction| Ok(transaction.execute("UPDATE user_record SET record = x'ff'", [])?)).unwrap();
    assert!(matches!(store.user_by_sid(&sid(1)), Err(Error::StoreCorrupt(_))));
    assert_eq!(store.user_by_sid(&sid(1)).unwrap(), None);
    store.put_users([&user(1, "alice")], 2).unwrap();
    drop(store);
    assert_eq!(folder.open().user_by_sid(&sid(1)).unwrap().unwrap().fetched, 2);
}

#[test]
fn another_version_is_begun_anew() {
    let folder = Folder::new("version");
    let store = folder.open();
    store.put_users([&user(1, "alice")], 1).unwrap();
    store.write(|transaction| Ok(transaction.pragma_update(None, "user_version", 99)?)).unwrap();
    drop(store);
    assert_eq!(folder.open().stats().unwrap().users, 0);
}

#[test]
fn the_shape_of_records_has_the_version_of_the_file() {
    // When this fails, a record's fields have changed: raise VERSION in identity.rs, then write the new sums here.
    let sum = |record: Vec<u8>| {
        // FNV-1a.
        record
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    };
    let sums = [
        sum(accounts::encode(&user(1103, "alice")).unwrap()),
        sum(accounts::encode(&group(2000, "staff")).unwrap()),
        sum(accounts::encode(&Member { sid: sid(1), name: "alice".into(), is_group: false }).unwrap()),
    ];
    assert_eq!(sums, [8_647_462_932_311_814_113, 4_860_617_660_736_307_076, 12_732_105_175_789_757_360]);
}

#[test]
fn a_full_disk_is_an_error_and_keeps_what_was_there() {
    let folder = Folder::new("full");
    let store = folder.open();
    store.put_users([&user(1, "alice")], 1).unwrap();
    let limit = |store: &IdentityStore, pages: u32| {
        let writer = store.writer.lock().unwrap();
        writer.as_ref().unwrap().pragma_update(None, "max_page_count", pages).unwrap();
    };
    limit(&store, 40);
    let many: Vec<_> = (2..5000).map(|rid| user(rid, &format!("user{rid}"))).collect();
    let error = store.put_users(&many, 2).unwrap_err();
    assert!(matches!(&error, Error::Io(text) if text.contains("the disk is full")), "{error}");
    assert_eq!(store.stats().unwrap(), Stats { users: 1, groups: 0, oldest: Some(1) });
    limit(&store, 1_000_000);
    store.put_users(&many, 3).unwrap();
    assert_eq!(store.stats().unwrap().users, 4999);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    assert!(matches!(IdentityStore::open(Path::new("/nonexistent/identity.db")), Err(Error::Io(_))));
    assert!(matches!(SliceStore::open(Path::new("/nonexistent/idmap.db")), Err(Error::Io(_))));
}

#[test]
fn a_damaged_idmap_is_refused_and_left_alone() {
    let folder = Folder::new("idmap-damaged");
    let path = folder.0.join("idmap.db");
    let content = vec![0; 8192];
    std::fs::write(&path, &content).unwrap();
    for result in [SliceStore::open(&path), SliceStore::copy_of(&path)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::StoreCorrupt(text) if text.contains("restore this file")), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), content);
}

#[test]
fn a_newer_idmap_is_refused() {
    let folder = Folder::new("idmap-newer");
    let path = folder.0.join("idmap.db");
    drop(SliceStore::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for result in [SliceStore::open(&path), SliceStore::copy_of(&path)] {
        assert!(matches!(&result, Err(Error::Config(text)) if text.contains("newer version")), "{result:?}");
    }
}

#[test]
fn a_block_is_not_moved() {
    let folder = Folder::new("idmap-moved");
    let path = folder.0.join("idmap.db");
    let (one, two) = (SliceStore::open(&path).unwrap(), SliceStore::open(&path).unwrap());
    let domain: Sid = DOMAIN.parse().unwrap();
    let met = MetDomain { sid: domain.clone(), name: "a.example".into(), mapping: "sssd".into() };
    let block = Block { domain: domain.clone(), first_rid: 0, first_id: 200_000, last_id: 399_999 };
    one.add(&met, std::slice::from_ref(&block)).unwrap();
    let moved = Block { first_id: 600_000, last_id: 799_999, ..block.clone() };
    assert!(matches!(two.add(&met, &[moved]), Err(Error::Io(_))));
    assert_eq!(two.read().unwrap(), (vec![met], vec![block]));
}
