//! The machine's password: changed by hand, by age, under an open SMB session, and broken off at every step.

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use super::samba::serving;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("keytab: changed with an SMB client connected, which stays, and new ones get in", connected),
    ("keytab: a change killed at each step is brought to its end", killed),
    ("keytab: entrad changes it by age, and takes up what was broken off", by_age),
];

/// Where a change is killed: a system call of its main thread and its how manyth.
const STEPS: [(&str, &str); 8] = [
    ("before the journal", "rename:signal=KILL:when=1"),
    ("before the ticket that lets it change", "connect:signal=KILL:when=2"),
    ("before the directory is told", "connect:signal=KILL:when=3"),
    ("after the directory was told", "connect:signal=KILL:when=4"),
    ("before the key version is known", "connect:signal=KILL:when=5"),
    ("with the new keys beside the keytab", "unlink:signal=KILL:when=3"),
    ("before the keytab is replaced", "rename:signal=KILL:when=2"),
    ("before the journal is removed", "unlink:signal=KILL:when=5"),
];

fn connected(world: &World) -> Verdict {
    let server = serving::ready(world)?;
    under_a_session(&server, &serving::other(world)?, serving::SERVER)?;
    changed_by_samba(&server, "`net ads keytab create -P`", &[])
}

/// Has Samba change the password against its settings: the keytab is behind, which `testjoin` says, and the `remedy` that
/// it names, `net ads keytab create` with these options, brings it back.
pub fn changed_by_samba(server: &Node, remedy: &str, options: &[&str]) -> Verdict {
    let newest = newest(server)?;
    check::text("wbinfo -c", server.run(&["wbinfo", "-c"])?)?;
    check::equal("key version after Samba's own change", &self::newest(server)?, &newest)?;
    let behind = server.run(&["entractl", "testjoin"])?;
    check::status("testjoin with the keytab of before", &behind, 1)?;
    check::holds("what it says", &behind.stdout, "the directory has another key for this machine")?;
    check::holds("the way back", &behind.stdout, remedy)?;
    check::text("the way back", server.run(&[&["net", "ads", "keytab", "create", "-P"], options].concat())?)?;
    for _ in 0..2 {
        check::text("rotate", server.run(&["entractl", "keytab", "rotate"])?)?;
    }
    all_agree(server)
}

/// Changes the password of a file server, which clients call `name`, while a session of alice's is open.
pub fn under_a_session(server: &Node, client: &Node, name: &str) -> Verdict {
    serving::ticket(client, "alice", ALICE.password)?;
    server.must(&["sh", "-c", "rm -f /srv/share/before /srv/share/after /srv/share/old"])?;
    let session = format!(
        "rm -f /tmp/go; {{ echo 'put /etc/hostname before'; while ! [ -e /tmp/go ]; do sleep 0.1; done; \
         echo 'put /etc/hostname after'; }} | KRB5CCNAME={} smbclient //{name}/share --use-kerberos=required -N",
        serving::ccache("alice")
    );
    client.stop("smb-session")?;
    client.start("smb-session", &["sh", "-c", &session])?;
    let there = |file: &str| Ok(server.outside_path(&format!("/srv/share/{file}")).exists());
    serving::until("the session writes", || there("before"))?;
    let (kvno, pid) = (newest(server)?, session_pid(server)?);
    check::text("rotate", server.run(&["entractl", "keytab", "rotate"])?)?;
    check::equal("key version", &newest(server)?, &(kvno + 1))?;
    let versions = server.must(&["sh", "-c", "klist -k /etc/krb5.keytab | awk '/@/ {print $1}' | sort -un | xargs"])?;
    check::equal("versions in the keytab", &versions, &format!("{kvno} {}", kvno + 1))?;
    // A ticket for the key of before, and a new one.
    check::text("with the old ticket", serving::smb_at(client, name, "alice", "share", "put /etc/hostname old")?)?;
    serving::ticket(client, "alice", ALICE.password)?;
    check::text("with a new ticket", serving::smb_at(client, name, "alice", "share", "ls")?)?;
    check::equal("process of the open session", &session_pid(server)?, &pid)?;
    client.must(&["touch", "/tmp/go"])?;
    serving::until("the open session goes on", || there("after"))?;
    all_agree(server)
}

