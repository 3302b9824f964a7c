//! What a host's own users, and whoever takes over a part of the daemon, find: no right, no secret, no way out.

use entra_lab::accounts::ALICE;
use entra_lab::{DEFAULT_LIMIT, Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("shield: the worker has no right and a filter of its own, the broker four capabilities", rights),
    ("shield: after logins neither worker nor broker remembers a password or a key of the machine", memory),
    ("shield: the daemon, traced from its start, opens nothing that it does not need", opened),
    ("shield: what the daemon calls, the unit's filter lets through", calls),
    ("shield: a user without rights reads no secret and speaks for nobody else", without_rights),
];

/// CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID.
const BROKER: u64 = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7;

/// Waits until the daemon answers, slow as a traced one is.
const ANSWERS: &str =
    "for step in $(seq 400); do entractl status >/dev/null 2>&1; [ $? = 3 ] || exit 0; sleep 0.05; done; exit 1";

fn rights(world: &World) -> Verdict {
    let node = world.joined()?;
    // Whatever they gave up, they work.
    check::text("a login", product::ssh_as(&node, &ALICE, "klist -s")?)?;
    let (worker, broker) = processes(&node)?;
    let entra = node.must(&["id", "-u", "entra"])?;
    check::equal("the worker's uid", &field(&node, &worker, "Uid")?, &[entra.as_str(); 4].join("\t"))?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        check::equal(set, &number(&node, &worker, set)?, &0)?;
    }
    check::equal("the worker's filter", &field(&node, &worker, "Seccomp")?.as_str(), &"2")?;
    for thread in node.must(&["ls", &format!("/proc/{worker}/task")])?.split_whitespace() {
        let filter = field(&node, &format!("{worker}/task/{thread}"), "Seccomp")?;
        check::equal("the filter of each thread", &filter.as_str(), &"2")?;
    }
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        check::equal(&format!("the broker's {set}"), &number(&node, &broker, set)?, &BROKER)?;
    }
    for set in ["CapInh", "CapAmb"] {
        check::equal(&format!("the broker's {set}"), &number(&node, &broker, set)?, &0)?;
    }
    for pid in [&worker, &broker] {
        check::equal("no_new_privs", &field(&node, pid, "NoNewPrivs")?.as_str(), &"1")?;
    }
    Ok(())
}

fn memory(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    // By each way that a password takes: a login, one that is wrong, one from a terminal's program, an offline one.
    let wrong = "Not-Her-Password-1";
    check::text("a login", product::ssh_as(&node, &ALICE, "true")?)?;
    check::that(!product::ssh(&node, ALICE.sam, wrong, "true")?.ok(), || "a wrong password was taken".into())?;
    world.lab.cut("dc")?;
    let offline = product::ssh_as(&node, &ALICE, "true");
    world.mend()?;
    check::text("an offline login", offline?)?;
    check::text("a login", product::ssh_as(&node, &ALICE, "true")?)?;

    let script = "/usr/local/lib/search-memory.py";
    node.put_file(script, include_str!("../../../../data/search-memory.py"), 0o644)?;
    // Holds both in its memory, and not in its arguments: what such a process looks like.
    let holder = r#"import sys, time
held = [bytes.fromhex(sys.argv[1]), open("/etc/krb5.keytab", "rb").read()]
time.sleep(600)"#;
    node.start("holder", &["python3", "-c", holder, &hex(ALICE.password.as_bytes())])?;
    let verdict = (|| {
        let utf16: Vec<u8> = ALICE.password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let secrets: [(&str, &[u8]); 5] = [
            ("password", ALICE.password.as_bytes()),
            ("password-utf16", &utf16),
            ("wrong-password", wrong.as_bytes()),
            ("keytab", b"/etc/krb5.keytab"),
            // Known to the worker, who asked the directory for her.
            ("known", b"CN=Alice"),
        ];
        let asked = secrets.map(|(name, bytes)| format!("{name} {}\n", hex(bytes))).concat();
        let (worker, broker) = processes(&node)?;
        let holder = node.must(&["cat", "/run/lab/holder.pid"])?;
        let words = ["python3", script, &worker, &broker, &holder];
        let found = check::text("the search", node.run_with(&words, Some(asked.as_bytes()), DEFAULT_LIMIT)?)?;
        let has = |pid: &str, what: &str| found.lines().any(|line| line.starts_with(&format!("{pid} {what} ")));
        for (pid, what) in [(&holder, "password"), (&holder, "keytab"), (&worker, "known"), (&broker, "bytes")] {
            check::that(has(pid, what), || format!("the search finds no {what} in {pid}, where it is:\n{found}"))?;
        }
        for pid in [&worker, &broker] {
            for secret in ["password", "password-utf16", "wrong-password", "keytab"] {
                check::that(!has(pid, secret), || {
                    format!("{secret} in the memory of {pid} (worker {worker}, broker {broker}):\n{found}")
                })?;
            }
        }
        Ok(())
    })();
    node.stop("holder")?;
    verdict
}

