//! The shared cache as a file: one writer as the daemon has it, readers as the modules have them.

#![allow(clippy::unwrap_used)] // Test code.

use std::fs::{self, Permissions};
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use entra_core::cache::{Now, Settings, SharedCache};
use entra_core::types::{AccountState, GroupRecord, Sid, UserRecord};
use entra_wire::cache_map::{Key, Mapped, Place, SharedMap, View, mapping};

const SIZE: u32 = 4 << 20;

struct Host {
    folder: PathBuf,
}

impl Host {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("entra-shared-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
        fs::write(folder.join("group"), "root:x:0:\n").unwrap();
        Self { folder }
    }

    fn map(&self) -> PathBuf {
        self.folder.join("cache.map")
    }

    fn start(&self, max_size: u32) -> SharedCache {
        start_in(&self.folder, max_size)
    }

    fn place(&self) -> Place {
        Place::new(&self.folder, Path::new("/nonexistent/entra.toml")).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start_in(folder: &Path, max_size: u32) -> SharedCache {
    let settings = Settings {
        path: folder.join("cache.map"),
        max_size,
        ranges: vec![(200_000, 2_000_199_999)],
        passwd: folder.join("passwd"),
        group: folder.join("group"),
    };
    SharedCache::start(settings, now(0))
}

/// So many seconds from now.
fn now(later: u32) -> Now {
    let (tick, beat) = mapping::tick_and_beat();
    Now { tick: tick + later, beat }
}

fn sid(rid: u32) -> Sid {
    "S-1-5-21-1-2-3".parse::<Sid>().unwrap().with_rid(rid).unwrap()
}

fn user(number: u32) -> UserRecord {
    UserRecord {
        domain: "aadds.contoso.com".into(),
        sid: sid(number),
        former_sids: Vec::new(),
        guid: Vec::new(),
        dn: String::new(),
        sam: String::new(),
        upn: None,
        name: format!("user{number}"),
        uid: 300_000 + number,
        gid: 674_000_513,
        primary_group: sid(513),
        gecos: format!("User {number}"),
        home: format!("/home/user{number}"),
        shell: "/bin/bash".into(),
        ssh_keys: Vec::new(),
        state: AccountState::default(),
    }
}

fn group(name: &str, gid: u32) -> GroupRecord {
    let (domain, guid, dn, sam) = (String::new(), Vec::new(), String::new(), String::new());
    GroupRecord { domain, sid: sid(gid), former_sids: Vec::new(), guid, dn, sam, name: name.into(), gid }
}

fn publish(cache: &SharedCache, number: u32) {
    cache.publish_user(&user(number), &[format!("user{number}")], 3600, || true);
}

/// What a process gets from its map by name; the name in it is checked.
fn find(map: &SharedMap, number: u32) -> Option<u32> {
    let (memory, _) = map.mapped()?;
    let view: View<'_, Mapped> = View::open(&memory, mapping::now())?;
    let name = format!("user{number}");
    let found = view.user(&Key::UserName(name.as_bytes()))?;
    let mut buffer = [MaybeUninit::uninit(); 256];
    let copied = found.copy(&mut buffer);
    if !view.is_current() {
        return None;
    }
    assert_eq!(*copied.unwrap().name(), *name.as_bytes());
    assert_eq!(found.uid, 300_000 + number);
    Some(found.uid)
}

#[test]
fn another_mapping_sees_what_is_published_later() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let map = SharedMap::new();
    assert!(map.refresh(&host.place()) && !map.refresh(&host.place()), "mapped once");
    assert_eq!(find(&map, 7), None);
    publish(&cache, 7);
    assert_eq!(find(&map, 7), Some(300_007));
    cache.withdraw(&Key::Uid(300_007));
    assert_eq!(find(&map, 7), None);
    publish(&cache, 7);
    cache.tick(now(3601));
    assert_eq!(find(&map, 7), None, "its life is over");
}

#[test]
fn readers_go_on_through_a_restart_and_then_move() {
    let host = Host::new();
    let map = SharedMap::new();
    let cache = host.start(SIZE);
    publish(&cache, 1);
    map.refresh(&host.place());
    drop(cache);
    assert_eq!(find(&map, 1), Some(300_001), "while there is no daemon");
    for number in 2..30 {
        // More restarts than there are places for maps in a process.
        let cache = host.start(SIZE);
        assert_eq!(find(&map, number - 1), None, "the map was superseded");
        assert!(map.refresh(&host.place()));
        publish(&cache, number);
        assert_eq!(find(&map, number), Some(300_000 + number));
    }
}

#[test]
fn a_superseded_map_loses_its_memory_and_not_its_size() {
    use std::os::unix::fs::MetadataExt;
    let host = Host::new();
    let cache = host.start(SIZE);
    let old = fs::File::open(host.map()).unwrap();
    let before = old.metadata().unwrap();
    cache.flush();
    cache.tick(now(30));
    assert_eq!(old.metadata().unwrap().blocks(), before.blocks(), "readers may be in it");
    cache.tick(now(61));
    let after = old.metadata().unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after.blocks() * 512 <= 8192, "{} blocks are left", after.blocks());
}

