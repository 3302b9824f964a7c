//! The lab of the fault table: two domain controllers, a joined client, what is true of its users, and the load.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use entra_chaos::Tally;
use entra_lab::{Lab, Node, Options, product, second};

/// PAM service with our module alone: pam_unix would add its own two seconds to each refusal.
const SERVICE: &str = "chaos";
/// Users that are looked up before each row, by name, uid and with their groups.
const KNOWN: [&str; 8] = ["alice", "bob", "many", "nested", "user0001", "user0002", "user0003", "user0004"];
/// Who logs in with the right password.
const RIGHT: [(&str, &str); 3] = [("alice", "Alice-Pass-1"), ("bob", "Bob-Pass-1"), ("many", "Many-Pass-1")];
/// Who is tried with a wrong one: carol was here before, so that wrong passwords are judged without the domain too.
const WRONG: [&str; 3] = ["carol", "ivan", "nested"];
const CAROL: (&str, &str) = ("carol", "Carol-Pass-1");
/// First id of the domain's range: a uid is this and the RID.
const FIRST_ID: u32 = 674_000_000;
/// Longest that anything here waits for the product to be well again.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Lookups are an ordinary user's. Where the host's clock is faked, CLOCK_MONOTONIC is not: on a real host it stays.
const AS_LOCALUSER: [&str; 6] =
    ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "setpriv", "--reuid=localuser", "--regid=localuser", "--clear-groups"];

/// The lab and what is known of it.
pub struct Stage {
    pub lab: Lab,
    pub client: Node,
    pub dc: Node,
    pub dc2: Node,
    /// Users of the directory that nothing has asked for, in the order in which they are used up.
    fresh: Vec<(String, u32)>,
    /// How many of them are used up from the front (by loads) and from the back (by waits).
    used: Cell<(usize, usize)>,
    load: Cell<usize>,
    /// What a fault noted when it began, for its proof.
    pub noted: Cell<u64>,
    pub quick: bool,
}

impl Stage {
    /// Brings everything up: from nothing unless the lab is there already.
    pub fn up(name: &str, load: &Path, quick: bool) -> Result<Self, String> {
        let nodes = ["dc", "dc2", "client"].map(str::to_owned).to_vec();
        let lab = Lab::up(&Options { name: name.into(), nodes })?;
        let (client, dc, dc2) = (lab.node("client")?, lab.node("dc")?, lab.node("dc2")?);
        if !client.outside_path("/usr/sbin/entrad").exists() {
            product::install(&client, &product::packages_dir())?;
        }
        if !client.outside_path("/etc/krb5.keytab").exists() {
            product::join(&client)?.text()?;
        }
        second::wait_for_account(&dc, &dc2, "CLIENT1$")?;
        // Wrong passwords are part of the load: none of them may lock an account.
        dc.must(&["samba-tool", "domain", "passwordsettings", "set", "--account-lockout-threshold=0"])?;
        let program = std::fs::read(load).map_err(|error| format!("{}: {error}", load.display()))?;
        client.put_file("/usr/local/bin/chaos-load", program, 0o755)?;
        client.put_file(
            &format!("/etc/pam.d/{SERVICE}"),
            "auth required pam_entra.so\naccount required pam_entra.so\n",
            0o644,
        )?;
        client.put_file("/etc/resolv.conf", resolvers(), 0o644)?;
        let fresh = fresh(&dc)?;
        let stage = Self {
            lab,
            client,
            dc,
            dc2,
            fresh,
            used: Cell::new((0, 0)),
            load: Cell::new(0),
            noted: Cell::new(0),
            quick,
        };
        product::stop_daemon(&stage.client)?;
        // In a lab that is used again, a stop of an earlier load would end ours before it has asked anything.
        stage.client.sh("rm -f /var/lib/entra/identity.db* /run/chaos/stop-*", &[])?.text()?;
        stage.ticket_of_the_first()?;
        stage.write_truth()?;
        Ok(stage)
    }

    /// Brings everything into the state in which a row begins: both domain controllers there, the daemon running, users
    /// known that the load calls cached.
    pub fn well(&self) -> Result<(), String> {
        for node in ["dc", "dc2"] {
            if !self.lab.is_connected(node)? {
                self.lab.mend(node)?;
            }
        }
        Lab::up(&Options { name: self.lab.name().into(), nodes: vec!["dc".into(), "dc2".into()] })?;
        product::start_daemon(&self.client)?;
        self.until_back()?;
        self.client.must(&[&["id"], &KNOWN[..1]].concat())?;
        for name in KNOWN {
            self.client.must(&["getent", "passwd", name])?;
            self.client.must(&["id", "-G", name])?;
        }
        for (name, password) in RIGHT.into_iter().chain([CAROL]) {
            let output = self.login(name, password)?;
            if !output.ok() {
                return Err(format!("{name} cannot log in before anything is broken: {}", output.describe()));
            }
            let ready = r#"for step in $(seq 200); do entractl user "$1" | grep -q 'ready until' && exit; sleep 0.1; done; exit 1"#;
            self.client.sh(ready, &[name])?.text()?;
        }
        Ok(())
    }

