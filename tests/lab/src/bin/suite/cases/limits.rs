//! Who may have a password tried, and how often.

use std::time::Duration;

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::{Node, Output};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("limits: a user may have its own password tried, ten times at once, and nobody else's", own),
    ("limits: an unknown name takes as long as a wrong password", timing),
];

const SERVICE: &str = "/etc/pam.d/lab-entra-only";
const LIMIT: Duration = Duration::from_secs(60);

fn own(world: &World) -> Verdict {
    let node = prepare(world)?;
    let herself = pamtester(&node, ALICE.sam, ALICE.sam, ALICE.password)?;
    check::status("alice for alice, as a screen locker does", &herself, 0)?;
    let bob = PEOPLE.iter().find(|account| account.sam == "bob").ok_or("no bob")?;
    let other = pamtester(&node, ALICE.sam, bob.sam, bob.password)?;
    check::that(!other.ok(), || "alice had bob's password tried".into())?;
    // Nor does she learn here who there is.
    let nobody = pamtester(&node, ALICE.sam, "nobody-knows", bob.password)?;
    let told = |output: &Output| (output.status, output.stdout.clone(), output.stderr.clone());
    check::equal("what alice is told of nobody and of bob", &told(&nobody), &told(&other))?;
    let entrad = node.log("entrad")?;
    check::holds("the daemon's log", &entrad, "uid 674001103 may not ask for another user")?;
    // Right passwords, which nobody counts against her: only the number of them.
    let crowd = |user: &str| -> Result<(usize, String), String> {
        let script = r#"seq 40 | xargs -P 4 -I{} sh -c \
            'echo "$1" | setpriv --reuid "$0" --regid nogroup --clear-groups pamtester lab-entra-only alice authenticate 2>&1' "$1" "$2""#;
        let said = node.run_with(&["sh", "-c", script, "sh", user, ALICE.password], None, LIMIT)?;
        Ok((said.stdout.matches("successfully authenticated").count(), said.stdout))
    };
    let (let_through, said) = crowd(ALICE.sam)?;
    check::that((8..40).contains(&let_through), || format!("{let_through} of 40 were let through:\n{said}"))?;
    check::holds("what the others are told", &said, "Too many attempts on this computer.")?;
    check::holds("the record", &node.log("entrad")?, "outcome=max-tries reason=too-many-attempts")?;
    let (let_through, said) = crowd("root")?;
    check::that(let_through == 40, || format!("root's were limited to {let_through}:\n{said}"))
}

fn timing(world: &World) -> Verdict {
    let node = prepare(world)?;
    // Both at once, so that they meet the same load.
    let script = r#"measure() {
            begin=$(date +%s%N); echo not-the-password | pamtester lab-entra-only "$1" authenticate >/dev/null 2>&1
            echo "$1 $((($(date +%s%N) - begin) / 1000000))"
        }
        for try in 1 2 3; do measure nobody-knows & measure carol & done; wait"#;
    let said = check::text("pamtester", node.run_with(&["bash", "-c", script], None, LIMIT)?)?;
    let median = |name: &str| -> Result<u64, String> {
        let mut times: Vec<u64> =
            said.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok()).collect();
        times.sort_unstable();
        times.get(1).copied().ok_or_else(|| format!("no times of {name} in:\n{said}"))
    };
    let (unknown, wrong) = (median("nobody-knows")?, median("carol")?);
    check::that(unknown * 3 > wrong && wrong * 3 > unknown, || format!("{unknown} ms against {wrong} ms:\n{said}"))
}

/// A service that asks nobody but us.
fn prepare(world: &World) -> Result<Node, String> {
    let node = world.freshly_joined()?;
    let stack = "auth required pam_entra.so\naccount required pam_entra.so\n";
    node.put_file(SERVICE, stack, 0o644)?;
    Ok(node)
}

fn pamtester(node: &Node, caller: &str, user: &str, password: &str) -> Result<Output, String> {
    let words = ["setpriv", "--reuid", caller, "--regid", "nogroup", "--clear-groups", "pamtester"];
    let words = [words.as_slice(), &["lab-entra-only", user, "authenticate"]].concat();
    Ok(node.run_with(&words, Some(format!("{password}\n").as_bytes()), LIMIT)?)
}
