//! Lookups from the shared cache through real glibc: what they give, and what they cost.

#![allow(clippy::unwrap_used)] // Test code.

mod map;

use std::fs;
use std::os::unix::fs::MetadataExt;

use entra_core::cache::{Key, SharedCache};
use entra_core::types::UserRecord;
use entra_plugin_tests::directory::{DOMAIN_USERS, Directory, Members, User};
use entra_plugin_tests::nss_stage::Stage;

use map::{GID, UID, alice, cache, group, sid};

const ALICE: &str = "alice:*:674001103:674000513:Alice Example:/home/alice:/bin/bash";
/// "nobody" and "nogroup" of every Debian host: local, and above 1000.
const NOBODY: u32 = 65_534;

fn stage() -> Stage {
    map::stage(env!("CARGO_BIN_EXE_nss-driver"))
}

fn fill(cache: &SharedCache) {
    cache.publish_user(&alice(), &["alice".into(), "alice@contoso.com".into()], 3600, || true);
    let gids: Vec<u32> = (0..150).map(|number| GID + number).collect();
    cache.publish_groups_of(&alice(), &gids, 3600, || true);
    let names: Vec<String> = (0..1600).map(|number| format!("member{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    cache.publish_group(&group("research", GID), &members, &["research".into()], (3600, 3600), || true);
    cache.publish_group(&group("few", GID + 1), &["alice"], &["few".into()], (3600, 0), || true);
    cache.publish_absent(&Key::UserName(b"no-such-user"), 3600, || true);
}

#[test]
fn what_was_published_is_given_without_asking_the_daemon() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let daemon = stage.knowing(Directory::default());
    let said = stage.run(&[
        "pwnam=alice",
        "pwnam=Alice@CONTOSO.com",
        "pwuid=674001103",
        "buffer=10",
        "step=1",
        "pwnam=alice",
        "grgid=674001201",
        "pwnam=no-such-user",
        "grouplist=alice,674000513,200",
    ]);
    let gids: Vec<u32> = std::iter::once(DOMAIN_USERS).chain((0..150).map(|number| GID + number)).collect();
    let groups = format!("151 151 {gids:?}");
    assert_eq!(said, [ALICE, ALICE, ALICE, ALICE, "few:*:674001201:alice", "none", &groups]);
    let research = stage.ask("grnam=research");
    let members: Vec<&str> = research.rsplit(':').next().unwrap().split(',').collect();
    assert_eq!((members.len(), members[0], members[1599]), (1600, "member0", "member1599"));
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn what_the_map_does_not_hold_is_asked_for() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let few = Members::new("few", GID + 1, ["alice".into(), "bob".into()]);
    let daemon = stage.knowing(Directory { users: vec![User::new("bob", 674_001_104)], groups: vec![few] });
    let said = stage.run(&["pwnam=bob", "grnam=few"]);
    assert!(said[0].starts_with("bob:*:674001104:"), "{said:?}");
    assert_eq!(said[1], "few:*:674001201:alice,bob", "by name all members, which the map does not have");
    assert_eq!(daemon.connections(), 2);
}

#[test]
fn a_warm_lookup_makes_no_system_call() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let words = "pwnam=alice,pwuid=674001103,grgid=674001201,groups=alice,pwnam=no-such-user,pwuid=100000";
    assert_eq!(stage.ask(&format!("quiet=10,{words}")), "quiet");
    // The same without a map is not: this check can fail.
    drop(cache);
    fs::remove_file(stage.path().join("cache.map")).unwrap();
    assert_eq!(stage.ask(&format!("quiet=10,{words}")), "ended by signal 9");
}

#[test]
fn ids_that_the_configuration_does_not_grant_never_come_out() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let config = "[domains.\"aadds.contoso.com\"]\nid_range = \"300000-399999\"\n";
    fs::write(stage.path().join("entra.toml"), config).unwrap();
    // A configuration of anybody but root grants nothing, and leaves the default.
    if fs::metadata(stage.path()).unwrap().uid() != 0 {
        println!("skipped: only root writes a configuration that counts");
        return;
    }
    let said = stage.run(&["pwnam=alice", "pwuid=674001103", "grgid=674001200", "grouplist=alice,5,9"]);
    assert_eq!(said, ["error ENOENT", "none", "none", "1 1 [5]"]);
}

