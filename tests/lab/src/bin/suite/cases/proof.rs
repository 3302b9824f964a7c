//! One proof of the password per login, and a key that does not open a disabled account.

use entra_lab::accounts::{Account, PEOPLE};
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("proof: one wrong password through sshd counts once, a right one resets the count", once),
    ("proof: an SSH key does not open a disabled account", key),
];

fn account(name: &str) -> Result<&'static Account, String> {
    PEOPLE.iter().find(|account| account.sam == name).ok_or_else(|| format!("no account {name}"))
}

fn once(world: &World) -> Verdict {
    let node = world.joined()?;
    let carol = account("carol")?;
    // Debian's own stack, as pam-auth-update wrote it.
    check::holds("/etc/pam.d/common-auth", &node.read_file("/etc/pam.d/common-auth")?, "pam_unix.so")?;
    check::text("the right password", product::ssh_as(&node, carol, "true")?)?;
    check::equal("the count after a login", &count(world)?, &0)?;
    // The counter moves at all: a proof that is not ours.
    let kinit = node.run_with(&["kinit", "carol"], Some(wrong()?.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::that(!kinit.ok(), || "kinit took a random password".into())?;
    let moved = count(world)?;
    check::equal("the count after one kinit with a random password", &moved, &1)?;
    let refused = product::ssh(&node, "carol", &wrong()?, "true")?;
    check::that(!refused.ok(), || "sshd took a random password".into())?;
    check::equal("the count after one login with a random password", &count(world)?, &(moved + 1))?;
    check::text("the right password", product::ssh_as(&node, carol, "true")?)?;
    check::equal("the count after the right password", &count(world)?, &0)
}

fn key(world: &World) -> Verdict {
    let node = world.joined()?;
    for (name, opens) in [("bob", true), ("dave", false)] {
        let uid = account(name)?.uid().to_string();
        let script = r#"install -d -m 700 -o "$2" -g 674000513 "/home/$1" "/home/$1/.ssh" &&
            install -m 600 -o "$2" -g 674000513 /root/.ssh/id_ed25519.pub "/home/$1/.ssh/authorized_keys""#;
        node.sh(script, &[name, &uid])?.text()?;
        let output = by_key(&node, name)?;
        check::that(output.status == if opens { 0 } else { 255 }, || format!("{name} by key: {}", output.describe()))?;
    }
    // The key itself was good: the account was refused behind it.
    let log = node.log("sshd")? + &node.read_file("/var/log/messages")?;
    check::holds("the log of sshd", &log, "Access denied for user dave by PAM account configuration")
}

fn by_key(node: &Node, name: &str) -> Result<entra_lab::Output, String> {
    let target = format!("{name}@localhost");
    Ok(node.run(&[
        "ssh",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
        "-oBatchMode=yes",
        "-oPreferredAuthentications=publickey",
        &target,
        "true",
    ])?)
}

/// A password that nobody has and that is not the one before: the directory does not count the same wrong one twice in
/// a row where it remembers old passwords.
fn wrong() -> Result<String, String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(|error| error.to_string())?;
    Ok(format!("Wrong-{}", id.trim()))
}

/// badPwdCount of carol.
fn count(world: &World) -> Result<u32, String> {
    let words = ["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", "(sAMAccountName=carol)", "badPwdCount"];
    let text = world.dc()?.must(&words)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("badPwdCount: ")?.parse().ok()).unwrap_or(0))
}
