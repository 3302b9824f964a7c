//! Tickets of sessions: where they lie, and when they go.

use std::time::{Duration, Instant};

use entra_lab::accounts::ALICE;
use entra_lab::{Node, Terminal, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("sessions: the ticket goes with the last session", last_session),
    ("sessions: ccaches in a folder and in the kernel are the user's own", kinds),
    ("sessions: ccaches in a KCM daemon, and one that is missing or hangs stops no login", kcm),
    ("sessions: a file or link in the ccache's place is left alone and stops no login", planted),
    ("sessions: the ticket is renewed by the domain while its session lives", renewed),
    ("sessions: sudo and a screen locker bring a session a new ticket", refreshed),
];

const CONFIG: &str = "/etc/entra/entra.toml";
const CCACHE: &str = "/tmp/krb5cc_674001103";
/// Where libkrb5 and sssd-kcm meet.
const KCM_SOCKET: &str = "/run/.heim_org.h5l.kcm-socket";
/// What the daemon's clock is ahead by, for libfaketime.
const CLOCK: &str = "/run/lab/clock";
const LIMIT: Duration = Duration::from_secs(60);

fn last_session(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let mut first = session(&node)?;
    check::text("a second session", product::ssh_as(&node, &ALICE, "klist -s")?)?;
    check::that(exists(&node), || "the end of the second session took the ticket of the first one".into())?;
    first.enter("klist -s && echo still a ticket; exit")?;
    let screen = first.finish()?.stdout;
    check::holds("the first session after the second one", &screen, "still a ticket")?;
    gone(&node)
}

fn kinds(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let plain = node.read_file(CONFIG)?;
    for (template, name) in [
        ("DIR:/var/tmp/krb5cc_%U", "DIR:/var/tmp/krb5cc_674001103"),
        ("KEYRING:persistent:%U", "KEYRING:persistent:674001103"),
        ("KEYRING:user:%U", "KEYRING:user:674001103"),
    ] {
        configure(&node, &plain, template)?;
        let script = "echo \"$KRB5CCNAME\"; klist -s && echo a ticket";
        let seen = check::text(template, product::ssh_as(&node, &ALICE, script)?)?;
        check::equal(template, &seen, &format!("{name}\na ticket"))?;
        let log = node.log("entrad")?;
        check::that(!log.contains("could not be removed"), || format!("{template}: {log}"))?;
    }
    Ok(())
}

fn kcm(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.apt_install(&["--no-install-recommends", "sssd-kcm"])?;
    configure(&node, &node.read_file(CONFIG)?, "KCM:%U")?;
    let login = |what: &str| -> Result<String, String> {
        check::text(
            what,
            product::ssh_as(
                &node,
                &ALICE,
                "echo \"$KRB5CCNAME\"; [ -n \"$KRB5CCNAME\" ] && klist -s && echo a ticket || echo none",
            )?,
        )
    };
    check::equal("without a KCM daemon", &login("without a KCM daemon")?.as_str(), &"\nnone")?;
    check::holds("the log", &node.log("entrad")?, "the ccache KCM:674001103 cannot be written: No KCM server found")?;

    node.must(&["sssd", "--genconf-section=kcm"])?;
    node.start("kcm", &["/usr/libexec/sssd/sssd_kcm", "--uid", "0", "--gid", "0", "--logger=stderr"])?;
    let verdict = (|| {
        let ready = format!("for step in $(seq 100); do [ -S {KCM_SOCKET} ] && exit; sleep 0.1; done; exit 1");
        check::status("the KCM daemon", &node.sh(&ready, &[])?, 0)?;
        check::equal("with it", &login("with it")?.as_str(), &"KCM:674001103\na ticket")?;
        let left = "for step in $(seq 100); do klist -s || exit 0; sleep 0.1; done; exit 1";
        let as_alice = ["setpriv", "--reuid=alice", "--clear-groups", "env", "KRB5CCNAME=KCM:674001103"];
        let gone = node.run_with(&[&as_alice[..], &["sh", "-c", left]].concat(), None, LIMIT)?;
        check::status("the ticket goes with the session", &gone, 0)?;
        node.must(&["pkill", "-STOP", "sssd_kcm"])?;
        check::equal("a KCM daemon that hangs", &login("a KCM daemon that hangs")?.as_str(), &"\nnone")?;
        check::holds("the log", &node.log("entrad")?, "cannot be written: the KCM daemon does not answer")
    })();
    node.run(&["pkill", "-KILL", "sssd_kcm"])?;
    node.stop("kcm")?;
    verdict
}

