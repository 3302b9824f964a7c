//! Ids kept from SSSD: what the plan says on a host that runs it, and whose files they are afterwards.

use std::time::Duration;

use entra_lab::Node;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("idmap: on a host of SSSD the plan says that nothing changes, and files keep their owners' names", from_sssd),
    ("idmap: the mapping in force, and the sum behind an id", shown),
    ("idmap: lines that keep ids of winbind and TrueNAS are written, and refused once others were given", applied),
    ("idmap: files follow ids that move, once, and are their owners' by name again", followed),
];

/// A NAS's own range.
const TRUENAS: &str = "[global]\nworkgroup = AADDS\nrealm = AADDS.CONTOSO.COM\n\
                       idmap config AADDS : backend = rid\nidmap config AADDS : range = 100000001-200000000\n";
/// Where the command stands for a while on the reference, which has none of our packages.
const GUEST: &str = "/usr/local/sbin/entractl";
/// Longest wait for a plan: SSSD asks the directory for each of 5,400 accounts.
const PLAN: Duration = Duration::from_secs(400);
/// Makes the files of `number uid gid` lines on standard input.
const MAKE: &str = "import os, sys
os.makedirs('/srv/moved')
for line in sys.stdin:
    number, uid, gid = line.split()
    path = '/srv/moved/' + number
    open(path, 'w').close()
    os.chown(path, int(uid), int(gid))
";
const SID: &str = "S-1-5-21-3623811015-3361044348-30300820";

fn from_sssd(world: &World) -> Verdict {
    let (node, reference) = (world.joined()?, world.reference()?);
    let command = std::fs::read(node.outside_path("/usr/bin/entractl")).map_err(|error| error.to_string())?;
    reference.put_file(GUEST, command, 0o755)?;
    let verdict = plan_of(&reference);
    std::fs::remove_file(reference.outside_path(GUEST)).map_err(|error| error.to_string())?;
    verdict?;

    // 10,000 files of everybody whom SSSD knows, and what `stat` calls their owners there and here.
    let lines = owners(&reference)?;
    let names = |node: &Node| -> Result<String, String> {
        node.sh("rm -rf /srv/moved", &[])?;
        check::status(
            "making the files",
            &node.run_with(&["/usr/bin/python3", "-c", MAKE], Some(lines.as_bytes()), entra_lab::DEFAULT_LIMIT)?,
            0,
        )?;
        let names = check::text("stat", node.sh("cd /srv/moved && ls | sort -n | xargs stat -c '%n %U %G'", &[])?)?;
        node.sh("rm -rf /srv/moved", &[])?;
        Ok(names)
    };
    let (before, after) = (names(&reference)?, names(&node)?);
    check::equal("files", &before.lines().count(), &10_000)?;
    check::that(!before.contains(" UNKNOWN"), || "SSSD itself does not know the owners".into())?;
    let differing = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    check::equal("first file with other names", &differing, &None)
}

fn plan_of(reference: &Node) -> Verdict {
    let words = [GUEST, "idmap", "plan", "--from", "sssd", "--json"];
    let plan = reference.run_with(&words, None, PLAN)?;
    check::status("the plan", &plan, 0)?;
    let json: serde_json::Value = serde_json::from_str(&plan.stdout).map_err(|error| error.to_string())?;
    check::equal("lines for entra.toml", &json["lines"], &serde_json::json!([]))?;
    for figure in ["changed", "lost"] {
        check::equal(figure, &json["defaults"][figure], &0.into())?;
    }
    let (compared, resolved) = (json["compared"].as_u64().unwrap_or(0), json["resolved"].as_u64().unwrap_or(0));
    check::that(compared > 2200 && resolved == compared, || format!("{resolved} of {compared} were resolved"))?;
    // The same host with other settings: what SSSD resolves now is not what they give, and that is said.
    let conf = format!("{}\nldap_idmap_default_domain_sid = {SID}\n", reference.read_file("/etc/sssd/sssd.conf")?);
    reference.put_file("/tmp/other.conf", conf, 0o600)?;
    let words = ["idmap", "plan", "--from", "sssd", "--config", "/tmp/other.conf", "--root", "/nonexistent"];
    let other = reference.run(&[&[GUEST][..], &words, &["--domain-sid", SID]].concat())?;
    check::status("the plan for other settings", &other, 0)?;
    check::holds("what it says", &other.stdout, "id_slice = 0")?;
    check::holds("what it says", &other.stdout, "200500 -> 674000500")
}

