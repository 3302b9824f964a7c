//! The daemon with the rights that its unit leaves it, and confined programs that ask it.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("packages: the unit is right, and the capabilities that it leaves suffice", unit),
    ("packages: AppArmor's abstractions let confined programs reach what the modules open", apparmor),
];

const UNIT: &str = "/usr/lib/systemd/system/entrad.service";

fn unit(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let text = node.read_file(UNIT)?;
    let set = text.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap_or_default();
    check::that(!set.is_empty(), || "the unit has no CapabilityBoundingSet".into())?;
    let kept: Vec<String> =
        set.split_whitespace().map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
    product::stop_daemon(&node)?;
    // As after a first boot: everything that the daemon makes for itself is to be made with these rights.
    node.must(&["rm", "-rf", "/run/entra", "/var/lib/entra"])?;
    let bounding = format!("-all,{}", kept.join(","));
    let words = ["setpriv", "--no-new-privs", "--bounding-set", &bounding, "/usr/sbin/entrad", "--foreground"];
    node.must(&["install", "-d", "-m", "755", "/run/entra"])?;
    node.start("entrad", &words)?;
    node.sh("for step in $(seq 200); do entractl status >/dev/null 2>&1 && break; sleep 0.05; done", &[])?;
    let cache = check::text("a login", product::ssh_as(&node, &ALICE, "klist -s && echo $KRB5CCNAME")?)?;
    check::holds("the ticket", &cache, "krb5cc")?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)?;
    let bound = node.sh("grep -h CapBnd /proc/$(pgrep -o -x entrad)/status", &[])?;
    check::that(bound.ok() && !bound.stdout.contains("ffff"), || format!("not bound: {}", bound.stdout))?;

    node.apt_install(&["systemd"])?;
    let verify = ["systemd-analyze", "verify", "--man=no", UNIT];
    let output = node.run(&verify)?;
    check::status(&verify.join(" "), &output, 0)?;
    let said: Vec<_> = output.stderr.lines().filter(|line| line.contains("entrad")).collect();
    check::equal("systemd-analyze verify", &said, &Vec::new())
}

/// A profile of a program that looks up users and logs them in, as Debian's own are written.
const PROFILE: &str = "abi <abi/3.0>,\ninclude <tunables/global>\nprofile lab /usr/bin/lab {\n  \
                       include <abstractions/base>\n  include <abstractions/nameservice>\n  \
                       include <abstractions/authentication>\n}\n";

fn apparmor(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.apt_install(&["apparmor"])?;
    node.put_file("/etc/apparmor.d/lab", PROFILE, 0o644)?;
    let parse = |arguments: &str| node.sh(&format!("apparmor_parser {arguments} /etc/apparmor.d/lab"), &[]);
    check::status("apparmor_parser", &parse("--skip-kernel-load --skip-cache --quiet")?, 0)?;
    let rules = check::text("the profile", parse("--preprocess")?)?;
    for (command, which, ours) in [
        // Through the cache and past it.
        (
            "getent passwd alice; getent group 'linux admins'; id bob",
            "nameservice",
            &["/etc/entra/entra.toml", "/run/entra/cache.map", "/run/entra/nss.sock"][..],
        ),
        (
            "echo Alice-Pass-1 | pamtester login alice authenticate acct_mgmt",
            "authentication",
            &["/etc/entra/entra.toml", "/run/entra/pam.sock"],
        ),
        ("echo Alice-Pass-1 | kinit -c MEMORY: alice", "kerberosclient", &["/run/entra/kdc.AADDS.CONTOSO.COM"]),
    ] {
        let opened = opened(&node, command)?;
        for path in ours {
            check::that(opened.iter().any(|it| it == path), || format!("{command} does not open {path}: {opened:?}"))?;
        }
        for path in opened {
            let rule = path.replacen("/run/", "@{run}/", 1).replacen("/etc/", "@{etc_ro}/", 1);
            // A name, or the part of it before a star at the end; Debian's own rules name /etc as it is.
            let allows = |line: &str| {
                let mut words = line.split_whitespace();
                let name = words.next().unwrap_or_default().replacen("/etc/", "@{etc_ro}/", 1);
                let fits =
                    name.strip_suffix('*').map_or(name == rule, |start| !start.is_empty() && rule.starts_with(start));
                fits && words.next().is_some_and(|rights| rights.starts_with('r'))
            };
            check::that(rules.lines().any(allows), || {
                format!("{command} opens {path}, and no rule of the abstraction {which} allows it:\n{rules}")
            })?;
        }
    }
    // The abstraction is read, or this would go unnoticed.
    node.put_file("/etc/apparmor.d/abstractions/nameservice.d/entra", "no rule\n", 0o644)?;
    let output = parse("--skip-kernel-load --skip-cache --quiet")?;
    check::that(!output.ok(), || "apparmor_parser does not read our file".into())
}

/// Our files and sockets that the programs of a command open.
fn opened(node: &Node, command: &str) -> Result<Vec<String>, String> {
    let script = r#"
strace -f -qq -e trace=open,openat,connect -o /tmp/opened sh -c "$1" >/dev/null 2>&1
grep -v ENOENT /tmp/opened | grep -Eo '"/(run|etc|var)/[^"]*entra[^"]*"' | tr -d '"' | tr -s / | sort -u"#;
    Ok(check::text(command, node.sh(script, &[command])?)?.lines().map(str::to_owned).collect())
}