    /// Has the machine get its ticket at the first domain controller. Samba 4.17's KDC aborts at tickets of Samba 4.22's
    /// (krb5_pac_add_buffer), so in this lab the other way is no way; between domain controllers of one kind it is one.
    fn ticket_of_the_first(&self) -> Result<(), String> {
        product::stop_daemon(&self.client)?;
        self.client.sh("rm -f /run/entra/private/machine.ccache", &[])?.text()?;
        self.lab.cut("dc2")?;
        let started = product::start_daemon(&self.client);
        let back = self.until_back();
        self.lab.mend("dc2")?;
        started?;
        back.map(drop)
    }

    /// A login by pamtester.
    pub fn login(&self, name: &str, password: &str) -> Result<entra_lab::Output, String> {
        let words = ["pamtester", SERVICE, name, "authenticate"];
        Ok(self.client.run_with(&words, Some(format!("{password}\n").as_bytes()), Duration::from_secs(30))?)
    }

    /// The node of the domain controller in use, and the other one.
    pub fn in_use(&self) -> Result<(&Node, &Node), String> {
        let status = self.client.run(&["entractl", "status", "--json"])?.stdout;
        Ok(if status.contains("\"dc2.") { (&self.dc2, &self.dc) } else { (&self.dc, &self.dc2) })
    }

    /// Starts the load.
    pub fn start_load(&self) -> Result<(), String> {
        let number = self.load.get() + 1;
        self.load.set(number);
        let stop = format!("/run/chaos/stop-{number}");
        let skip = self.used.get().0.to_string();
        let lookups = [&AS_LOCALUSER[..], &["chaos-load", "lookups"]].concat();
        let truth = ["--cached", "/run/chaos/cached", "--uncached", "/run/chaos/uncached", "--skip", &skip, &stop];
        self.client.start(&format!("lookups-{number}"), &[&lookups[..], &truth[..]].concat())?;
        let logins = ["chaos-load", "logins", "--service", SERVICE, "--right", "/run/chaos/right"];
        Ok(self.client.start(
            &format!("logins-{number}"),
            &[&logins[..], &["--wrong", "/run/chaos/wrong", stop.as_str()]].concat(),
        )?)
    }

