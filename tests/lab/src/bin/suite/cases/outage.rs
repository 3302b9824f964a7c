//! The directory cut off.

use std::time::Duration;

use entra_lab::accounts::ALICE;
use entra_lab::{TIMED_OUT, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("outage: cached users and groups go on resolving", cached),
    ("outage: a daemon restarted without network still knows them", restarted),
    ("outage: an unknown user is not called unknown, and nothing hangs", uncached),
    ("outage: everything is back once the cable is in", back),
];

const SEEN: [&[&str]; 5] = [
    &["getent", "passwd", "alice"],
    &["getent", "passwd", "alice@contoso.com"],
    &["getent", "passwd", "674001103"],
    &["id", "many"],
    &["getent", "group", "sales (emea)"],
];

fn cached(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let before = answers(&node)?;
    world.lab.cut("dc")?;
    let after = answers(&node);
    world.mend()?;
    check::equal("answers with the cable out", &after?, &before)
}

fn restarted(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let before = answers(&node)?;
    // The store is written behind the answers; a clean end writes what is left.
    product::stop_daemon(&node)?;
    world.lab.cut("dc")?;
    let after = product::start_daemon(&node).map_err(String::from).and_then(|()| answers(&node));
    world.mend()?;
    check::equal("answers after the restart", &after?, &before)
}

fn uncached(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("getent passwd alice", node.run(&["getent", "passwd", "alice"])?)?;
    world.lab.cut("dc")?;
    let script = r#"$! = 0; print defined getpwnam("user1234") ? "found" : "$!""#;
    let output = node.run_with(&["perl", "-e", script], None, Duration::from_secs(20));
    let login = product::ssh(&node, "user1234", "whatever", "true");
    world.mend()?;
    let output = output?;
    check::that(output.status != TIMED_OUT, || "getpwnam of an unknown user hung".into())?;
    check::equal("errno of getpwnam", &check::text("getpwnam", output)?.as_str(), &"Resource temporarily unavailable")?;
    check::that(!login?.ok(), || "a login without directory and without cache succeeded".into())
}

fn back(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    world.lab.cut("dc")?;
    let _ = node.run(&["getent", "passwd", "user0500"])?;
    world.mend()?;
    // Coming back may take a probe's interval, never a restart.
    let script = r"for step in $(seq 90); do getent passwd user0501 >/dev/null && exit 0; sleep 0.5; done; exit 1";
    check::status("a user never seen before", &node.sh(script, &[])?, 0)?;
    check::text("a login", product::ssh_as(&node, &ALICE, "true")?).map(drop)
}

fn answers(node: &entra_lab::Node) -> Result<Vec<String>, String> {
    SEEN.iter().map(|words| check::text(&words.join(" "), node.run(words)?)).collect()
}