fn killed(world: &World) -> Verdict {
    let node = serving::ready(world)?;
    let mut resumed = 0;
    for (step, point) in STEPS {
        let inject = format!("inject={point}");
        let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject, "entractl", "keytab", "rotate"];
        let output = node.run(&words)?;
        check::that(!output.ok(), || format!("{step}: it was not killed: {}", output.describe()))?;
        let again = check::text(step, node.run(&["entractl", "keytab", "rotate"])?)?;
        resumed += usize::from(again.contains("broken off"));
        all_agree(&node).map_err(|error| format!("killed {step}: {error}"))?;
        let left = node.must(&["sh", "-c", "ls -A /etc/entra | grep -c '^rotation' || true"])?;
        check::equal(&format!("killed {step}: notes left"), &left.as_str(), &"0")?;
    }
    // What was begun may have reached the directory: that the next run reaches nobody is no reason to forget it.
    let cut_off = |what: &str| {
        let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", what, "entractl", "keytab", "rotate"];
        let output = node.run(&words)?;
        check::that(!output.ok(), || format!("{what}: {}", output.describe()))?;
        check::that(node.outside_path("/etc/entra/rotation").exists(), || format!("{what}: the journal is gone"))
    };
    cut_off("inject=connect:signal=KILL:when=3")?;
    cut_off("inject=connect:error=ECONNREFUSED:when=3+")?;
    let again = check::text("with the network again", node.run(&["entractl", "keytab", "rotate"])?)?;
    check::holds("what it says", &again, "broken off")?;
    all_agree(&node)?;
    // Samba cannot be told: directory and keytab have the password, and the next run tells it.
    node.must(&["mv", "/usr/bin/net", "/usr/bin/net.away"])?;
    let untold = node.run(&["entractl", "keytab", "rotate"]);
    node.must(&["mv", "/usr/bin/net.away", "/usr/bin/net"])?;
    let untold = untold?;
    check::status("without Samba's program", &untold, 1)?;
    check::holds("what it says", &untold.stderr, "Samba was not told")?;
    check::text("entractl testjoin", node.run(&["entractl", "testjoin"])?)?;
    check::text("told afterwards", node.run(&["entractl", "keytab", "rotate"])?)?;
    all_agree(&node)?;
    check::that(resumed >= 4, || format!("only {resumed} of {} changes were taken up again", STEPS.len()))
}

fn by_age(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    let config = node.read_file("/etc/entra/entra.toml")?;
    let table = "[domains.\"aadds.contoso.com\"]\n";
    node.put_file(
        "/etc/entra/entra.toml",
        config.replacen(table, &format!("{table}keytab_max_age = \"1s\"\n"), 1),
        0o644,
    )?;
    let kvno = newest(&node)?;
    product::start_daemon(&node)?;
    serving::until("keys of a second are changed", || Ok(newest(&node)? > kvno))?;
    check::text("testjoin", node.run(&["entractl", "testjoin"])?)?;
    product::stop_daemon(&node)?;
    // The directory has the new password, the keytab has not: nothing but the journal helps.
    node.put_file("/etc/entra/entra.toml", &config, 0o644)?;
    let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=rename:signal=KILL:when=2"];
    node.run(&[words.as_slice(), &["entractl", "keytab", "rotate"]].concat())?;
    let torn = node.run(&["entractl", "testjoin"])?;
    check::status("testjoin with half a change", &torn, 1)?;
    check::holds("its remedy", &torn.stdout, "entractl keytab rotate")?;
    product::start_daemon(&node)?;
    serving::until("it is brought to its end", || Ok(node.run(&["entractl", "testjoin"])?.ok()))?;
    check::that(!node.outside_path("/etc/entra/rotation").exists(), || "the journal stayed".into())
}

/// Directory, keytab and Samba have the same password.
pub fn all_agree(node: &Node) -> Verdict {
    for words in [["entractl", "testjoin", ""], ["net", "ads", "testjoin"], ["wbinfo", "-t", ""]] {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        check::text(&words.join(" "), node.run(&words)?)?;
    }
    Ok(())
}

fn newest(node: &Node) -> Result<u32, String> {
    let text = node.must(&["sh", "-c", "klist -k /etc/krb5.keytab | awk '/\\$@/ {print $1}' | sort -n | tail -1"])?;
    text.parse().map_err(|_| format!("no key version in {text:?}"))
}

/// The smbd process that serves the open session.
fn session_pid(node: &Node) -> Result<String, String> {
    Ok(node.must(&["sh", "-c", "smbstatus -p | awk '/alice/ {print $1}' | sort -n | head -1"])?)
}