#[test]
fn a_map_grows_up_to_its_bound_and_then_keeps_the_newest() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let map = SharedMap::new();
    for number in 0..30_000 {
        publish(&cache, number);
    }
    assert_eq!(fs::metadata(host.map()).unwrap().len(), u64::from(SIZE));
    map.refresh(&host.place());
    let found = (0..30_000).filter(|number| find(&map, *number).is_some()).count();
    assert!(found > 4000, "{found}");
    cache.tick(now(100));
    publish(&cache, 30_001);
    map.refresh(&host.place());
    assert_eq!(find(&map, 30_001), Some(330_001), "a minute later there is room again");
}

#[test]
fn sixteen_threads_read_while_the_map_is_written_and_replaced() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let map = SharedMap::new();
    let stop = AtomicBool::new(false);
    let hits = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (map, stop, hits, place) = (&map, &stop, &hits, host.place());
            scope.spawn(move || {
                let mut number = thread;
                while !stop.load(Ordering::Relaxed) {
                    number = (number * 7 + 3) % 50;
                    match find(map, number) {
                        Some(_) => drop(hits.fetch_add(1, Ordering::Relaxed)),
                        None => drop(map.refresh(&place)),
                    }
                }
            });
        }
        for round in 0..200 {
            for number in 0..50 {
                publish(&cache, number);
            }
            cache.withdraw(&Key::Uid(300_000 + round % 50));
            if round % 4 == 0 {
                cache.flush();
            }
            // Memory goes as soon as there are several maps without readers: the bound of those that keep it.
            cache.tick(now(round * 61));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(hits.load(Ordering::Relaxed) > 0);
}

#[test]
fn local_accounts_are_never_published_and_a_new_one_empties_the_map() {
    let host = Host::new();
    fs::write(host.folder.join("group"), "wheel:x:10:\nours:x:674000777:\n").unwrap();
    let cache = host.start(SIZE);
    let map = SharedMap::new();
    publish(&cache, 1);
    publish(&cache, 2);
    cache.publish_groups_of(&user(1), &[674_000_777, 674_000_778], 3600, || true);
    cache.publish_group(&group("wheel", 674_000_900), &[], &["wheel".into()], (3600, 3600), || true);
    map.refresh(&host.place());
    let (memory, _) = map.mapped().unwrap();
    let view = View::open(&memory, mapping::now()).unwrap();
    let gids: Vec<u32> = view.groups_of(300_001).unwrap().gids().collect();
    assert_eq!(gids, [674_000_778], "a local gid is no group of the directory");
    assert!(view.group(&Key::GroupName(b"wheel"), true).is_none());
    assert_eq!(find(&map, 1), Some(300_001));
    fs::write(host.folder.join("passwd"), "root:x:0:0::/:/bin/sh\nUser1:x:1001:1001::/:/bin/sh\n").unwrap();
    cache.tick(now(1));
    assert_eq!(find(&map, 1), None);
    map.refresh(&host.place());
    publish(&cache, 1);
    publish(&cache, 2);
    assert_eq!((find(&map, 1), find(&map, 2)), (None, Some(300_002)));
    let members = ["user1", "user2", "root"];
    cache.publish_group(&group("people", 674_000_901), &members, &["people".into()], (3600, 3600), || true);
    let (memory, _) = map.mapped().unwrap();
    let view = View::open(&memory, mapping::now()).unwrap();
    assert_eq!(view.group(&Key::Gid(674_000_901), true).unwrap().member_count(), 1, "local names are no members");
}

