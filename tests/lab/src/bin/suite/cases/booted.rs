//! The packages on a host that systemd has booted: what the unit promises holds, and logins are sessions of logind.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, Terminal, product};

use super::packages::repack;
use super::{login, offline, password};
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("booted: join starts the service in its sandbox, and people get sessions", serves),
    ("booted: in the sandbox, logins of every outcome, a changed password and an outage are as elsewhere", logins),
    ("booted: after a boot without the directory its users are there before the services that need them", boots),
    ("booted: an upgrade replaces the daemon, a purge takes the unit out", changes),
];

const UNIT: &str = "entrad.service";
const CONFIG: &str = "/etc/entra/entra.toml";
const HELPER: &str = "/usr/libexec/entra/krb5-helper";
/// How long a dialogue on a terminal may take on a busy machine.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
/// Of a planted user, before and after a change.
const OLD: &str = "Planted-Pass-1";
const NEW: &str = "Planted-Pass-2";

/// Asks as fast as it can until it is told to end; says what was not answered, and how often it asked.
const ASK: &str = r"
rm -f /run/enough; asked=0
while [ ! -e /run/enough ]; do
    getent passwd alice >/dev/null || echo unanswered $?
    asked=$((asked + 1))
done
echo asked $asked";

fn serves(world: &World) -> Verdict {
    let node = world.booted()?;
    // Nothing is started that is not configured.
    check::equal("before the join", &state(&node)?.as_str(), &"inactive dead disabled")?;
    let joined = product::join(&node)?;
    check::status("entractl join", &joined, 0)?;
    check::holds("entractl join", &joined.stdout, "entrad is enabled and started")?;
    check::equal("after the join", &state(&node)?.as_str(), &"active running enabled")?;
    sandbox(&node)?;

    let script = "echo session=$XDG_SESSION_ID runtime=$XDG_RUNTIME_DIR; cat /proc/self/cgroup; klist -s && echo ticket; \
                  loginctl --no-legend list-sessions";
    let seen = check::text("a login", product::ssh_as(&node, &ALICE, script)?)?;
    for part in
        ["runtime=/run/user/674001103", "user.slice/user-674001103.slice/session-", "ticket", " 674001103 alice"]
    {
        check::holds("the session", &seen, part)?;
    }
    let id = ["systemd-run", "--quiet", "--wait", "--pipe", "--uid=alice", "id", "-un"];
    check::equal("systemd-run --uid=alice", &check::text("systemd-run", node.run(&id)?)?.as_str(), &"alice")?;
    let log = node.must(&["journalctl", "--no-pager", "--unit", UNIT, "--output", "cat", "--priority", "info"])?;
    check::holds("the journal", &log, "audit: phase=authenticate user=\"alice\" ")?;
    replaced(&node)
}

