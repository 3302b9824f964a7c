//! What processes do around a lookup: threads, forks, closed descriptors, chroot, signals.

use entra_plugin_tests::child;
use entra_plugin_tests::directory::{Directory, User};
use entra_plugin_tests::folder::Folder;
use entra_plugin_tests::nss_stage::Stage;

const ALICE: &str = "alice:*:674001103:674000513:alice of the directory:/home/alice:/bin/bash";

fn stage() -> Stage {
    Stage::new(env!("CARGO_BIN_EXE_nss-driver"))
}

fn alice() -> User {
    User::new("alice", 674_001_103)
}

#[test]
fn sixteen_threads_all_get_the_right_user() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.ask("threads=16,50,alice"), "800 of 800");
}

#[test]
fn a_child_forked_among_busy_threads_gets_an_answer() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.ask("fork=alice"), "50 of 50");
}

#[test]
fn parent_and_child_both_go_on_with_an_enumeration() {
    let stage = stage();
    let users = (0..5).map(|number| User::new(&format!("user{number}"), 674_003_000 + number)).collect();
    let _daemon = stage.knowing(Directory { users, groups: Vec::new() });
    let rest: Vec<String> = (1..5)
        .map(|n| format!("user{n}:*:67400300{n}:674000513:user{n} of the directory:/home/user{n}:/bin/bash"))
        .chain(["error ENOENT".into()])
        .collect();
    let wanted = [vec!["child".into()], rest.clone(), vec!["parent".into()], rest].concat();
    assert_eq!(stage.ask("fork-enumeration").lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn getpwent_without_setpwent_starts_at_the_start() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.run(&["sources=entra", "pwent-unset"]), [ALICE]);
}

#[test]
fn no_descriptor_stays_open_and_none_of_0_to_2_is_taken() {
    let stage = stage();
    // Slowly, so that the descriptor of the call is seen.
    let directory = Directory { users: vec![alice()], groups: Vec::new() };
    let _daemon = stage.answering(move |body| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        directory.answer(body)
    });
    let lines = stage.ask("closed=alice");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], ALICE);
    assert_eq!(lines[1].strip_prefix("before "), lines[2].strip_prefix("after "));
    assert!(
        !["\"0\"", "\"1\"", "\"2\""].iter().any(|fd| lines[1].contains(fd)),
        "0 to 2 were not closed: {}",
        lines[1]
    );
    assert_eq!(lines[3], "taken [false, false, false]");
}

#[test]
fn after_chroot_the_module_is_quiet() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    let empty = Folder::new();
    let word = format!("chroot={},alice", empty.path().display());
    let said = stage.ask(&word);
    if said == "not allowed to chroot" {
        println!("skipped: this kernel gives no user namespace to this user");
        return;
    }
    // There is no daemon in there, so there is nobody: the error is the one that package scripts can live with.
    assert_eq!(said.lines().collect::<Vec<_>>(), [ALICE, "error ENOENT"]);
}

#[test]
fn interrupted_system_calls_lose_no_answer() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.ask("signals=alice,300,200"), "300 of 300");
}

#[test]
fn a_process_that_asks_to_be_left_out_is() {
    let stage = stage();
    let daemon = stage.knowing_user(alice());
    let mut command = stage.command(&["pwnam=alice", "grouplist=alice,100,5"]);
    command.env("ENTRA_NSS_OFF", "1");
    assert_eq!(child::output(&mut command), "error ENOENT\n1 1 [100]\n");
    assert_eq!(daemon.connections(), 0);
}
