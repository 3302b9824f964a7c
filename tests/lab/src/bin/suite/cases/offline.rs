//! Logins while the domain is away.

use std::time::{Duration, Instant};

use entra_lab::accounts::ALICE;
use entra_lab::{Node, Terminal, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("offline: who logged in before gets in and is told from when the data is", told),
    ("offline: wrong passwords cost time, also after a restart of the daemon", delays),
    ("offline: it ends with offline_max_age, and never began where it is switched off", limits),
    (
        "offline: a password that is kept brings the session its ticket, once, and the kernel has none without the option",
        kept,
    ),
];

const CONFIG: &str = "/etc/entra/entra.toml";
/// Long enough for a program under load; a case fails after it.
const LIMIT: Duration = Duration::from_secs(40);
/// Somebody whose password is changed during the outage.
const KEPT: &str = "kept";
/// Wrong passwords in a row after which the next one has to wait, and how long; twice as long after each further one.
const FREE_FAILURES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(10);

fn told(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    log_in_online(&node)?;
    let text = check::text("entractl user", node.run(&["entractl", "user", "alice"])?)?;
    check::holds("entractl user", &text, "ready until")?;
    check::text("entractl cache flush", node.run(&["entractl", "cache", "flush"])?)?;
    check::text("getent after the flush", node.run(&["getent", "passwd", "alice"])?)?;
    world.lab.cut("dc")?;
    let verdict = (|| {
        let screen = su(&node, ALICE.password)?;
        check::holds("su", &screen, "uid=674001103(alice)")?;
        check::holds("su", &screen, "logged in offline, with what was known on 20")?;
        check::text("ssh", product::ssh_as(&node, &ALICE, "true")?)?;
        let stranger = product::ssh(&node, "bob", "Bob-Pass-1", "true")?;
        check::that(!stranger.ok(), || "bob, who was never here, was let in".into())?;
        product::stop_daemon(&node)?;
        product::start_daemon(&node)?;
        check::text("ssh after a restart", product::ssh_as(&node, &ALICE, "true")?).map(drop)
    })();
    world.mend()?;
    verdict?;
    // Back online the KDC has the last word again, and a session its ticket.
    let back = Instant::now() + LIMIT;
    loop {
        let klist = product::ssh_as(&node, &ALICE, "klist -s && echo ticket")?;
        if klist.stdout.trim() == "ticket" {
            return Ok(());
        }
        check::that(Instant::now() < back, || format!("no ticket after the outage: {}", klist.describe()))?;
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn delays(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    log_in_online(&node)?;
    world.lab.cut("dc")?;
    // A machine that needs longer than a wait lasts cannot be told to wait: then the same with a longer one.
    let mut outcome = Ok(false);
    for failures in FREE_FAILURES..FREE_FAILURES + 3 {
        outcome = delayed_after(&node, failures);
        if outcome != Ok(false) {
            break;
        }
    }
    world.mend()?;
    check::that(outcome?, || "no wait was long enough to be seen on this machine".into())
}

/// Wrong passwords so many times, and then the right one: too early, too early after a restart, and in time. False where
/// a wait was over before it could be met.
fn delayed_after(node: &Node, failures: u32) -> Result<bool, String> {
    let mut last = Instant::now();
    let mut wait = Duration::ZERO;
    for failure in 1..=failures {
        std::thread::sleep(wait);
        last = Instant::now();
        let screen = su(node, "not-her-password")?;
        check::holds("su with a wrong password", &screen, "The password is wrong.")?;
        if let Some(beyond) = failure.checked_sub(FREE_FAILURES) {
            wait = FIRST_WAIT * 2_u32.pow(beyond);
        }
    }
    for when in ["too early", "too early after a restart"] {
        let screen = su(node, ALICE.password)?;
        if screen.contains("uid=674001103(alice)") {
            check::that(last.elapsed() >= wait, || format!("{when}, {:?} of {wait:?}: {screen}", last.elapsed()))?;
            return Ok(false);
        }
        check::holds(when, &screen, "Try again in")?;
        if when == "too early" {
            product::stop_daemon(node)?;
            product::start_daemon(node)?;
        }
    }
    std::thread::sleep(wait);
    check::holds("su when the wait is over", &su(node, ALICE.password)?, "uid=674001103(alice)").map(|()| true)
}

fn limits(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let plain = node.read_file(CONFIG)?;
    let configure = |option: &str| -> Verdict {
        product::stop_daemon(&node)?;
        node.put_file(CONFIG, format!("{plain}\n{option}\n"), 0o644)?;
        Ok(product::start_daemon(&node)?)
    };
    configure("offline_login = false")?;
    check::text("an online login", product::ssh_as(&node, &ALICE, "true")?)?;
    let text = check::text("entractl user", node.run(&["entractl", "user", "alice"])?)?;
    check::holds("entractl user", &text, "not ready")?;
    configure("offline_max_age = \"5s\"")?;
    log_in_online(&node)?;
    std::thread::sleep(Duration::from_secs(6));
    world.lab.cut("dc")?;
    let screen = su(&node, ALICE.password);
    world.mend()?;
    check::holds("su when the last login is too old", &screen?, "too long ago")
}

fn kept(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    // What root sees of passwords in the kernel.
    let in_kernel = || -> Result<bool, String> { Ok(node.must(&["cat", "/proc/keys"])?.contains("entra:password:")) };
    world.with_planted(&[Planted::user(KEPT, "Planted-Pass-1")], |_| {
        log_in_online(&node)?;
        check::text("kept, online", product::ssh(&node, KEPT, "Planted-Pass-1", "true")?)?;
        wait(&node, &format!("entractl user {KEPT} | grep -q 'ready until'"), "kept can log in offline")?;
        world.lab.cut("dc")?;
        let sessions = (|| -> Result<[Terminal; 2], String> {
            check::holds("su", &su(&node, ALICE.password)?, "logged in offline")?;
            check::that(!in_kernel()?, || "a password is kept, and nobody said so".into())?;
            product::stop_daemon(&node)?;
            let config = node.read_file(CONFIG)?;
            node.put_file(CONFIG, format!("{config}\noffline_keep_password = true\n"), 0o644)?;
            product::start_daemon(&node)?;
            let sessions = [session(&node, "alice", ALICE.password)?, session(&node, KEPT, "Planted-Pass-1")?];
            check::that(in_kernel()?, || "nothing is kept".into())?;
            // The other one's password is another one when the domain is back.
            let words = ["samba-tool", "user", "setpassword", KEPT, "--newpassword=Planted-Pass-2"];
            check::status("a new password", &world.dc()?.run(&words)?, 0)?;
            Ok(sessions)
        })();
        world.mend()?;
        let [mut alice, mut other] = sessions?;
        wait(&node, "grep -q 'alice, who logged in offline, has a ticket now' /var/log/lab-entrad.log", "a ticket")?;
        wait(&node, "grep -q 'the password of kept was changed elsewhere' /var/log/lab-entrad.log", "one attempt")?;
        check::that(!in_kernel()?, || "a password outlives its one attempt".into())?;
        alice.enter("klist -s && echo a-ticket-of-$(id -un); exit")?;
        check::holds("alice's session", &alice.finish()?.stdout, "a-ticket-of-alice")?;
        other.enter("klist -s || echo no-ticket-of-$(id -un); exit")?;
        check::holds("the other one's", &other.finish()?.stdout, "no-ticket-of-kept")?;
        wait(&node, "! test -e /tmp/krb5cc_674001103", "the ticket goes with the session")?;
        let filter = format!("(sAMAccountName={KEPT})");
        let counted =
            world.dc()?.must(&["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "badPwdCount"])?;
        let wrong = counted.lines().find_map(|line| line.strip_prefix("badPwdCount: ")?.parse().ok()).unwrap_or(0);
        check::that(wrong <= 1, || format!("{wrong} wrong passwords counted: {counted}"))
    })
}

/// A session that stays, at its shell.
fn session(node: &Node, user: &str, password: &str) -> Result<Terminal, String> {
    let command = format!(
        "ssh -tt -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \
         -oPreferredAuthentications=password {user}@localhost"
    );
    let mut terminal = Terminal::start(node, &command, LIMIT)?;
    terminal.expect(&["assword: "])?;
    terminal.enter(password)?;
    terminal.expect(&["$ "])?;
    Ok(terminal)
}

fn wait(node: &Node, condition: &str, what: &str) -> Verdict {
    let script = format!("for step in $(seq 400); do {condition} && exit; sleep 0.1; done; exit 1");
    let outcome = node.run_with(&["sh", "-c", &script], None, Duration::from_secs(60))?;
    if outcome.ok() { Ok(()) } else { Err(format!("{what}: {}", node.log("entrad")?)) }
}

/// Logs alice in and waits for what an offline login needs, which is made behind the login.
pub(super) fn log_in_online(node: &Node) -> Verdict {
    check::text("an online login", product::ssh_as(node, &ALICE, "true")?)?;
    let script =
        r"for step in $(seq 100); do entractl user alice | grep -q 'ready until' && exit; sleep 0.1; done; exit 1";
    check::status("alice can log in offline", &node.sh(script, &[])?, 0)
}

/// What alice sees who asks su for a shell's one command from another user's session.
fn su(node: &Node, password: &str) -> Result<String, String> {
    let mut terminal = Terminal::start(node, "su localuser -c 'su - alice -c id'", LIMIT)?;
    terminal.expect(&["assword: "])?;
    terminal.enter(password)?;
    Ok(terminal.finish()?.stdout)
}
