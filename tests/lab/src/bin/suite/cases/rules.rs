//! Who may log in by which service: what the real PAM stacks answer, offline too, and what the log and `explain` say of
//! it.

use std::time::Duration;

use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("rules: allow, deny and filter, by service, through nested groups, with and without the domain", by_service),
    ("rules: a login by SSH key is held to the account's hours and computers, and to the rules", by_key),
    ("rules: a denied group that does not exist lets nobody in, and local users stay as they are", broken),
];

const CONFIG: &str = "/etc/entra/entra.toml";
/// Of an sshd that takes the test's keys.
const PORT: &str = "2224";
const PASSWORD: &str = "Planted-Pass-1";
const LIMIT: Duration = Duration::from_secs(40);

/// sshd: the members of nest-1 (five levels up), whoever is named, and no mallory. login: a filter besides.
const RULES: &str = "
[domains.\"aadds.contoso.com\".access]
default = \"deny\"
allow_groups = [\"nest-1\"]
deny_users = ['AADDS\\ru-bad']

[domains.\"aadds.contoso.com\".access.services.sshd]
allow_users = [\"ru-named@aadds.contoso.com\", \"ru-bad\"]

[domains.\"aadds.contoso.com\".access.services.login]
default = \"allow\"
filter = \"(department=Research)\"
";

fn by_service(world: &World) -> Verdict {
    let node = configured(world, RULES)?;
    let planted = [
        Planted::user("ru-named", PASSWORD),
        Planted::user("ru-bad", PASSWORD).with(&[("department", "Research")]),
        Planted::user("ru-lab", PASSWORD).with(&[("department", "Research")]),
    ];
    world.with_planted(&planted, |_| {
        let table = [
            ("nested", "sshd", "access.allow_groups", true),
            ("nested", "login", "access.services.login.filter", false),
            ("ru-named", "sshd", "access.services.sshd.allow_users", true),
            ("ru-named", "su", "access.default", false),
            ("ru-bad", "sshd", "access.deny_users", false),
            ("ru-bad", "login", "access.deny_users", false),
            ("ru-lab", "sshd", "access.default", false),
            ("ru-lab", "login", "access.services.login.default", true),
        ];
        let round = |situation: &str| -> Verdict {
            for (user, service, rule, let_in) in table {
                let what = format!("{situation} {user} {service}");
                let output = account(&node, service, user)?;
                check::status(&what, &output, i32::from(!let_in))?;
                let record = record(&node, user)?;
                let reason = if let_in { "-" } else { "not-permitted" };
                check::holds(&what, &record, &format!(" service=\"{service}\" "))?;
                check::holds(&what, &record, &format!(" reason={reason} rule=\"{rule}\""))?;
                let explained = node.run(&["entractl", "--json", "explain", user, "--service", service])?;
                check::status(&format!("explain {what}"), &explained, i32::from(!let_in))?;
                let decisive = if let_in { "allows" } else { "refuses" };
                let text = explained.stdout.replace([' ', '\n'], "");
                check::that(decides(&text, rule, decisive), || format!("{what}: explain has no {rule}: {text}"))?;
            }
            Ok(())
        };
        round("online")?;
        check::status("ssh of a member", &product::ssh(&node, "nested", "Nested-Pass-1", "true")?, 0)?;
        let refused = product::ssh(&node, "ru-bad", PASSWORD, "true")?;
        check::status("ssh of a denied user", &refused, 255)?;
        world.lab.cut("dc")?;
        let offline = round("offline");
        world.mend()?;
        offline
    })
}

/// Whether the compact JSON of an explanation has this rule with this outcome, in either order of the keys.
fn decides(text: &str, rule: &str, outcome: &str) -> bool {
    let (rule, outcome) = (format!("\"rule\":\"{rule}\""), format!("\"outcome\":\"{outcome}\""));
    text.split('{').any(|object| object.contains(&rule) && object.contains(&outcome))
}

fn by_key(world: &World) -> Verdict {
    let node = configured(world, "\n[domains.\"aadds.contoso.com\".access]\ndeny_users = [\"ru-bad\"]\n")?;
    let planted = [
        Planted::user("ru-key", PASSWORD),
        Planted::user("ru-bad", PASSWORD),
        Planted::user("ru-host", PASSWORD).with(&[("userWorkstations", "OTHERHOST")]),
        Planted::user("ru-here", PASSWORD).with(&[("userWorkstations", "OTHERHOST,Client2")]),
    ];
    world.with_planted(&planted, |_| {
        // 21 bytes of zeros: at no hour.
        let dark = "dn: CN=planted user ru-key,CN=Users,DC=aadds,DC=contoso,DC=com\nchangetype: modify\nreplace: \
                    logonHours\nlogonHours:: AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
        let keys = "ssh-keygen -q -t ed25519 -N '' -f /root/ru-key && mkdir -p /etc/ssh/ru /run/sshd && for user in \
                    ru-key ru-bad ru-host ru-here; do cp /root/ru-key.pub /etc/ssh/ru/$user; done";
        check::status("keys", &node.sh(keys, &[])?, 0)?;
        let files = "AuthorizedKeysFile=/etc/ssh/ru/%u";
        node.start("sshd-rules", &["/usr/sbin/sshd", "-D", "-e", "-p", PORT, "-o", files])?;
        wait_for_sshd(&node)?;
        let table = [
            ("ru-key", "", 0),
            ("ru-bad", "not-permitted", 255),
            ("ru-host", "workstation-not-permitted", 255),
            ("ru-here", "", 0),
        ];
        for (user, reason, status) in table {
            by_key_as(&node, user, reason, status)?;
        }
        let words = ["ldbmodify", "-H", "/var/lib/samba/private/sam.ldb"];
        check::status("ldbmodify", &world.dc()?.run_with(&words, Some(dark.as_bytes()), LIMIT)?, 0)?;
        by_key_as(&node, "ru-key", "outside-logon-hours", 255)?;
        Ok(node.stop("sshd-rules")?)
    })
}

fn wait_for_sshd(node: &Node) -> Verdict {
    let answers =
        format!("for step in $(seq 100); do exec 3<>/dev/tcp/localhost/{PORT} && exit 0; sleep 0.1; done; exit 1");
    check::status("sshd", &node.run(&["bash", "-c", &answers])?, 0)
}

fn by_key_as(node: &Node, user: &str, reason: &str, status: i32) -> Verdict {
    let command = "ssh -p \"$2\" -oBatchMode=yes -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null \
                   -oLogLevel=ERROR -i /root/ru-key \"$1@localhost\" true";
    let output = node.sh(command, &[user, PORT])?;
    check::status(&format!("a key of {user}"), &output, status)?;
    let record = record(node, user)?;
    check::holds(user, &record, "phase=account ")?;
    if !reason.is_empty() {
        check::holds(user, &record, &format!(" reason={reason} "))?;
    }
    Ok(())
}

fn broken(world: &World) -> Verdict {
    let rules = "\n[domains.\"aadds.contoso.com\".access]\ndeny_groups = [\"no-such-group\"]\n";
    let node = configured(world, rules)?;
    let output = account(&node, "sshd", "alice")?;
    check::status("alice under a broken rule", &output, 1)?;
    check::holds("the record", &record(&node, "alice")?, "reason=access-rule-broken rule=\"access.deny_groups\"")?;
    check::holds("the log", &node.log("entrad")?, "\"no-such-group\" of deny_groups is no group of the directory")?;
    let config = node.run(&["entractl", "config", "check"])?;
    check::status("config check", &config, 0)?;
    check::holds("config check", &config.stdout, "names \"no-such-group\": the directory has no such group")?;
    check::status("a local user", &account(&node, "sshd", "localuser")?, 0)?;
    check::status("root", &account(&node, "sshd", "root")?, 0)?;
    // A name that nobody has, which may be a password: it is in no line of the daemon's.
    let unknown = account(&node, "sshd", "Secret-Typed-As-Name")?;
    check::that(!unknown.ok(), || "an unknown user was let in".into())?;
    check::that(!node.log("entrad")?.to_lowercase().contains("secret-typed"), || "the log has the unknown name".into())
}

/// A joined host whose domain has these rules.
fn configured(world: &World, rules: &str) -> Result<Node, String> {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    node.put_file(CONFIG, format!("{}{rules}", node.read_file(CONFIG)?), 0o644)?;
    product::start_daemon(&node)?;
    Ok(node)
}

fn account(node: &Node, service: &str, user: &str) -> Result<Output, String> {
    Ok(node.run_with(&["pamtester", service, user, "acct_mgmt"], None, LIMIT)?)
}

/// The newest record about this user.
fn record(node: &Node, user: &str) -> Result<String, String> {
    let log = node.log("entrad")?;
    let line = log.lines().rev().find(|line| line.contains("audit: ") && line.contains(&format!(" user=\"{user}\" ")));
    line.map(str::to_owned).ok_or_else(|| format!("no record about {user}"))
}
