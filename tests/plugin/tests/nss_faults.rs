//! A daemon that is missing, slow, broken or hostile: what the host's processes see of it.
//!
//! `status` is the module's own answer: -1 UNAVAIL, 0 NOTFOUND, 1 SUCCESS.

// Test code: a failed step ends the test with its reason.
#![allow(clippy::panic)]

use entra_plugin_tests::directory::{Directory, Members, User, operation};
use entra_plugin_tests::fake_daemon::Reply;
use entra_plugin_tests::nss_stage::Stage;
use entra_wire::codec::Writer;
use entra_wire::nss::status_frame;
use entra_wire::protocol::{Op, Status};

const DOWN: &str = "status -1 errnop ENOENT errno 78";
const LATER: &str = "status -1 errnop EAGAIN errno 78";
const NOBODY: &str = "status 0 errnop ENOENT errno 78";
const FOUND: &str = "status 1 errnop 77 errno 78";

fn stage() -> Stage {
    Stage::new(env!("CARGO_BIN_EXE_nss-driver"))
}

fn alice() -> User {
    User::new("alice", 674_001_103)
}

/// The daemon's frame for alice.
fn frame_of_alice() -> Vec<u8> {
    let directory = Directory { users: vec![alice()], groups: Vec::new() };
    match directory.answer(&entra_wire::nss::Request::PasswdByName(b"alice").encode()[4..]) {
        Reply::Bytes(frame) => frame,
        Reply::Silence => panic!("the directory knows alice"),
    }
}

#[test]
fn success_leaves_errno_and_errnop_alone() {
    let stage = stage();
    let _daemon = stage.knowing_user(alice());
    assert_eq!(stage.direct("alice"), FOUND);
    assert_eq!(stage.direct("nobody-there"), NOBODY);
}

#[test]
fn without_a_daemon_the_answer_is_unavail_with_enoent() {
    let stage = stage();
    assert_eq!(stage.direct("alice"), DOWN);
    // And local users are as they were.
    assert!(stage.ask("pwnam=root").starts_with("root:"));
    assert_eq!(stage.ask("grouplist=alice,100,5"), "1 1 [100]");
    assert_eq!(stage.run(&["pwent", "grent"]), ["error ENOENT", "error ENOENT"]);
}

