//! Real programs, with their Debian settings: with entrad running, killed and removed.

mod entrances;

use std::time::Duration;

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::client::LOCAL_USER;
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;
use entrances::{ENTRANCES, FOR_ROOT, Person};

pub const CASES: &[Case] = &[
    ("programs: sshd, su, sudo, login, cron and others let domain users in", running),
    ("programs: without entrad nobody local waits, and domain users are told why", without_daemon),
];

const DOMAIN_USER: Person = Person { name: ALICE.sam, password: ALICE.password };
const LOCAL: Person = Person { name: LOCAL_USER.0, password: LOCAL_USER.1 };
const ROOT: Person = Person { name: "root", password: "" };

/// What a person reads who cannot be checked.
const OUTAGE: &str = "Your account cannot be checked right now. Try again in a while.";

fn running(world: &World) -> Verdict {
    let node = world.joined()?;
    // Her home has to be there for a key to be put into it, and for a job of hers.
    ENTRANCES[0].admits(&node, &DOMAIN_USER)?;
    entrances::prepare(&node, &[&DOMAIN_USER])?;
    let users = [DOMAIN_USER.name, LOCAL.name];
    let verdict = let_in(&node).and_then(|()| {
        entrances::write_crontabs(&node, &users)?;
        entrances::cron_runs(&node, &users).map(drop)
    });
    entrances::remove_crontabs(&node, &users)?;
    entrances::clear(&node, &[&DOMAIN_USER])?;
    verdict
}

