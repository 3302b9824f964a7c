//! Samba's file server on the users of the domain: smbd and winbindd beside our modules on the second client, SMB from
//! the first one, Kerberos only.

pub mod files;
pub mod former;
pub mod ids;
pub mod newer;
pub mod serving;

use entra_lab::Node;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("samba: installed before the join or after it, configured, and taken back", round_trip),
    ("samba: what smb.conf says otherwise is named and refused", contradictions),
    ("samba: a secret that cannot be had leaves smb.conf as it was", no_secret),
];

/// Settings of somebody's own, comments among them.
const OWN: &str = "# ours\n[global]\n  netbios name = CLIENT2\n  log level = 1 auth:2\n\n\
                   # shares\n[data]\n  path = /srv/data\n  read only = no\n";

fn round_trip(world: &World) -> Verdict {
    let node = world.installed()?;
    let early = node.run(&["entractl", "samba", "configure"])?;
    check::status("configure without Samba", &early, 1)?;
    check::holds("what it says", &early.stdout, "apt-get install samba")?;
    // Before the join, as on a file server that has been one for years.
    serving::install(&node)?;
    let early = node.run(&["entractl", "samba", "configure"])?;
    check::status("configure before the join", &early, 1)?;
    check::holds("what it says", &early.stderr, "joined no domain")?;
    check::status("entractl join", &entra_lab::product::join(&node)?, 0)?;
    entra_lab::product::start_daemon(&node)?;
    node.put_file("/etc/samba/smb.conf", OWN, 0o640)?;

    let dry = check::text("--dry-run", node.run(&["entractl", "samba", "configure", "--dry-run"])?)?;
    check::holds("what it would write", &dry, "idmap config AADDS : range = 674000000-674199999")?;
    check::equal("smb.conf after --dry-run", &node.read_file("/etc/samba/smb.conf")?.as_str(), &OWN)?;
    check::that(!node.outside_path("/etc/samba/entra.conf").exists(), || "--dry-run wrote entra.conf".into())?;
    let unjoined = node.run(&["net", "ads", "testjoin"])?;
    check::that(!unjoined.ok(), || "Samba had a secret before it was given one".into())?;

    check::status("configure", &node.run(&["entractl", "samba", "configure"])?, 0)?;
    let edited = node.read_file("/etc/samba/smb.conf")?;
    let kept: Vec<&str> = edited.lines().filter(|line| OWN.lines().any(|own| own == *line)).collect();
    check::equal("own lines that are still there", &kept, &OWN.lines().collect())?;
    check::text("net ads testjoin", node.run(&["net", "ads", "testjoin"])?)?;
    check::text("entractl testjoin", node.run(&["entractl", "testjoin"])?)?;
    serving::start(&node)?;
    in_order(&node)?;
    let (before, kvno) = (node.read_file("/etc/samba/smb.conf")?, kvno(&node)?);
    check::status("configure again", &node.run(&["entractl", "samba", "configure"])?, 0)?;
    check::equal("smb.conf after the second time", &node.read_file("/etc/samba/smb.conf")?, &before)?;
    check::equal("key version after the second time", &self::kvno(&node)?, &kvno)?;

    check::status("--remove", &node.run(&["entractl", "samba", "configure", "--remove"])?, 0)?;
    check::equal("smb.conf after --remove", &node.read_file("/etc/samba/smb.conf")?.as_str(), &OWN)?;
    let mode = check::text("stat", node.run(&["stat", "-c", "%a", "/etc/samba/smb.conf"])?)?;
    check::equal("its mode", &mode.as_str(), &"640")?;
    check::that(!node.outside_path("/etc/samba/entra.conf").exists(), || "entra.conf stayed".into())?;
    check::status("--remove again", &node.run(&["entractl", "samba", "configure", "--remove"])?, 1)
}

fn contradictions(world: &World) -> Verdict {
    let node = serving::ready(world)?;
    let (smb_conf, include) = (node.read_file("/etc/samba/smb.conf")?, node.read_file("/etc/samba/entra.conf")?);
    let wrong = "[global]\n  machine password timeout = 86400\n  include = /etc/samba/more.conf\n";
    node.put_file("/etc/samba/more.conf", "idmap config AADDS : range = 10000-999999\n", 0o644)?;
    let text = smb_conf.replacen("[global]\n", wrong, 1);
    node.put_file("/etc/samba/smb.conf", &text, 0o644)?;
    let output = node.run(&["entractl", "samba", "configure"])?;
    check::status("configure against the file's own words", &output, 1)?;
    for named in ["machine password timeout = 86400", "range = 10000-999999", "--force"] {
        check::holds("what it says", &output.stdout, named)?;
    }
    check::equal("smb.conf", &node.read_file("/etc/samba/smb.conf")?, &text)?;
    check::status("--force", &node.run(&["entractl", "samba", "configure", "--force"])?, 0)?;
    in_order(&node)?;
    // Behind our include, somebody else's word counts: that is found.
    let behind = text.replacen("# END entra\n", "# END entra\n  kerberos method = secrets only\n", 1);
    node.put_file("/etc/samba/smb.conf", behind, 0o644)?;
    let output = node.run(&["entractl", "check", "samba"])?;
    check::status("check with a setting overruled", &output, 1)?;
    check::holds("what it says", &output.stdout, "kerberos method")?;
    node.put_file("/etc/samba/smb.conf", smb_conf, 0o644)?;
    node.put_file("/etc/samba/entra.conf", include, 0o644)?;
    in_order(&node)
}

fn no_secret(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    serving::install(&node)?;
    node.put_file("/etc/samba/smb.conf", OWN, 0o644)?;
    // Nobody changes the password of an account that is disabled.
    let dc = world.dc()?;
    dc.must(&["samba-tool", "user", "disable", "CLIENT2$"])?;
    let output = node.run(&["entractl", "samba", "configure"]);
    dc.must(&["samba-tool", "user", "enable", "CLIENT2$"])?;
    let output = output?;
    check::that(!output.ok(), || "configured without a secret".into())?;
    check::equal("smb.conf", &node.read_file("/etc/samba/smb.conf")?.as_str(), &OWN)?;
    check::that(!node.outside_path("/etc/samba/entra.conf").exists(), || "entra.conf stayed".into())
}

fn in_order(node: &Node) -> Verdict {
    check::status("entractl check samba", &node.run(&["entractl", "check", "samba"])?, 0)
}

fn kvno(node: &Node) -> Result<String, String> {
    let script = "klist -k /etc/krb5.keytab | awk '/\\$@/ {print $1}' | sort -n | tail -1";
    check::text("klist", node.sh(script, &[])?)
}
