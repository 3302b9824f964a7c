//! libentra through programs that link with it: the examples in C and Python, and one with threads, forks and buffers of
//! every size; from the shared cache and from the socket, and under valgrind.

#![allow(clippy::unwrap_used)] // Test code.

#[allow(dead_code)] // Some of it is for the NSS module's stage.
mod map;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::{Command, Stdio};

use entra_core::cache::SharedCache;
use entra_core::types::UserRecord;
use entra_plugin_tests::capi_stage::{Stage, sources};
use entra_plugin_tests::child;
use entra_plugin_tests::directory::{Directory, Members, User};
use entra_plugin_tests::fake_daemon::Reply;
use entra_plugin_tests::valgrind::{self, Leaks};
use entra_wire::nss::status_frame;
use entra_wire::protocol::Status;

use map::{GID, UID, alice, group, sid};

/// The first of the users that the driver and the Python example ask for.
const FIRST: u32 = 674_010_000;

fn cache(stage: &Stage) -> SharedCache {
    map::cache_in(stage.path(), (200_000, 2_000_199_999))
}

/// Alice, her groups, `research`, and this many more users.
fn fill(cache: &SharedCache, users: u32) {
    let alice = UserRecord { sid: sid(UID), ..alice() };
    cache.publish_user(&alice, &["alice".into(), "alice@contoso.com".into()], 3600, || true);
    cache.publish_groups_of(&alice, &[GID, GID + 1], 3600, || true);
    cache.publish_group(&group("research", GID), &["alice", "bob"], &["research".into()], (3600, 3600), || true);
    for number in 0..users {
        let (uid, name) = (FIRST + number, format!("user{number}"));
        let user = UserRecord { name: name.clone(), uid, sid: sid(uid), ..map::alice() };
        cache.publish_user(&user, &[name], 3600, || true);
    }
}

/// The same people, as the daemon has them.
fn directory(users: u32) -> Directory {
    let mut alice = User::new("alice", UID);
    (alice.gecos, alice.groups) = ("Alice Example".into(), vec![GID, GID + 1]);
    alice.aliases.push("alice@contoso.com".into());
    let others = (0..users).map(|number| User::new(&format!("user{number}"), FIRST + number));
    let research = Members::new("research", GID, ["alice".into(), "bob".into()]);
    Directory { users: std::iter::once(alice).chain(others).collect(), groups: vec![research] }
}

/// What `whois` prints for [`ASKED`].
const KNOWN: &str = "\
S-1-5-21-1-2-3-674001103 user alice 674001103
S-1-5-21-1-2-3-674001200 group research 674001200
S-1-5-21-1-2-3-674001103 user alice 674001103
  alice uid 674001103 gid 674000513 home /home/alice shell /bin/bash (Alice Example)
  groups 674000513 674001200 674001201
S-1-5-21-1-2-3-674001200 group research 674001200
  research gid 674001200, 2 members alice bob
";
const ASKED: [&str; 4] = ["S-1-5-21-1-2-3-674001103", "s-1-5-21-1-2-3-674001200", "alice@contoso.com", "research"];

#[test]
fn the_c_example_is_answered_from_the_shared_cache_alone() {
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 0);
    let daemon = stage.knowing(Directory::default());
    // "research" is no user's name as far as the map can tell, so the daemon is asked about that.
    cache.publish_absent(&entra_core::cache::Key::UserName(b"research"), 3600, || true);
    assert_eq!(child::output(&mut stage.whois(&ASKED)), KNOWN);
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn the_c_example_is_answered_by_the_daemon() {
    let stage = Stage::new();
    let _daemon = stage.knowing(directory(0));
    assert_eq!(child::output(&mut stage.whois(&ASKED)), KNOWN);
}

/// The daemon says who had a SID before: the answer is that account's, whose SID of now is another.
#[test]
fn a_sid_of_former_times_is_the_account_of_now() {
    let stage = Stage::new();
    let former: entra_core::types::Sid = "S-1-5-21-9-8-7-500".parse().unwrap();
    let mut known = directory(0);
    known.users[0].former.push(former.to_bytes());
    let _daemon = stage.knowing(known);
    let said = child::output(&mut stage.whois(&["S-1-5-21-9-8-7-500", "S-1-5-21-1-2-3-674001103"]));
    assert_eq!(said, "S-1-5-21-9-8-7-500 user alice 674001103\nS-1-5-21-1-2-3-674001103 user alice 674001103\n");
}