#[test]
fn what_the_daemon_would_no_longer_say_is_not_published() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let map = SharedMap::new();
    map.refresh(&host.place());
    cache.publish_user(&user(1), &["user1".into()], 3600, || false);
    cache.publish_user(&user(2), &["user2".into()], 0, || true);
    cache.publish_user(&UserRecord { uid: 999, ..user(3) }, &["user3".into()], 3600, || true);
    cache.publish_user(&UserRecord { name: "root".into(), ..user(4) }, &["user4".into()], 3600, || true);
    assert_eq!((1..5).find(|number| find(&map, *number).is_some()), None);
}

#[test]
fn each_map_comes_with_the_local_accounts_of_its_time() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let (passwd, group) = (host.folder.join("local-passwd"), host.folder.join("local-group"));
    let place = host.place().with_local(passwd.clone(), group.clone());
    let map = SharedMap::new();
    assert!(!map.refresh(&place), "a map was believed by a process that knows of no local account");
    fs::write(&passwd, "anna:x:1000:1000::/:/bin/sh\n").unwrap();
    fs::write(&group, "staff:x:50:\n").unwrap();
    assert!(map.refresh(&place));
    let local = &map.mapped().unwrap().1.local;
    assert!(local.users.have(b"anna") && local.groups.have(b"staff") && !local.users.have(b"berta"));
    // The same accounts, the same memory.
    cache.flush();
    assert!(map.refresh(&place));
    assert!(std::ptr::eq(local, &raw const map.mapped().unwrap().1.local));
    fs::write(&passwd, "berta:x:1001:1001::/:/bin/sh\n").unwrap();
    cache.flush();
    assert!(map.refresh(&place));
    let later = &map.mapped().unwrap().1.local;
    assert!(later.users.have(b"berta") && !later.users.have(b"anna"));
    // What a reader still holds stays.
    assert!(local.users.have(b"anna"));
}

#[test]
fn more_local_accounts_than_a_process_keeps_leave_it_without_the_map() {
    let host = Host::new();
    let cache = host.start(SIZE);
    cache.publish_user(&user(1), &["user1".into()], 60, || true);
    let (passwd, group) = (host.folder.join("local-passwd"), host.folder.join("local-group"));
    let lines: Vec<String> = (0..40_000).map(|number| format!("a-rather-long-name-{number:08}:x:{number}:")).collect();
    fs::write(&passwd, lines.join("\n")).unwrap();
    fs::write(&group, "").unwrap();
    let place = host.place().with_local(passwd.clone(), group);
    let map = SharedMap::new();
    map.refresh(&place);
    assert!(find(&map, 1).is_none());
    fs::write(&passwd, "").unwrap();
    cache.flush();
    cache.publish_user(&user(1), &["user1".into()], 60, || true);
    assert!(map.refresh(&place));
    assert!(find(&map, 1).is_some());
}

#[test]
fn files_that_others_could_have_made_are_not_mapped() {
    let host = Host::new();
    let cache = host.start(SIZE);
    let refused = |what: &str| assert!(!SharedMap::new().refresh(&host.place()), "{what}");
    assert!(SharedMap::new().refresh(&host.place()));
    fs::set_permissions(host.map(), Permissions::from_mode(0o666)).unwrap();
    refused("everybody may write the file");
    fs::set_permissions(host.map(), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&host.folder, Permissions::from_mode(0o777)).unwrap();
    refused("everybody may replace the file");
    fs::set_permissions(&host.folder, Permissions::from_mode(0o755)).unwrap();
    assert!(SharedMap::new().refresh(&host.place()));
    fs::rename(host.map(), host.folder.join("real")).unwrap();
    std::os::unix::fs::symlink(host.folder.join("real"), host.map()).unwrap();
    refused("a link");
    fs::remove_file(host.map()).unwrap();
    for size in [0, 100, 4096, 70_000] {
        fs::write(host.map(), vec![0; size]).unwrap();
        refused("no map has this size");
    }
    drop(cache);
}

