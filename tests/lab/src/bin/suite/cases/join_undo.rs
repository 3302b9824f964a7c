//! A join that fails late, is killed, or finds somebody else's keys: nothing of it stays, and nothing of others goes.

use std::time::Duration;

use entra_lab::accounts::{ALICE, JOINER};
use entra_lab::{Node, dc, product};

use super::join::traces;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("join: a failure behind the account's creation deletes it again", late_failure),
    ("join: what a killed join left is cleared away by the next one", killed),
    ("join: keys of another realm survive a failed join, a join and a leave", other_realm),
    ("join: without the right to create computers the step says so", no_right),
    ("join: a closed port is named", closed_port),
    ("join: a host that is joined is left alone", joined_already),
    ("join: by a ticket, to a pinned server, without any DNS", pinned),
];

/// Puts a program in adcli's place that runs the real one, and `script` behind a join that succeeded.
fn wrap_adcli(node: &Node, script: &str) -> Result<(), String> {
    node.must(&["mv", "/usr/sbin/adcli", "/usr/sbin/adcli.real"])?;
    let wrapper =
        format!("#!/bin/sh\n/usr/sbin/adcli.real \"$@\" || exit $?\nif [ \"$1\" = join ]; then {script}; fi\n");
    Ok(node.put_file("/usr/sbin/adcli", wrapper, 0o755)?)
}

fn unwrap_adcli(node: &Node) -> Result<(), String> {
    Ok(node.must(&["mv", "/usr/sbin/adcli.real", "/usr/sbin/adcli"]).map(drop)?)
}

fn late_failure(world: &World) -> Verdict {
    let node = world.installed()?;
    wrap_adcli(&node, "echo ' ! injected' >&2; exit 3")?;
    let before = traces(&node)?;
    let output = product::join(&node)?;
    check::status("the join", &output, 1)?;
    check::holds("what it says", &output.stdout, "was deleted again")?;
    check::equal("files of the host", &traces(&node)?, &before)?;
    check::that(!world.has_computer("CLIENT2")?, || "the computer account stayed".into())
}

fn killed(world: &World) -> Verdict {
    let node = world.installed()?;
    let before = traces(&node)?;
    wrap_adcli(&node, "kill -9 $PPID")?;
    let output = product::join(&node)?;
    check::that(output.status != 0, || "a killed join succeeded".into())?;
    check::that(traces(&node)? != before, || "the join was killed before it changed anything".into())?;
    unwrap_adcli(&node)?;
    let again = product::join(&node)?;
    check::status("the next join", &again, 0)?;
    check::holds("what it says", &again.stdout, "an interrupted join")?;
    check::status("leave", &product::leave(&node)?, 0)?;
    check::equal("files of the host", &traces(&node)?, &before)?;
    check::that(!world.has_computer("CLIENT2")?, || "the computer account stayed".into())
}

fn other_realm(world: &World) -> Verdict {
    let node = world.installed()?;
    let script = "printf '%s\\n' 'add_entry -password -p nfs/x@OTHER.EXAMPLE -k 3 -e aes256-cts-hmac-sha1-96' secret \
                  'wkt /etc/krb5.keytab' | ktutil && chmod 640 /etc/krb5.keytab";
    check::text("ktutil", node.sh(script, &[])?)?;
    let mode = || check::text("stat", node.run(&["stat", "-c", "%a %U", "/etc/krb5.keytab"])?);
    let (before, before_mode) = (traces(&node)?, mode()?);
    wrap_adcli(&node, "exit 3")?;
    check::status("the failing join", &product::join(&node)?, 1)?;
    unwrap_adcli(&node)?;
    check::equal("files after the failed join", &traces(&node)?, &before)?;
    check::status("the join", &product::join(&node)?, 0)?;
    let keys = check::text("klist", node.run(&["klist", "-k"])?)?;
    check::holds("the keytab", &keys, "nfs/x@OTHER.EXAMPLE")?;
    check::status("leave", &product::leave(&node)?, 0)?;
    check::equal("files after leave", &traces(&node)?, &before)?;
    check::equal("mode of the keytab", &mode()?, &before_mode)
}

fn no_right(world: &World) -> Verdict {
    let node = world.installed()?;
    let before = traces(&node)?;
    let quota = |count: u32| -> Verdict {
        let change = format!(
            "dn: DC=aadds,DC=contoso,DC=com\nchangetype: modify\nreplace: ms-DS-MachineAccountQuota\n\
             ms-DS-MachineAccountQuota: {count}\n"
        );
        let words = ["ldbmodify", "-H", "/var/lib/samba/private/sam.ldb"];
        let output = world.dc()?.run_with(&words, Some(change.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
        check::status("ldbmodify", &output, 0)
    };
    quota(0)?;
    let words = ["entractl", "join", dc::DNS_DOMAIN, "--user", ALICE.sam, "--password-stdin"];
    let output = node.run_with(&words, Some(ALICE.password.as_bytes()), Duration::from_secs(60));
    quota(10)?;
    let output = output?;
    check::status("the join", &output, 1)?;
    check::holds("what it says", &output.stderr, "entractl: ou: you may not create computers")?;
    check::equal("files of the host", &traces(&node)?, &before)
}

fn closed_port(world: &World) -> Verdict {
    let node = world.installed()?;
    // The node itself has neither LDAP nor Kerberos.
    let output = product::join_with(&node, &["--server", "127.0.0.1"], JOINER.password)?;
    check::status("the join", &output, 4)?;
    check::holds("what it says", &output.stderr, "port 88 of 127.0.0.1 is closed")
}

fn joined_already(world: &World) -> Verdict {
    let node = world.installed()?;
    check::status("the first join", &product::join(&node)?, 0)?;
    let before = traces(&node)?;
    let output = product::join(&node)?;
    check::status("the second join", &output, 1)?;
    check::holds("what it says", &output.stderr, "has joined aadds.contoso.com already")?;
    check::equal("files of the host", &traces(&node)?, &before)?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)
}

fn pinned(world: &World) -> Verdict {
    let node = world.installed()?;
    let principal = format!("{}@{}", JOINER.sam, dc::DNS_DOMAIN.to_uppercase());
    let ticket = node.run_with(&["kinit", &principal], Some(JOINER.password.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::status("kinit", &ticket, 0)?;
    // Nobody answers there.
    node.put_file("/etc/resolv.conf", "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n", 0o644)?;
    let words = ["entractl", "join", dc::DNS_DOMAIN, "--ccache", "--server", "10.53.0.10"];
    check::status("the join", &node.run_with(&words, None, Duration::from_secs(90))?, 0)?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)?;
    let config = node.read_file("/etc/entra/entra.toml")?;
    check::holds("the configuration", &config, "servers = [\"10.53.0.10\"]")?;
    check::status("leave", &node.run(&["entractl", "leave", "--ccache"])?, 0)?;
    check::that(!world.has_computer("CLIENT2")?, || "the computer account stayed".into())
}
