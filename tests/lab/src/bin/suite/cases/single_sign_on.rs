//! Tickets that open accounts: libkrb5's plugins.

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("single sign-on: ssh with a ticket, by sAMAccountName and UPN, lands in the right account", lands),
    ("single sign-on: a ticket opens nobody else's account, and no local one of its name", nobody_elses),
    ("single sign-on: Kerberos programs ask the daemon's DC, and DNS once it is gone", located),
];

const PORT: &str = "2224";
const SNIPPET: &str = "/etc/krb5.conf.d/entra.conf";
const RESOLVER: &str = "/etc/resolv.conf";

fn lands(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    start_sshd(&node)?;
    let ivan = PEOPLE.iter().find(|account| account.sam == "ivan").ok_or("no ivan")?;
    // A plain name, an enterprise name that the KDC makes plain, and one that stays as it is in the ticket.
    for (kinit, principal) in [
        ("kinit -f ivan", "ivan@AADDS.CONTOSO.COM"),
        ("kinit -f -C -E ivan.petrov@contoso.com", "ivan@AADDS.CONTOSO.COM"),
        ("kinit -f -E ivan.petrov@contoso.com", "ivan.petrov\\@contoso.com@AADDS.CONTOSO.COM"),
    ] {
        ticket(&node, kinit, ivan.password)?;
        let list = check::text("klist", node.run(&["klist"])?)?;
        check::holds(kinit, &list, &format!("Default principal: {principal}\n"))?;
        for login in ["ivan", "ivan.petrov@contoso.com", "AADDS\\ivan"] {
            let text = check::text(&format!("{kinit}; ssh -K {login}"), ssh(&node, login)?)?;
            check::equal(&format!("{kinit}; ssh -K {login}"), &text.as_str(), &"ivan\nforwarded")?;
        }
    }
    Ok(())
}

fn nobody_elses(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    start_sshd(&node)?;
    ticket(&node, "kinit -f alice", ALICE.password)?;
    check::text("ssh as herself", ssh(&node, "alice")?)?;
    for other in ["bob", "localuser", "root"] {
        check::that(!ssh(&node, other)?.ok(), || format!("alice's ticket opened {other}'s account"))?;
    }
    // A local user may let her in, as everywhere with MIT Kerberos.
    node.put_file("/home/localuser/.k5login", "alice@AADDS.CONTOSO.COM\n", 0o644)?;
    check::text("ssh by .k5login", ssh(&node, "localuser")?)?;
    node.must(&["rm", "/home/localuser/.k5login"])?;
    world.with_planted(&[Planted::user("localuser", "Planted-Pass-1")], |_| {
        ticket(&node, "kinit -f localuser", "Planted-Pass-1")?;
        check::that(!ssh(&node, "localuser")?.ok(), || "the directory's localuser is this host's".into())?;
        product::stop_daemon(&node)?;
        let without = ssh(&node, "localuser");
        product::start_daemon(&node)?;
        check::that(!without?.ok(), || "without the daemon, the directory's localuser is this host's".into())?;
        // libkrb5's own rule would let it in: what refuses is the plugin.
        let snippet = node.read_file(SNIPPET)?;
        node.put_file(SNIPPET, snippet.replace("module = entra", "module = gone"), 0o644)?;
        let output = ssh(&node, "localuser");
        node.put_file(SNIPPET, snippet, 0o644)?;
        check::status("ssh without the plugin", &output?, 0)
    })
}

fn located(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("getent passwd alice", node.run(&["getent", "passwd", "alice"])?)?;
    let script = "for step in $(seq 100); do [ -s /run/entra/kdc.AADDS.CONTOSO.COM ] && exit; sleep 0.1; done; exit 1";
    check::status("the file of the realm", &node.sh(script, &[])?, 0)?;
    let resolver = node.read_file(RESOLVER)?;
    // A resolver that nobody answers for: only who needs no DNS gets a ticket.
    node.put_file(RESOLVER, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644)?;
    let with = kinit(&node, "KRB5_TRACE=/dev/stderr kinit alice", ALICE.password);
    let off = kinit(&node, "ENTRA_NSS_OFF=1 kinit alice", ALICE.password);
    product::stop_daemon(&node)?;
    let without = kinit(&node, "kinit alice", ALICE.password);
    node.put_file(RESOLVER, resolver, 0o644)?;
    let by_dns = kinit(&node, "kinit alice", ALICE.password);
    product::start_daemon(&node)?;
    let with = with?;
    check::status("kinit without DNS, with the daemon", &with, 0)?;
    check::holds("the server that was asked", &with.stderr, "10.53.0.10:88")?;
    check::that(!off?.ok(), || "kinit needs no DNS where the plugin is off".into())?;
    check::that(!without?.ok(), || "a daemon that has ended still names the KDC".into())?;
    check::status("kinit with DNS, without the daemon", &by_dns?, 0)
}

fn start_sshd(node: &Node) -> Verdict {
    let config = node.read_file("/etc/ssh/sshd_config")?;
    node.put_file("/etc/ssh/sshd_gss", format!("GSSAPIAuthentication yes\n{config}"), 0o644)?;
    node.start("sshd-gss", &["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_gss", "-p", PORT])?;
    let script = r#"for step in $(seq 100); do timeout 1 bash -c "</dev/tcp/127.0.0.1/$1" 2>/dev/null && exit; sleep 0.05; done; exit 1"#;
    check::status("an sshd with GSSAPI", &node.sh(script, &[PORT])?, 0)
}

/// Logs in with root's ticket, which goes along.
fn ssh(node: &Node, user: &str) -> Result<Output, String> {
    Ok(node.run(&[
        "ssh",
        "-K",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
        "-oBatchMode=yes",
        "-oPreferredAuthentications=gssapi-with-mic",
        "-p",
        PORT,
        "-l",
        user,
        "client2.aadds.contoso.com",
        "id -un; klist -s && echo forwarded",
    ])?)
}

fn ticket(node: &Node, command: &str, password: &str) -> Verdict {
    check::status(command, &kinit(node, command, password)?, 0)
}

fn kinit(node: &Node, command: &str, password: &str) -> Result<Output, String> {
    Ok(node.run_with(&["sh", "-c", command], Some(format!("{password}\n").as_bytes()), entra_lab::DEFAULT_LIMIT)?)
}