/// `number uid gid` of 10,000 files, which go round the users of the directory as SSSD resolves them.
fn owners(reference: &Node) -> Result<String, String> {
    let script = "for number in $(seq 1 40); do printf 'user%04d\\n' $number; done | xargs getent -s sss passwd alice bob \
                  | cut -d: -f3,4";
    let output = reference.sh(script, &[])?;
    let ids: Vec<(&str, &str)> = output.stdout.lines().filter_map(|line| line.split_once(':')).collect();
    check::that(ids.len() >= 2, || format!("SSSD knows nobody: {}", output.describe()))?;
    let line = |(number, (uid, gid)): (usize, &(&str, &str))| format!("{number} {uid} {gid}\n");
    Ok((0..10_000).zip(ids.iter().cycle()).map(line).collect())
}

fn shown(world: &World) -> Verdict {
    let node = world.joined()?;
    let all = check::text("show", node.run(&["entractl", "idmap", "show"])?)?;
    check::holds("the domain", &all, "slice 3369, chosen by the SID's hash")?;
    let alice = check::text("show alice", node.run(&["entractl", "idmap", "show", "alice"])?)?;
    check::holds("the sum", &alice, "674000000 (first id of slice 3369, chosen by the SID's hash) + RID 1103")?;
    let sid = format!("{SID}-200001");
    let far = check::text("show a SID", node.run(&["entractl", "idmap", "show", &sid])?)?;
    check::holds("the sum", &far, "1787200000")?;
    let builtin = node.run(&["entractl", "idmap", "show", "S-1-5-32-544"])?;
    check::status("a SID without an id", &builtin, 1)
}

fn applied(world: &World) -> Verdict {
    let node = world.installed()?;
    node.put_file("/root/smb4.conf", TRUENAS, 0o600)?;
    let plan = |from: &str, more: &[&str]| {
        let words = ["entractl", "idmap", "plan", "--from", from, "--config", "/root/smb4.conf"];
        node.run(&[&words[..], more].concat())
    };
    let before = ["--offline", "--domain-sid", SID];
    check::status("the plan before the join", &plan("truenas", &before)?, 0)?;
    check::that(!node.read_file("/etc/entra/entra.toml")?.contains("100000001"), || "a plan wrote".into())?;
    check::status("--apply", &plan("truenas", &[&before[..], &["--apply"]].concat())?, 0)?;
    check::holds("entra.toml", &node.read_file("/etc/entra/entra.toml")?, "id_range = \"100000001-200000000\"")?;
    check::status("entractl join", &entra_lab::product::join(&node)?, 0)?;
    entra_lab::product::start_daemon(&node)?;
    check::equal("uid of alice", &check::text("id", node.run(&["id", "-u", "alice"])?)?.as_str(), &"100001104")?;
    // Now that they are given, another range would change the owners of files.
    let other = TRUENAS.replace("100000001-200000000", "10000-999999");
    node.put_file("/root/smb4.conf", other, 0o600)?;
    let refused = plan("winbind", &["--apply"])?;
    check::status("--apply of another range", &refused, 1)?;
    check::holds("what it says", &refused.stderr, "nothing was written")?;
    check::equal("uid of alice", &check::text("id", node.run(&["id", "-u", "alice"])?)?.as_str(), &"100001104")
}

fn followed(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.put_file("/root/smb4.conf", TRUENAS, 0o600)?;
    let words =
        ["entractl", "idmap", "plan", "--from", "truenas", "--config", "/root/smb4.conf", "--to-config", "--save"];
    let plan = node.run_with(&[&words[..], &["/root/ids"]].concat(), None, PLAN)?;
    check::status("a plan by which every id moves", &plan, 1)?;
    // alice and Domain Users by the NAS's arithmetic.
    let made = "mkdir -p /srv/nas && cd /srv/nas && echo hers > file && chown 100001104:100000514 file . && chmod 2750 . && \
                ln -s /etc/shadow link";
    check::status("the tree", &node.sh(made, &[])?, 0)?;
    let chown = ["entractl", "idmap", "chown", "--plan", "/root/ids", "/srv/nas"];
    let listed = check::text("the list", node.run(&chown)?)?;
    check::holds("the list", &listed, "100001104:100000514 -> 674001103:674000513")?;
    let owner = |path: &str| check::text("stat", node.run(&["stat", "-c", "%U %G %a", path])?);
    check::holds("before", &owner("/srv/nas/file")?, "UNKNOWN")?;
    check::status("--apply", &node.run(&[&chown[..], &["--apply"]].concat())?, 0)?;
    check::equal("the file", &owner("/srv/nas/file")?.as_str(), &"alice domain users 644")?;
    check::equal("the folder", &owner("/srv/nas")?.as_str(), &"alice domain users 2750")?;
    check::holds("behind the link", &owner("/etc/shadow")?, "root shadow")?;
    check::status("--apply again", &node.run(&[&chown[..], &["--apply"]].concat())?, 1)
}
