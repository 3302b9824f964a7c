//! Logins and changes of passwords with something else than the domain's KDC on the route: one with other keys, and a
//! link that breaks in the middle.

use std::time::{Duration, Instant};

use entra_lab::accounts::ALICE;
use entra_lab::{Node, Terminal, product};

use super::password::{active_directory, answer};
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("login faults: a KDC with the realm's name and other keys lets nobody in, and the log says why", impostor),
    ("login faults: a link that breaks before or in the AS exchange ends it in time, and lets nobody in", broken_login),
    ("login faults: a helper that was killed or is another version's leaves a login undecided, and says so", helper),
    ("login faults: a clock that is wrong is told with its seconds, FAST that is required and missing by name", skewed),
    ("login faults: a link that breaks in a change of password says nothing that is not so", broken_change),
];

const CONFIG: &str = "/etc/entra/entra.toml";
const SERVICE: &str = "/etc/pam.d/lab-faults";
const HELPER: &str = "/usr/libexec/entra/krb5-helper";
const KINIT_CONFIG: &str = "/run/lab/faults.conf";
const LIMIT: Duration = Duration::from_secs(90);
/// Above what the daemon gives a KDC (12 s), and below what the module would wait for a daemon that is gone (50 s).
const IN_TIME: Duration = Duration::from_secs(30);
const FAKE_PASSWORD: &str = "Fake-Pass-1";
const OLD: &str = "Planted-Pass-1";
const NEW: &str = "Planted-Pass-2";
/// What a person reads who may have a new password.
const UNKNOWN: &str = "It is not known whether your password was changed";
/// Where this node's own program listens in a domain controller's place.
const HERE: u16 = 8088;

/// Takes TCP connections to port `argv[1]` in the place of the domain controller's `argv[2]`, passes `argv[3]` requests
/// on, and does to the next one what `argv[4]` says: it is swallowed, its reply is, half of that comes, or half of it and
/// then an end. The domain controller's other address does not come back here.
const LINK: &str = r#"
import socket, struct, sys, threading, time
here, there, passed, then = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def whole(s):
    head = s.recv(4, socket.MSG_WAITALL)
    return head + s.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""