/// What the daemon may open: files, folders with all that is in them, and beginnings of names.
const NEEDED: [&str; 19] = [
    "/usr/sbin/entrad",
    "/usr/libexec/entra/krb5-helper",
    "/lib/x86_64-linux-gnu/",
    "/usr/lib/x86_64-linux-gnu/",
    "/etc/ld.so.cache",
    "/etc/entra/entra.toml",
    "/etc/krb5.keytab",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/localtime",
    "/etc/gss/mech.d",
    "/dev/null",
    "/dev/urandom",
    "/proc/self/",
    "/proc/sys/kernel/hostname",
    "/sys/devices/system/cpu/online",
    "/proc/meminfo",
];
/// What it may also write.
const OWN: [&str; 4] = ["/run/entra", "/var/lib/entra", "/tmp/krb5cc_674001103", "/dev/null"];

fn opened(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    let log = "/var/log/opened";
    let calls = "trace=execve,open,openat,openat2,creat,execveat";
    node.start("entrad", &["strace", "-f", "-qq", "-e", calls, "-o", log, "/usr/sbin/entrad", "--foreground"])?;
    let verdict = (|| {
        check::status("the traced daemon", &node.sh(ANSWERS, &[])?, 0)?;
        check::text("a login", product::ssh_as(&node, &ALICE, "klist -s && id many")?)?;
        let (worker, broker) = processes(&node)?;
        let trace = node.read_file(log)?;
        // "PID call(AT_FDCWD, "PATH", …) = RESULT"; what was refused or is not there was not opened.
        let mut seen = Vec::new();
        for line in trace.lines().filter(|line| !line.contains(") = -1 ")) {
            let (Some((pid, _)), Some(path)) = (line.split_once(' '), line.split('"').nth(1)) else { continue };
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag));
            seen.push((pid, path, writes));
        }
        let helpers: Vec<&str> =
            seen.iter().filter(|(_, path, _)| path.ends_with("/krb5-helper")).map(|(pid, ..)| *pid).collect();
        check::that(!helpers.is_empty(), || format!("no helper was traced:\n{trace}"))?;
        let within = |path: &str, list: &[&str]| {
            list.iter().any(|entry| path == *entry || (entry.ends_with('/') && path.starts_with(entry)))
        };
        for (pid, path, writes) in &seen {
            let own = OWN.iter().any(|entry| path.starts_with(entry));
            check::that(own || (!writes && within(path, &NEEDED)), || {
                format!(
                    "{pid} (worker {worker}, broker {broker}) opens {path}{}",
                    if *writes { " to write" } else { "" }
                )
            })?;
        }
        let keytab: Vec<&str> =
            seen.iter().filter(|(_, path, _)| *path == "/etc/krb5.keytab").map(|(pid, ..)| *pid).collect();
        check::that(!keytab.is_empty(), || "nobody read the keytab, and a login went through".into())?;
        let strangers: Vec<&&str> = keytab.iter().filter(|pid| !helpers.contains(pid) && **pid != broker).collect();
        check::that(strangers.is_empty(), || format!("{strangers:?} opened the keytab; worker {worker}:\n{trace}"))
    })();
    product::stop_daemon(&node)?;
    verdict
}

/// The unit's filter cannot be in force where systemd does not run: each call that was made is looked up in it.
fn calls(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.apt_install(&["systemd"])?;
    product::stop_daemon(&node)?;
    let log = "/var/log/calls";
    node.start("entrad", &["strace", "-f", "-qq", "-c", "-U", "name", "-o", log, "/usr/sbin/entrad", "--foreground"])?;
    check::status("the traced daemon", &node.sh(ANSWERS, &[])?, 0)?;
    check::text("a login", product::ssh_as(&node, &ALICE, "klist -s && id many")?)?;
    // The summary is written when the last of them has ended.
    let (worker, broker) = processes(&node)?;
    node.must(&["kill", &worker, &broker])?;
    let wait = "for step in $(seq 200); do grep -q seccomp /var/log/calls && exit; sleep 0.05; done; exit 1";
    check::status("the summary", &node.sh(wait, &[])?, 0)?;
    product::stop_daemon(&node)?;
    let unit = node.read_file("/usr/lib/systemd/system/entrad.service")?;
    let allowed = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter="));
    let mut known = Vec::new();
    for part in allowed.flat_map(str::split_whitespace) {
        expand(&node, part, &mut known)?;
    }
    let summary = node.read_file(log)?;
    let made: Vec<&str> = summary.split_whitespace().filter(|word| word.starts_with(char::is_alphabetic)).collect();
    check::that(made.contains(&"execve") && made.contains(&"setresuid"), || format!("too little: {summary}"))?;
    // Headings of the table.
    let missing: Vec<&&str> = made.iter().filter(|call| !known.iter().any(|it| it == **call)).collect();
    check::equal("calls that the unit's filter refuses", &missing, &vec![&"syscall", &"total"])
}

