//! `entractl check`: each of the faults that hosts really have, made and repaired, and the line that names it with its
//! remedy.

use std::time::{Duration, Instant};

use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("check: a joined host is in order", in_order),
    ("check: every fault of the network is named, with its remedy", network),
    ("check: every fault of the join is named, with its remedy", join),
    ("check: every fault of configuration and daemon is named, with its remedy", daemon),
    ("check: every fault of nsswitch.conf is named, with its remedy", nss),
    ("check: every fault of the PAM stacks is named, with its remedy", pam),
];

/// A fault: what it is called, how it comes about and goes (shell; empty: nothing to do), which topic sees it, and parts
/// of the one line that must name it: mark, what is wrong, remedy.
struct Fault {
    name: &'static str,
    cause: &'static str,
    repair: &'static str,
    topic: &'static str,
    line: [&'static str; 3],
}

const fn fault(
    name: &'static str,
    cause: &'static str,
    repair: &'static str,
    topic: &'static str,
    line: [&'static str; 3],
) -> Fault {
    Fault { name, cause, repair, topic, line }
}

/// Saves a file, and puts it back.
macro_rules! edited {
    ($name:expr, $file:literal, $edit:expr, $topic:expr, $line:expr) => {
        fault(
            $name,
            concat!("cp -p ", $file, " /root/saved && ", $edit),
            concat!("cp -p /root/saved ", $file, " && rm /root/saved"),
            $topic,
            $line,
        )
    };
}

/// A DNS server that answers, and knows nothing.
const EMPTY_DNS: &str = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.53", 53))
while True:
    question, client = server.recvfrom(512)
    end = question.index(b"\0", 12) + 5
    server.sendto(question[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question[12:end], client)
"#;

const NETWORK: &[Fault] = &[
    edited!(
        "a DNS server without the records",
        "/etc/resolv.conf",
        "echo nameserver 127.0.0.53 >/etc/resolv.conf",
        "dns",
        ["fail", "has no SRV record _ldap._tcp.dc._msdcs.aadds.contoso.com", "entractl dns set"]
    ),
    edited!(
        "a dead DNS server",
        "/etc/resolv.conf",
        "echo nameserver 127.0.0.77 >/etc/resolv.conf",
        "dns",
        ["fail", "127.0.0.77", "entractl dns set"]
    ),
    edited!(
        "no DNS server at all",
        "/etc/resolv.conf",
        "echo '# nothing' >/etc/resolv.conf",
        "dns",
        ["fail", "no DNS server is known", "entractl dns set"]
    ),
    edited!(
        "a domain controller that is none",
        "/etc/entra/entra.toml",
        "sed -i '/^preset/a servers = [\"10.53.0.20\"]' /etc/entra/entra.toml",
        "connect",
        ["fail", "port 88 of 10.53.0.20 is closed", "open TCP 88"]
    ),
    edited!(
        "a closed LDAP port",
        "/etc/entra/entra.toml",
        "sed -i '/^preset/a servers = [\"10.53.0.10:3899\"]' /etc/entra/entra.toml",
        "connect",
        ["fail", "port 3899 of 10.53.0.10 is closed", "open TCP 88 (Kerberos) and 389 (LDAP)"]
    ),
    fault(
        "nobody who keeps the time",
        "",
        "",
        "clock",
        ["warn", "no program that keeps the time runs", "apt-get install chrony"],
    ),
];

const JOIN: &[Fault] = &[
    fault(
        "a keytab that is gone",
        "mv /etc/krb5.keytab /root/saved",
        "mv /root/saved /etc/krb5.keytab",
        "join",
        ["fail", "/etc/krb5.keytab: No such file", "join again"],
    ),
    fault(
        "a keytab that others can read",
        "chmod 644 /etc/krb5.keytab",
        "chmod 600 /etc/krb5.keytab",
        "security",
        ["fail", "mode 0644 are not root and 0600", "chmod 600"],
    ),
    fault(
        "a keytab of another realm",
        "mv /etc/krb5.keytab /root/saved; printf 'addent -password -p host/x@OTHER -k 1 -e aes256-cts\\nsecret\\nwkt \
         /etc/krb5.keytab\\nq\\n' | ktutil >/dev/null",
        "mv /root/saved /etc/krb5.keytab",
        "join",
        ["fail", "no key of this machine in AADDS.CONTOSO.COM", "join again"],
    ),
    fault(
        "a keytab with an RC4 key",
        "cp -p /etc/krb5.keytab /root/saved; printf 'addent -password -p host/x@AADDS.CONTOSO.COM -k 1 -e \
         arcfour-hmac\\nsecret\\nwkt /etc/krb5.keytab\\nq\\n' | ktutil >/dev/null",
        "mv /root/saved /etc/krb5.keytab",
        "security",
        ["fail", "encryption type 23, which is not AES", "join again"],
    ),
    edited!(
        "krb5.conf without our folder",
        "/etc/krb5.conf",
        "sed -i '/^includedir/d' /etc/krb5.conf",
        "security",
        ["fail", "does not include /etc/krb5.conf.d", "includedir /etc/krb5.conf.d/"]
    ),
    edited!(
        "krb5 settings that were weakened",
        "/etc/krb5.conf.d/entra.conf",
        "sed -i 's/aes128-cts-hmac-sha1-96/arcfour-hmac/' /etc/krb5.conf.d/entra.conf",
        "security",
        ["fail", "permitted_enctypes does not name AES alone", "entractl join"]
    ),
];

const DAEMON: &[Fault] = &[
    edited!(
        "a configuration that is broken",
        "/etc/entra/entra.toml",
        "sed -i '1i cache_tll = \"1h\"' /etc/entra/entra.toml",
        "nss",
        ["fail", "entra.toml:1:1", "correct that place"]
    ),
    edited!(
        "id ranges that overlap",
        "/etc/entra/entra.toml",
        "printf '\\n[domains.\"other.example\"]\\nid_mapping = \"rid\"\\nid_range = \"674000000-674999999\"\\n' \
         >>/etc/entra/entra.toml",
        "nss",
        ["fail", "overlap", "correct that place"]
    ),
    edited!(
        "a configuration that others can write",
        "/etc/entra/entra.toml",
        "chmod 666 /etc/entra/entra.toml",
        "security",
        ["fail", "can be written by others than root", "chmod 644"]
    ),
    fault(
        "a socket that is gone",
        "mv /run/entra/nss.sock /run/entra/gone",
        "mv /run/entra/gone /run/entra/nss.sock",
        "nss",
        ["fail", "entrad runs, and its socket /run/entra/nss.sock is gone", "systemctl restart entrad"],
    ),
    fault(
        "a place for tickets where nobody can write",
        "chmod 755 /tmp",
        "chmod 1777 /tmp",
        "pam",
        ["fail", "users cannot write their tickets in /tmp", "chmod 1777 /tmp"],
    ),
];

const STOPPED: &[Fault] = &[
    fault(
        "a daemon that is not running",
        "",
        "",
        "nss",
        ["fail", "nobody listens on /run/entra/nss.sock", "systemctl start entrad"],
    ),
    fault(
        "a record of ids full of zeros",
        "cp -p /var/lib/entra/idmap.db /root/saved; head -c 8192 /dev/zero >/var/lib/entra/idmap.db",
        "cp -p /root/saved /var/lib/entra/idmap.db; rm /root/saved",
        "nss",
        ["fail", "/var/lib/entra/idmap.db", "restore it from a backup"],
    ),
    fault(
        "a cache full of zeros",
        "rm -f /var/lib/entra/identity.db*; head -c 8192 /dev/zero >/var/lib/entra/identity.db",
        "rm /var/lib/entra/identity.db",
        "nss",
        ["fail", "/var/lib/entra/identity.db is damaged", "it begins the file anew"],
    ),
];

const NSS: &[Fault] = &[
    edited!(
        "nsswitch.conf without entra",
        "/etc/nsswitch.conf",
        "sed -i 's/ entra//' /etc/nsswitch.conf",
        "nss",
        ["fail", "does not ask entra (passwd:", "edit /etc/nsswitch.conf or reinstall libnss-entra"]
    ),
    edited!(
        "entra before files",
        "/etc/nsswitch.conf",
        "sed -i 's/^passwd:.*/passwd: entra files systemd/' /etc/nsswitch.conf",
        "nss",
        ["fail", "asks entra before local sources", "files systemd entra"]
    ),
    edited!(
        "a foreign line that asks entra",
        "/etc/nsswitch.conf",
        "sed -i 's/^shadow:.*/shadow: files entra/' /etc/nsswitch.conf",
        "nss",
        ["fail", "asks entra for shadow, which it does not serve", "take entra out of the line shadow:"]
    ),
    edited!(
        "another directory client in nsswitch.conf",
        "/etc/nsswitch.conf",
        "sed -i 's/^group:.*/& sss/' /etc/nsswitch.conf",
        "nss",
        ["warn", "asks sss too", "take sss out"]
    ),
    fault(
        "a module that is gone",
        "mv /usr/lib/x86_64-linux-gnu/libnss_entra.so.2 /root/saved",
        "mv /root/saved /usr/lib/x86_64-linux-gnu/libnss_entra.so.2",
        "nss",
        ["fail", "libnss_entra.so.2 is not installed", "apt-get install libnss-entra"],
    ),
    fault(
        "a module that does not load",
        "cp -p /usr/lib/x86_64-linux-gnu/libnss_entra.so.2 /root/saved; mv /usr/lib/x86_64-linux-gnu/libnss_entra.so.2 \
         /root/moved; echo rubbish >/usr/lib/x86_64-linux-gnu/libnss_entra.so.2",
        "mv /root/moved /usr/lib/x86_64-linux-gnu/libnss_entra.so.2; rm /root/saved",
        "nss",
        ["fail", "libnss_entra.so.2: ", "reinstall libnss-entra"],
    ),
];

const PAM: &[Fault] = &[
    fault(
        "a PAM profile that is not enabled",
        "pam-auth-update --package --remove entra",
        "pam-auth-update --enable entra",
        "pam",
        ["fail", "common-auth does not ask pam_entra.so for auth", "pam-auth-update --enable entra"],
    ),
    edited!(
        "a stack that was edited so that the right password is refused",
        "/etc/pam.d/common-auth",
        "sed -i '/pam_entra/s/success=1/success=0/' /etc/pam.d/common-auth",
        "pam",
        ["fail", "the right password leads from pam_entra.so to pam_deny.so", "pam-auth-update --force"]
    ),
    edited!(
        "a stack that locks local users out",
        "/etc/pam.d/common-auth",
        "sed -i '/pam_entra/s/\\[.*\\]/required/' /etc/pam.d/common-auth",
        "pam",
        ["fail", "users of this host are locked out", "pam-auth-update --force"]
    ),
    edited!(
        "a stack that pam-auth-update no longer manages",
        "/etc/pam.d/common-auth",
        "sed -i '/^#/d' /etc/pam.d/common-auth",
        "pam",
        ["warn", "common-auth was edited by hand", "pam-auth-update --force"]
    ),
    edited!(
        "another directory client in the PAM stack",
        "/etc/pam.d/common-auth",
        "echo 'auth sufficient pam_winbind.so' >>/etc/pam.d/common-auth",
        "pam",
        ["warn", "pam_winbind.so is asked for passwords too", "pam-auth-update"]
    ),
    fault(
        "nobody who makes home directories",
        "pam-auth-update --package --remove entra-mkhomedir",
        "pam-auth-update --enable entra-mkhomedir",
        "pam",
        ["warn", "nobody makes home directories", "pam-auth-update --enable entra-mkhomedir"],
    ),
    fault(
        "a PAM module that is gone",
        "mv /usr/lib/x86_64-linux-gnu/security/pam_entra.so /root/saved",
        "mv /root/saved /usr/lib/x86_64-linux-gnu/security/pam_entra.so",
        "pam",
        ["fail", "pam_entra.so is not installed", "apt-get install libpam-entra"],
    ),
];

fn in_order(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let output = node.run(&["entractl", "check"])?;
    check::status("check", &output, 0)?;
    check::that(!output.stdout.contains("\nfail"), || output.stdout.clone())
}

fn network(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.start("empty-dns", &["python3", "-c", EMPTY_DNS])?;
    let verdict = each(&node, NETWORK);
    node.stop("empty-dns")?;
    verdict?;
    node.apt_install(&["faketime"])?;
    let late = node.run(&["faketime", "-f", "-10m", "entractl", "check", "clock"])?;
    named("a clock that is ten minutes behind", &late, ["fail", " s behind dc1", "timedatectl set-ntp true"])
}

fn join(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    each(&node, JOIN)?;
    let dc = world.dc()?;
    let seen = |name: &str, cause: &[&str], repair: &[&str], line: [&str; 3]| {
        dc.must(&[&["samba-tool"], cause].concat())?;
        let output = node.run(&["entractl", "check", "join"])?;
        if !repair.is_empty() {
            dc.must(&[&["samba-tool"], repair].concat())?;
        }
        named(name, &output, line)
    };
    let account = ["CLIENT2$"];
    seen(
        "a computer account that is disabled",
        &[&["user", "disable"], &account[..]].concat(),
        &[&["user", "enable"], &account[..]].concat(),
        ["fail", "the account of this machine is disabled", "have it enabled"],
    )?;
    seen(
        "a key that is no longer the directory's",
        &[&["user", "setpassword"], &account[..], &["--newpassword=Other-Pass-1!"]].concat(),
        &[],
        ["fail", "the directory has another key for this machine", "join again"],
    )?;
    seen(
        "a computer account that was deleted",
        &["computer", "delete", "CLIENT2"],
        &[],
        ["fail", "the directory has no account for this machine: it was deleted", "join again"],
    )
}

fn daemon(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    node.must(&["getent", "passwd", "alice"])?;
    each(&node, DAEMON)?;
    product::stop_daemon(&node)?;
    each(&node, STOPPED)?;
    product::start_daemon(&node)?;
    node.must(&["getent", "passwd", "alice"]).map(drop)?;
    Ok(())
}

fn nss(world: &World) -> Verdict {
    each(&world.freshly_joined()?, NSS)
}

fn pam(world: &World) -> Verdict {
    each(&world.freshly_joined()?, PAM)
}

/// Causes and repairs each fault, looks for its line, and for that line's absence afterwards.
fn each(node: &Node, faults: &[Fault]) -> Verdict {
    let mut wrong = Vec::new();
    for fault in faults {
        let lasting = fault.cause.is_empty();
        if !lasting {
            check::status(&format!("cause {}", fault.name), &node.sh(fault.cause, &[])?, 0)?;
        }
        let begun = Instant::now();
        let output = node.run(&["entractl", "check", fault.topic]);
        let took = begun.elapsed();
        if !lasting {
            check::status(&format!("repair {}", fault.name), &node.sh(fault.repair, &[])?, 0)?;
        }
        wrong.extend(named(fault.name, &output?, fault.line).err());
        if took > Duration::from_secs(30) {
            wrong.push(format!("{}: the check took {} s", fault.name, took.as_secs()));
        }
        if !lasting {
            let after = node.run(&["entractl", "check", fault.topic])?;
            if named(fault.name, &after, fault.line).is_ok() {
                wrong.push(format!("{}: named although it was repaired:\n{}", fault.name, after.stdout));
            }
        }
    }
    check::that(wrong.is_empty(), || wrong.join("\n"))
}

/// Insists on one line with these parts in this order; a failure also shows in the exit status.
fn named(name: &str, output: &Output, [mark, what, remedy]: [&str; 3]) -> Verdict {
    let has = |line: &&str| {
        let (said, advice) = line.split_once(" -> ").unwrap_or((line, ""));
        said.starts_with(mark) && said.contains(what) && advice.contains(remedy)
    };
    let line = output.stdout.lines().find(has);
    check::that(line.is_some(), || {
        format!("{name}: no line `{mark} … {what} … -> … {remedy}` in {}", output.describe())
    })?;
    // 3 and 4 where nothing else is wrong than that the daemon or the directory cannot be reached.
    let wanted = match (mark, what) {
        ("fail", "nobody listens on /run/entra/nss.sock") => 3,
        ("fail", away) if away.starts_with("port ") || away == "127.0.0.77" => 4,
        ("fail", _) => 1,
        _ => 0,
    };
    check::equal(&format!("{name}: exit status"), &output.status, &wanted)
}
