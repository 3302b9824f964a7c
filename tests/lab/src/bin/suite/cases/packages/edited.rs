//! Hosts whose nsswitch.conf and PAM stacks somebody edited by hand: what is theirs stays, and what is missing is said.

use entra_lab::client::LOCAL_USER;
use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("packages: nsswitch.conf edited by hand gets entra in its place, and every other byte stays", name_service),
    ("packages: PAM stacks edited by hand stay; check pam says what is missing, and its remedy works", stacks),
    ("packages: the module is not removed from under a stack that was edited by hand", removal),
];

/// Odd and right: no blank behind the colon, tabs, actions, comments, two services of old, entra in a place of its own.
const SWITCH: &str = "# this host's own\npasswd:files\t[NOTFOUND=continue]  systemd  # local first, then entra\n\
                      group: files entra [SUCCESS=continue] systemd\ninitgroups:  compat [SUCCESS=continue]\n\
                      \n  shadow: files\nhosts: files dns # entra\nnetgroup:nis";
const SWITCH_WITH: &str = "# this host's own\npasswd:files\t[NOTFOUND=continue]  systemd entra  # local first, then entra\n\
                      group: files entra [SUCCESS=continue] systemd\ninitgroups:  compat [SUCCESS=continue] entra\n\
                      \n  shadow: files\nhosts: files dns # entra\nnetgroup:nis";
/// entra in the line group goes with its action: a line that names a module which is gone serves nobody.
const SWITCH_AFTER: &str = "# this host's own\npasswd:files\t[NOTFOUND=continue]  systemd  # local first, then entra\n\
                      group: files systemd\ninitgroups:  compat [SUCCESS=continue]\n\
                      \n  shadow: files\nhosts: files dns # entra\nnetgroup:nis";

fn name_service(world: &World) -> Verdict {
    let node = world.pristine()?;
    node.put_file("/etc/nsswitch.conf", SWITCH, 0o644)?;
    world.install(&node)?;
    check::equal("nsswitch.conf", &node.read_file("/etc/nsswitch.conf")?.as_str(), &SWITCH_WITH)?;
    check::text("root", node.run(&["getent", "passwd", "root"])?)?;
    // glibc reads it as it is meant: the module is asked in all three databases.
    for question in ["getent passwd lab-nobody", "getent group lab-nobody", "getent initgroups lab-nobody"] {
        let script = format!("strace -f -qq -e trace=openat {question} 2>&1 | grep -c libnss_entra.so.2");
        check::text(&format!("{question} loads no module of ours"), node.sh(&script, &[])?)?;
    }
    world.purge(&node)?;
    check::equal("after the purge", &node.read_file("/etc/nsswitch.conf")?.as_str(), &SWITCH_AFTER)
}

/// A line within the block that pam-auth-update made, which it takes as a reason to change nothing.
const EDIT: &str = r"sed -i '/pam_unix.so/i auth\toptional\tpam_faildelay.so delay=1' /etc/pam.d/common-auth";

fn stacks(world: &World) -> Verdict {
    let node = world.pristine()?;
    check::text("editing common-auth", node.sh(EDIT, &[])?)?;
    let sums = "cat /etc/pam.d/common-*";
    let before = check::text("stacks", node.sh(sums, &[])?)?;
    let output = product::install(&node, world.packages())?;
    check::holds("the installation", &said(&output), "does not ask pam_entra.so")?;
    check::equal("the stacks", &check::text("stacks", node.sh(sums, &[])?)?.as_str(), &before.as_str())?;
    locals_get_in(&node)?;

    let checked = node.run(&["entractl", "check", "pam"])?;
    check::status("entractl check pam", &checked, 1)?;
    for stack in
        ["common-auth does not ask pam_entra.so for auth", "common-account does not ask", "common-session does"]
    {
        check::holds("entractl check pam", &checked.stdout, stack)?;
    }
    let remedy = "pam-auth-update --force --enable entra entra-mkhomedir";
    check::holds("its remedy", &checked.stdout, remedy)?;
    check::text(remedy, node.sh(remedy, &[])?)?;
    // That no domain is configured stays a failure.
    let checked = node.run(&["entractl", "check", "pam"])?.stdout;
    check::that(checked.matches("has pam_entra.so for").count() == 5, || format!("after {remedy}:\n{checked}"))?;
    locals_get_in(&node)
}

fn removal(world: &World) -> Verdict {
    let node = world.installed()?;
    check::text("editing common-auth", node.sh(EDIT, &[])?)?;
    let output = node.run(&["dpkg", "--remove", "entrad", "libpam-entra"])?;
    check::that(!output.ok(), || format!("the module went from under a stack: {}", output.describe()))?;
    for part in ["/etc/pam.d/common-auth", "/etc/pam.d/common-account", "so it stays"] {
        check::holds("the removal", &said(&output), part)?;
    }
    locals_get_in(&node)?;
    // As it says. The local line goes with that, into a copy.
    let remedy = "pam-auth-update --force --remove entra entra-mkhomedir";
    check::holds("the removal", &said(&output), remedy)?;
    check::text(remedy, node.sh(remedy, &[])?)?;
    world.purge(&node)?;
    let left = node.sh("grep -l pam_entra /etc/pam.d/common-auth /etc/pam.d/common-account", &[])?;
    check::status("stacks that name the module", &left, 1)?;
    check::holds("the copy", &node.read_file("/etc/pam.d/common-auth.pam-old")?, "pam_faildelay.so")?;
    locals_get_in(&node)
}

/// apt gives what the maintainer scripts say on a stream of its own.
fn said(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

/// Root and a local user through the stacks as they are: account and session for both, and a password.
fn locals_get_in(node: &Node) -> Verdict {
    let (user, password) = LOCAL_USER;
    for name in ["root", user] {
        let words = ["pamtester", "cron", name, "acct_mgmt", "open_session", "close_session"];
        check::status(&format!("cron's PAM service for {name}"), &node.run(&words)?, 0)?;
    }
    check::text("ssh of a local user", product::ssh(node, user, password, "true")?).map(drop)
}
