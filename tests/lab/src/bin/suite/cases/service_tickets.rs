//! Service tickets that a login gets for the file shares of its user, behind it.

use std::time::{Duration, Instant};

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::{Node, product};

use super::cloud_trust;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[(
    "service tickets: a login leaves them to its user's groups, waits for no KDC that hangs, and leave takes the trust's \
     settings",
    behind_the_login,
)];

const CONFIG: &str = "/etc/entra/entra.toml";
const SNIPPET: &str = "/etc/krb5.conf.d/entra-cloud-trust.conf";
/// Takes connections for the KDC proxy and says nothing.
const HOLE: &str = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 443, Listen => 9, ReuseAddr => 1) \
                    or die; my @open; while (my $one = $s->accept) { push @open, $one }";
/// Prints the user's tickets when that for the domain controller's shares is there, or after 30 s.
const WAIT: &str = "for i in $(seq 300); do klist | grep -q cifs/dc1 && break; sleep 0.1; done; klist";

fn behind_the_login(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("apt-get install", node.apt_install(&["krb5-k5tls"])?)?;
    let configure = ["entractl", "cloud-trust", "configure", "--tenant", cloud_trust::TENANT];
    check::text("configure", node.run(&configure)?)?;
    product::stop_daemon(&node)?;
    let plain = node.read_file(CONFIG)?;
    let options = "service_tickets = [\"acct.file.core.windows.net\", \"cifs/dc1.aadds.contoso.com\"]\n\
                   service_ticket_groups = [\"sales (emea)\"]\n";
    node.put_file(CONFIG, format!("{plain}\n{options}"), 0o644)?;
    check::text("config check", node.run(&["entractl", "config", "check"])?)?;
    let hosts = node.read_file("/etc/hosts")?;
    node.put_file("/etc/hosts", format!("{hosts}\n127.0.0.1 login.microsoftonline.com\n"), 0o644)?;
    node.start("hole", &["/usr/bin/perl", "-e", HOLE])?;
    product::start_daemon(&node)?;
    cloud_trust::with_trust(world, false, || {
        // bob is in another group: nothing is asked for him, and his login is over before alice's begins.
        let bobs = check::text("bob", product::ssh_as(&node, &PEOPLE[1], "klist")?)?;
        check::that(!bobs.contains("cifs/"), || bobs.clone())?;
        check::equal("helpers after bob's login", &helpers(&node)?, &0)?;
        hanging(&node)
    })?;
    check::text("leave", product::leave(&node)?)?;
    check::that(node.read_file(SNIPPET).is_err(), || "leave left the settings of the cloud trust".into())
}

/// The proxy takes the connection and is silent, then it is gone: the login does not wait for it, and the ticket of the
/// other service comes.
fn hanging(node: &Node) -> Verdict {
    let mut session = super::sessions::session(node)?;
    let end = Instant::now() + Duration::from_secs(10);
    while helpers(node)? == 0 {
        check::that(Instant::now() < end, || "nobody asks for the ticket".into())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    // The prompt is there, and so is a second login, while the helper hangs.
    check::text("a login beside it", product::ssh_as(node, &ALICE, "klist -s")?)?;
    check::that(helpers(node)? > 0, || "the proxy's silence was waited for by a login".into())?;
    node.stop("hole")?;
    session.enter(WAIT)?;
    session.expect(&["cifs/dc1.aadds.contoso.com@AADDS.CONTOSO.COM"])?;
    session.enter("exit")?;
    session.finish()?;
    let log = node.log("entrad")?;
    let lines = log.lines().filter(|line| line.contains("tickets for cifs/acct.file.core.windows.net cannot be got"));
    check::equal("lines of the log about the proxy", &lines.count(), &1)
}

/// How many helpers run.
fn helpers(node: &Node) -> Result<usize, String> {
    let script = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^krb5-helper$'";
    Ok(node.sh(script, &[])?.stdout.trim().parse().unwrap_or_default())
}