#[test]
fn a_file_of_nonsense_is_mapped_and_answers_nothing() {
    let host = Host::new();
    fs::write(host.map(), vec![0xa5; 1 << 20]).unwrap();
    let map = SharedMap::new();
    assert!(map.refresh(&host.place()));
    assert_eq!(find(&map, 1), None);
    // The daemon starts over it, and the process moves on.
    let cache = host.start(SIZE);
    assert!(map.refresh(&host.place()));
    publish(&cache, 1);
    assert_eq!(find(&map, 1), Some(300_001));
}

/// In a mount namespace of its own, so that nothing stays mounted.
#[test]
fn on_a_full_file_system_there_is_no_map_and_no_harm() {
    use std::os::unix::fs::MetadataExt;
    let host = Host::new();
    if fs::metadata(&host.folder).unwrap().uid() != 0 {
        println!("skipped: only root mounts");
        return;
    }
    let folder = host.folder.to_str().unwrap();
    let script = "mount -t tmpfs -o size=3m,mode=755 tmpfs \"$1\" && exec \"$2\" --ignored --exact in_three_mebibytes";
    let done = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", folder])
        .arg(std::env::current_exe().unwrap())
        .env("ENTRA_TEST_FOLDER", folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"));
}

#[test]
#[ignore = "it is run by the test above, where there is little room"]
fn in_three_mebibytes() {
    let folder = PathBuf::from(std::env::var_os("ENTRA_TEST_FOLDER").unwrap());
    fs::write(folder.join("passwd"), "").unwrap();
    fs::write(folder.join("group"), "").unwrap();
    let place = Place::new(&folder, Path::new("/nonexistent/entra.toml")).unwrap();
    let map = SharedMap::new();
    let cache = start_in(&folder, 64 << 20);
    map.refresh(&place);
    // The map of 2 MiB fits, the larger one after it does not: what is there stays, and what is new is left out.
    for number in 0..20_000 {
        publish(&cache, number);
    }
    assert_eq!(find(&map, 0), Some(300_000));
    assert_eq!(find(&map, 19_999), None);
    // An answer that changed is not given in its old form.
    cache.publish_user(&UserRecord { gecos: "married".into(), ..user(0) }, &[], 3600, || true);
    assert_eq!(find(&map, 0), None);
    // Nor is anything after a flush for which there is no second file.
    cache.flush();
    assert_eq!((find(&map, 1), cache.usage()), (None, None));
    drop(cache);
    fs::write(folder.join("ballast"), vec![1; 2 << 20]).unwrap();
    let cache = start_in(&folder, 64 << 20);
    publish(&cache, 1);
    assert!(cache.usage().is_none() && !folder.join("cache.map").exists() && !folder.join("cache.map.new").exists());
    fs::remove_file(folder.join("ballast")).unwrap();
    cache.tick(now(61));
    assert!(cache.usage().is_some(), "a minute later there is room");
}

#[test]
fn without_a_map_the_daemon_works_on() {
    let host = Host::new();
    let cache = host.start(0);
    publish(&cache, 1);
    cache.tick(now(1));
    cache.flush();
    assert!(!host.map().exists() && cache.usage().is_none());
    assert!(!SharedMap::new().refresh(&host.place()));
    // A folder that is not there is as good as one without room.
    let cache = start_in(Path::new("/nonexistent"), SIZE);
    publish(&cache, 1);
    cache.tick(now(120));
    assert!(cache.usage().is_none());
}

#[test]
fn a_map_that_was_removed_or_replaced_is_at_its_place_again_a_tick_later_with_what_it_held() {
    let host = Host::new();
    let cache = host.start(SIZE);
    publish(&cache, 1);
    let spoil: [fn(&Path); 2] = [
        |map| fs::remove_file(map).unwrap(),
        |map| {
            fs::write(map.with_extension("other"), "garbage").unwrap();
            fs::rename(map.with_extension("other"), map).unwrap();
        },
    ];
    for spoil in spoil {
        spoil(&host.map());
        let fresh = SharedMap::new();
        fresh.refresh(&host.place());
        assert_eq!(find(&fresh, 1), None);
        cache.tick(now(1));
        let fresh = SharedMap::new();
        fresh.refresh(&host.place());
        assert_eq!(find(&fresh, 1), Some(300_001));
    }
}