/// A call, or the calls of a set and of the sets in it.
fn expand(node: &Node, name: &str, known: &mut Vec<String>) -> Verdict {
    if !name.starts_with('@') {
        known.push(name.to_owned());
        return Ok(());
    }
    let set = node.must(&["systemd-analyze", "syscall-filter", name])?;
    // The set's own name, and what it is for.
    set.lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .try_for_each(|line| expand(node, line, known))
}

fn without_rights(world: &World) -> Verdict {
    let node = world.joined()?;
    // There is something to read: a ticket, a verifier.
    let ccache = check::text("a login", product::ssh_as(&node, &ALICE, "echo ${KRB5CCNAME#FILE:}")?)?;
    let keep = "klist -s && cp ${KRB5CCNAME#FILE:} /tmp/alices && chmod 600 /tmp/alices";
    check::text("a ticket that stays", product::ssh_as(&node, &ALICE, keep)?)?;
    let (worker, broker) = processes(&node)?;
    let (memory, descriptors) = (format!("/proc/{worker}/mem"), format!("/proc/{broker}/fd/0"));
    for path in [
        "/etc/krb5.keytab",
        "/var/lib/entra/credentials.db",
        "/var/lib/entra/identity.db",
        "/run/entra/private/machine.ccache",
        "/tmp/alices",
        &memory,
        &descriptors,
    ] {
        // It is there: root reads its first byte (a process' memory begins further on).
        let there = node.sh("test -e \"$1\" || test -L \"$1\"", &[path])?;
        check::status(&format!("{path} is there"), &there, 0)?;
        let read = node.sh("runuser -u localuser -- head -c 1 \"$1\"", &[path])?;
        check::that(!read.ok() && read.stderr.contains("Permission denied"), || {
            format!("localuser read {path}: {}", read.describe())
        })?;
    }
    check::holds("the name of her ccache", &ccache, "/tmp/krb5cc_674001103")?;
    let denied = |what: &str, script: &str, part: &str| -> Verdict {
        let output = node.sh(&format!("runuser -u localuser -- {script}"), &[])?;
        check::that(!output.ok(), || format!("{what} was done: {}", output.describe()))?;
        check::holds(what, &(output.stdout + &output.stderr), part)
    };
    for path in ["cache.map", "nss.sock", "pam.sock", "ctl.sock"] {
        denied("replacing what the modules believe", &format!("rm -f /run/entra/{path}"), "Permission denied")?;
    }
    for pid in [&worker, &broker] {
        denied("ending the daemon", &format!("sh -c 'kill {pid}'"), "not permitted")?;
    }
    denied("flushing the cache", "entractl cache flush", "root")?;
    // With her own password: it is not the password that is refused. The same words as root open the account.
    let pamtester = ["pamtester", "lab-entra", ALICE.sam, "authenticate"];
    node.put_file("/etc/pam.d/lab-entra", "auth required pam_entra.so\naccount required pam_entra.so\n", 0o644)?;
    let password = format!("{}\n", ALICE.password);
    let ask = |user: &str| {
        let words = [["runuser", "-u", user, "--"].as_slice(), &pamtester].concat();
        node.run_with(&words, Some(password.as_bytes()), DEFAULT_LIMIT)
    };
    check::text("root with her password", ask("root")?)?;
    let other = ask("localuser")?;
    check::that(!other.ok(), || "a local user proved somebody else's password through PAM".into())
}

/// PIDs of the worker and the broker in the node.
fn processes(node: &Node) -> Result<(String, String), String> {
    let worker = node.must(&["pgrep", "-x", "-u", "entra", "entrad"])?;
    let broker = node.must(&["pgrep", "-x", "-u", "root", "entrad"])?;
    for pid in [&worker, &broker] {
        check::that(pid.parse::<u32>().is_ok(), || format!("one worker and one broker, not {worker:?}, {broker:?}"))?;
    }
    Ok((worker, broker))
}

/// A field of /proc/PID/status.
fn field(node: &Node, pid: &str, name: &str) -> Result<String, String> {
    let text = node.must(&["cat", &format!("/proc/{pid}/status")])?;
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    Ok(value.ok_or_else(|| format!("no {name} in {text}"))?.trim().to_owned())
}

fn number(node: &Node, pid: &str, name: &str) -> Result<u64, String> {
    u64::from_str_radix(&field(node, pid, name)?, 16).map_err(|error| format!("{name}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