def serve(client):
    global passed
    while True:
        request = whole(client)
        if not request:
            return
        passed -= 1
        reply = b""
        if passed >= 0 or then != "swallow":
            with socket.create_connection(("10.53.0.11", there)) as kdc:
                kdc.sendall(request)
                reply = whole(kdc)
        if passed >= 0:
            client.sendall(reply)
            continue
        if then in ("half", "end"):
            client.sendall(reply[:len(reply) // 2])
        if then == "end":
            client.close()
            return
        time.sleep(600)
listener = socket.create_server(("0.0.0.0", here))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

fn impostor(world: &World) -> Verdict {
    let node = prepare(world)?;
    node.apt_install(&["krb5-kdc", "krb5-admin-server"])?;
    let script = r#"
mkdir -p /run/lab/fake && cd /run/lab/fake
printf '[libdefaults]\n default_realm = AADDS.CONTOSO.COM\n dns_lookup_kdc = false\n' >krb5.conf
printf '[kdcdefaults]\n kdc_ports = 8088\n kdc_tcp_ports = 8088\n[realms]\n AADDS.CONTOSO.COM = {\n  database_name = /run/lab/fake/db\n  key_stash_file = /run/lab/fake/stash\n }\n' >kdc.conf
export KRB5_CONFIG=/run/lab/fake/krb5.conf KRB5_KDC_PROFILE=/run/lab/fake/kdc.conf
kdb5_util create -s -P master -r AADDS.CONTOSO.COM >/dev/null
kadmin.local -q "addprinc -pw $1 +requires_preauth alice" >/dev/null"#;
    check::status("a KDC of the same name", &node.sh(script, &[FAKE_PASSWORD])?, 0)?;
    let settings = ["env", "KRB5_CONFIG=/run/lab/fake/krb5.conf", "KRB5_KDC_PROFILE=/run/lab/fake/kdc.conf"];
    node.start("fake-kdc", &[&settings[..], &["krb5kdc", "-n"]].concat())?;
    let verdict = diverted(&node, 88, || {
        // Whoever holds the route lets the false KDC say yes.
        check::status("kinit, which believes any KDC", &kinit(&node, ALICE.sam, FAKE_PASSWORD)?, 0)?;
        turned_away(&node, ALICE.sam, FAKE_PASSWORD)?;
        turned_away(&node, ALICE.sam, ALICE.password)?;
        check::holds("the daemon's log", &node.log("entrad")?, "it may be false: it does not know alice@")?;
        // One that knows her by the name that logins use.
        let name = format!("addprinc -pw {FAKE_PASSWORD} +requires_preauth {}", ALICE.upn.replace('@', "\\@"));
        let known = node.run(&[&settings[..], &["kadmin.local", "-q", &name]].concat())?;
        check::status("her other name in the false KDC", &known, 0)?;
        turned_away(&node, ALICE.sam, FAKE_PASSWORD)?;
        turned_away(&node, ALICE.sam, ALICE.password)?;
        // One that knows this host's name too, and not its key.
        let host = r#"for name in 'CLIENT2$' host/client2.aadds.contoso.com; do
            kadmin.local -q "addprinc -randkey $name" || exit 1; done"#;
        let host = node.run(&[&settings[..], &["sh", "-c", host]].concat())?;
        check::status("the host in the false KDC", &host, 0)?;
        turned_away(&node, ALICE.sam, FAKE_PASSWORD)?;
        // One that says of her password that it has expired, whatever it is.
        let expired = node.run(
            &[
                &settings[..],
                &["kadmin.local", "-q", &format!("modprinc +needchange {}", ALICE.upn.replace('@', "\\@"))],
            ]
            .concat(),
        )?;
        check::status("an expired password in the false KDC", &expired, 0)?;
        turned_away(&node, ALICE.sam, FAKE_PASSWORD)?;
        // And of somebody's of whom the directory says so too: what it gives to change the password proves nothing.
        let due = Planted::user("due", OLD).with(&[("pwdLastSet", "0")]);
        world.with_planted(&[due], |_| {
            let add = r#"for name in due 'due\@AADDS.CONTOSO.COM'; do
                kadmin.local -q "addprinc -pw $1 +requires_preauth +needchange $name" || exit 1; done"#;
            let known = node.run(&[&settings[..], &["sh", "-c", add, "sh", FAKE_PASSWORD]].concat())?;
            check::status("who must change in the false KDC", &known, 0)?;
            turned_away(&node, "due", FAKE_PASSWORD)
        })
    });
    node.stop("fake-kdc")?;
    verdict?;
    let log = node.log("entrad")?;
    check::holds("the daemon's log", &log, "the KDC could not be verified with the machine keytab, it may be false")?;
    check::holds("the audit records", &log, "reason=kdc-not-verified")?;
    // Her own password, which the false one calls wrong.
    check::holds("the daemon's log", &log, "nothing proves what it says of the password, and it may be false")?;
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("the domain's own KDC again", &said, "successfully")
}

fn broken_login(world: &World) -> Verdict {
    let node = prepare(world)?;
    // In the way before anything is said, in the first request and in the one that carries the proof.
    for (passed, then) in
        [("0", "swallow"), ("1", "swallow"), ("1", "unanswered"), ("1", "half"), ("1", "end"), ("2", "swallow")]
    {
        broken_link(&node, 88, passed, then, || {
            let words = "the KDC did not answer: ";
            let before = node.log("entrad")?.matches(words).count();
            let (said, took) = log_in(&node, ALICE.password)?;
            let what = format!("after {passed} answers and {then}: {said} in {took:?}");
            check::that(!said.contains("successfully"), || format!("somebody was let in {what}"))?;
            check::that(took < IN_TIME, || format!("too late {what}"))?;
            check::holds(&what, &said, "The domain cannot be reached")?;
            check::that(node.log("entrad")?.matches(words).count() > before, || format!("no word in the log {what}"))
        })?;
    }
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("the domain's own KDC again", &said, "successfully")
}

fn helper(world: &World) -> Verdict {
    let node = prepare(world)?;
    node.must(&["mv", HELPER, "/run/lab/krb5-helper"])?;
    for (script, words) in [
        ("#!/bin/sh\nkill -KILL $$\n", "a login was left undecided: the Kerberos helper ended without an answer"),
        ("#!/bin/sh\nprintf 'EJ\\377\\377another'\n", "is of another version than the running daemon: restart entrad"),
    ] {
        node.put_file(HELPER, script, 0o700)?;
        let (said, _) = log_in(&node, ALICE.password)?;
        check::holds("pamtester", &said, "Authentication service cannot retrieve authentication info")?;
        check::holds("the person", &said, "could not be checked on this computer just now. Try again.")?;
        check::holds("the daemon's log", &node.log("entrad")?, words)?;
        check::holds("the record", &node.log("entrad")?, "outcome=unavailable reason=helper-ended")?;
    }
    node.must(&["mv", "/run/lab/krb5-helper", HELPER])?;
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("with the helper again", &said, "successfully")
}

fn skewed(world: &World) -> Verdict {
    let node = prepare(world)?;
    node.apt_install(&["faketime"])?;
    node.put_file("/etc/faketimerc", "+10m\n", 0o644)?;
    // Of every program that begins from now on, the helper among them.
    node.sh("ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/etc/ld.so.preload", &[])?.text()?;
    let said = log_in(&node, ALICE.password);
    node.must(&["rm", "/etc/ld.so.preload"])?;
    let (said, _) = said?;
    let seconds =
        said.split_once("The clock of this computer is ").and_then(|(_, rest)| rest.split_once(" seconds ahead of"));
    let seconds = seconds.and_then(|(seconds, _)| seconds.parse::<u32>().ok());
    check::that(seconds.is_some_and(|seconds| seconds.abs_diff(600) < 60), || format!("ten minutes ahead: {said}"))?;
    check::holds("the record", &node.log("entrad")?, "outcome=unavailable reason=clock-skew")?;
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("with the right time", &said, "successfully")?;

    product::stop_daemon(&node)?;
    node.put_file(CONFIG, format!("{}\nfast = \"require\"\n", node.read_file(CONFIG)?), 0o644)?;
    product::start_daemon(&node)?;
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("with FAST", &said, "successfully")?;
    // What armors it: without it no password is sent.
    node.must(&["rm", "/run/entra/private/machine.ccache"])?;
    let (said, _) = log_in(&node, ALICE.password)?;
    check::holds("without what FAST needs", &said, "only under the protection that is required here")?;
    check::holds("the record", &node.log("entrad")?, "outcome=unavailable reason=fast-unavailable")
}

fn broken_change(world: &World) -> Verdict {
    let node = active_directory(world)?;
    equip(&node)?;
    // Where it breaks: the port, what is passed on before, and how; what is said; which password counts afterwards.
    for (user, port, passed, then, words, counts) in [
        ("changer1", 464, "0", "swallow", UNKNOWN, OLD),
        ("changer2", 464, "0", "unanswered", UNKNOWN, NEW),
        ("changer3", 464, "0", "half", UNKNOWN, NEW),
        ("changer4", 88, "1", "swallow", "The domain cannot be reached", OLD),
    ] {
        world.with_planted(&[Planted::user(user, OLD)], |_| {
            let what = format!("a change with port {port} broken ({then})");
            let mut terminal = Terminal::start(&node, &format!("su - {user} -c passwd"), LIMIT)?;
            answer(&mut terminal, &[("Current password: ", OLD), ("New password: ", NEW)])?;
            terminal.expect(&["Retype new"])?;
            broken_link(&node, port, passed, then, || {
                let began = Instant::now();
                terminal.enter(NEW)?;
                terminal.expect(&[words, "has been changed"])?;
                check::that(began.elapsed() < IN_TIME, || format!("{what}: an answer after {:?}", began.elapsed()))
            })?;
            let screen = terminal.finish()?;
            check::that(!screen.ok() && !screen.stdout.contains("has been changed"), || screen.describe())?;
            for password in [OLD, NEW] {
                let works = kinit(&node, user, password)?.ok();
                check::equal(&format!("{what}: whether {password} counts"), &works, &(password == counts))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// A joined host, nobody of which can log in offline.
fn prepare(world: &World) -> Result<Node, String> {
    let node = world.freshly_joined()?;
    equip(&node)?;
    node.put_file(SERVICE, "auth required pam_entra.so\naccount required pam_entra.so\n", 0o644)?;
    check::text("getent passwd alice", node.run(&["getent", "passwd", ALICE.sam])?)?;
    Ok(node)
}

/// What the cases use of other packages.
fn equip(node: &Node) -> Verdict {
    node.apt_install(&["nftables"])?;
    let config = "[libdefaults]\n default_realm = AADDS.CONTOSO.COM\n udp_preference_limit = 1\n[realms]\n \
                  AADDS.CONTOSO.COM = {\n  kdc = 10.53.0.10\n }\n";
    Ok(node.put_file(KINIT_CONFIG, config, 0o644)?)
}

/// Runs `work` while connections to `port` of the domain controller reach this node's [`HERE`]; new ones only, and those
/// to its other ports are its own.
fn diverted(node: &Node, port: u16, work: impl FnOnce() -> Verdict) -> Verdict {
    let script = r#"for step in $(seq 100); do timeout 1 bash -c "</dev/tcp/127.0.0.1/$2" 2>/dev/null && break; sleep 0.1; done
        nft add table ip lab && nft 'add chain ip lab out { type nat hook output priority -100; }' &&
        nft add rule ip lab out ip daddr 10.53.0.10 tcp dport "$1" redirect to ":$2" &&
        nft add rule ip lab out ip daddr 10.53.0.10 udp dport "$1" redirect to ":$2""#;
    let divert = node.sh(script, &[&port.to_string(), &HERE.to_string()])?;
    let verdict = check::status("the diversion", &divert, 0).and_then(|()| work());
    node.must(&["nft", "delete", "table", "ip", "lab"])?;
    verdict
}

/// Runs `work` while [`LINK`] is what `port` of the domain controller leads to.
fn broken_link(node: &Node, port: u16, passed: &str, then: &str, work: impl FnOnce() -> Verdict) -> Verdict {
    node.start("link", &["python3", "-c", LINK, &HERE.to_string(), &port.to_string(), passed, then])?;
    let verdict = diverted(node, port, work);
    node.stop("link")?;
    verdict
}

fn turned_away(node: &Node, user: &str, password: &str) -> Verdict {
    let audited = |log: &str| log.lines().filter(|line| line.contains("phase=authenticate")).count();
    let before = audited(&node.log("entrad")?);
    let (said, _) = log_in_as(node, user, password)?;
    check::that(!said.contains("successfully"), || format!("a false KDC let somebody in with {password}: {said}"))?;
    let log = node.log("entrad")?;
    check::equal("records of the refusal", &audited(&log), &(before + 1))?;
    let record = log.lines().rev().find(|line| line.contains("phase=authenticate")).unwrap_or_default();
    let let_on = ["outcome=success", "outcome=must-change"].iter().any(|outcome| record.contains(outcome));
    check::that(!let_on, || format!("the record of a refusal: {record}"))
}

fn log_in(node: &Node, password: &str) -> Result<(String, Duration), String> {
    log_in_as(node, ALICE.sam, password)
}

fn log_in_as(node: &Node, user: &str, password: &str) -> Result<(String, Duration), String> {
    let began = Instant::now();
    let words = ["pamtester", "lab-faults", user, "authenticate"];
    let output = node.run_with(&words, Some(format!("{password}\n").as_bytes()), LIMIT)?;
    Ok((format!("{}{}", output.stdout, output.stderr), began.elapsed()))
}

/// Asks the KDC on the route, whoever it is.
fn kinit(node: &Node, user: &str, password: &str) -> Result<entra_lab::Output, String> {
    let config = format!("KRB5_CONFIG={KINIT_CONFIG}");
    let words = ["env", "ENTRA_NSS_OFF=1", &config, "KRB5CCNAME=MEMORY:", "kinit", user];
    Ok(node.run_with(&words, Some(format!("{password}\n").as_bytes()), LIMIT)?)
}
