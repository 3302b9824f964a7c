//! The modules of two architectures side by side: what they share comes with the first and goes with the last.

use entra_lab::Node;

use super::{listing, repack, unchanged};
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("packages: with two architectures, the first adds to nsswitch.conf and PAM, the last takes out", shared)];

const NATIVE: &str = "/var/cache/lab-packages";

fn shared(world: &World) -> Verdict {
    let node = world.installed()?;
    let installed = listing(&node)?;
    world.purge(&node)?;
    let without = listing(&node)?;
    check::that(installed != without, || "the listing shows nothing of an installation".into())?;
    node.must(&["dpkg", "--add-architecture", "i386"])?;
    let foreign = repack::foreign(&node, "lib[np]*-entra_", "i386")?;

    // In one go: dpkg unpacks both before it sets up the first.
    let both = format!("dpkg --install {NATIVE}/libnss-entra_* {NATIVE}/libpam-entra_* {foreign}/lib*");
    check::text("both architectures", node.sh(&both, &[])?)?;
    for file in ["usr/lib/x86_64-linux-gnu/libnss_entra.so.2", "usr/lib/i386-linux-gnu/security/pam_entra.so"] {
        check::status(file, &node.run(&["test", "-f", &format!("/{file}")])?, 0)?;
    }
    named_once(&node)?;
    let with = listing(&node)?;

    remove(&node, &["libnss-entra:amd64", "libpam-entra:amd64"])?;
    unchanged(&node, "the removal of one architecture", &with)?;
    // An administrator's choice, which another architecture has to respect.
    node.must(&["sed", "-i", "s/^group:.*/group: files/", "/etc/nsswitch.conf"])?;
    let chosen = listing(&node)?;
    let again = format!("dpkg --install {NATIVE}/libnss-entra_* {NATIVE}/libpam-entra_*");
    check::text("the second architecture again", node.sh(&again, &[])?)?;
    unchanged(&node, "the installation of a second architecture", &chosen)?;
    node.must(&["sed", "-i", "s/^group:.*/group:          files entra/", "/etc/nsswitch.conf"])?;

    remove(&node, &["libnss-entra:i386", "libpam-entra:i386"])?;
    named_once(&node)?;
    remove(&node, &["libnss-entra:amd64", "libpam-entra:amd64"])?;
    node.must(&["sed", "-i", "s/^group:.*/group:          files/", "/etc/nsswitch.conf"])?;
    unchanged(&node, "the removal of the last architecture", &without)
}

fn remove(node: &Node, packages: &[&str]) -> Verdict {
    let mut words = vec!["dpkg", "--remove"];
    words.extend(packages);
    check::status(&words.join(" "), &node.run(&words)?, 0)
}

fn named_once(node: &Node) -> Verdict {
    let switch = node.read_file("/etc/nsswitch.conf")?;
    for database in ["passwd:", "group:"] {
        let line = switch.lines().find(|line| line.starts_with(database)).unwrap_or_default();
        check::equal(line, &line.split_whitespace().filter(|word| *word == "entra").count(), &1)?;
    }
    let stack = node.read_file("/etc/pam.d/common-auth")?;
    check::equal("lines of common-auth with pam_entra.so", &stack.matches("pam_entra.so").count(), &1)
}
