//! Programs that take names of users and groups from whoever is in: newgrp, crontab and at.

use std::time::Duration;

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("at: newgrp makes a group of the domain the primary one, for its members alone", newgrp),
    ("at: jobs of at and crontabs belong to users of the domain", jobs),
];

const LIMIT: Duration = Duration::from_secs(60);

fn newgrp(world: &World) -> Verdict {
    let node = world.joined()?;
    let script = "echo 'id -gn; id -un' | newgrp 'linux admins'";
    let member = as_user(&node, ALICE.sam, script)?;
    check::equal("alice, a member", &member.stdout.as_str(), &"linux admins\nalice\n")?;
    let other = as_user(&node, "carol", script)?;
    check::that(!other.stdout.contains("linux admins"), || format!("carol is no member: {}", other.describe()))
}

fn jobs(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.apt_install(&["at"])?;
    node.start("atd", &["/usr/sbin/atd", "-f"])?;
    let verdict = (|| {
        let job = "echo 'id -un >/var/tmp/at-job.new; mv /var/tmp/at-job.new /var/tmp/at-job' | at now";
        check::status("at of alice", &as_user(&node, ALICE.sam, job)?, 0)?;
        let wait = "for step in $(seq 600); do [ -s /var/tmp/at-job ] && exit; sleep 0.05; done; atq; exit 1";
        check::status("the job of alice", &node.sh(wait, &[])?, 0)?;
        check::equal("whom it ran as", &node.read_file("/var/tmp/at-job")?.trim(), &ALICE.sam)?;
        // atd itself cannot read the job of a user whose name has a space; cron can.
        for user in [ALICE.sam, "jane doe"] {
            let table = as_user(&node, user, "echo '0 5 * * * true' | crontab - && crontab -l")?;
            check::holds(&format!("the crontab of {user}"), &table.stdout, "0 5 * * * true")?;
            check::status(&format!("crontab -u {user}"), &node.run(&["crontab", "-u", user, "-r"])?, 0)?;
        }
        Ok(())
    })();
    node.stop("atd")?;
    verdict
}

/// Runs a script in a session of the user.
fn as_user(node: &Node, user: &str, script: &str) -> Result<entra_lab::Output, String> {
    // Their homes are made by the first login, as everybody's.
    if let Some(account) = entra_lab::accounts::PEOPLE.iter().find(|account| account.sam == user) {
        check::status(&format!("a login of {user}"), &product::ssh_as(node, account, "true")?, 0)?;
    }
    Ok(node.run_with(&["su", "-", user, "-c", script], None, LIMIT)?)
}