fn planted(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("a login", product::ssh_as(&node, &ALICE, "true")?)?;
    gone(&node)?;
    let path = CCACHE;
    for (what, plant) in [
        ("a file", "echo theirs >\"$1\"; chmod 666 \"$1\""),
        ("a link", "echo theirs >/var/tmp/theirs; chmod 666 /var/tmp/theirs; ln -s /var/tmp/theirs \"$1\""),
        ("a link to nothing", "ln -s /var/tmp/nothing-there \"$1\""),
    ] {
        let as_other = ["setpriv", "--reuid=localuser", "--clear-groups", "sh", "-c", plant, "sh", path];
        check::status(what, &node.run(&as_other)?, 0)?;
        let lines = || -> Result<usize, String> { Ok(node.log("entrad")?.matches("belongs to somebody else").count()) };
        let before = lines()?;
        let mut first = session(&node)?;
        check::equal(&format!("lines of the log about {what}"), &lines()?, &(before + 1))?;
        let name = check::text(what, product::ssh_as(&node, &ALICE, "klist -s && echo $KRB5CCNAME")?)?;
        check::that(name.starts_with(&format!("FILE:{path}_")), || format!("{what}: the ccache is {name}"))?;
        first.enter("klist -s && echo a ticket in $KRB5CCNAME; exit")?;
        check::holds(what, &first.finish()?.stdout, &format!("a ticket in {name}"))?;
        let left =
            node.sh("for step in $(seq 100); do ls -d /tmp/krb5cc* | grep -vx $1 || exit 0; sleep 0.1; done", &[path])?;
        check::equal(&format!("ccaches beside {what} after the last session"), &left.stdout.trim(), &"")?;
        let theirs =
            node.sh("stat -c %U \"$1\"; cat \"$1\" 2>/dev/null; ls /var/tmp/nothing-there 2>/dev/null", &[path])?;
        let content = if what == "a link to nothing" { "" } else { "theirs\n" };
        check::equal(&format!("{what}, afterwards"), &theirs.stdout, &format!("localuser\n{content}"))?;
        node.must(&["rm", path])?;
    }
    Ok(())
}

fn renewed(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.apt_install(&["faketime"])?;
    product::stop_daemon(&node)?;
    // The daemon's own clock alone, which says when half of a ticket's ten hours is over: its helper and the domain have
    // the right time.
    let clock = |ahead: &str| node.put_file(CLOCK, ahead, 0o644);
    clock("+0")?;
    let words = ["env", "LD_PRELOAD=libfaketimeMT.so.1", "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/faketime"];
    let settings = [&format!("FAKETIME_TIMESTAMP_FILE={CLOCK}"), "FAKETIME_CACHE_DURATION=1"];
    node.start("entrad", &[&words[..], &settings, &["/usr/sbin/entrad", "--foreground"]].concat())?;
    let ready = "for step in $(seq 100); do entractl status >/dev/null && exit; sleep 0.1; done; exit 1";
    check::status("entractl status", &node.sh(ready, &[])?, 0)?;
    let mut session = session(&node)?;
    let list = || node.must(&["klist", "-c", CCACHE]);
    let before = list()?;
    // Tickets tell their times in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    clock("+6h")?;
    // Each question makes the daemon look at its clock.
    let done = "for step in $(seq 100); do entractl status >/dev/null; grep 'the ticket of uid 674001103' \
                /var/log/lab-entrad.log && exit; sleep 0.1; done; exit 1";
    let said = check::text("a renewal", node.sh(done, &[])?)?;
    check::holds("the log", &said, "the ticket of uid 674001103 was renewed")?;
    check::that(list()? != before, || format!("the ticket is the old one: {before}"))?;
    session.enter("klist -s && stat -c \"still $? of %U %a\" ${KRB5CCNAME#FILE:}; exit")?;
    check::holds("the session", &session.finish()?.stdout, "still 0 of alice 600")?;
    gone(&node)
}

fn refreshed(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.put_file("/etc/pam.d/lab-locker", "auth required pam_entra.so\n", 0o644)?;
    node.put_file("/etc/sudoers.d/lab-refreshed", "alice ALL=(root) ALL\n", 0o440)?;
    let mut session = session(&node)?;
    for (program, command) in [
        ("sudo", "sudo -S -k -p '' true"),
        ("locker", "pamtester lab-locker alice authenticate 'setcred(PAM_REFRESH_CRED)'"),
    ] {
        let password = ALICE.password;
        session.enter(&format!("kdestroy; klist -s || echo {program} none-$?; echo '{password}' | {command} >/dev/null; klist -s && echo {program} new-$?"))?;
        session.expect(&[&format!("{program} none-1")])?;
        session.expect(&[&format!("{program} new-0")])?;
    }
    session.enter("exit")?;
    session.finish()?;
    gone(&node)
}

/// Gives the daemon of a joined host this template of ccaches.
fn configure(node: &Node, plain: &str, template: &str) -> Verdict {
    product::stop_daemon(node)?;
    node.put_file(CONFIG, format!("{plain}\nccache = \"{template}\"\n"), 0o644)?;
    Ok(product::start_daemon(node)?)
}

/// A session that stays, at its shell.
pub(super) fn session(node: &Node) -> Result<Terminal, String> {
    let command = "ssh -tt -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \
                   -oPreferredAuthentications=password alice@localhost";
    let mut terminal = Terminal::start(node, command, LIMIT)?;
    terminal.expect(&["assword: "])?;
    terminal.enter(ALICE.password)?;
    terminal.expect(&["$ "])?;
    Ok(terminal)
}

fn exists(node: &Node) -> bool {
    node.outside_path(CCACHE).exists()
}

fn gone(node: &Node) -> Verdict {
    let end = Instant::now() + Duration::from_secs(10);
    while exists(node) {
        check::that(Instant::now() < end, || "the ticket outlived the last session".into())?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
