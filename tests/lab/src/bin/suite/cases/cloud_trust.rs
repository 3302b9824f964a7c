//! The cloud trust: what the commands write on the host and find in the directory.

pub mod share;

use entra_lab::accounts::ALICE;
use entra_lab::cloud::{self, TENANT};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("cloud trust: status shows the objects, absent, whole, after a rotation and without the trust", status),
    (
        "cloud trust: after configure Kerberos follows the trust to the tenant's KDC proxy, and remove undoes it",
        settings,
    ),
];

const SNIPPET: &str = "/etc/krb5.conf.d/entra-cloud-trust.conf";

/// Runs the program that makes and removes the objects.
fn change(world: &World, verb: &str) -> Result<(), String> {
    Ok(cloud::change_directory(&world.dc()?, verb)?)
}

/// Runs `work` while the directory holds the trust, and the other objects where `objects` says so.
fn with_trust(world: &World, objects: bool, work: impl FnOnce() -> Verdict) -> Verdict {
    change(world, "remove")?;
    let verdict = change(world, "trust")
        .and_then(|()| if objects { change(world, "objects") } else { Ok(()) })
        .and_then(|()| work());
    change(world, "remove")?;
    verdict
}

fn status(world: &World) -> Verdict {
    let node = world.joined()?;
    let ask = || -> Result<serde_json::Value, String> {
        let text = node.must(&["entractl", "--json", "cloud-trust", "status"])?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        Ok(value["domains"][0].clone())
    };
    change(world, "remove")?;
    check::equal("nothing is there", &ask()?["state"].as_str(), &Some("absent"))?;
    with_trust(world, true, || {
        let whole = ask()?;
        check::equal("state", &whole["state"].as_str(), &Some("complete"))?;
        check::equal("user by the link", &whole["user_account"]["sam_account_name"].as_str(), &Some("krbtgt_AzureAD"))?;
        check::equal("the user is disabled", &whole["user_account"]["disabled"].as_bool(), &Some(true))?;
        let names = &whole["trust"]["top_level_names"];
        check::equal("top-level name", &names[0]["name"].as_str(), &Some("windows.net"))?;
        check::equal("encryption types", &whole["trust"]["encryption_types"].as_u64(), &Some(24))?;
        check::holds("a young key", &whole["commands"].to_string(), "-RotateServerKey -Force")?;
        change(world, "rotate")?;
        let rotated = ask()?;
        let usn = |value: &serde_json::Value| value["key_usn"].as_u64();
        check::that(usn(&rotated) > usn(&whole), || format!("a rotation is not seen: {whole} {rotated}"))
    })?;
    with_trust(world, false, || check::equal("the trust alone", &ask()?["state"].as_str(), &Some("incomplete")))?;
    check::status("not root", &node.run(&["runuser", "-u", "localuser", "--", "entractl", "cloud-trust", "status"])?, 5)
}

fn settings(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let configure = |more: &[&str]| -> Result<entra_lab::Output, String> {
        Ok(node.run(&[&["entractl", "cloud-trust", "configure", "--tenant", TENANT], more].concat())?)
    };
    let before = node.read_file("/etc/krb5.conf")?;
    let wrong = node.run(&["entractl", "cloud-trust", "configure", "--tenant", "contoso.com"])?;
    check::status("a domain name as tenant", &wrong, 2)?;
    let plain = configure(&[])?;
    check::status("without k5tls", &plain, 1)?;
    check::holds("without k5tls", &plain.stdout, "apt-get install krb5-k5tls")?;
    check::text("apt-get install", node.apt_install(&["krb5-k5tls", "krb5-user"])?)?;
    check::text("a dry run", configure(&["--dry-run"])?)?;
    check::that(node.read_file(SNIPPET).is_err(), || "a dry run wrote the file".into())?;
    check::text("configure", configure(&[])?)?;
    check::status("check", &node.run(&["entractl", "check", "cloud-trust"])?, 0)?;
    check::equal("krb5.conf", &node.read_file("/etc/krb5.conf")?, &before)?;
    let way = "printf '%s\\n' \"$1\" | kinit alice >/dev/null && \
               KRB5_TRACE=/dev/stdout timeout 60 kvno -S cifs acct.file.core.windows.net";
    with_trust(world, false, || {
        let traced = node.sh(way, &[ALICE.password])?.stdout;
        let referral = "krbtgt/KERBEROS.MICROSOFTONLINE.COM@AADDS.CONTOSO.COM";
        check::holds("the domain's referral", &traced, referral)?;
        check::holds("the way to the proxy", &traced, "Resolving hostname login.microsoftonline.com")
    })?;
    check::text("remove", node.run(&["entractl", "cloud-trust", "configure", "--remove"])?)?;
    check::that(node.read_file(SNIPPET).is_err(), || "the file is still there".into())
}