/// Active and sub state, and whether the unit is enabled.
fn state(node: &Node) -> Result<String, String> {
    let script = "systemctl show --property ActiveState,SubState --value entrad; systemctl is-enabled entrad || true";
    Ok(check::text("the unit's state", node.sh(script, &[])?)?.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The first process of the service.
fn main_pid(node: &Node) -> Result<String, String> {
    Ok(node.must(&["systemctl", "show", "--property", "MainPID", "--value", UNIT])?)
}

/// What the unit says holds for each of its processes, as the kernel has it.
fn sandbox(node: &Node) -> Verdict {
    let tasks = node.must(&["cat", "/sys/fs/cgroup/system.slice/entrad.service/cgroup.procs"])?;
    let pids: Vec<&str> = tasks.lines().collect();
    check::that(pids.len() >= 2, || format!("worker and broker are not both there: {pids:?}"))?;
    for pid in pids {
        let status = node.read_file(&format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        check::equal("NoNewPrivs", &field("NoNewPrivs").as_str(), &"1")?;
        // systemd makes dozens of the unit's lines; the worker's own is one.
        let filters = field("Seccomp_filters").parse().unwrap_or(0);
        check::that(filters > 9, || format!("process {pid} has {filters} filters of system calls"))?;
        // The unit's eight, or less.
        let bound = u64::from_str_radix(&field("CapBnd"), 16).map_err(|error| error.to_string())?;
        check::equal("capabilities beyond the unit's", &(bound & !0x1ef), &0)?;
        let mounts = node.read_file(&format!("/proc/{pid}/mountinfo"))?;
        // All of them can be written in the node. /proc/sys cannot, whatever the unit says.
        for place in ["/usr", "/dev", "/sys/fs/cgroup"] {
            let options = mount_options(&mounts, place).unwrap_or_default();
            check::that(options.split(',').any(|one| one == "ro"), || {
                format!("process {pid} may write to {place} ({options}):\n{mounts}")
            })?;
        }
    }
    let rating = node.must(&["systemd-analyze", "security", "--no-pager", UNIT])?;
    let level = rating.lines().find_map(|line| line.split_once("for entrad.service: ")).map(|(_, level)| level);
    check::that(level.is_some_and(|level| level.contains(" OK") || level.contains(" MEDIUM")), || rating.clone())
}

/// Options of what is mounted at `place`, the topmost (proc_pid_mountinfo(5)).
fn mount_options<'a>(mounts: &'a str, place: &str) -> Option<&'a str> {
    let mut options = mounts.lines().rev().filter_map(|line| {
        let mut words = line.split_whitespace().skip(4);
        (words.next() == Some(place)).then(|| words.next())?
    });
    options.next()
}

/// Restarted by its administrator, killed by whatever: who looks somebody up does not notice.
fn replaced(node: &Node) -> Verdict {
    let first = main_pid(node)?;
    node.start("lookups", &["sh", "-c", ASK])?;
    check::text("a restart", node.run(&["systemctl", "restart", UNIT])?)?;
    let second = main_pid(node)?;
    check::that(second != first, || "the restart replaced nobody".into())?;
    node.must(&["kill", "-9", &second])?;
    let script = "for step in $(seq 200); do
                      [ \"$(systemctl show --property ActiveState --value entrad)\" = active ] &&
                      [ \"$(systemctl show --property MainPID --value entrad)\" != \"$1\" ] && exit; sleep 0.05; done; exit 1";
    check::text("a new daemon after a crash", node.sh(script, &[&second])?)?;
    node.put_file("/run/enough", "", 0o644)?;
    node.sh("for step in $(seq 100); do grep -q asked /var/log/lab-lookups.log && break; sleep 0.05; done", &[])?;
    let log = node.log("lookups")?;
    check::that(!log.contains("unanswered") && log.contains("asked"), || format!("meanwhile:\n{log}"))?;
    check::text("a login afterwards", product::ssh_as(node, &ALICE, "true")?).map(drop)
}

fn logins(world: &World) -> Verdict {
    let node = world.booted_and_joined()?;
    sandbox(&node)?;
    login::each_outcome(&node)?;
    let refused = |when: &str| {
        let output = product::ssh(&node, ALICE.sam, "not-hers", "true")?;
        check::holds(&format!("a wrong password {when}"), &output.stderr, "Permission denied")
    };
    refused("online")?;

    let config = node.read_file(CONFIG)?;
    configure(&node, &config.replace("entra-ds", "active-directory"))?;
    let changed = world.with_planted(&[Planted::user("planted", OLD)], |_| {
        let mut terminal = Terminal::start(&node, "su - planted -c passwd", LIMIT)?;
        password::answer(&mut terminal, &[("Current password: ", OLD), ("New password: ", NEW), ("Retype new", NEW)])?;
        check::holds("passwd", &terminal.finish()?.stdout, "Your password has been changed.")?;
        check::text("a login with the new one", product::ssh(&node, "planted", NEW, "klist -s")?).map(drop)
    });
    configure(&node, &config)?;
    changed?;

    offline::log_in_online(&node)?;
    world.lab.cut("dc")?;
    let away = product::ssh_as(&node, &ALICE, "true").map_err(String::from).and_then(|output| {
        check::text("a login in an outage", output)?;
        refused("in an outage")
    });
    world.mend()?;
    away?;
    filter(&node)
}

/// Replaces the configuration, and has the service read it.
fn configure(node: &Node, text: &str) -> Verdict {
    node.put_file(CONFIG, text, 0o644)?;
    check::text("a restart", node.run(&["systemctl", "restart", UNIT])?).map(drop)
}

/// What the service starts may make none of the calls that the unit's `SystemCallFilter=` leaves out: ptrace(2) here,
/// which needs no right, and which nothing else of the unit refuses.
fn filter(node: &Node) -> Verdict {
    // Its answer's descriptor stays open: who closes that has ended, for the broker.
    let script = "#!/bin/sh\nexec strace -qq -o /dev/null true 2>/run/lab/traced\n";
    node.must(&["mv", HELPER, "/run/lab/krb5-helper"])?;
    node.put_file(HELPER, script, 0o700)?;
    let outside = node.run(&[HELPER]);
    let inside = node.sh("rm -f /run/lab/traced; echo x | pamtester sshd alice authenticate; cat /run/lab/traced", &[]);
    node.must(&["mv", "/run/lab/krb5-helper", HELPER])?;
    check::status("a program that traces another one, outside of the unit", &outside?, 0)?;
    check::holds("the same in the unit", &inside?.stdout, "not permitted")
}

/// A service of an administrator's that runs as a user of the directory.
const AS_ALICE: &str = "[Unit]\nAfter=nss-user-lookup.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nUser=alice\n\
                        ExecStart=/bin/sh -c 'id -un; id -Gn'\n[Install]\nWantedBy=multi-user.target\n";

fn boots(world: &World) -> Verdict {
    let node = world.booted_and_joined()?;
    node.put_file("/etc/systemd/system/lab-as-alice.service", AS_ALICE, 0o644)?;
    node.must(&["systemctl", "--quiet", "enable", "lab-as-alice.service"])?;
    check::text("alice", node.run(&["id", "alice"])?)?;
    world.lab.cut("dc")?;
    let verdict = world.lab.reboot("booted").map_err(String::from).and_then(|node| booted_alone(&node));
    world.mend()?;
    verdict
}

fn booted_alone(node: &Node) -> Verdict {
    let failed = node.must(&["systemctl", "--no-pager", "--no-legend", "--plain", "--failed"])?;
    let log = node.must(&["journalctl", "--no-pager", "--boot", "--unit", UNIT, "--unit", "lab-as-alice"])?;
    check::that(failed.is_empty(), || format!("{failed}\n{log}"))?;
    check::holds("what ran as alice", &log, "]: alice\n")?;
    check::equal("the service", &state(node)?.as_str(), &"active running enabled")?;
    let at = |unit: &str, property: &str| -> Result<u64, String> {
        let value = node.must(&["systemctl", "show", "--property", property, "--value", unit])?;
        value.parse().map_err(|_| format!("{unit} has no {property}: {value}"))
    };
    let ready = at(UNIT, "ActiveEnterTimestampMonotonic")?;
    for later in ["nss-user-lookup.target", "systemd-user-sessions.service"] {
        let then = at(later, "ActiveEnterTimestampMonotonic")?;
        check::that(ready > 0 && ready <= then, || format!("{later} ({then}) before entrad was ready ({ready})"))?;
    }
    check::text("alice", node.run(&["getent", "passwd", "alice"])?).map(drop)
}

fn changes(world: &World) -> Verdict {
    let node = world.booted_and_joined()?;
    let before = main_pid(&node)?;
    let (version, folder) = repack::newer(&node)?;
    check::text("the upgrade", node.sh(&format!("apt-get --quiet --yes install {folder}/*.deb </dev/null"), &[])?)?;
    let installed = node.must(&["dpkg-query", "--show", "--showformat=${Version}", "entrad"])?;
    check::equal("the version", &installed, &version)?;
    check::equal("after the upgrade", &state(&node)?.as_str(), &"active running enabled")?;
    check::that(main_pid(&node)? != before, || "the old daemon still runs".into())?;
    check::status("testjoin", &node.run(&["entractl", "testjoin"])?, 0)?;

    world.purge(&node)?;
    let left = node.sh("systemctl --no-pager --no-legend --plain list-units --all 'entra*'; ls -d /run/entra", &[])?;
    check::equal("what a purge leaves", &left.stdout.trim(), &"")?;
    let links = node.must(&["find", "/etc/systemd", "/run/systemd", "-name", "entrad*"])?;
    check::equal("links of the unit", &links.as_str(), &"")?;
    let said = node.run(&["systemctl", "is-system-running"])?.stdout;
    check::equal("the system", &said.trim(), &"running")
}