    /// Ends the load, and gives what it counted.
    pub fn end_load(&self) -> Result<Tally, String> {
        let number = self.load.get();
        self.client.put_file(&format!("/run/chaos/stop-{number}"), "", 0o644)?;
        let end = Instant::now() + Duration::from_secs(60);
        let mut all = Tally::default();
        for service in [format!("lookups-{number}"), format!("logins-{number}")] {
            while self.client.is_running(&service)? {
                if Instant::now() > end {
                    return Err(format!("{service} does not end"));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            all.merge(tally(&self.client.log(&service)?)?);
        }
        self.used.set((self.used.get().0.max(all.used), self.used.get().1));
        Ok(all)
    }

    /// A swarm of processes, and what they counted.
    pub fn swarm(&self, rounds: usize) -> Result<Tally, String> {
        let skip = (self.used.get().0 + 400).to_string();
        let rounds = rounds.to_string();
        let words = [&AS_LOCALUSER[..], &["chaos-load", "swarm"]].concat();
        let truth = ["--cached", "/run/chaos/cached", "--uncached", "/run/chaos/uncached", "--skip", &skip];
        let more = ["--processes", "200", "--rounds", &rounds];
        let output = self.client.run_with(&[&words[..], &truth, &more].concat(), None, PATIENCE)?;
        tally(&output.text()?)
    }

    /// A user that nothing has asked for yet.
    pub fn never_seen(&self) -> (&str, u32) {
        let (front, back) = self.used.get();
        self.used.set((front, back + 1));
        let (name, uid) = &self.fresh[self.fresh.len() - 1 - back % self.fresh.len()];
        (name, *uid)
    }

    /// One lookup in a new process: what came of it, and the time it took.
    pub fn once(&self, name: &str, uid: u32) -> Result<(String, Duration), String> {
        let text = self.client.must(&["chaos-load", "once", name, &uid.to_string()])?;
        let (took, answer) = text.split_once(' ').ok_or_else(|| format!("chaos-load once: {text}"))?;
        Ok((answer.to_owned(), Duration::from_micros(took.parse().map_err(|_| text.clone())?)))
    }

    /// How long it takes until a user that was never seen resolves.
    pub fn until_back(&self) -> Result<Duration, String> {
        let begun = Instant::now();
        let (name, uid) = self.never_seen();
        loop {
            let (answer, _) = self.once(name, uid)?;
            if answer == "right" {
                return Ok(begun.elapsed());
            }
            if answer.starts_with("wrong") || begun.elapsed() > PATIENCE {
                let log = self.client.log("entrad").unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                return Err(format!(
                    "{name} does not resolve again: {answer}; the log, newest first:\n{}",
                    tail.join("\n")
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ids of users and groups, one per line: the same before and after everything.
    pub fn ids(&self) -> Result<String, String> {
        let users: Vec<&str> = self.fresh.iter().map(|(name, _)| name.as_str()).step_by(20).chain(KNOWN).collect();
        let script = r#"getent passwd "$@" | cut -d: -f1,3,4; for name in alice bob many nested; do id -G $name; getent group $(id -G $name) | cut -d: -f1,3; done"#;
        let text = self.client.sh(script, &users)?.stdout;
        let found = text.lines().count();
        if found < users.len() { Err(format!("{found} lines about {} users", users.len())) } else { Ok(text) }
    }

    /// Writes one wrong uid into the truth, or takes it out again: then every right answer about that user counts as a
    /// wrong one, as a wrong answer would.
    pub fn plant_lie(&self, plant: bool) -> Result<(), String> {
        let truth = self.client.read_file("/run/chaos/cached")?;
        let (good, bad) = ("user0001 674001", "user0001 674009");
        let text = if plant { truth.replace(good, bad) } else { truth.replace(bad, good) };
        if text == truth {
            return Err("there is nothing to plant in".into());
        }
        Ok(self.client.put_file("/run/chaos/cached", text, 0o644)?)
    }

    fn write_truth(&self) -> Result<(), String> {
        product::start_daemon(&self.client)?;
        self.until_back()?;
        let mut cached = String::new();
        for name in KNOWN {
            let rid = rid(&self.dc, name)?;
            let passwd = self.client.must(&["getent", "passwd", name])?;
            let gid = passwd.split(':').nth(3).unwrap_or_default().to_owned();
            let mut groups: Vec<u32> =
                self.client.must(&["id", "-G", name])?.split(' ').filter_map(|gid| gid.parse().ok()).collect();
            groups.sort_unstable();
            let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
            let _ = writeln!(cached, "{name} {} {gid} {}", FIRST_ID + rid, groups.join(","));
        }
        let uncached: String =
            self.fresh.iter().fold(String::new(), |text, (name, uid)| text + name + " " + &uid.to_string() + "\n");
        let right: String =
            RIGHT.iter().fold(String::new(), |text, (name, password)| text + name + " " + password + "\n");
        for (name, text) in
            [("cached", cached), ("uncached", uncached), ("right", right), ("wrong", WRONG.join("\n") + "\n")]
        {
            self.client.put_file(&format!("/run/chaos/{name}"), text, 0o644)?;
        }
        Ok(())
    }
}

/// Both domain controllers, as the managed domain tells its network.
pub fn resolvers() -> String {
    let second = second::ADDRESS;
    format!(
        "nameserver {}\nnameserver {second}\noptions timeout:1 attempts:1\nsearch aadds.contoso.com\n",
        entra_lab::dc::ADDRESS
    )
}

/// The last line of a load's output.
fn tally(log: &str) -> Result<Tally, String> {
    let line = log.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("the load said {line:?}: {error}"))
}

/// Users of the directory, as its own database has them, with the uids that their RIDs give.
fn fresh(dc: &Node) -> Result<Vec<(String, u32)>, String> {
    let filter = "(&(objectClass=user)(!(objectClass=computer)))";
    let words = ["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", filter, "sAMAccountName", "objectSid"];
    let text = dc.must(&words)?;
    let mut found = Vec::new();
    for entry in text.split("\n\n") {
        let value = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(name), Some(sid)) = (value("sAMAccountName: "), value("objectSid: "))
            && let Some(rid) = sid.rsplit('-').next().and_then(|rid| rid.parse::<u32>().ok())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && name.bytes().any(|byte| byte.is_ascii_digit())
            && !KNOWN.contains(&name)
        {
            found.push((name.to_owned(), FIRST_ID + rid));
        }
    }
    found.sort();
    if found.len() < 2000 { Err(format!("the directory has {} users for the load", found.len())) } else { Ok(found) }
}

fn rid(dc: &Node, name: &str) -> Result<u32, String> {
    let filter = format!("(sAMAccountName={name})");
    let text = dc.must(&["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "objectSid"])?;
    let sid = text.lines().find_map(|line| line.strip_prefix("objectSid: "));
    sid.and_then(|sid| sid.rsplit('-').next()?.parse().ok()).ok_or_else(|| format!("{name} has no SID in {text}"))
}
