//! A joined host through an upgrade, a purge and a new installation.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use super::{differences, listing, repack, unchanged};
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("packages: an upgrade changes nothing in /etc, and a joined host resolves throughout", upgraded),
    ("packages: a joined host that is removed and installed again is still joined", removed_and_back),
    ("packages: a purge while joined leaves /etc as it was, save the keytab, which serves again", purged_while_joined),
];

const PACKAGES: &str = "entrad libnss-entra libpam-entra libentra1 libentra-dev";

/// What administrators do to the files that the packages and join wrote.
const EDITS: &str = r"
set -e
sed -i 's/^passwd:.*/passwd: files entra   systemd # our order/' /etc/nsswitch.conf
sed -i 's/^initgroups:.*//' /etc/nsswitch.conf
sed -i '/pam_unix.so/s/$/ debug/' /etc/pam.d/common-account
printf '# end of our own\nsession optional pam_umask.so\n' >>/etc/pam.d/common-session
sed -i '1i # our own remark' /etc/entra/entra.toml
pam-auth-update --disable entra-mkhomedir";

/// Asks as fast as it can until it is told to end; says what was not answered, and how often it asked.
const ASK: &str = r"
asked=0
while [ ! -e /tmp/enough ]; do
    getent passwd alice >/dev/null || echo unanswered
    asked=$((asked + 1))
done
echo asked $asked";

fn upgraded(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("local edits", node.sh(EDITS, &[])?)?;
    check::text("alice", node.run(&["getent", "passwd", "alice"])?)?;
    let before = listing(&node)?;
    let keys = node.must(&["klist", "-ket", "/etc/krb5.keytab"])?;
    let (version, folder) = repack::newer(&node)?;

    node.start("lookups", &["sh", "-c", ASK])?;
    let upgrade = format!("apt-get --quiet --yes install {folder}/*.deb </dev/null");
    let output = node.sh(&upgrade, &[])?;
    // What the maintainer script does where systemd runs.
    product::stop_daemon(&node)?;
    product::start_daemon(&node)?;
    node.put_file("/tmp/enough", "", 0o644)?;
    check::status(&upgrade, &output, 0)?;
    let installed = node.must(&["dpkg-query", "--show", "--showformat=${Version}", "entrad"])?;
    check::equal("the version", &installed, &version)?;
    unchanged(&node, "the upgrade", &before)?;
    check::equal("the keytab", &node.must(&["klist", "-ket", "/etc/krb5.keytab"])?, &keys)?;

    node.sh("for step in $(seq 100); do grep -q asked /var/log/lab-lookups.log && break; sleep 0.05; done", &[])?;
    let log = node.log("lookups")?;
    check::that(!log.contains("unanswered") && log.contains("asked"), || format!("during the upgrade:\n{log}"))?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)?;
    check::text("a login afterwards", product::ssh_as(&node, &ALICE, "true")?).map(drop)
}

fn removed_and_back(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let before = listing(&node)?;
    product::stop_daemon(&node)?;
    check::text("removal", node.sh(&format!("apt-get --quiet --yes remove {PACKAGES} </dev/null"), &[])?)?;
    let modules = node.sh("grep -rlw -e entra -e pam_entra /etc/nsswitch.conf /etc/pam.d", &[])?;
    check::equal("files that ask a module which is gone", &modules.stdout.trim(), &"")?;
    check::text("root", node.run(&["su", "-", "root", "-c", "true"])?)?;
    world.install(&node)?;
    unchanged(&node, "the removal and a new installation", &before)?;
    product::start_daemon(&node)?;
    check::text("a login", product::ssh_as(&node, &ALICE, "true")?)?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)
}

fn purged_while_joined(world: &World) -> Verdict {
    let node = world.pristine()?;
    node.apt_install(&["adcli"])?;
    let before = listing(&node)?;
    world.install(&node)?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    product::start_daemon(&node)?;
    // The resolver's file as it is, by the verb: its note is one more thing that a purge has to understand.
    check::status("entractl dns set", &node.run(&["entractl", "dns", "set", "10.53.0.10", "192.0.2.1"])?, 0)?;
    check::text("alice", node.run(&["getent", "passwd", "alice"])?)?;
    product::stop_daemon(&node)?;
    // As it begins where libkrb5's TLS is installed and the verb was run.
    let trust =
        "# Written by `entractl cloud-trust configure`; `entractl cloud-trust configure --remove` removes it.\n";
    node.put_file("/etc/krb5.conf.d/entra-cloud-trust.conf", trust, 0o644)?;

    // In the node's own network, where the resolver's file is the one that was set.
    let output = node.sh(&format!("apt-get --quiet --yes purge {PACKAGES} </dev/null"), &[])?;
    check::status("the purge", &output, 0)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    check::holds("the purge", &said, "`entractl leave`, before the removal, takes both away")?;
    let differ = differences(&before, &listing(&node)?);
    let others: Vec<_> =
        differ.iter().filter(|line| !line.ends_with("./krb5.keytab ") && !line.ends_with("  ./krb5.keytab")).collect();
    check::equal("changes under /etc, save the keytab", &others, &Vec::new())?;
    check::that(others.len() < differ.len(), || "the keytab went with the purge".into())?;
    for gone in ["/var/lib/entra", "/run/entra", "/usr/libexec/entra"] {
        check::status(gone, &node.run(&["test", "-e", gone])?, 1)?;
    }
    check::text("root", node.run(&["su", "-", "root", "-c", "true"])?)?;
    check::that(world.has_computer("CLIENT2")?, || "the computer account went with the purge".into())?;
    returns(world, &node)?;
    bare_host(world, &node)
}

/// The account is there and so are its keys: the two lines of a configuration are a join.
fn returns(world: &World, node: &Node) -> Verdict {
    world.install(node)?;
    let again = product::join(node)?;
    check::status("a second join over the old keys", &again, 1)?;
    check::holds("what it says", &again.stdout, "move the keytab away")?;
    node.put_file("/etc/entra/entra.toml", "[domains.\"aadds.contoso.com\"]\npreset = \"entra-ds\"\n", 0o644)?;
    product::start_daemon(node)?;
    check::text("alice after a new installation", node.run(&["getent", "passwd", "alice"])?)?;
    product::stop_daemon(node)?;
    node.must(&["mv", "/etc/krb5.keytab", "/root/old.keytab"])?;
    world.purge(node)
}

/// Where there was no krb5.conf and no folder for it, there is none again.
fn bare_host(world: &World, node: &Node) -> Verdict {
    node.sh("rm -rf /etc/krb5.conf /etc/krb5.conf.d", &[])?;
    let before = listing(node)?;
    world.install(node)?;
    check::status("entractl join", &product::join(node)?, 0)?;
    check::that(listing(node)?.iter().any(|line| line.contains("krb5.conf.d/entra.conf")), || {
        "join wrote no settings".into()
    })?;
    node.must(&["rm", "/etc/krb5.keytab"])?;
    world.purge(node)?;
    unchanged(node, "the purge of a joined host without krb5.conf", &before)
}
