//! What the screens of a NAS ask: pages of users and groups, the host's state and health codes, quotas.

use entra_lab::{Node, dc, product};
use serde_json::Value;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("nas: a picker's pages and the health codes, also in an outage", pages_and_health),
    ("nas: a join that runs shows as JOINING, to anybody", joining),
    ("nas: a file system without quotas is named with what enables them", no_quotas),
    ("nas: quotas of users and of a group's members, set once", quotas),
];

const CONFIG: &str = "/etc/entra/entra.toml";

fn json(node: &Node, words: &[&str]) -> Result<Value, String> {
    let words = [&["entractl", "--json"], words].concat();
    let output = node.run(&words)?;
    serde_json::from_str(&output.stdout).map_err(|error| format!("{words:?}: {error}: {}", output.describe()))
}

fn names(list: &Value) -> Vec<&str> {
    list["users"].as_array().into_iter().flatten().filter_map(|user| user["name"].as_str()).collect()
}

fn configure(node: &Node, more: &str) -> Verdict {
    let text = node.read_file(CONFIG)?;
    node.put_file(CONFIG, format!("{text}{more}"), 0o644)?;
    product::stop_daemon(node)?;
    Ok(product::start_daemon(node)?)
}

fn pages_and_health(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    configure(&node, "enumerate = true\n")?;
    let page = ["users", "--prefix", "BULK00", "--limit", "3"];
    // The first list of all begins the enumeration.
    for _ in 0..20 {
        if json(&node, &page)?["complete"] == true {
            break;
        }
    }
    let first = json(&node, &page)?;
    check::equal("first page", &names(&first), &vec!["bulk0001", "bulk0002", "bulk0003"])?;
    check::equal("whole", &first["complete"], &Value::Bool(true))?;
    check::equal("state", &json(&node, &["status"])?["state"], &"HEALTHY".into())?;
    world.lab.cut("dc")?;
    product::stop_daemon(&node)?;
    product::start_daemon(&node)?;
    let next = first["next"].as_str().unwrap_or_default();
    let second = json(&node, &[&page[..], &["--after", next]].concat())?;
    check::equal("second page", &names(&second), &vec!["bulk0004", "bulk0005", "bulk0006"])?;
    // A lookup has to notice it first.
    node.run(&["getent", "passwd", "somebody-unknown"])?;
    let status = json(&node, &["status"])?;
    check::equal("state", &status["state"], &"FAULTED".into())?;
    check::equal("code", &status["health"][0]["code"], &"NETLOGON_FAILURE".into())?;
    world.mend()?;
    product::stop_daemon(&node)?;
    let stopped = node.run(&["entractl", "--json", "status"])?;
    check::status("status without a daemon", &stopped, 3)?;
    check::holds("its codes", &stopped.stdout, "ENTRAD_STOPPED")
}