/// A writer that knows of no local account, as one that was taken over: what it says of them is not passed on.
#[test]
fn a_forged_map_gives_no_local_name_id_or_group() {
    let stage = stage();
    let config = "[domains.\"aadds.contoso.com\"]\nid_range = \"1000-2000199999\"\n";
    fs::write(stage.path().join("entra.toml"), config).unwrap();
    let cache = map::cache_of(&stage, (1000, 2_000_199_999));
    let user = |name: &str, uid: u32, keys: &[&str]| {
        let record = UserRecord { name: name.into(), uid, sid: sid(uid), ..alice() };
        let keys: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
        cache.publish_user(&record, &keys, 3600, || true);
        cache.publish_groups_of(&record, &[GID, GID + 1], 3600, || true);
        record
    };
    let group = |name: &str, gid: u32, members: &[&str], keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
        cache.publish_group(&group(name, gid), members, &keys, (3600, 3600), || true);
    };
    user("alice", UID, &["alice"]);
    user("daemon", UID + 1, &["mallory"]);
    user("Daemon", UID + 2, &["trent"]);
    user("eve", UID + 3, &["games"]);
    user("oscar", NOBODY, &["oscar"]);
    group("research", GID, &["alice"], &["research"]);
    group("tape", GID + 1, &["alice"], &["evil"]);
    group("TAPE", GID + 2, &["alice"], &["vile"]);
    group("live", GID + 3, &["alice"], &["voice"]);
    group("nice", NOBODY, &["alice"], &["nice"]);
    group("veil", GID + 5, &["alice", "games"], &["veil"]);
    group("evli", GID + 6, &["alice", "Games"], &["evli"]);
    // Not local, and reserved: by its own name, by another one, in other letters.
    group("wheel", GID + 7, &["alice"], &["wheel"]);
    group("Podman", GID + 8, &["alice"], &["vault"]);
    let peggy = user("peggy", UID + 8, &["peggy"]);
    cache.publish_groups_of(&peggy, &[GID, NOBODY], 3600, || true);
    let daemon = stage.knowing(Directory::default());

    let good = ["sources=entra", "pwnam=alice", "pwuid=674001103", "grnam=research", "grgid=674001200"];
    let few = "research:*:674001200:alice";
    assert_eq!(stage.run(&good), [ALICE, ALICE, few, few]);
    assert_eq!(stage.ask("grouplist=alice,5,9"), "4 4 [5, 674000513, 674001200, 674001201]");
    assert_eq!(daemon.connections(), 0, "the map is not what answers here");

    let forged = [
        "pwnam=mallory",
        "pwuid=674001104",
        "pwnam=trent",
        "pwuid=674001105",
        "pwnam=games",
        "pwnam=oscar",
        "pwuid=65534",
        "grnam=evil",
        "grgid=674001201",
        "grnam=vile",
        "grgid=674001202",
        "grnam=voice",
        "grnam=nice",
        "grgid=65534",
        "grnam=veil",
        "grgid=674001205",
        "grnam=evli",
        "grnam=wheel",
        "grgid=674001207",
        "grnam=vault",
        "grgid=674001208",
    ];
    for word in forged {
        assert_eq!(stage.run(&["sources=entra", word]), ["none"], "{word}");
    }
    // What is asked for by a local name reaches no daemon either.
    let before = daemon.connections();
    assert_eq!(stage.run(&["grouplist=games,60,9", "grouplist=daemon,1,9"]), ["1 1 [60]", "1 1 [1]"]);
    assert_eq!(daemon.connections(), before);
    assert_eq!(stage.run(&["grouplist=peggy,5,9", "grouplist=oscar,5,9"]), ["1 1 [5]", "1 1 [5]"]);
}

#[test]
fn a_process_that_asks_to_be_left_out_does_not_read_the_map() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let mut command = stage.command(&["pwnam=alice"]);
    command.env("ENTRA_NSS_OFF", "1");
    assert_eq!(entra_plugin_tests::child::output(&mut command), "error ENOENT\n");
}

#[test]
fn threads_forks_and_signals_find_the_same() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    assert_eq!(stage.ask("threads=16,2000,alice"), "32000 of 32000");
    assert_eq!(stage.ask("fork=alice"), "50 of 50");
    assert_eq!(stage.ask("signals=alice,20000,200"), "20000 of 20000");
}

#[test]
fn a_damaged_map_is_no_map() {
    let stage = stage();
    let _daemon = stage.knowing_user(User { gecos: "Alice Example".into(), ..User::new("alice", UID) });
    for byte in [0, 1, 0x45, 0xff] {
        fs::write(stage.path().join("cache.map"), vec![byte; 1 << 20]).unwrap();
        assert_eq!(stage.ask("pwnam=alice"), ALICE);
    }
    fs::write(stage.path().join("cache.map"), "short").unwrap();
    assert_eq!(stage.ask("pwnam=alice"), ALICE);
}

/// By hand, in a release build: `cargo test --release -p entra-plugin-tests --test nss_map -- --ignored --nocapture`.
#[test]
#[ignore = "it measures and judges nothing"]
fn pace() {
    let stage = stage();
    let cache = cache(&stage);
    fill(&cache);
    let others = |number: u32| UserRecord {
        name: format!("user{number}"),
        uid: 674_010_000 + number,
        sid: sid(10_000 + number),
        ..alice()
    };
    for number in 0..2000 {
        let name = format!("user{number}");
        cache.publish_user(&others(number), &[name.clone(), format!("{name}@contoso.com")], 3600, || true);
    }
    cache.publish_absent(&Key::UserName(b"no-such-user"), 3600, || true);
    for (group, gid) in [("research", GID), ("few", GID + 1)] {
        println!("{}", stage.ask(&format!("pace={},alice,{UID},{group},{gid}", stage.module.display())));
    }
}