#[test]
fn nobody_and_not_known_now_are_two_answers() {
    let asked = ["S-1-5-21-9-9-9-1103", "no-such-name"];
    let say = |stage: &Stage| {
        let (status, text) = child::finish(&mut stage.whois(&asked), std::time::Duration::from_secs(60));
        (status.code().unwrap(), text)
    };
    let lines = |words: &str| asked.map(|one| format!("{one}: {words}\n")).concat();
    let nobody = lines("no such user or group in the directory");
    let unknown = lines("the directory cannot be asked now: entrad is not running, or has no answer");
    let stage = Stage::new();
    assert_eq!(say(&stage), (2, unknown.clone()), "without a daemon");
    let daemon = stage.knowing(directory(0));
    assert_eq!(say(&stage), (1, nobody));
    drop(daemon);
    for bytes in
        [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), vec![0xff; 64], status_frame(Status::Offline), Vec::new()]
    {
        let stage = Stage::new();
        let _daemon = stage.answering(move |_| Reply::Bytes(bytes.clone()));
        assert_eq!(say(&stage), (2, unknown.clone()));
    }
}

#[test]
fn health_says_who_answers() {
    let stage = Stage::new();
    assert_eq!(stage.drive(&["health"]), ["health 2 daemon 0 cache 0 domains 0 online 0"]);
    let _daemon = stage.knowing(Directory::default());
    let _cache = cache(&stage);
    assert_eq!(stage.drive(&["health"]), ["health 0 daemon 1 cache 1 domains 2 online 1"]);
}

/// A daemon that was taken over: what it says of root, of local accounts and of ids that nobody granted is not passed on.
#[test]
fn a_forged_daemon_gives_no_local_account() {
    let stage = Stage::new();
    let ids = [0, 1, 999, 65_534, 674_001_104, 3_000_000_000];
    // The one id that is in range has a local account's name.
    let users = ids.map(|uid| User::new(if uid == 674_001_104 { "daemon" } else { "eve" }, uid));
    let groups = ids.map(|gid| Members::new(if gid == 674_001_104 { "Daemon" } else { "eve" }, gid, [])).into();
    let mut users = Vec::from(users);
    users.extend([User::new("root", FIRST), User::new("nobody", FIRST + 1), User::new("daemon", FIRST + 2)]);
    let _daemon = stage.knowing(Directory { users, groups });
    let said = stage.drive(&["strangers"]);
    let ids = ids.map(|id| format!("{id}: 1 1 1"));
    let names = ["root", "daemon", "nobody", "eve", ""].map(|name| format!("{name}: 1 1"));
    assert_eq!(said, [&ids[..], &names].concat());
}

#[test]
fn the_python_example_resolves_two_thousand_sids() {
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 2000);
    let daemon = stage.knowing(Directory::default());
    let (text, wanted) = two_thousand();
    let (said, pace) = resolve(&stage, &text);
    assert_eq!(said, wanted);
    assert_eq!(daemon.connections(), 0);
    println!("from the shared cache: {pace}");
}

/// The shared cache is worth it: the same SIDs, asked of a daemon on the same machine in the same minute. The paces are
/// printed (--nocapture), for a machine that is at rest.
#[test]
fn the_shared_cache_is_several_times_as_fast_as_the_daemon() {
    let (text, _) = two_thousand();
    let fastest = |stage: &Stage| {
        let pace = |said: &str| said.split_whitespace().nth(2).and_then(|number| number.parse::<f64>().ok()).unwrap();
        (0..3).map(|_| pace(&resolve(stage, &text).1)).fold(0.0, f64::max)
    };
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 2000);
    let mapped = fastest(&stage);
    let stage = Stage::new();
    let _daemon = stage.knowing(directory(2000));
    let asked = fastest(&stage);
    println!("{mapped:.0} SIDs a second from the shared cache, {asked:.0} from a daemon: {:.1} times", mapped / asked);
    assert!(mapped > 3.0 * asked, "{mapped:.0} a second from the shared cache, {asked:.0} from a daemon");
}

#[test]
fn what_the_shared_cache_lacks_is_asked_for_in_parts() {
    let stage = Stage::new();
    let cache = cache(&stage);
    // The first half is there.
    fill(&cache, 1000);
    let daemon = stage.knowing(directory(2000));
    let (text, wanted) = two_thousand();
    let (said, pace) = resolve(&stage, &format!("{text}S-1-5-32-544\n"));
    assert_eq!(said, wanted + "S-1-5-32-544 no such user or group in the directory\n");
    // 1,001 of them, 256 at once.
    assert_eq!(daemon.connections(), 4);
    println!("half of them from the daemon: {pace}");
}

#[test]
fn a_daemon_that_hangs_is_waited_for_once() {
    let stage = Stage::new();
    let daemon = stage.answering(|_| Reply::Silence);
    let (said, _) = resolve(&stage, &two_thousand().0);
    assert_eq!(said.matches("cannot be asked now").count(), 2000, "{said}");
    assert_eq!(daemon.connections(), 1);
}

#[test]
fn threads_and_forks_get_the_right_answers() {
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 64);
    assert_eq!(stage.drive(&["prepare", "threads", "fork-busy"]), ["prepared 0", "640 of 640", "20 of 20"]);
    let stage = Stage::new();
    let _daemon = stage.knowing(directory(64));
    assert_eq!(stage.drive(&["prepare", "threads", "fork-busy"]), ["prepared 0", "640 of 640", "20 of 20"]);
}

