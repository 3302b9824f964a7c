//! Service tickets that a login gets for the file shares of its user, behind it.

use std::time::{Duration, Instant};

use entra_lab::accounts::{ALICE, PEOPLE};
use entra_lab::cloud::{self, SHARE_HOST, TENANT};
use entra_lab::{Node, product};

use super::sessions;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[(
    "service tickets: after a login a share of the cloud opens without a password, and no login waits for its KDC",
    behind_the_login,
)];

const CONFIG: &str = "/etc/entra/entra.toml";
const SNIPPET: &str = "/etc/krb5.conf.d/entra-cloud-trust.conf";
/// Waits for a ticket for $SERVICE, 30 s long, and prints them all.
const WAIT: &str = "for i in $(seq 300); do klist | grep -q $SERVICE && break; sleep 0.1; done; klist";

fn behind_the_login(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let cloud = world.cloud()?;
    let verdict = on(&node, &cloud);
    cloud::change_directory(&world.dc()?, "remove")?;
    verdict
}

fn on(node: &Node, cloud: &Node) -> Verdict {
    check::text("apt-get install", node.apt_install(&["krb5-k5tls", "smbclient"])?)?;
    let configure = ["entractl", "cloud-trust", "configure", "--tenant", TENANT, "--storage-account", cloud::ACCOUNT];
    check::text("configure", node.run(&[&configure[..], &["--ticket-group", "sales (emea)"]].concat())?)?;
    // And a service of the domain's own, behind the other.
    let own = format!("[\"cifs/{SHARE_HOST}\"");
    let config = node.read_file(CONFIG)?;
    check::holds("what configure wrote", &config, &own)?;
    node.put_file(CONFIG, config.replace(&own, &format!("{own}, \"dc1.aadds.contoso.com\"")), 0o644)?;
    let told = check::text("config check", node.run(&["entractl", "config", "check"])?)?;
    check::that(!told.contains("warning"), || told.clone())?;
    product::stop_daemon(node)?;
    product::start_daemon(node)?;

    // bob is in another group: nothing is asked for on his behalf.
    let bobs = check::text("bob", product::ssh_as(node, &PEOPLE[1], "sleep 1; klist")?)?;
    check::that(!bobs.contains("cifs/"), || format!("a ticket of a group that is not bob's: {bobs}"))?;

    let share = format!(
        "SERVICE=cifs/{SHARE_HOST}; {WAIT}; smbclient --use-kerberos=required //{SHARE_HOST}/share -c ls </dev/null"
    );
    let listed = check::text("alice", product::ssh_as(node, &ALICE, &share)?)?;
    check::holds("the ticket", &listed, &format!("cifs/{SHARE_HOST}@{}", cloud::REALM))?;
    check::holds("the share", &listed, "readme.txt")?;

    hanging(node, cloud)?;
    check::text("leave", product::leave(node)?)?;
    check::that(node.read_file(SNIPPET).is_err(), || "leave left the settings of the cloud trust".into())
}

/// The proxy takes connections and is silent, then it is gone: no login waits for it, and the other ticket comes.
fn hanging(node: &Node, cloud: &Node) -> Verdict {
    check::text("stop the proxy", cloud.sh("pkill -STOP -f '[c]loud-proxy'", &[])?)?;
    let mut session = sessions::session(node)?;
    let end = Instant::now() + Duration::from_secs(10);
    while helpers(node)? == 0 {
        check::that(Instant::now() < end, || "nobody asks for the ticket".into())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    // The prompt is there, and another login comes and goes, while the helper hangs.
    check::text("a login beside it", product::ssh_as(node, &ALICE, "klist -s")?)?;
    check::that(helpers(node)? > 0, || "the proxy's silence held a login up".into())?;
    check::text("end the proxy", cloud.sh("pkill -KILL -f '[c]loud-proxy'", &[])?)?;
    session.enter(&format!("SERVICE=cifs/dc1; {WAIT}"))?;
    session.expect(&["cifs/dc1.aadds.contoso.com@AADDS.CONTOSO.COM"])?;
    session.enter("exit")?;
    session.finish()?;
    let log = node.log("entrad")?;
    let said = format!("tickets for cifs/{SHARE_HOST} cannot be got");
    check::equal("lines of the log about it", &log.lines().filter(|line| line.contains(&said)).count(), &1)
}

/// How many helpers run.
fn helpers(node: &Node) -> Result<usize, String> {
    let script = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^krb5-helper$'";
    Ok(node.sh(script, &[])?.stdout.trim().parse().unwrap_or_default())
}
