//! Installing and purging on a Debian host.

pub mod architectures;
pub mod confined;
pub mod edited;
pub mod questions;
pub mod repack;
pub mod rpm;
pub mod upgrade;

use entra_lab::Node;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("packages: nsswitch.conf and PAM know us, and nothing runs", installed),
    ("packages: a purge leaves /etc as it was", purged),
];

fn installed(world: &World) -> Verdict {
    let node = world.installed()?;
    let switch = node.read_file("/etc/nsswitch.conf")?;
    for database in ["passwd:", "group:"] {
        let line = switch.lines().find(|line| line.starts_with(database)).unwrap_or_default();
        let sources: Vec<&str> = line.split_whitespace().skip(1).collect();
        let place = |name| sources.iter().position(|source| *source == name);
        check::that(place("entra") > place("files") && place("files").is_some(), || {
            format!("entra does not stand after files: {line}")
        })?;
    }
    for file in ["common-auth", "common-account", "common-password", "common-session"] {
        let text = node.read_file(&format!("/etc/pam.d/{file}"))?;
        check::holds(&format!("/etc/pam.d/{file}"), &text, "pam_entra.so")?;
    }
    let running = node.sh("ps -eo comm= | grep -c '^entrad'", &[])?;
    check::equal("processes of a host that is not joined", &running.stdout.trim(), &"0")?;
    // Not joined, so every question is for others: a host must work as before.
    check::text("getent passwd root", node.run(&["getent", "passwd", "root"])?)?;
    check::status("getent of an unknown name", &node.run(&["getent", "passwd", "nobody-knows"])?, 2)
}

fn purged(world: &World) -> Verdict {
    let node = world.pristine()?;
    // Installed by hand first: a purge of ours leaves what we depend on.
    node.apt_install(&["adcli"])?;
    // Nobody's way to a shell: it stays as it is, and the module goes nevertheless.
    node.put_file("/etc/pam.d/own-service", "auth required pam_entra.so\n", 0o644)?;
    let before = listing(&node)?;
    world.install(&node)?;
    world.purge(&node)?;
    unchanged(&node, "the purge", &before)
}

/// Insists that /etc is as a listing says.
fn unchanged(node: &Node, what: &str, before: &[String]) -> Verdict {
    let differ = differences(before, &listing(node)?);
    check::equal(&format!("changes under /etc after {what}"), &differ.join("\n").as_str(), &"")
}

/// Every file under /etc with its mode, owner and content's sum; those that any package operation touches are left out.
fn listing(node: &Node) -> Result<Vec<String>, String> {
    let script = r"
cd /etc
find . -xdev ! -name 'ld.so.cache' ! -name '.pwd.lock' ! -path './passwd*' ! -path './group*' ! -path './shadow*' \
    ! -path './gshadow*' -printf '%M %u:%g %p %l\n' | sort
find . -xdev -type f ! -name 'ld.so.cache' ! -path './passwd*' ! -path './group*' ! -path './shadow*' \
    ! -path './gshadow*' -exec sha256sum {} + | sort -k 2";
    Ok(check::text("listing of /etc", node.sh(script, &[])?)?.lines().map(str::to_owned).collect())
}

fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}
