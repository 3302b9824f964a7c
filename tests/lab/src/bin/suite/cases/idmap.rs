//! Ids kept from SSSD and winbind: what the plan says on a host that runs them, and whose files they are afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("idmap: on a host of SSSD the plan says that nothing changes, and files keep their owners' names", from_sssd),
    (
        "idmap: a host moves from winbind, and its files keep their owners' names, as many as the plan says",
        from_winbind,
    ),
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
/// What `stat` calls the owners of these files: number, user and group.
const STAT: &str = r"cd /srv/moved && ls | sort -n | xargs stat --printf='%n\t%U\t%G\n'";
/// Has winbindd begin anew and know nothing, until it answers.
const ANEW: &str = "
rm -f /var/lib/samba/winbindd_cache.tdb /var/cache/samba/*.tdb /run/samba/gencache*.tdb
setsid winbindd --foreground --no-process-group --debug-stdout </dev/null >>/var/log/lab-winbindd.log 2>&1 &
echo $! >/run/lab/winbindd.pid
for step in $(seq 300); do getent -s winbind passwd alice && exit; sleep 0.1; done
exit 1
";
/// Waits until ours answers: on a loaded machine the first connection may take longer than a lookup waits.
const ANSWERS: &str = "for step in $(seq 300); do getent -s entra passwd alice && exit; sleep 0.1; done; exit 1";
/// Groups of the directory whose names give rights on a host: they are shown with their domain, which winbind leaves out.
const QUALIFIED: [&str; 2] = ["docker", "sudo"];
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
        make(node, &lines)?;
        let names = stat(node)?;
        node.sh("rm -rf /srv/moved", &[])?;
        Ok(names)
    };
    let (before, after) = (names(&reference)?, names(&node)?);
    check::equal("files", &before.lines().count(), &10_000)?;
    check::that(!before.contains("\tUNKNOWN"), || "SSSD itself does not know the owners".into())?;
    let differing = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    check::equal("first file with other names", &differing, &None)
}

fn from_winbind(world: &World) -> Verdict {
    let (node, defaults) = (world.winbind()?, world.joined()?);
    // A range such as an administrator chooses: by our defaults every id would move.
    let conf = node.read_file("/etc/samba/smb.conf")?.replace("674000000-674199999", "1000000-1999999");
    node.put_file("/etc/samba/smb.conf", conf, 0o644)?;
    node.stop("winbindd")?;
    check::holds("alice", &check::text("winbind begun anew", node.sh(ANEW, &[])?)?, ":1001103:")?;
    // 10,000 files of every user and every group that winbind lists.
    let ids = |database: &str, fields: &str| -> Result<Vec<String>, String> {
        let script = "getent -s winbind \"$1\" | cut -d: -f\"$2\"";
        let listed = check::text(database, node.sh(script, &[database, fields])?)?;
        Ok(listed.lines().map(str::to_owned).collect())
    };
    let (users, groups) = (ids("passwd", "3")?, ids("group", "3")?);
    check::that(!users.is_empty() && !groups.is_empty(), || "winbind lists nobody".into())?;
    let both = users.iter().cycle().zip(groups.iter().cycle());
    let line = |(number, (uid, gid)): (usize, (&String, &String))| format!("{number} {uid} {gid}\n");
    let lines: String = (0..10_000).zip(both).map(line).collect();
    make(&node, &lines)?;
    let before = stat(&node)?;
    check::equal("files", &before.lines().count(), &10_000)?;
    check::that(!before.contains("\tUNKNOWN"), || "winbind itself does not know the owners".into())?;

    world.install(&node)?;
    let words = ["entractl", "idmap", "plan", "--from", "winbind", "--apply", "--json"];
    let planned = node.run_with(&words, None, PLAN)?;
    check::status("the plan", &planned, 0)?;
    let json: serde_json::Value = serde_json::from_str(&planned.stdout).map_err(|error| error.to_string())?;
    let everybody = users.len() + groups.len();
    for figure in ["compared", "resolved"] {
        check::equal(figure, &json[figure], &everybody.into())?;
    }

    // As the guide says: winbind goes, its keys are put away, and the join takes the computer's account over.
    node.stop("winbindd")?;
    node.apt_purge(&["libnss-winbind", "libpam-winbind"])?;
    let nobody = check::text("stat", node.run(&["stat", "-c", "%U %G", "/srv/moved/0"])?)?;
    check::equal("with neither of them", &nobody.as_str(), &"UNKNOWN UNKNOWN")?;
    node.must(&["mv", "/etc/krb5.keytab", "/root/krb5.keytab.winbind"])?;
    check::status("entractl join", &product::join(&node)?, 0)?;
    product::start_daemon(&node)?;
    check::text("our answer", node.sh(ANSWERS, &[])?)?;
    let after = stat(&node)?;
    product::stop_daemon(&node)?;
    as_planned("with the lines", &json["chosen"], 0, &moved(&before, &after))?;
    node.sh("rm -rf /srv/moved", &[])?;

    // The same files on a host that was joined without the lines.
    make(&defaults, &lines)?;
    let strange = stat(&defaults)?;
    defaults.sh("rm -rf /srv/moved", &[])?;
    as_planned("with the defaults", &json["defaults"], everybody, &moved(&before, &strange))
}

/// Insists that so many ids were to be others or gone, and that so many accounts have another name.
fn as_planned(what: &str, figures: &serde_json::Value, wanted: usize, moved: &BTreeMap<(bool, &str), &str>) -> Verdict {
    let planned = figures["changed"].as_u64().zip(figures["lost"].as_u64()).map(|(changed, lost)| changed + lost);
    check::equal(&format!("{what}: the plan"), &planned, &u64::try_from(wanted).ok())?;
    let first: Vec<_> = moved.iter().take(3).collect();
    check::that(moved.len() == wanted, || format!("{what}: {} others, planned {wanted}; first {first:?}", moved.len()))
}

/// Users (`true`) and groups that have another name afterwards, and which.
fn moved<'a>(before: &'a str, after: &'a str) -> BTreeMap<(bool, &'a str), &'a str> {
    let mut moved = BTreeMap::new();
    for (before, after) in before.lines().zip(after.lines().chain(std::iter::repeat(""))) {
        let mut after = after.split('\t').skip(1);
        for (user, name) in [true, false].into_iter().zip(before.split('\t').skip(1)) {
            let qualified = !user && QUALIFIED.contains(&name);
            let wanted = if qualified { format!("{name}@{}", entra_lab::dc::DNS_DOMAIN) } else { name.to_owned() };
            let now = after.next().unwrap_or_default();
            if now != wanted {
                moved.insert((user, name), now);
            }
        }
    }
    moved
}

/// Makes the files of `number uid gid` lines.
fn make(node: &Node, lines: &str) -> Verdict {
    node.sh("rm -rf /srv/moved", &[])?;
    let words = ["/usr/bin/python3", "-c", MAKE];
    check::status("making the files", &node.run_with(&words, Some(lines.as_bytes()), entra_lab::DEFAULT_LIMIT)?, 0)
}

/// What `stat` calls their owners.
fn stat(node: &Node) -> Result<String, String> {
    check::text("stat", node.sh(STAT, &[])?)
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