fn let_in(node: &Node) -> Verdict {
    for entrance in &ENTRANCES {
        entrance.admits(node, &DOMAIN_USER)?;
    }
    let sudo = &ENTRANCES[3];
    let [jane, carol, backslash] = ["jane doe", "carol", "backslash"].map(person);
    sudo.admits(node, &jane?)?;
    // Neither in the group nor named, and right about the password.
    let said = sudo.refuses(node, &carol?)?;
    check::holds("what sudo says to carol", &said, "carol is not in the sudoers file")?;
    // The quoted form of a group's name, which gives another user's rights and not root's.
    let backslash = backslash?;
    let words = ["su", "-", backslash.name, "-c", "sudo -S -k -p '' -u nobody id -un"];
    let password = format!("{}\n", backslash.password);
    let output = node.run_with(&words, Some(password.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::equal("sudo by \"%sales (emea)\"", &check::text("sudo", output)?.as_str(), &"nobody")?;
    check::that(sudo.refuses(node, &backslash).is_ok(), || "sudo gave root to a group that may be nobody only".into())?;
    // One only: each wrong password counts, and the directory locks the account at the fifth.
    let said = ENTRANCES[2].refuses(node, &Person { password: "not-hers", ..DOMAIN_USER })?;
    check::holds("what su says to a wrong password", &said, "The password is wrong.")
}

fn person(name: &str) -> Result<Person, String> {
    let account = PEOPLE.iter().find(|account| account.sam == name).ok_or_else(|| format!("no account {name}"))?;
    Ok(Person { name: account.sam, password: account.password })
}

/// The programs' settings before the packages came, and with them.
const KEEP: &str = r#"mkdir -p "/root/settings/$1" && cp -a /etc/pam.d /etc/nsswitch.conf "/root/settings/$1""#;
const PUT_BACK: &str = r#"cp -a "/root/settings/$1/." /etc"#;
/// The whole process group, and nothing of it left.
const KILL: &str = r#"
read -r pid </run/lab/entrad.pid && kill -KILL "-$pid" && rm /run/lab/entrad.pid || exit 1
for step in $(seq 100); do ps -eo comm= | grep -q '^entrad' || exit 0; sleep 0.02; done
ps -ef; exit 1"#;
/// More than any login takes longer by, on a busy machine, for a reason of its own; less than any deadline of ours.
const SECOND: Duration = Duration::from_secs(1);

fn without_daemon(world: &World) -> Verdict {
    let node = world.pristine()?;
    check::text("settings", node.sh(KEEP, &["without"])?)?;
    world.install(&node)?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    product::start_daemon(&node)?;
    ENTRANCES[0].admits(&node, &DOMAIN_USER)?;
    entrances::prepare(&node, &[&DOMAIN_USER, &LOCAL])?;
    entrances::write_crontabs(&node, &[DOMAIN_USER.name, LOCAL.name, ROOT.name])?;
    check::text("settings", node.sh(KEEP, &["with"])?)?;
    nobody_local_waits(&node, "entrad running")?;

    // At once and with all that belongs to it: the sockets stay, and nobody listens.
    check::text("kill", node.sh(KILL, &[])?)?;
    nobody_local_waits(&node, "entrad killed")?;
    domain_users_are_told(&node)?;

    // As after a boot without it.
    node.must(&["sh", "-c", "mv /usr/sbin/entrad /root/entrad.away && mv /run/entra /root/run-entra.away"])?;
    nobody_local_waits(&node, "entrad removed")?;
    domain_users_are_told(&node)?;

    node.must(&["sh", "-c", "mv /root/entrad.away /usr/sbin/entrad && mv /root/run-entra.away /run/entra"])?;
    product::start_daemon(&node)?;
    ENTRANCES[0].admits(&node, &DOMAIN_USER)?;
    entrances::cron_runs(&node, &[DOMAIN_USER.name]).map(drop)
}

/// Root and a local user get in everywhere, within a second of what it takes without our modules.
fn nobody_local_waits(node: &Node, state: &str) -> Verdict {
    let mut slow = times(node, state)?;
    // A busy machine is slow now and then, a module that waits always is.
    for _ in 0..2 {
        if slow.is_empty() {
            break;
        }
        slow = times(node, state)?;
    }
    check::that(slow.is_empty(), || slow.join("\n"))
}

/// Those who waited.
fn times(node: &Node, state: &str) -> Result<Vec<String>, String> {
    check::text("settings", node.sh(PUT_BACK, &["without"])?)?;
    let without = enter_all(node);
    check::text("settings", node.sh(PUT_BACK, &["with"])?)?;
    let without = without.map_err(|reason| format!("without our modules: {reason}"))?;
    let with = enter_all(node).map_err(|reason| format!("{state}: {reason}"))?;
    let pairs = without.into_iter().zip(with);
    let slow = pairs.filter(|((_, without), (_, with))| *with > *without + SECOND);
    Ok(slow
        .map(|((what, without), (_, with))| format!("{state}: {what} took {with:?}, {without:?} without us"))
        .collect())
}

fn enter_all(node: &Node) -> Result<Vec<(String, Duration)>, String> {
    let mut times = Vec::new();
    for (entrances, person) in [(&ENTRANCES[..], &LOCAL), (&FOR_ROOT[..], &ROOT)] {
        for entrance in entrances {
            times.push((format!("{} of {}", entrance.name, person.name), entrance.admits(node, person)?));
        }
    }
    times.push(("cron".into(), entrances::cron_runs(node, &[LOCAL.name, ROOT.name])?));
    Ok(times)
}

/// No way in, no waiting, and the reason wherever the program asks PAM before it asks for the account (sshd, su and
/// sudo have their own words for a user that NSS does not give them).
fn domain_users_are_told(node: &Node) -> Verdict {
    for entrance in &ENTRANCES {
        let said = entrance.refuses(node, &DOMAIN_USER)?;
        if ["login on a terminal", "any other service"].contains(&entrance.name) {
            check::holds(&format!("what {} says", entrance.name), &said, OUTAGE)?;
        }
    }
    check::that(!entrances::job_ran(node, DOMAIN_USER.name), || "cron ran a job of a user that it cannot know".into())?;
    let log = node.read_file("/var/log/messages")?;
    check::holds("the system log", &log, &format!("({}) ORPHAN (no passwd entry)", DOMAIN_USER.name))
}
