//! Root and local users: never ours, and never locked out by us.

use entra_lab::client::LOCAL_USER;
use entra_lab::{Node, TIMED_OUT, product};
use std::time::Duration;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("local: root and a local user log in with entrad frozen", frozen),
    ("local: a name of /etc/passwd is never a domain user's", shadowed),
];

/// The sockets are there and nobody answers: worse than a daemon that is gone.
fn frozen(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.must(&["pkill", "-STOP", "entrad"])?;
    let verdict = everybody_local_gets_in(&node);
    node.must(&["pkill", "-CONT", "entrad"])?;
    verdict
}

fn shadowed(world: &World) -> Verdict {
    let node = world.installed()?;
    // Before the join: afterwards useradd itself refuses a name that the domain holds.
    node.must(&["useradd", "--create-home", "bob"])?;
    node.must(&["sh", "-c", "echo bob:Local-Bob-1 | chpasswd"])?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    product::start_daemon(&node)?;
    let uid = check::text("id -u bob", node.run(&["id", "-u", "bob"])?)?;
    check::that(uid.parse::<u32>().is_ok_and(|uid| uid < 60_000), || format!("bob is the domain's: uid {uid}"))?;
    check::text("the local password", product::ssh(&node, "bob", "Local-Bob-1", "true")?)?;
    let output = product::ssh(&node, "bob", "Bob-Pass-1", "true")?;
    check::that(!output.ok(), || "the domain's password opened a local account".into())
}

/// Through ssh, su, sudo and cron. The limit is no measure of speed: it is far beyond any login and far below what a
/// chain of timeouts would take.
fn everybody_local_gets_in(node: &Node) -> Verdict {
    let (user, password) = LOCAL_USER;
    let limit = Duration::from_secs(8);
    let secret = format!("SSHPASS={password}");
    let options = "-oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR";
    let by_password = format!("sshpass -e ssh {options} -oPubkeyAuthentication=no {user}@localhost id -un");
    let by_key = format!("ssh {options} root@localhost id -un");
    let su = format!("su - {user} -c 'id -un'");
    let sudo = format!("su - {user} -c \"echo '{password}' | sudo -S -p '' id -un\"");
    for (what, command, wanted) in [
        ("ssh of a local user", by_password.as_str(), user),
        ("ssh of root", &by_key, "root"),
        ("su to a local user", &su, user),
        ("su to root", "su - root -c 'id -un'", "root"),
        ("sudo of a local user", &sudo, "root"),
    ] {
        let output = node.run_with(&["env", &secret, "sh", "-c", command], None, limit)?;
        check::that(output.status != TIMED_OUT, || format!("{what} hung"))?;
        check::equal(what, &check::text(what, output)?.as_str(), &wanted)?;
    }
    cron_runs(node)
}

/// cron asks PAM's account and session groups; it starts jobs on the full minute, so pamtester stands in for it.
fn cron_runs(node: &Node) -> Verdict {
    for user in ["root", LOCAL_USER.0] {
        let words = ["pamtester", "cron", user, "acct_mgmt", "open_session", "close_session"];
        let output = node.run_with(&words, None, Duration::from_secs(8))?;
        check::status(&format!("cron's PAM service for {user}"), &output, 0)?;
    }
    Ok(())
}