#[test]
fn a_socket_that_nobody_serves_is_no_daemon() {
    let stage = stage();
    let path = stage.path().join("nss.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(stage.direct("alice"), DOWN);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "no socket").unwrap();
    assert_eq!(stage.direct("alice"), DOWN);
}

#[test]
fn an_outage_is_unavail_with_eagain() {
    for status in [Status::Offline, Status::Busy] {
        let stage = stage();
        let daemon = stage.answering(move |_| Reply::Bytes(status_frame(status)));
        assert_eq!(stage.direct("alice"), LATER, "{status:?}");
        assert_eq!(daemon.connections(), 1, "{status:?}: it was asked again");
        assert_eq!(stage.ask("pwnam=alice"), "error EAGAIN", "{status:?}");
    }
}

#[test]
fn a_daemon_that_does_not_want_to_talk_is_no_daemon() {
    for status in [Status::Refused, Status::BadRequest] {
        let stage = stage();
        let _daemon = stage.answering(move |_| Reply::Bytes(status_frame(status)));
        assert_eq!(stage.direct("alice"), DOWN, "{status:?}");
    }
}

#[test]
fn a_daemon_that_hangs_is_left_alone_after_the_deadline() {
    let stage = stage();
    let daemon = stage.answering(|_| Reply::Silence);
    assert_eq!(stage.direct("alice"), LATER);
    assert_eq!(daemon.connections(), 1, "a deadline that passed is no reason to ask again");
}

#[test]
fn a_daemon_that_stops_in_the_middle_of_an_answer_is_left_alone_too() {
    let stage = stage();
    // A frame that promises more than it has, and a connection that stays open: the module waits for the rest.
    let _daemon = entra_plugin_tests::fake_daemon::FakeDaemon::serving(&stage.path().join("nss.sock"), |mut stream| {
        let frame = frame_of_alice();
        let _ = std::io::Write::write_all(&mut stream, &frame[..frame.len() / 2]);
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    assert_eq!(stage.direct("alice"), LATER);
}

#[test]
fn an_answer_that_is_cut_anywhere_is_no_answer() {
    let stage = stage();
    let whole = frame_of_alice();
    let cuts = std::sync::atomic::AtomicUsize::new(0);
    let length = whole.len();
    // Each question is asked twice: a connection that broke is tried once more.
    let daemon = stage.answering(move |_| {
        let call = cuts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Reply::Bytes(whole[..(call / 2).min(length - 1)].to_vec())
    });
    let words = vec!["pwnam=alice"; length];
    assert_eq!(stage.run(&words), vec!["error ENOENT"; length]);
    assert_eq!(daemon.connections(), 2 * length);
}

#[test]
fn a_daemon_that_is_being_replaced_is_asked_again() {
    let stage = stage();
    let first = std::sync::atomic::AtomicBool::new(true);
    let daemon = stage.answering(move |_| {
        let bytes = if first.swap(false, std::sync::atomic::Ordering::Relaxed) { Vec::new() } else { frame_of_alice() };
        Reply::Bytes(bytes)
    });
    assert_eq!(stage.direct("alice"), FOUND);
    assert_eq!(daemon.connections(), 2);
}

#[test]
fn garbage_is_no_answer() {
    let whole = frame_of_alice();
    let head = |status: u8, version: u8| vec![0x45, 0x4e, version, status];
    let framed = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], body].concat();
    let trailing = framed(&[&whole[4..], &[0]].concat());
    let cases: [(&str, Vec<u8>); 7] = [
        ("text", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("a length of 4 GiB", vec![0xff; 64]),
        ("a length of 0", vec![0; 64]),
        ("another version", framed(&head(0, 9))),
        ("a status that does not exist", framed(&head(200, 1))),
        ("an answer without a record", framed(&head(0, 1))),
        ("a byte too many", trailing),
    ];
    for (what, bytes) in cases {
        let stage = stage();
        let _daemon = stage.answering(move |_| Reply::Bytes(bytes.clone()));
        assert_eq!(stage.direct("alice"), DOWN, "{what}");
        assert_eq!(stage.ask("grnam=staff-of-x"), "error ENOENT", "{what}");
        assert_eq!(stage.ask("grouplist=alice,100,5"), "1 1 [100]", "{what}");
    }
}

#[test]
fn a_string_with_a_nul_is_no_answer() {
    let stage = stage();
    let mut frame = frame_of_alice();
    let at = frame.windows(5).position(|window| window == b"alice").unwrap();
    frame[at + 2] = 0;
    let _daemon = stage.answering(move |_| Reply::Bytes(frame.clone()));
    assert_eq!(stage.direct("alice"), DOWN);
}

#[test]
fn no_id_outside_the_ranges_is_believed() {
    for (uid, gid) in [(0, 674_000_513), (27, 674_000_513), (999, 674_000_513), (199_999, 674_000_513)]
        .into_iter()
        .chain([(2_000_200_000, 674_000_513), (u32::MAX, 674_000_513), (674_001_103, 0), (674_001_103, 27)])
    {
        let stage = stage();
        let mut user = alice();
        (user.uid, user.gid) = (uid, gid);
        let _daemon = stage.knowing_user(user);
        assert_eq!(stage.direct("alice"), NOBODY, "uid {uid}, gid {gid}");
        assert_eq!(stage.ask("pwent"), "error ENOENT", "uid {uid}, gid {gid}");
    }
}

#[test]
fn an_id_that_cannot_be_ours_reaches_nobody() {
    let stage = stage();
    let daemon = stage.knowing_user(alice());
    let words = ["pwuid=199999", "pwuid=2000200000", "pwuid=4294967294", "grgid=199999", "pwnam=a:b", "grnam=\u{7}"];
    assert_eq!(stage.run(&words), vec!["none"; words.len()]);
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn another_user_than_the_one_asked_for_is_nobody() {
    let stage = stage();
    let _daemon = stage.answering(|_| Reply::Bytes(frame_of_alice()));
    assert_eq!(stage.ask("pwuid=674001104"), "none");
}

#[test]
fn groups_outside_the_ranges_are_left_out() {
    let stage = stage();
    let mut user = alice();
    user.groups = vec![0, 27, 674_002_000, 999, u32::MAX];
    let groups = vec![Members::new("zero", 0, []), Members::new("sudoers-of-x", 27, [])];
    let _daemon = stage.knowing(Directory { users: vec![user], groups });
    assert_eq!(stage.ask("grouplist=alice,674000513,10"), "2 2 [674000513, 674002000]");
    assert_eq!(stage.run(&["grnam=zero", "grnam=sudoers-of-x", "grent"]), ["none", "none", "error ENOENT"]);
}

#[test]
fn a_local_user_is_never_the_directorys() {
    let stage = stage();
    let mut user = User::new("daemon", 674_001_300);
    user.aliases = vec!["AADDS\\daemon".into(), "DAEMON".into()];
    user.groups = vec![674_002_000];
    let root = User { aliases: vec!["AADDS\\root".into()], ..User::new("root", 674_001_301) };
    let group = Members::new("daemon", 674_002_009, ["alice".to_owned()]);
    let daemon = stage.knowing(Directory { users: vec![user, root, alice()], groups: vec![group] });
    // `entra` alone: even where nsswitch.conf does not put the local files first.
    let words = ["sources=entra", "pwnam=daemon", "pwnam=AADDS\\daemon", "pwnam=DAEMON", "pwnam=AADDS\\root"];
    assert_eq!(stage.run(&words), vec!["none"; 4]);
    assert_eq!(stage.run(&["sources=entra", "pwuid=674001300", "grnam=daemon", "grgid=674002009"]), vec!["none"; 3]);
    let all = stage.run(&["sources=entra", "pwent"]);
    assert!(all.len() == 2 && all[0].starts_with("alice:"), "{all:?}");
    // glibc asks every source for the groups of a local user: this one is not even asked about.
    let before = daemon.connections();
    assert_eq!(stage.ask("grouplist=daemon,1,10"), "1 1 [1]");
    assert_eq!(daemon.connections(), before);
}

/// A daemon that was taken over names a group by which programs give rights: it is not passed on, and not asked about.
#[test]
fn a_reserved_name_is_no_groups() {
    let stage = stage();
    let named = |name: &str, gid: u32| Members::new(name, gid, ["alice".to_owned()]);
    let forged = User { groups: vec![674_002_010], ..alice() };
    let groups = vec![named("wheel", 674_002_010), named("Docker", 674_002_011), named("research", 674_002_012)];
    let daemon = stage.knowing(Directory { users: vec![forged], groups });
    let words = ["sources=entra", "grnam=wheel", "grnam=WHEEL", "grgid=674002010", "grnam=Docker", "grgid=674002011"];
    assert_eq!(stage.run(&words), vec!["none"; 5]);
    let all = stage.run(&["sources=entra", "grent"]);
    assert!(all.len() == 2 && all[0].starts_with("research:"), "{all:?}");
    let before = daemon.connections();
    assert_eq!(stage.run(&["sources=entra", "grnam=wheel"]), ["none"]);
    assert_eq!(daemon.connections(), before);
    // Whose rights a name gives is the administrator's to say.
    let config = "reserved_groups = [\"research\"]\n[domains.\"aadds.contoso.com\"]\n";
    std::fs::write(stage.path().join("entra.toml"), config).unwrap();
    let words = ["sources=entra", "grnam=wheel", "grnam=research", "grgid=674002012"];
    assert_eq!(stage.run(&words), ["wheel:*:674002010:alice", "none", "none"]);
}

#[test]
fn root_is_not_asked_about() {
    let stage = stage();
    let daemon = stage.knowing_user(User::new("root", 674_001_301));
    assert_eq!(stage.run(&["sources=entra", "pwnam=root", "grouplist=root,0,5"]), ["none", "1 1 [0]"]);
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn a_member_whose_name_is_local_or_cannot_be_is_left_out() {
    let stage = stage();
    let group = Members::new("mixed", 674_002_003, ["alice", "root", "daemon", "a:b", "", "bob"].map(str::to_owned));
    let _daemon = stage.knowing(Directory { users: Vec::new(), groups: vec![group] });
    assert_eq!(stage.ask("grnam=mixed"), "mixed:*:674002003:alice,bob");
}

#[test]
fn an_enumeration_that_leads_in_circles_ends() {
    let stage = stage();
    let daemon = stage.answering(|body| {
        assert_eq!(operation(body), Some(Op::PasswdList));
        let mut writer = Writer::reply(Status::Ok);
        writer.string(b"again").count(0);
        Reply::Bytes(writer.finish())
    });
    assert_eq!(stage.ask("pwent"), "error ENOENT");
    assert_eq!(daemon.connections(), 2, "from the start, and once where that leads");
}
