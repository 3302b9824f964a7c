//! A host whose parts are broken: a configuration that is none, a keytab that is gone, a daemon that dies, a store of
//! zeros.

use std::time::Duration;

use entra_lab::{Node, TIMED_OUT, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("surroundings: a garbage configuration is refused with file, line and column", configuration),
    ("surroundings: without its keytab the daemon serves what it knows, and nobody becomes unknown", keytab),
    ("surroundings: a daemon killed in the middle of a lookup makes nobody unknown", killed),
    ("surroundings: a store full of zeros is rebuilt, ids unchanged", zeros),
];

const CONFIG: &str = "/etc/entra/entra.toml";

fn configuration(world: &World) -> Verdict {
    let node = world.joined()?;
    let plain = node.read_file(CONFIG)?;
    let garbage = [
        ("no TOML at all", "\u{1}\u{2}garbage = = [\n", "1:"),
        ("an unknown option", "# one\n\ncache_tll = \"90m\"\n", "3:1"),
        ("a wrong type", "[domains.\"aadds.contoso.com\"]\n  enumerate = \"yes\"\n", "2:15"),
        ("a table that does not end", "cache_ttl = \"90m\"\n[domains.\"aadds\n", "2:"),
    ];
    product::stop_daemon(&node)?;
    let verdict = garbage.into_iter().try_for_each(|(what, text, place)| {
        node.put_file(CONFIG, text, 0o644)?;
        for words in [["entractl", "config", "check"].as_slice(), &["/usr/sbin/entrad", "--foreground"]] {
            let output = node.run_with(words, None, Duration::from_secs(20))?;
            check::status(&format!("{what}: {}", words.join(" ")), &output, 1)?;
            check::holds(what, &format!("{}{}", output.stdout, output.stderr), &format!("{CONFIG}:{place}"))?;
        }
        // Nothing of ours runs, and the host is as it was.
        check::status("root", &node.run(&["getent", "passwd", "root"])?, 0)
    });
    // The file's own bytes that are no text.
    let binary = node.put_file(CONFIG, b"\xff\xfe\x00\x01", 0o644).map_err(String::from).and_then(|()| {
        let output = node.run(&["entractl", "config", "check"])?;
        check::status("bytes that are no text", &output, 1)?;
        check::holds("bytes that are no text", &output.stderr, CONFIG)
    });
    node.put_file(CONFIG, plain, 0o644)?;
    product::start_daemon(&node)?;
    verdict.and(binary)
}

fn keytab(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let known = check::text("alice", node.run(&["getent", "passwd", "alice"])?)?;
    product::stop_daemon(&node)?;
    node.must(&["mv", "/etc/krb5.keytab", "/etc/krb5.keytab.away"])?;
    node.must(&["rm", "-rf", "/run/entra"])?;
    product::start_daemon(&node)?;
    check::equal("whom the store knows", &check::text("alice", node.run(&["getent", "passwd", "alice"])?)?, &known)?;
    unavailable(&node, "user0042")?;
    let said = node.run(&["entractl", "check"])?;
    check::status("entractl check", &said, 1)?;
    check::holds("entractl check", &said.stdout, "/etc/krb5.keytab")?;
    let status = node.run(&["entractl", "status"])?;
    check::holds("entractl status", &status.stdout, "keytab")?;
    node.must(&["mv", "/etc/krb5.keytab.away", "/etc/krb5.keytab"])?;
    let script = "for step in $(seq 180); do getent passwd user0042 >/dev/null && exit; sleep 0.5; done; exit 1";
    let back = node.run_with(&["sh", "-c", script], None, Duration::from_secs(200))?;
    check::status("the keytab is back, and the daemon notices without a restart", &back, 0)
}

fn killed(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let known = check::text("alice", node.run(&["getent", "passwd", "alice"])?)?;
    // Without the directory a lookup waits for its deadline: time enough to die in.
    world.lab.cut("dc")?;
    node.must(&["sh", "-c", "rm -f /tmp/answer; (perl -e '$! = 0; print defined getpwnam(\"user0043\") ? \"found\" : \"$!\"' >/tmp/answer.new; mv /tmp/answer.new /tmp/answer) & sleep 0.7; test ! -e /tmp/answer"])?;
    node.must(&["pkill", "-KILL", "entrad"])?;
    let script = "for step in $(seq 200); do [ -e /tmp/answer ] && cat /tmp/answer && exit; sleep 0.05; done; exit 1";
    let answer = node.sh(script, &[]);
    world.mend()?;
    // As without a daemon: ENOENT. 0 would be "there is no such user".
    check::equal(
        "errno of the lookup",
        &check::text("the lookup ended", answer?)?.as_str(),
        &"No such file or directory",
    )?;
    check::status("root", &node.run(&["getent", "passwd", "root"])?, 0)?;
    node.stop("entrad")?;
    product::start_daemon(&node)?;
    check::equal("after the next start", &check::text("alice", node.run(&["getent", "passwd", "alice"])?)?, &known)?;
    check::status("the one that was asked for", &node.run(&["getent", "passwd", "user0043"])?, 0)
}

fn zeros(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let questions: [&[&str]; 4] = [
        &["getent", "passwd", "alice", "zoë", "user0007"],
        &["id", "many"],
        &["getent", "group", "linux admins", "team-007"],
        &["getent", "passwd", "674001103"],
    ];
    let answers = || -> Result<Vec<String>, String> {
        questions.iter().map(|words| check::text(&words.join(" "), node.run(words)?)).collect()
    };
    let before = answers()?;
    product::stop_daemon(&node)?;
    let store = "/var/lib/entra/identity.db";
    let script =
        r#"rm -f "$1-wal" "$1-shm"; size=$(stat -c %s "$1"); [ "$size" -gt 4096 ] && head -c "$size" /dev/zero >"$1""#;
    node.sh(script, &[store])?.text()?;
    product::start_daemon(&node)?;
    check::equal("answers after the rebuild", &answers()?, &before)?;
    product::stop_daemon(&node)?;
    let head = check::text("the store", node.run(&["head", "-c", "15", store])?)?;
    check::equal("the store's first bytes", &head.as_str(), &"SQLite format 3")?;
    product::start_daemon(&node)?;
    // What was rebuilt is good for an outage.
    world.lab.cut("dc")?;
    let after = answers();
    world.mend()?;
    check::equal("answers from the rebuilt store", &after?, &before)
}

/// getpwnam says "try again", not "there is none".
fn unavailable(node: &Node, name: &str) -> Verdict {
    let script = r#"$! = 0; print defined getpwnam($ARGV[0]) ? "found" : "$!""#;
    let output = node.run_with(&["perl", "-e", script, name], None, Duration::from_secs(20))?;
    check::that(output.status != TIMED_OUT, || format!("getpwnam {name} hung"))?;
    let said = check::text("getpwnam", output)?;
    check::equal(&format!("errno of getpwnam {name}"), &said.as_str(), &"Resource temporarily unavailable")
}