fn joining(world: &World) -> Verdict {
    let node = world.installed()?;
    let state = |user: &str| -> Result<Value, String> {
        let output = node.run(&["runuser", "-u", user, "--", "entractl", "--json", "status"])?;
        let status: Value = serde_json::from_str(&output.stdout).map_err(|_| output.describe())?;
        Ok(status["state"].clone())
    };
    check::equal("before", &state("localuser")?, &"DISABLED".into())?;
    // It waits for the password.
    let join = format!("sleep 60 | entractl join {} --user dcadmin --password-stdin", dc::DNS_DOMAIN);
    node.start("joining", &["sh", "-c", &join])?;
    let mut seen = Value::Null;
    for _ in 0..50 {
        seen = state("localuser")?;
        if seen == "JOINING" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    node.stop("joining")?;
    check::equal("meanwhile", &seen, &"JOINING".into())
}

/// Mounts a new file system of this kind in the node; whether the kernel took it.
fn mount(node: &Node, make: &str, options: &str) -> Result<bool, String> {
    let script = "umount /srv/q 2>/dev/null; for at in 0 1 2 3 4 5 6 7; do \
                  [ -b /dev/loop$at ] || mknod /dev/loop$at b 7 $at; done; [ -c /dev/loop-control ] || \
                  mknod /dev/loop-control c 10 237; \
                  mkdir -p /srv/q && truncate -s 400M /srv/q.img && $1 /srv/q.img >&2 && mount -o loop,$2 /srv/q.img /srv/q";
    let script = script.replace("$1", make).replace("$2", options);
    Ok(node.sh(&script, &[])?.status == 0)
}

fn no_quotas(world: &World) -> Verdict {
    let node = world.joined()?;
    let before = node.read_file(CONFIG)?;
    let verdict = refused(&node, &before);
    node.put_file(CONFIG, before, 0o644)?;
    node.sh("umount /srv/q 2>/dev/null; rm -f /srv/q.img", &[])?;
    verdict
}

fn refused(node: &Node, before: &str) -> Verdict {
    node.put_file(CONFIG, format!("{before}\n[quota.\"/srv/q\"]\nsoft = \"1M\"\nhard = \"2M\"\n"), 0o644)?;
    let nothing = node.run(&["entractl", "quota", "apply", "--dry-run"])?;
    check::status("nothing is mounted", &nothing, 1)?;
    check::holds("nothing is mounted", &nothing.stdout, "no file system is mounted at /srv/q")?;
    if mount(node, "mkfs.ext4 -q", "noatime")? {
        let plain = node.run(&["entractl", "quota", "apply", "--dry-run"])?;
        check::status("ext4 without quotas", &plain, 1)?;
        check::holds("ext4 without quotas", &plain.stdout, "keeps no quotas of users -> ")?;
        check::holds("what enables them", &plain.stdout, "tune2fs -O quota /dev/loop")?;
    }
    let elsewhere = node.run(&["entractl", "quota", "apply", "--path", "/home"])?;
    check::status("a path that is not configured", &elsewhere, 2)
}

fn quotas(world: &World) -> Verdict {
    let node = world.joined()?;
    let before = node.read_file(CONFIG)?;
    let verdict = both_kinds(&node, &before);
    node.put_file(CONFIG, before, 0o644)?;
    node.sh("umount /srv/q 2>/dev/null; rm -f /srv/q.img", &[])?;
    verdict
}

fn both_kinds(node: &Node, before: &str) -> Verdict {
    let mut tried = 0;
    for (make, options) in [("mkfs.ext4 -q -O quota", "usrquota"), ("mkfs.xfs -q -f", "uquota")] {
        if mount(node, make, options)? {
            limits(node, before)?;
            tried += 1;
        }
    }
    check::that(tried > 0, || check::skip("this kernel keeps quotas of users neither on ext4 nor on xfs"))
}

fn limits(node: &Node, before: &str) -> Verdict {
    let quota = "\n[quota.\"/srv/q\"]\nsoft = \"1M\"\nhard = \"2M\"\n\
                 [quota.\"/srv/q\".groups.\"linux admins\"]\nsoft = \"5M\"\nhard = \"6M\"\n";
    node.put_file(CONFIG, format!("{before}{quota}"), 0o644)?;
    check::status("apt", &node.apt_install(&["quota"])?, 0)?;
    node.must(&["getent", "passwd", "alice", "bob"])?;
    let planned = json(node, &["quota", "apply", "--dry-run"])?;
    let applied = json(node, &["quota", "apply"])?;
    check::equal("planned", &planned["filesystems"][0]["changed"], &applied["filesystems"][0]["changed"])?;
    let shown = node.must(&["repquota", "-u", "-v", "-n", "/srv/q"])?;
    check::that(shown.contains("#674001103") && shown.contains("5120    6144"), || {
        format!("alice is none of them:\n{shown}")
    })?;
    let again = json(node, &["quota", "apply"])?;
    check::equal("changed the second time", &again["filesystems"][0]["changed"], &Value::Array(Vec::new()))?;
    node.sh("install -d -m 1777 /srv/q/all", &[])?;
    let full = node.sh("runuser -u bob -- head -c 3M /dev/zero > /dev/null; runuser -u bob -- sh -c 'head -c 3M /dev/zero > /srv/q/all/x'", &[])?;
    check::that(full.status != 0, || "bob wrote more than his hard limit".into())
}
