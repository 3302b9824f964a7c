//! What a warm lookup costs inside the released module: instructions, and calls out of it. `cargo xtask gate` runs it.
//!
//! Counted by callgrind in the module alone, for calls from the second on: the same on every machine, however fast and
//! busy it is and whatever memcpy its glibc chooses. Only the compiler matters, by up to 6 % from 1.95 to 1.97. With the
//! one that the table was made with, a tenth more fails; with another, a fifth more does.

#![allow(clippy::unwrap_used)] // Test code.

mod map;

use std::process::Command;

use entra_core::cache::Key;
use entra_plugin_tests::callgrind::{self, Count};
use entra_plugin_tests::modules;
use entra_plugin_tests::nss_stage::Stage;

use map::{GID, UID, alice, group};

/// The compiler that the table was made with. The lines that this prints are the table for the one in use.
const COMPILER: &str = "rustc 1.95.0";

/// Entry of the driver, members of the group, the entry's status, and of one call: instructions in the module, calls out
/// of it.
const TABLE: [(&str, u32, &str, u64, u64); 8] = [
    ("getpwnam", 3, "1", 1426, 6),
    ("getpwuid", 3, "1", 1144, 5),
    ("getgrnam", 3, "1", 1604, 7),
    ("getgrnam", 1600, "1", 43380, 7),
    ("getgrgid", 3, "1", 1258, 6),
    ("initgroups", 3, "1", 1997, 8),
    ("negative", 3, "0", 1156, 6),
    ("foreign uid", 3, "0", 182, 2),
];

/// How much more than the table's is allowed, in percent: with the table's compiler, and with another one.
const MORE: [u64; 2] = [8, 20];

/// Calls that are taken off the count: the first ones map the file.
const FIRST: u64 = 20;
/// Calls that are counted.
const TIMES: u64 = 500;
/// Groups of the user, beside the primary one.
const GROUPS: u32 = 60;

#[test]
#[ignore = "it judges a release build: cargo xtask gate"]
fn a_warm_lookup_costs_no_more_than_it_did() {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: the table was made on x86_64");
        return;
    }
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let rustc = String::from_utf8(rustc.unwrap().stdout).unwrap();
    let more = MORE[usize::from(!rustc.starts_with(&format!("{COMPILER} ")))];
    println!("{} (the table: {COMPILER}); {more} % more would be too much", rustc.trim());
    let mut wrong = Vec::new();
    for (entry, members, status, instructions, calls) in TABLE {
        let most = |count: u64| count * (100 + more) / 100;
        let is_within = |count: &Count| count.own <= most(instructions) && count.all_calls() <= most(calls);
        // Keys that happen to share a bucket of one map do not in the next: the best of them tells what the code does.
        let mut best = one(entry, members, status);
        for _ in 0..2 {
            if is_within(&best) {
                break;
            }
            let next = one(entry, members, status);
            best = if next.own < best.own { next } else { best };
        }
        println!("    ({entry:?}, {members}, {status:?}, {}, {}),", best.own, best.all_calls());
        if !is_within(&best) {
            let (own, called, instructions, calls) = (best.own, &best.calls, most(instructions), most(calls));
            wrong.push(format!("{entry}, {members} members: {own} instructions and {called:?}; at most {instructions} and {calls} calls"));
        }
    }
    let wrong = wrong.join("\n  ");
    assert!(
        wrong.is_empty(),
        "a warm lookup costs more than it did:\n  {wrong}\nMake it cheaper; or, where what it buys is worth that, put \
         the lines above into the table of {} and say in the commit what it buys",
        file!()
    );
}

/// The count of one call, with a map of its own.
fn one(entry: &str, members: u32, status: &str) -> Count {
    let stage = map::stage(env!("CARGO_BIN_EXE_nss-driver"));
    modules::place_released_nss(stage.path());
    let cache = map::cache(&stage);
    cache.publish_user(&alice(), &["alice".into(), "alice@contoso.com".into()], 3600, || true);
    let gids: Vec<u32> = (0..GROUPS).map(|number| GID + number).collect();
    cache.publish_groups_of(&alice(), &gids, 3600, || true);
    let members: Vec<String> = (0..members).map(|number| format!("member{number}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    cache.publish_group(&group("research", GID), &members, &["research".into()], (3600, 3600), || true);
    cache.publish_absent(&Key::UserName(b"no-such-user"), 3600, || true);
    let few = run(&stage, entry, status, FIRST);
    let many = run(&stage, entry, status, FIRST + TIMES);
    many.per_time(&few, TIMES)
}

fn run(stage: &Stage, entry: &str, status: &str, times: u64) -> Count {
    let word = format!("calls={entry},{times},{},alice,{UID},research,{GID}", stage.module.display());
    let (count, said) = callgrind::count(&stage.command(&[word]), "libnss_entra.so.2");
    assert_eq!(said.trim(), status, "{entry}: the map did not answer as it should");
    count
}
