//! Joining, leaving, and failing to join.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("join: a wrong password names the step and leaves no trace", wrong_password),
    ("join: a missing unit names the step and leaves no trace", missing_unit),
    ("join: a DNS server without the records names the step and leaves no trace", foreign_dns),
    ("join: join, testjoin, leave, join again", round_trip),
    ("join: a plain kinit works afterwards", plain_kinit),
];

fn wrong_password(world: &World) -> Verdict {
    let node = world.installed()?;
    fails(world, &node, &[], "not-the-password", "password")
}

fn missing_unit(world: &World) -> Verdict {
    let node = world.installed()?;
    let unit = "OU=Nowhere,DC=aadds,DC=contoso,DC=com";
    fails(world, &node, &["--ou", unit], entra_lab::accounts::JOINER.password, "OU=Nowhere")
}

fn foreign_dns(world: &World) -> Verdict {
    let node = world.installed()?;
    // A DNS server that answers, and knows nothing: a resolver of the node itself.
    node.put_file("/etc/resolv.conf", "nameserver 127.0.0.53\n", 0o644)?;
    let server = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.53", 53))
while True:
    question, client = server.recvfrom(512)
    end = question.index(b"\0", 12) + 5
    server.sendto(question[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question[12:end], client)
"#;
    node.start("empty-dns", &["python3", "-c", server])?;
    let verdict = fails(world, &node, &[], entra_lab::accounts::JOINER.password, "no SRV record _ldap._tcp");
    node.stop("empty-dns")?;
    verdict
}

fn round_trip(world: &World) -> Verdict {
    let node = world.installed()?;
    for turn in ["first", "second"] {
        check::status(&format!("{turn} join"), &product::join(&node)?, 0)?;
        check::that(world.has_computer("CLIENT2")?, || format!("no computer account after the {turn} join"))?;
        check::status(&format!("testjoin after the {turn} join"), &node.run(&["entractl", "testjoin"])?, 0)?;
        let keytab = check::text("stat", node.run(&["stat", "-c", "%a %U", "/etc/krb5.keytab"])?)?;
        check::equal("mode of the keytab", &keytab.as_str(), &"600 root")?;
        let types = check::text("klist", node.run(&["klist", "-ke", "/etc/krb5.keytab"])?)?;
        check::that(!types.contains("arcfour"), || format!("RC4 keys in the keytab:\n{types}"))?;
        if turn == "first" {
            check::status("leave", &product::leave(&node)?, 0)?;
            check::that(!world.has_computer("CLIENT2")?, || "the computer account stayed after leave".into())?;
            check::status("testjoin after leave", &node.run(&["entractl", "testjoin"])?, 1)?;
        }
    }
    product::start_daemon(&node)?;
    check::text("getent passwd alice", node.run(&["getent", "passwd", "alice"])?).map(drop)
}

fn plain_kinit(world: &World) -> Verdict {
    let node = world.joined()?;
    let output = node.run_with(&["kinit", "alice"], Some(ALICE.password.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::status("kinit alice", &output, 0)?;
    let tickets = check::text("klist", node.run(&["klist"])?)?;
    node.must(&["kdestroy"])?;
    check::holds("klist", &tickets, "alice@AADDS.CONTOSO.COM")
}

/// A join that must fail: it says `reason`, and nothing of it stays on the host or in the directory.
fn fails(world: &World, node: &Node, options: &[&str], password: &str, reason: &str) -> Verdict {
    let before = traces(node)?;
    let output = product::join_with(node, options, password)?;
    check::that(output.status == 1 || output.status == 4, || format!("wanted a failure, got {}", output.describe()))?;
    check::holds("what the failed join says", &format!("{}{}", output.stdout, output.stderr), reason)?;
    check::equal("files of the host", &traces(node)?, &before)?;
    check::that(!world.has_computer("CLIENT2")?, || "a computer account was left in the directory".into())
}

/// Sums of everything that a join may write.
pub(super) fn traces(node: &Node) -> Result<String, String> {
    let script =
        r"find /etc /var/lib/entra /tmp /var/tmp /root -xdev -type f -exec sha256sum {} + 2>/dev/null | sort -k 2";
    check::text("sums", node.sh(script, &[])?)
}
