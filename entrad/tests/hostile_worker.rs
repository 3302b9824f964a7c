//! A worker that was taken over, at the broker's socket: nothing that is not on the list starts a helper, whatever is
//! sent, and the broker goes on.
//!
//! A program of its own, because the broker is forked before there are threads. Needs root; without it, it says so and
//! does nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use entra_core::auth::{AuthRequest, CcacheTarget, ChangeRequest, FetchRequest, Kept, RenewRequest, RotateRequest};
use entrad::account::Account;
use entrad::broker::{self, Policy, Realm, Settings};
use entrad::helper::{Failure, Reply, Request};
use entrad::{privileges, seccomp};

/// Ids of nobody on any host: the worker's user, and a person in the default id range.
const WORKER: u32 = 61_184;
const PERSON: u32 = 1_999_000_001;
const REALM: &str = "TEST.EXAMPLE";
const SOON: Duration = Duration::from_secs(5);
/// `keytab_max_age`
const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);

fn main() {
    if !privileges::is_root() {
        println!("skipped: the broker needs root");
        return;
    }
    // The part that gives up root cannot remove what root made.
    if let Some(folder) = std::env::args_os().nth(1).filter(|word| Path::new(word).is_absolute()) {
        return play(Path::new(&folder));
    }
    let folder = std::env::temp_dir().join(format!("entra-hostile-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let outcome = Command::new(std::env::current_exe().unwrap()).arg(&folder).status();
    fs::remove_dir_all(&folder).unwrap();
    assert!(outcome.unwrap().success());
}

fn play(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    // Stands in for the helper, and writes down that it was started.
    let started = folder.join("started");
    let program = folder.join("helper");
    fs::write(&program, format!("#!/bin/sh\necho started >>{}\n", started.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let config = folder.join("entra.toml");
    fs::write(&config, "[domains.\"test.example\"]\n").unwrap();
    let realms = vec![Realm { name: REALM.into(), keytab_max_age: MAX_AGE }];
    let settings = Settings {
        policy: Policy {
            realms,
            config,
            passwd: "/etc/passwd".into(),
            group: "/etc/group".into(),
            keeps_passwords: false,
        },
        program,
        keytab: folder.join("keytab"),
        machine_ccache: folder.join("machine.ccache"),
        worker: (WORKER, WORKER),
        helpers: 4,
        queue: 16,
    };
    let socket = broker::start(settings).unwrap();
    privileges::drop_to(&Account { uid: WORKER, gid: WORKER, groups: vec![] }).unwrap();
    assert!(seccomp::confine().unwrap());
    let socket = UnixStream::from(socket);
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();

    let count = outside_the_list().len() + no_requests().len();
    for (what, request) in outside_the_list() {
        refused(&socket, what, &postcard::to_stdvec(&request).unwrap(), &started);
    }
    for (what, bytes) in no_requests() {
        refused(&socket, what, &bytes, &started);
    }
    // Without so much as the number of a request there is nobody to answer.
    (&socket).write_all(b"short").unwrap();
    // And one that is in order: the helper is started, so that it was these requests that were refused.
    let reply = ask(&socket, &postcard::to_stdvec(&machine(REALM, "192.0.2.10:88", SOON)).unwrap());
    assert!(matches!(reply, Reply::Failed(Failure::Ended(_))), "{reply:?}");
    assert_eq!(fs::read_to_string(&started).unwrap(), "started\n");
    println!("{count} hostile requests are refused, and no helper was started for any ... ok");
}

fn refused(socket: &UnixStream, what: &str, body: &[u8], started: &Path) {
    let reply = ask(socket, body);
    assert!(matches!(reply, Reply::Failed(Failure::Refused(_))), "{what}: {reply:?}");
    assert!(!started.exists(), "{what}: a helper was started");
}

/// One datagram there, one back.
fn ask(mut socket: &UnixStream, body: &[u8]) -> Reply {
    let id = 7_u64.to_le_bytes();
    socket.write_all(&[&id, body].concat()).unwrap();
    let mut answer = vec![0; 64 * 1024];
    let length = socket.read(&mut answer).unwrap();
    assert_eq!(answer[..8], id);
    postcard::from_bytes(&answer[8..length]).unwrap()
}

fn machine(realm: &str, kdc: &str, timeout: Duration) -> Request {
    Request::MachineTgt { realm: realm.into(), kdc: kdc.parse().unwrap(), timeout }
}

fn target(uid: u32, gid: u32, name: &str) -> CcacheTarget {
    CcacheTarget { uid, gid, name: name.into() }
}

fn renew(realm: &str, kdc: &str, ccache: CcacheTarget) -> Request {
    Request::Renew(RenewRequest { realm: realm.into(), kdc: kdc.parse().unwrap(), ccache, timeout: SOON })
}

fn fetch(realm: &str, service: &str, ccache: CcacheTarget) -> Request {
    let (realm, service, kdc) = (realm.into(), service.into(), "192.0.2.10:88".parse().unwrap());
    Request::Fetch(FetchRequest { realm, kdc, ccache, service, timeout: SOON })
}

fn rotate(realm: &str, kdc: &str, kpasswd: &str) -> Request {
    rotate_older(realm, kdc, kpasswd, MAX_AGE)
}

fn rotate_older(realm: &str, kdc: &str, kpasswd: &str, older_than: Duration) -> Request {
    Request::RotateKeytab(RotateRequest {
        realm: realm.into(),
        kdc: kdc.parse().unwrap(),
        kpasswd: kpasswd.parse().unwrap(),
        older_than,
        timeout: SOON,
    })
}

/// Requests that parse. Those with passwords come without: what else is wrong with them stands in the unit tests.
fn outside_the_list() -> Vec<(&'static str, Request)> {
    let kdc = "192.0.2.10:88";
    let own = || target(PERSON, PERSON, "FILE:/tmp/krb5cc_1999000001");
    let mut list = vec![
        ("the machine's ticket of another realm", machine("EVIL.EXAMPLE", kdc, SOON)),
        ("of no realm", machine("", kdc, SOON)),
        ("of a realm in other letters", machine("test.example", kdc, SOON)),
        ("from no address", machine(REALM, "0.0.0.0:88", SOON)),
        ("from everybody", machine(REALM, "224.0.0.1:88", SOON)),
        ("from no port", machine(REALM, "192.0.2.10:0", SOON)),
        ("for an hour", machine(REALM, kdc, Duration::from_secs(3600))),
        ("for no time", machine(REALM, kdc, Duration::ZERO)),
        ("a ticket renewed in another realm", renew("EVIL.EXAMPLE", kdc, own())),
        ("a ticket renewed from nowhere", renew(REALM, "0.0.0.0:88", own())),
        ("a ticket of another realm's user", fetch("EVIL.EXAMPLE", "cifs/a.example", own())),
        ("a ticket for no service", fetch(REALM, "a.example", own())),
        ("a ticket for a name with a realm", fetch(REALM, "cifs/a.example@EVIL.EXAMPLE", own())),
        ("a ticket for a line of its own", fetch(REALM, "cifs/a.example\nb", own())),
        ("keys of another realm changed", rotate("EVIL.EXAMPLE", kdc, "192.0.2.10:464")),
        ("keys changed with one machine, proven with another", rotate(REALM, kdc, "192.0.2.11:464")),
        ("keys changed at any age", rotate_older(REALM, kdc, "192.0.2.10:464", Duration::ZERO)),
        ("at half of their time", rotate_older(REALM, kdc, "192.0.2.10:464", MAX_AGE / 2)),
        ("keys changed at no port", rotate(REALM, kdc, "192.0.2.10:0")),
        (
            "a login without a password",
            Request::Authenticate(AuthRequest {
                realm: REALM.into(),
                kdc: kdc.parse().unwrap(),
                other_kdcs: Vec::new(),
                principal: "root".into(),
                expected_sid: "S-1-5-21-1-2-3-500".parse().unwrap(),
                ccache: None,
                require_fast: false,
                timeout: SOON,
            }),
        ),
        (
            "a change without a password",
            Request::ChangePassword {
                request: ChangeRequest {
                    realm: REALM.into(),
                    kdc: kdc.parse().unwrap(),
                    kpasswd: "192.0.2.10:464".parse().unwrap(),
                    principal: "root".into(),
                    require_fast: false,
                    timeout: SOON,
                },
                change: true,
            },
        ),
        (
            "a ticket from a password that nobody let be kept",
            Request::TicketFromKept(AuthRequest {
                realm: REALM.into(),
                kdc: kdc.parse().unwrap(),
                other_kdcs: Vec::new(),
                principal: "alice".into(),
                expected_sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
                ccache: Some(target(PERSON, PERSON, "FILE:/tmp/krb5cc_1999000001")),
                require_fast: false,
                timeout: SOON,
            }),
        ),
        (
            "a kept password of root",
            Request::ForgetPassword {
                kept: Kept { uid: 0, sid: "S-1-5-21-1-2-3-500".parse().unwrap() },
                timeout: SOON,
            },
        ),
        ("a verifier of nothing", Request::MakeVerifier { timeout: SOON }),
        (
            "a verifier compared with nothing",
            Request::CheckVerifier { verifier: "$argon2id$x".into(), turn: SOON, timeout: SOON },
        ),
    ];
    let ccaches = [
        ("root's", target(0, 0, "FILE:/tmp/krb5cc_0")),
        ("root's group", target(PERSON, 0, "FILE:/tmp/krb5cc_1999000001")),
        ("a service's", target(999, 999, "FILE:/tmp/krb5cc_999")),
        ("the worker's own", target(WORKER, WORKER, "FILE:/tmp/krb5cc_61184")),
        ("somebody outside of the ranges", target(4_000_000_000, PERSON, "FILE:/tmp/x")),
        ("nobody, -1", target(u32::MAX, u32::MAX, "FILE:/tmp/x")),
        ("out of a folder", target(PERSON, PERSON, "FILE:/tmp/../etc/shadow")),
        ("relative", target(PERSON, PERSON, "FILE:etc/shadow")),
        ("without a type", target(PERSON, PERSON, "/etc/shadow")),
        ("in memory", target(PERSON, PERSON, "MEMORY:x")),
        ("another's keyring", target(PERSON, PERSON, "KEYRING:persistent:0")),
        ("the session's keyring", target(PERSON, PERSON, "KEYRING:session:x")),
        ("another's in KCM", target(PERSON, PERSON, "KCM:0")),
        ("with a line's end", target(PERSON, PERSON, "FILE:/tmp/a\nb")),
        ("with a string's end", target(PERSON, PERSON, "FILE:/tmp/a\0b")),
        ("a folder", target(PERSON, PERSON, "FILE:/tmp/")),
    ];
    for (what, ccache) in ccaches {
        list.push((what, renew(REALM, kdc, ccache.clone())));
        list.push((what, fetch(REALM, "cifs/a.example", ccache.clone())));
        list.push((what, Request::DestroyCcache { ccache, timeout: SOON }));
    }
    list
}

/// Messages that are no request, or more than one.
fn no_requests() -> Vec<(&'static str, Vec<u8>)> {
    let whole = postcard::to_stdvec(&machine(REALM, "192.0.2.10:88", SOON)).unwrap();
    let kind = |number: u8| [&[number], &whole[1..]].concat();
    vec![
        ("nothing", vec![]),
        ("half a request", whole[..whole.len() / 2].to_vec()),
        ("a kind that there is not", kind(200)),
        ("ones", vec![0xff; 4096]),
        ("a length without end", [&[0][..], &[0xff; 9], &[1]].concat()),
        ("no text", [&[0, 4][..], &[0xff; 4], &whole[6..]].concat()),
    ]
}
