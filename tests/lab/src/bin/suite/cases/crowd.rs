//! Two hundred people at once.

use std::time::Duration;

use entra_lab::Node;
use entra_lab::accounts::{PEOPLE, State};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("crowd: 200 logins at once: none fails, nothing is left behind, lookups go on", crowd),
    ("crowd: 30 logins at once while the domain is away: all get in", away),
];

const SERVICE: &str = "/etc/pam.d/lab-crowd";
const LIMIT: Duration = Duration::from_secs(180);

fn crowd(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    // One login of each, so that what stays for good is there before.
    prepare(&node)?;
    let before = traces(&node)?;
    node.must(&["entractl", "cache", "flush"])?;
    // Names that nobody has asked for, so that each goes the whole way; until the crowd is through.
    let asking = r#"at=1000; while [ ! -e /run/lab/crowd-over ]; do at=$((at + 1))
        timeout 5 getent passwd "user$at" >/dev/null && echo found || echo failed; done"#;
    node.must(&["rm", "-f", "/run/lab/crowd-over", "/var/log/lab-asking.log"])?;
    node.start("asking", &["sh", "-c", asking])?;
    let verdict = log_in(&node, &people(20), 200);
    node.must(&["touch", "/run/lab/crowd-over"])?;
    settle(&node)?;
    node.stop("asking")?;
    verdict?;
    let answers = node.log("asking")?;
    check::that(answers.contains("found") && !answers.contains("failed"), || {
        format!("{} lookups failed meanwhile", answers.matches("failed").count())
    })?;
    let after = traces(&node)?;
    for (when, traces) in [("before", &before), ("afterwards", &after)] {
        check::equal(when, &traces.rest.as_str(), &"helpers 0\nzombies 0\nccaches 0\n")?;
    }
    // A file of the store may have been opened meanwhile; two hundred logins that leak leave more.
    check::that(after.descriptors <= before.descriptors + 5, || {
        format!("{} descriptors of the daemon, and {} before", after.descriptors, before.descriptors)
    })?;
    let log = node.log("entrad")?;
    check::that(!log.contains("could not be removed"), || "a ccache outlived its session for a while".into())
}

fn away(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    prepare(&node)?;
    world.lab.cut("dc")?;
    let verdict = log_in(&node, &people(3), 30);
    world.mend()?;
    verdict?;
    let log = node.log("entrad")?;
    check::equal("offline logins in the log", &log.matches("phase=authenticate").count(), &40)?;
    check::equal("those among them", &log.matches("outcome=success reason=offline").count(), &30)
}

/// Ten people, each so many times: a list of names and passwords.
fn people(times: usize) -> String {
    let fit = PEOPLE.iter().filter(|person| person.state == State::Fit).take(10);
    let once: Vec<_> = fit.map(|person| format!("{}\0{}\0", person.sam, person.password)).collect();
    once.concat().repeat(times)
}

/// A service of ours alone, and one login of each, to its verifier.
fn prepare(node: &Node) -> Verdict {
    let stack = "auth required pam_entra.so\naccount required pam_entra.so\nsession required pam_entra.so\n";
    node.put_file(SERVICE, stack, 0o644)?;
    log_in(node, &people(1), 10)?;
    settle(node)
}

/// What may not grow.
struct Traces {
    /// Of all of the daemon's processes.
    descriptors: usize,
    /// Processes of helpers, zombies and ccaches.
    rest: String,
}

/// Logs in everybody of a list of names and passwords at once, from the phase of the password to the end of the session.
fn log_in(node: &Node, people: &str, count: usize) -> Verdict {
    node.put_file("/run/lab/people", people, 0o600)?;
    let script = r#"xargs -0 -n 2 -P 200 sh -c \
        'echo "$2" | pamtester lab-crowd "$1" authenticate acct_mgmt setcred open_session close_session >"/run/lab/out.$$" 2>&1 \
            && echo in || { echo "$1:"; cat "/run/lab/out.$$"; }; rm -f "/run/lab/out.$$"' sh </run/lab/people"#;
    let said = node.run_with(&["sh", "-c", script], None, LIMIT)?;
    let inside = said.stdout.lines().filter(|line| *line == "in").count();
    check::that(inside == count, || format!("{inside} of {count} got in: {}", said.describe()))
}

/// Waits until no helper works any more: verifiers for offline logins are made behind the login, two at a time, and the
/// next one begins when a busy machine has time for it. None for three seconds, that is.
fn settle(node: &Node) -> Verdict {
    let script = r#"quiet=0
        for step in $(seq 300); do
            quiet=$((quiet + 1))
            for stat in /proc/[0-9]*/stat; do read -r line <"$stat" || continue
                case $line in *"(krb5-helper)"*) quiet=0;; esac; done 2>/dev/null
            [ $quiet = 10 ] && exit
            sleep 0.3; done; exit 1"#;
    check::status("helpers end", &node.run_with(&["sh", "-c", script], None, LIMIT)?, 0)
}

fn traces(node: &Node) -> Result<Traces, String> {
    let script = r#"for process in /proc/[0-9]*; do
            [ "$(cat "$process/comm" 2>/dev/null)" = entrad ] && ls "$process/fd"
        done | wc -l
        echo "helpers $(cat /proc/[0-9]*/comm 2>/dev/null | grep -c krb5-helper)"
        echo "zombies $(cat /proc/[0-9]*/status 2>/dev/null | grep -c '^State:.Z')"
        echo "ccaches $(ls /tmp | grep -c krb5cc)""#;
    let said = node.run(&["sh", "-c", script])?.stdout;
    let (descriptors, rest) = said.split_once('\n').ok_or_else(|| format!("no traces: {said}"))?;
    let descriptors = descriptors.trim().parse().map_err(|_| format!("no number of descriptors: {said}"))?;
    Ok(Traces { descriptors, rest: rest.to_owned() })
}