#[test]
fn no_error_of_threads_from_the_shared_cache_and_the_socket() {
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 64);
    let said = valgrind::helgrind(&stage.driver(&["prepare", "threads", "fork"])).clean();
    assert_eq!(said, "prepared 0\n640 of 640\n20 of 20\n");
    let stage = Stage::new();
    let _daemon = stage.knowing(directory(64));
    let said = valgrind::helgrind(&stage.driver(&["prepare", "fork"])).clean();
    assert_eq!(said, "prepared 0\n20 of 20\n");
}

/// No two threads use the same memory at once without an order between them: ThreadSanitizer knows what atomic operations
/// promise, of which helgrind knows nothing.
#[test]
fn no_race_between_threads() {
    let watch = |stage: &Stage| {
        let mut command = stage.driver(&["prepare", "threads", "fork-busy"]);
        // What a child of a busy process may do is what is tested.
        command.env("TSAN_OPTIONS", "exitcode=66 die_after_fork=0");
        let (status, said) = child::finish(&mut command, std::time::Duration::from_secs(300));
        assert_eq!(said, "prepared 0\n640 of 640\n20 of 20\n");
        assert!(status.success(), "{status}: ThreadSanitizer says above where");
    };
    let stage = Stage::watched();
    let cache = cache(&stage);
    fill(&cache, 64);
    watch(&stage);
    let stage = Stage::watched();
    let _daemon = stage.knowing(directory(64));
    watch(&stage);
}

const SIZES: [&str; 2] = ["alice Alice Example /home/alice /bin/bash", "research 2 bob"];

#[test]
fn no_error_of_memory_from_the_shared_cache() {
    let stage = Stage::new();
    let cache = cache(&stage);
    fill(&cache, 64);
    let command = stage.driver(&["prepare", "threads", "sizes", "fork"]);
    let said = valgrind::run(&command, Leaks::Count).clean();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["prepared 0", "640 of 640", SIZES[0], SIZES[1], "20 of 20"]);
    let busy = stage.driver(&["prepare", "fork-busy"]);
    assert_eq!(valgrind::run(&busy, Leaks::Ignore).clean(), "prepared 0\n20 of 20\n");
}

#[test]
fn no_error_of_memory_from_the_socket() {
    let stage = Stage::new();
    let _daemon = stage.knowing(directory(64));
    let command = stage.driver(&["prepare", "sizes", "health", "strangers", "fork"]);
    let said = valgrind::run(&command, Leaks::Count).clean();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines[1], lines[2], lines[lines.len() - 1]), ("prepared 0", SIZES[0], SIZES[1], "20 of 20"));
    for bytes in [vec![0xff; 64], vec![8, 0, 0, 0, 0x45, 0x4e, 1, 0, 1, 0, 0, 0]] {
        let stage = Stage::new();
        let _daemon = stage.answering(move |_| Reply::Bytes(bytes.clone()));
        valgrind::run(&stage.driver(&["prepare", "health", "strangers"]), Leaks::Count).clean();
    }
}

/// Header, version script and library are kept apart: each function stands in all three.
#[test]
fn header_symbol_versions_and_library_have_the_same_functions() {
    let names = |text: &str, ends: char| -> BTreeSet<String> {
        let starts = text
            .match_indices("entra_")
            .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let words = starts.map(|(at, _)| {
            let word = &text[at..];
            let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
            (&word[..end], word[end..].chars().next())
        });
        words.filter(|(_, next)| *next == Some(ends)).map(|(word, _)| word.to_owned()).collect()
    };
    let read = |file: &str| std::fs::read_to_string(sources().join(file)).unwrap();
    let header = names(&read("include/entra.h"), '(');
    let versions = names(&read("libentra.map"), ';');
    let stage = Stage::new();
    let symbols = child::output(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(&stage.library));
    let library: BTreeSet<String> =
        symbols.lines().filter_map(|line| line.split_once(" T ")).map(|(_, name)| name.to_owned()).collect();
    assert!(header.contains("entra_sids_to_ids"), "{header:?}");
    assert_eq!(header, versions);
    assert_eq!(library, versions.iter().map(|name| format!("{name}@@ENTRA_1")).collect());
}

/// The SIDs, one on each line, and what the example says to them.
fn two_thousand() -> (String, String) {
    let (mut text, mut wanted) = (String::new(), String::new());
    for number in 0..2000 {
        let id = FIRST + number;
        writeln!(text, "S-1-5-21-1-2-3-{id}").unwrap();
        writeln!(wanted, "S-1-5-21-1-2-3-{id} user {id}").unwrap();
    }
    (text, wanted)
}

/// What the Python example prints for these SIDs, and its own words about the pace.
fn resolve(stage: &Stage, sids: &str) -> (String, String) {
    let file = stage.path().join("sids.txt");
    std::fs::write(&file, sids).unwrap();
    let input = Stdio::from(std::fs::File::open(&file).unwrap());
    let output = stage.resolve().stdin(input).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    (text(output.stdout), text(output.stderr))
}
