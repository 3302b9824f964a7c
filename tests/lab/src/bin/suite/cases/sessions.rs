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
];

const CONFIG: &str = "/etc/entra/entra.toml";
const CCACHE: &str = "/tmp/krb5cc_674001103";
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
        product::stop_daemon(&node)?;
        node.put_file(CONFIG, format!("{plain}\nccache = \"{template}\"\n"), 0o644)?;
        product::start_daemon(&node)?;
        let script = "echo \"$KRB5CCNAME\"; klist -s && echo a ticket";
        let seen = check::text(template, product::ssh_as(&node, &ALICE, script)?)?;
        check::equal(template, &seen, &format!("{name}\na ticket"))?;
        let log = node.log("entrad")?;
        check::that(!log.contains("could not be removed"), || format!("{template}: {log}"))?;
    }
    Ok(())
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
