//! Public keys that the directory holds.

use std::time::Instant;

use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("ssh keys: a key of the directory opens sshd, one with options or of a disabled account does not", through_sshd),
    ("ssh keys: a key that was taken away opens nothing, and an outage keeps those that were seen", taken_away),
    ("ssh keys: the attribute that the configuration names is the one that counts", configured),
    ("ssh keys: local and unknown users have none, with and without a daemon", nobodys),
];

const CONFIG: &str = "/etc/entra/entra.toml";
const PASSWORD: &str = "Planted-Pass-1";
const PORT: &str = "2223";
/// What the guide tells administrators to write.
const COMMAND: &str = "AuthorizedKeysCommand /usr/bin/entractl ssh-keys %u\nAuthorizedKeysCommandUser nobody\n";

fn through_sshd(world: &World) -> Verdict {
    let node = world.joined()?;
    let key = prepare(&node)?;
    let verdict = world.with_planted(&[Planted::user("keyed", PASSWORD)], |_| {
        check::that(!by_key(&node, "keyed")?.ok(), || "let in before the directory had the key".into())?;
        // A key of somebody else's, an entry that is none, and the key with a program before it come first.
        let mapping = "X509:<I>DC=com,CN=Lab CA<S>CN=keyed";
        set(world, "keyed", &[mapping, &format!("SSHKey:command=\"echo forced\" {key}")])?;
        check::that(!by_key(&node, "keyed")?.ok(), || "a key behind an option was taken".into())?;
        set(world, "keyed", &[mapping, &format!("SSHKey:{key}")])?;
        let said = check::text("ssh by a key of the directory", by_key(&node, "keyed")?)?;
        check::equal("who is in", &said.as_str(), &"keyed")?;
        set(world, "keyed", &[&key])?;
        check::text("ssh by a key without a mark", by_key(&node, "keyed")?)?;
        disable(world, "keyed")?;
        let refused = by_key(&node, "keyed")?;
        check::that(!refused.ok(), || "a disabled account was let in by key".into())?;
        let keys = check::text("entractl ssh-keys", as_nobody(&node, "keyed")?)?;
        check::equal("the key of the disabled account, as sshd sees it", &keys, &key)
    });
    node.stop("sshd-keys")?;
    verdict
}

fn taken_away(world: &World) -> Verdict {
    let node = world.joined()?;
    let key = prepare(&node)?;
    let verdict = world.with_planted(&[Planted::user("keyed", PASSWORD)], |_| {
        set(world, "keyed", &[&key])?;
        check::text("ssh by key", by_key(&node, "keyed")?)?;
        check::text("getent", node.run(&["getent", "passwd", "keyed"])?)?;
        set(world, "keyed", &[])?;
        check::that(!by_key(&node, "keyed")?.ok(), || "a key that was taken away still opens".into())?;
        set(world, "keyed", &[&key])?;
        check::text("ssh by key", by_key(&node, "keyed")?)?;
        world.lab.cut("dc")?;
        let began = Instant::now();
        let keys = as_nobody(&node, "keyed");
        let took = began.elapsed();
        let login = by_key(&node, "keyed");
        world.mend()?;
        check::equal("the keys in an outage", &check::text("entractl ssh-keys", keys?)?, &key)?;
        check::that(took.as_secs() < 5, || format!("it took {took:?}"))?;
        check::text("ssh by key in an outage", login?).map(drop)
    });
    node.stop("sshd-keys")?;
    verdict
}

fn configured(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    // As it is named where the schema has sshPublicKey; the lab's has not.
    node.put_file(CONFIG, format!("{}\nssh_key_attributes = [\"info\"]\n", node.read_file(CONFIG)?), 0o644)?;
    product::start_daemon(&node)?;
    node.must(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "/root/doors"])?;
    let key = node.read_file("/root/doors.pub")?;
    world.with_planted(&[Planted::user("keyed", PASSWORD)], |_| {
        set(world, "keyed", &[key.trim()])?;
        let keys = check::text("entractl ssh-keys", as_nobody(&node, "keyed")?)?;
        check::equal("the keys in an attribute that is not configured", &keys.as_str(), &"")?;
        modify(world, "keyed", &format!("replace: info\ninfo: {}\n", key.trim()))?;
        let keys = check::text("entractl ssh-keys", as_nobody(&node, "keyed")?)?;
        check::equal("the key in the one that is", &keys.as_str(), &key.trim())
    })
}

fn nobodys(world: &World) -> Verdict {
    let node = world.joined()?;
    let none = |node: &Node, name: &str| -> Verdict {
        let output = as_nobody(node, name)?;
        check::status(&format!("ssh-keys {name}"), &output, 0)?;
        check::equal(&format!("ssh-keys {name}"), &output.stdout.as_str(), &"")
    };
    for name in ["root", "localuser", "no-such-user", "alice"] {
        none(&node, name)?;
    }
    product::stop_daemon(&node)?;
    let verdict = none(&node, "root").and_then(|()| none(&node, "localuser"));
    let stranger = as_nobody(&node, "alice");
    product::start_daemon(&node)?;
    verdict?;
    check::status("a domain user without a daemon", &stranger?, 3)
}

/// A second sshd that asks us for keys, and the public key of the one who will try.
fn prepare(node: &Node) -> Result<String, String> {
    let config = node.read_file("/etc/ssh/sshd_config")?;
    node.put_file("/etc/ssh/sshd_keys", format!("{COMMAND}{config}"), 0o644)?;
    node.sh("[ -e /root/doors ] || ssh-keygen -q -t ed25519 -N '' -C '' -f /root/doors", &[])?.text()?;
    node.start("sshd-keys", &["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_keys", "-p", PORT])?;
    let script = r#"for step in $(seq 100); do timeout 1 bash -c "</dev/tcp/127.0.0.1/$1" 2>/dev/null && exit; sleep 0.05; done; exit 1"#;
    check::status("the second sshd", &node.sh(script, &[PORT])?, 0)?;
    let key = node.read_file("/root/doors.pub")?;
    Ok(key.trim().to_owned())
}

fn by_key(node: &Node, user: &str) -> Result<Output, String> {
    Ok(node.run(&[
        "ssh",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
        "-oBatchMode=yes",
        "-oIdentitiesOnly=yes",
        "-i/root/doors",
        "-p",
        PORT,
        "-l",
        user,
        "localhost",
        "id -un",
    ])?)
}

fn as_nobody(node: &Node, user: &str) -> Result<Output, String> {
    let words = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "entractl", "ssh-keys", user];
    Ok(node.run(&words)?)
}

/// Gives a planted user these values of altSecurityIdentities and no others.
fn set(world: &World, user: &str, values: &[&str]) -> Verdict {
    let lines: Vec<_> = values.iter().map(|value| format!("altSecurityIdentities: {value}\n")).collect();
    modify(world, user, &format!("replace: altSecurityIdentities\n{}", lines.concat()))
}

fn disable(world: &World, user: &str) -> Verdict {
    modify(world, user, "replace: userAccountControl\nuserAccountControl: 514\n")
}

fn modify(world: &World, user: &str, change: &str) -> Verdict {
    let dn = format!("CN=planted user {user},CN=Users,DC=aadds,DC=contoso,DC=com");
    let text = format!("dn: {dn}\nchangetype: modify\n{change}");
    let words = ["ldbmodify", "-H", "/var/lib/samba/private/sam.ldb"];
    let output = world.dc()?.run_with(&words, Some(text.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::status("ldbmodify", &output, 0)
}
