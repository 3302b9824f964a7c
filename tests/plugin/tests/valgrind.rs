//! The NSS module under valgrind, through glibc's own dispatch: the scenes of the other files that touch memory and
//! descriptors most. The PAM module's are in `pam/memory.rs`.

use entra_plugin_tests::directory::{DOMAIN_USERS, Directory, Members, User};
use entra_plugin_tests::fake_daemon::Reply;
use entra_plugin_tests::folder::Folder;
use entra_plugin_tests::nss_stage::Stage;
use entra_plugin_tests::valgrind::{self, Leaks};
use entra_wire::nss::status_frame;
use entra_wire::protocol::Status;

const ALICE: &str = "alice:*:674001103:674000513:alice of the directory:/home/alice:/bin/bash";

fn stage() -> Stage {
    Stage::new(env!("CARGO_BIN_EXE_nss-driver"))
}

fn alice() -> User {
    User::new("alice", 674_001_103)
}

/// What the driver says to these words under valgrind, where that finds nothing.
fn run(stage: &Stage, words: &[&str]) -> Vec<String> {
    valgrind::run(&stage.command(words), Leaks::Count).clean().lines().map(str::to_owned).collect()
}

#[test]
fn the_check_sees_lost_memory_and_a_descriptor_left_open() {
    let stage = stage();
    let look = |word: &str| valgrind::run(&stage.command(&[word]), Leaks::Count);
    let lost = look("lose");
    assert!(lost.findings.contains("definitely lost"), "{}", lost.findings);
    let left = look("leave-open");
    assert!(left.findings.contains("/dev/null"), "{}", left.findings);
    assert_eq!(look("pwuid=4294967294").findings, "");
}

#[test]
fn buffers_of_every_size() {
    let stage = stage();
    let mut many = alice();
    many.groups = (0..150).map(|number| 674_002_000 + number).collect();
    let names: Vec<String> = (0..2000).map(|number| format!("user{number:04}")).collect();
    let groups = vec![
        Members::new("odd", 674_003_000, ["a", "bb", "ccc"].map(str::to_owned)),
        Members::new("large", 674_003_001, names.clone()),
    ];
    let _daemon = stage.knowing(Directory { users: vec![many], groups });
    let large = format!("large:*:674003001:{}", names.join(","));
    let odd = "odd:*:674003000:a,bb,ccc".to_owned();
    let lines = run(
        &stage,
        &["sources=entra", "buffer=1", "step=1", "pwnam=alice", "pwuid=674001103", "grnam=odd", "grgid=674003000"],
    );
    assert_eq!(lines, [ALICE, ALICE, &odd, &odd]);
    let lines = run(&stage, &["buffer=1", "grnam=large", "buffer=65536", "grnam=large", "pwnam=alice", "grnam=odd"]);
    assert_eq!(lines, [&large, &large, ALICE, &odd]);
    let short = format!("grouplist=alice,{DOMAIN_USERS},2");
    let whole = format!("grouplist=alice,{DOMAIN_USERS},151");
    let none = format!("grouplist=alice,{DOMAIN_USERS},0");
    let lines = run(&stage, &[&none, &short, &whole]);
    assert!(lines[0].starts_with("-1 151 ") && lines[1].starts_with("-1 151 "), "{lines:?}");
    assert!(lines[2].starts_with("151 151 [674000513, ") && lines[2].ends_with(", 674002149]"), "{lines:?}");
}

#[test]
fn enumerations() {
    let stage = stage();
    let users = (0..8).map(|number| User::new(&format!("user{number}"), 674_003_000 + number)).collect();
    let groups = (0..7)
        .map(|number| Members::new(&format!("group{number}"), 674_004_000 + number, [format!("user{number}")]))
        .collect();
    let _daemon = stage.knowing(Directory { users, groups });
    // Left in the middle, from the start to the end, in buffers that are too small, and by two processes at once.
    let words = ["sources=entra", "pwent-unset", "pwent", "grent", "buffer=1", "pwent", "grent", "fork-enumeration"];
    assert_eq!(run(&stage, &words), stage.run(&words));
}

#[test]
fn threads_and_forks() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(run(&stage, &["threads=8,10,alice"]), ["80 of 80"]);
    // Forks of a process without threads, lost memory counted: see the enumerations above.
    let among_threads = stage.command(&["fork=alice"]);
    assert_eq!(valgrind::run(&among_threads, Leaks::Ignore).clean(), "50 of 50\n");
}

#[test]
fn closed_descriptors_chroot_and_interrupted_system_calls() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    let lines = run(&stage, &["closed=alice"]);
    assert_eq!(lines[0], ALICE);
    assert_eq!(lines[1].strip_prefix("before "), lines[2].strip_prefix("after "));
    // Rarer than in an ordinary run: a handler takes longer here too, and the program shall still get on.
    assert_eq!(run(&stage, &["signals=alice,100,5000"]), ["100 of 100"]);
    let empty = Folder::new();
    let lines = run(&stage, &[&format!("chroot={},alice", empty.path().display())]);
    if lines != ["not allowed to chroot"] {
        assert_eq!(lines, [ALICE, "error ENOENT"]);
    }
}

#[test]
fn daemons_that_are_missing_broken_or_slow() {
    let words = ["pwnam=alice", "pwuid=674001103", "grnam=staff-of-x", "grouplist=alice,100,5", "pwent"];
    let down = ["error ENOENT", "error ENOENT", "error ENOENT", "1 1 [100]", "error ENOENT"];
    assert_eq!(run(&stage(), &words), down);
    let garbage: [Vec<u8>; 4] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), vec![0xff; 64], vec![0; 64], vec![8, 0, 0, 0, 0x45, 0x4e]];
    for bytes in garbage {
        let stage = stage();
        let shown = format!("{bytes:?}");
        let _daemon = stage.answering(move |_| Reply::Bytes(bytes.clone()));
        assert_eq!(run(&stage, &words), down, "{shown}");
    }
    let stage = stage();
    let _daemon = stage.answering(|_| Reply::Bytes(status_frame(Status::Offline)));
    assert_eq!(run(&stage, &words[..2]), ["error EAGAIN", "error EAGAIN"]);
}

#[test]
fn a_daemon_that_hangs() {
    let stage = stage();
    let _daemon = stage.answering(|_| Reply::Silence);
    assert_eq!(run(&stage, &["pwnam=alice"]), ["error EAGAIN"]);
}
