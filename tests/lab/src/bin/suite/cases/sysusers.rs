//! Other packages that bring system users along: systemd-sysusers asks NSS whether a name is taken, and an answer that
//! it does not expect ends the package's installation.

use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("packages: another package's system user is made, whatever entrad's state", system_users)];

fn system_users(world: &World) -> Verdict {
    let node = world.installed()?;
    node.apt_install(&["systemd-standalone-sysusers"])?;
    brings_its_user(&node, "lab-unjoined", "no domain configured")?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    product::start_daemon(&node)?;
    brings_its_user(&node, "lab-running", "entrad running")?;
    world.lab.cut("dc")?;
    let verdict = brings_its_user(&node, "lab-outage", OUTAGE);
    world.mend()?;
    verdict?;
    product::stop_daemon(&node)?;
    brings_its_user(&node, "lab-stopped", "entrad stopped")?;
    node.must(&["rm", "-r", "/run/entra"])?;
    brings_its_user(&node, "lab-absent", "entrad not started since the boot")
}

/// The one state in which systemd-sysusers may say that it could not be sure: nobody knows the name now.
const OUTAGE: &str = "directory unreachable";

/// A package like any with a daemon: its sysusers file, and the line that Debian's helper writes into its script.
const BUILD: &str = r#"
set -e
root=/tmp/$1; mkdir -p "$root/DEBIAN" "$root/usr/lib/sysusers.d"
printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\nDescription: has a user\n' \
    "$1" >"$root/DEBIAN/control"
printf '#!/bin/sh\nset -e\nsystemd-sysusers %s.conf\n' "$1" >"$root/DEBIAN/postinst"
chmod 755 "$root/DEBIAN/postinst"
printf 'g %s-group -\nu %s - "Its user" /var/lib/%s\nm %s %s-group\n' "$1" "$1" "$1" "$1" "$1" \
    >"$root/usr/lib/sysusers.d/$1.conf"
dpkg-deb --build --root-owner-group "$root" "/tmp/$1.deb" >/dev/null
exec dpkg --install "/tmp/$1.deb""#;

fn brings_its_user(node: &Node, package: &str, state: &str) -> Verdict {
    let output = node.sh(BUILD, &[package])?;
    check::status(&format!("{state}: installing {package}"), &output, 0)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    check::that(state == OUTAGE || !said.contains("Unexpected failure"), || format!("{state}: {said}"))?;
    let user = check::text(state, node.run(&["getent", "passwd", package])?)?;
    check::holds(&format!("{state}: {package}"), &user, &format!("/var/lib/{package}"))?;
    let uid: u32 = user.split(':').nth(2).and_then(|uid| uid.parse().ok()).ok_or_else(|| format!("no uid: {user}"))?;
    check::that(uid < 1000, || format!("{state}: the system user {package} has the uid {uid}"))?;
    let groups = check::text(state, node.run(&["id", "-Gn", package])?)?;
    check::holds(&format!("{state}: groups of {package}"), &groups, &format!("{package}-group"))
}
