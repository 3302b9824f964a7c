//! From a login to the share, through the lab's cloud, and what the probe says where the way is broken.

use entra_lab::accounts::ALICE;
use entra_lab::cloud::{self, ACCOUNT, Certificate, SHARE_HOST, TENANT};
use entra_lab::{Node, product};
use serde_json::Value;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[(
    "cloud trust: a login reaches the share without another password, and the probe names the hop that fails",
    share,
)];

/// Where the table's ticket is.
const CCACHE: &str = "KRB5CCNAME=FILE:/tmp/krb5cc_probe";

fn share(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    check::text("apt-get install", node.apt_install(&["krb5-k5tls", "smbclient", "faketime"])?)?;
    let cloud = world.cloud()?;
    configure(&node, &[])?;
    login(&node)?;
    // Tickets of the whole way lie in the ccache: the probe takes none of them for granted.
    let kinit =
        format!("export {CCACHE}; printf '%s\\n' '{}' | kinit alice && kvno -S cifs {SHARE_HOST}", ALICE.password);
    check::status("kinit", &node.sh(&kinit, &[])?, 0)?;
    host_faults(&node)?;
    domain_faults(world, &node)?;
    cloud_faults(&node, &cloud)?;
    check::status("all mended", &node.run(&words(&[CCACHE], ACCOUNT))?, 0)
}

/// The ticket of the login is enough: nothing is typed in the session.
fn login(node: &Node) -> Verdict {
    let session = format!(
        "entractl cloud-trust probe {ACCOUNT} && ! klist | grep KERBEROS.MICROSOFTONLINE.COM && \
         kvno -S cifs {SHARE_HOST} && \
         smbclient --use-kerberos=required //{SHARE_HOST}/share -c 'ls; get readme.txt -' </dev/null"
    );
    let seen = check::text("the session", product::ssh_as(node, &ALICE, &session)?)?;
    for part in
        ["alice@AADDS.CONTOSO.COM", "every hop to acct.file.core.windows.net works", "readme.txt", "from the share"]
    {
        check::holds("the session", &seen, part)?;
    }
    Ok(())
}

fn host_faults(node: &Node) -> Verdict {
    named(node, &["KRB5CCNAME=FILE:/tmp/nothing"], ACCOUNT, "tgt", "no-tgt")?;
    named(node, &[CCACHE, "faketime", "-f", "-10m"], ACCOUNT, "tgt", "clock")?;
    let moved = |from: &str, to: &str| {
        let script = format!("cd /usr/lib/*/krb5/plugins/tls && mv {from} {to}");
        check::status("mv", &node.sh(&script, &[])?, 0)
    };
    moved("k5tls.so", "away")?;
    named(node, &[CCACHE], ACCOUNT, "k5tls", "no-k5tls")?;
    moved("away", "k5tls.so")
}

fn domain_faults(world: &World, node: &Node) -> Verdict {
    let dc = world.dc()?;
    cloud::change_directory(&dc, "remove")?;
    named(node, &[CCACHE], ACCOUNT, "referral", "no-trust")?;
    cloud::change_directory(&dc, "trust")?;
    // Another account's host is mapped: this one's goes by the trusts' top-level names.
    configure(node, &["--storage-account", "another"])?;
    check::status("by the top-level name", &node.run(&words(&[CCACHE], ACCOUNT))?, 0)?;
    cloud::change_directory(&dc, "claim")?;
    named(node, &[CCACHE], ACCOUNT, "referral", "name-claimed")?;
    cloud::change_directory(&dc, "remove")?;
    cloud::change_directory(&dc, "trust")?;
    configure(node, &[])
}

fn cloud_faults(node: &Node, cloud: &Node) -> Verdict {
    named(node, &[CCACHE], "unknown1", "ticket", "account")?;
    cloud::agree(cloud, false)?;
    named(node, &[CCACHE], ACCOUNT, "ticket", "key")?;
    cloud::agree(cloud, true)?;
    cloud.stop("krb5kdc")?;
    named(node, &[CCACHE], ACCOUNT, "proxy-http", "cloud-kdc")?;
    cloud::start_kdc(cloud)?;
    let other_tenant = TENANT.replace('7', "8");
    for (tenant, certificate, hop, cause) in [
        (TENANT, Certificate::Stranger, "proxy-tls", "anchor"),
        (TENANT, Certificate::Expired, "proxy-tls", "expired"),
        (TENANT, Certificate::OtherHost, "proxy-tls", "other-host"),
        (other_tenant.as_str(), Certificate::Good, "proxy-http", "tenant"),
    ] {
        cloud.stop("cloud-proxy")?;
        cloud::start_proxy(cloud, tenant, certificate)?;
        named(node, &[CCACHE], ACCOUNT, hop, cause)?;
    }
    cloud.stop("cloud-proxy")?;
    named(node, &[CCACHE], ACCOUNT, "proxy-tls", "proxy-down")?;
    Ok(cloud::start_proxy(cloud, TENANT, Certificate::Good)?)
}

fn configure(node: &Node, more: &[&str]) -> Verdict {
    let words = [&["entractl", "cloud-trust", "configure", "--tenant", TENANT], more].concat();
    check::text("configure", node.run(&words)?).map(drop)
}

fn words<'a>(before: &[&'a str], account: &'a str) -> Vec<&'a str> {
    [&["env"], before, &["entractl", "--json", "cloud-trust", "probe", account, "--timeout", "4"]].concat()
}

/// Insists that the probe ends at this hop, for this cause, with a remedy.
fn named(node: &Node, before: &[&str], account: &str, hop: &str, cause: &str) -> Verdict {
    let output = node.run(&words(before, account))?;
    check::status(cause, &output, 1)?;
    let said: Value =
        serde_json::from_str(&output.stdout).map_err(|error| format!("{error}: {}", output.describe()))?;
    check::equal(cause, &(said["failed"].as_str(), said["cause"].as_str()), &(Some(hop), Some(cause)))?;
    check::that(said["remedy"].as_str().is_some_and(|it| !it.is_empty()), || format!("{cause}: no remedy: {said}"))
}
