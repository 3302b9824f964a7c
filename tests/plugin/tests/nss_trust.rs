//! Whose daemon the module believes. Both tests change users, so they need root; without it they say that they were
//! skipped.

// Test code: a failed step ends the test with its reason.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use entra_plugin_tests::child;
use entra_plugin_tests::directory::{Directory, User};
use entra_plugin_tests::fake_daemon::Reply;
use entra_plugin_tests::nss_stage::Stage;

const DRIVER: &str = env!("CARGO_BIN_EXE_nss-driver");
const DOWN: &str = "status -1 errnop ENOENT errno 78\n";
const FOUND: &str = "status 1 errnop 77 errno 78\n";
/// Two users without any rights; they need no line in /etc/passwd.
const CALLER: u32 = 65_533;
/// See [`CALLER`].
const OTHER: u32 = 65_532;

fn alice() -> Directory {
    Directory { users: vec![User::new("alice", 674_001_103)], groups: Vec::new() }
}

fn is_root(stage: &Stage) -> bool {
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(stage.path()).unwrap()) == 0;
    if !root {
        println!("skipped: only root can become other users");
    }
    root
}

/// A daemon of another user, ended when dropped.
struct Foreign(Child);

impl Foreign {
    fn start(stage: &Stage) -> Self {
        let Reply::Bytes(frame) = alice().answer(&entra_wire::nss::Request::PasswdByName(b"alice").encode()[4..])
        else {
            unreachable!("the directory knows alice")
        };
        let answer = stage.path().join("answer");
        std::fs::write(&answer, frame).unwrap();
        let socket = stage.path().join("nss.sock");
        let word = format!("serve={},{}", socket.display(), answer.display());
        let child = copied_driver(stage, 0o755, &[word]).uid(OTHER).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while !socket.exists() {
            assert!(started.elapsed() < Duration::from_secs(30), "the other user's daemon does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        Self(child)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The driver where every user can execute it.
fn copied_driver(stage: &Stage, mode: u32, words: &[String]) -> std::process::Command {
    let copy = stage.path().join("driver");
    if !copy.exists() {
        // By a program of its own: a file that this process had open for writing could not be executed while another
        // test's child, forked in between, still holds the descriptor.
        assert!(std::process::Command::new("cp").arg(DRIVER).arg(&copy).status().unwrap().success());
        if mode & 0o4000 != 0 {
            chown(&copy, Some(CALLER), None).unwrap();
        }
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = stage.command(words);
    let mut copied = std::process::Command::new(copy);
    copied.args(command.get_args());
    for (name, value) in command.get_envs() {
        copied.env(name, value.unwrap_or_default());
    }
    command.env_clear();
    copied
}

#[test]
fn a_daemon_of_another_user_is_not_believed() {
    let stage = Stage::new(DRIVER);
    if !is_root(&stage) {
        return;
    }
    // A folder like /tmp: root's, and everybody may put a socket into it.
    std::fs::set_permissions(stage.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let direct = [format!("direct={},alice", stage.module.display())];
    {
        let _foreign = Foreign::start(&stage);
        for uid in [CALLER, 0] {
            let said = child::output(copied_driver(&stage, 0o755, &direct).uid(uid));
            assert_eq!(said, DOWN, "asked by {uid}");
        }
        // The caller's own daemon is: this shows that the answer itself was a good one.
        chown(stage.path(), Some(OTHER), None).unwrap();
        assert_eq!(child::output(copied_driver(&stage, 0o755, &direct).uid(OTHER)), FOUND);
    }
    // Root's daemon in the same place is believed by everybody who believes the folder.
    chown(stage.path(), Some(0), None).unwrap();
    let _ = std::fs::remove_file(stage.path().join("nss.sock"));
    let _daemon = stage.knowing(alice());
    assert_eq!(child::output(copied_driver(&stage, 0o755, &direct).uid(CALLER)), FOUND);
}

#[test]
fn a_setuid_program_looks_at_the_installed_socket_only() {
    let stage = Stage::new(DRIVER);
    if !is_root(&stage) {
        return;
    }
    let daemon = stage.knowing(alice());
    assert_eq!(stage.direct("alice") + "\n", FOUND, "an ordinary program is to find this daemon");
    let secure = ["secure".to_owned()];
    if child::output(&mut copied_driver(&stage, 0o4755, &secure)) == "false\n" {
        println!("skipped: the folder for temporary files honours no setuid bit");
        return;
    }
    // The module is loaded by its path: LD_LIBRARY_PATH is ignored in such a program too.
    let direct = [format!("direct={},alice", stage.module.display())];
    let said = child::output(&mut copied_driver(&stage, 0o4755, &direct));
    assert_eq!(daemon.connections(), 1, "the variable was honoured: {said}");
}
