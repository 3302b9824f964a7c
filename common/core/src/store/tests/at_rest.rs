//! The store as others read it while the daemon does not run.

use super::super::StoreAtRest;
use super::*;

fn files(folder: &Folder) -> Vec<String> {
    let folder = folder.file().parent().unwrap().to_owned();
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_a_daemon_left_is_read_and_nothing_is_made() {
    let folder = Folder::new("at rest");
    assert!(StoreAtRest::open(&folder.file()).unwrap().is_none());
    assert!(files(&folder).is_empty());
    let old: Sid = "S-1-5-21-9-8-7-500".parse().unwrap();
    let store = folder.open();
    store.put_users([&UserRecord { former_sids: vec![old.clone()], ..user(1103, "alice") }], 1).unwrap();
    store.put_groups([&group(2000, "staff")], 1).unwrap();
    // While it is written, as after a daemon that was killed: the newest rows are in the log alone.
    let before = files(&folder);
    let killed = StoreAtRest::open(&folder.file()).unwrap().unwrap();
    assert_eq!(killed.user_of_sid(&sid(1103)).unwrap().unwrap().uid, 201_103);
    drop(killed);
    assert_eq!(files(&folder), before);
    drop(store);
    // And after one that was stopped.
    let before = files(&folder);
    let stopped = StoreAtRest::open(&folder.file()).unwrap().unwrap();
    assert_eq!(stopped.user_of_sid(&old).unwrap().unwrap().uid, 201_103);
    assert_eq!(stopped.group_of_sid(&sid(2000)).unwrap().unwrap().gid, 202_000);
    assert_eq!(stopped.user_by_uid(201_103).unwrap().unwrap().sid, sid(1103));
    assert_eq!(stopped.group_by_gid(202_000).unwrap().unwrap().sid, sid(2000));
    assert_eq!(stopped.user_of_sid(&sid(1999)).unwrap(), None);
    assert_eq!(files(&folder), before);
}

#[test]
fn another_version_is_left_alone() {
    let folder = Folder::new("at-rest-version");
    let store = folder.open();
    store.write(|transaction| Ok(transaction.pragma_update(None, "user_version", 99)?)).unwrap();
    drop(store);
    assert!(StoreAtRest::open(&folder.file()).unwrap().is_none());
    assert!(folder.file().exists());
}
