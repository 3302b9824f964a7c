//! The real program, started as root in a folder of its own: what it holds, what clients see, and how it ends. Needs
//! root; without it, each test says so and does nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use entra_wire::client::{Trust, call, open_reply};
use entra_wire::codec::Writer;
use entra_wire::pam::Context;
use entra_wire::protocol::{MAX_REPLY, Op, Status};

/// A user without rights that every Debian and Fedora has.
const USER: &str = "nobody";
/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

struct Daemon {
    folder: PathBuf,
    process: Option<Child>,
}

impl Daemon {
    /// `None` where this is not root.
    fn start() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !entrad::privileges::is_root() {
            println!("skipped: only root can start the daemon whole");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("entra-start-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut daemon = Self { folder, process: None };
        daemon.launch();
        Some(daemon)
    }

    fn launch(&mut self) {
        self.process = Some(self.command().spawn().unwrap());
        let ready = || call_nss(&self.folder.join("run/nss.sock")).is_ok();
        wait_until("the daemon answers", ready);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_entrad"));
        command.args(["--foreground", "--user", USER]).stdin(Stdio::null()).stderr(Stdio::piped());
        for (option, name) in [("--config", "entra.toml"), ("--run-dir", "run"), ("--state-dir", "state")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    fn broker(&self) -> u32 {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.trim().parse().unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let process = self.process.as_mut().unwrap();
        wait_until("the daemon ends", || {
            status = process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < limit, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks for a user by name, trusting root alone.
fn call_nss(socket: &std::path::Path) -> Result<Status, String> {
    let mut request = Writer::request(Op::PasswdByName);
    request.string(b"alice");
    let mut reply = Vec::new();
    let frame = request.finish();
    call(socket, Trust::Root, &frame, &[], MAX_REPLY, LIMIT, &mut reply).map_err(|error| format!("{error:?}"))?;
    Ok(open_reply(&reply).map_err(|error| format!("{error:?}"))?.0)
}

/// As `entractl join` does; gives the answer's JSON.
fn ask_for_reload(socket: &std::path::Path) -> String {
    let mut request = Writer::request(Op::Control);
    request.raw(br#"{"verb":"reload"}"#);
    let mut reply = Vec::new();
    call(socket, Trust::Root, &request.finish(), &[], MAX_REPLY, LIMIT, &mut reply).unwrap();
    String::from_utf8_lossy(open_reply(&reply).unwrap().1.rest()).into_owned()
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

fn field(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.trim().to_owned()
}

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_process_that_answers_has_no_right_and_clients_see_root() {
    let Some(daemon) = Daemon::start() else { return };
    // `call_nss` trusts root alone. Not joined to any domain: every name is somebody else's.
    assert_eq!(call_nss(&daemon.folder.join("run/nss.sock")), Ok(Status::NotFound));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(daemon.pid(), set), "0000000000000000", "{set}");
    }
    assert_eq!(field(daemon.pid(), "NoNewPrivs"), "1");
    assert_eq!(field(daemon.pid(), "Seccomp"), "2", "a filter of its own");
    let owner = fs::metadata(daemon.folder.join("run")).unwrap().uid();
    assert_ne!(owner, 0);
    assert_eq!(field(daemon.pid(), "Uid"), [owner.to_string().as_str(); 4].join("\t"));
    for name in ["nss.sock", "pam.sock", "ctl.sock"] {
        assert_eq!(fs::metadata(daemon.folder.join("run").join(name)).unwrap().mode() & 0o7777, 0o666);
    }
    // The broker holds none of the sockets that clients connect to: with the worker gone, nobody waits on them.
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    let ours = format!("{}/run/", daemon.folder.display());
    let listening: Vec<_> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // The fourth column has the flag of a socket that accepts; connections carry the same path.
        .filter(|columns| columns[3] == "00010000" && columns.get(7).is_some_and(|path| path.starts_with(&ours)))
        .map(|columns| columns[6].to_owned())
        .collect();
    assert_eq!(listening.len(), 3);
    for descriptor in fs::read_dir(format!("/proc/{}/fd", daemon.broker())).unwrap() {
        let target = fs::read_link(descriptor.unwrap().path()).unwrap();
        assert!(!listening.iter().any(|inode| target.to_str() == Some(&format!("socket:[{inode}]"))), "{target:?}");
    }
}

#[test]
fn another_configuration_is_served_by_the_same_process_and_a_wrong_one_changes_nothing() {
    let Some(daemon) = Daemon::start() else { return };
    let before = (daemon.pid(), daemon.broker());
    let socket = daemon.folder.join("run/nss.sock");
    let write = |text: &str| fs::write(daemon.folder.join("entra.toml"), text).unwrap();
    let reload = |text: &str, wanted: Status| {
        write(text);
        signal(daemon.pid(), "-HUP");
        wait_until("the daemon answers otherwise", || call_nss(&socket) == Ok(wanted));
    };
    // Nobody is asked there: a domain whose directory is away.
    let domain = "[domains.\"d.example\"]\ndns_servers = [\"127.0.0.1:9\"]\nservers = [\"127.0.0.1:9\"]\n";
    reload(domain, Status::Offline);
    write("cache_tll = \"90m\"\n");
    let answer = ask_for_reload(&daemon.folder.join("run/ctl.sock"));
    assert!(answer.contains("invalid") && answer.contains("entra.toml:1:1: unknown key cache_tll"), "{answer}");
    assert_eq!(call_nss(&socket), Ok(Status::Offline));
    reload("", Status::NotFound);
    assert_eq!((daemon.pid(), daemon.broker()), before);
    for set in ["CapPrm", "CapBnd"] {
        assert_eq!(field(daemon.pid(), set), "0000000000000000", "{set}");
    }
}

#[test]
fn a_second_one_is_refused_and_says_why() {
    let Some(daemon) = Daemon::start() else { return };
    let second = daemon.command().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(words.contains("another entrad uses"), "{words}");
    assert!(call_nss(&daemon.folder.join("run/nss.sock")).is_ok(), "the first one still answers");
}

#[test]
fn the_end_of_the_service_ends_both_and_a_new_one_starts() {
    let Some(mut daemon) = Daemon::start() else { return };
    let broker = daemon.broker();
    // As systemd does: every process of the service.
    signal(daemon.pid(), "-TERM");
    signal(broker, "-TERM");
    assert!(daemon.wait().success());
    wait_until("the broker ends", || !alive(broker));
    daemon.launch();
}

#[test]
fn without_its_broker_the_worker_ends_with_a_failure() {
    let Some(mut daemon) = Daemon::start() else { return };
    signal(daemon.broker(), "-KILL");
    assert_eq!(daemon.wait().code(), Some(1));
}

#[test]
fn without_its_worker_the_broker_ends() {
    let Some(mut daemon) = Daemon::start() else { return };
    let broker = daemon.broker();
    signal(daemon.pid(), "-KILL");
    assert!(!daemon.wait().success());
    wait_until("the broker ends", || !alive(broker));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_place() {
    let Some(daemon) = Daemon::start() else { return };
    fs::write(daemon.folder.join("entra.toml"), "cache_tll = \"90m\"\n").unwrap();
    let output = daemon.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("entra.toml:1:"), "{words}");
}

#[test]
fn clients_that_say_nothing_have_a_bounded_number_of_places_and_lose_them() {
    let Some(daemon) = Daemon::start() else { return };
    entrad::privileges::allow_descriptors().unwrap();
    let path = daemon.folder.join("run/nss.sock");
    // More than there are places. Each sends the beginning of a request.
    let silent: Vec<UnixStream> = (0..1100)
        .map(|_| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write_all(b"\x10");
            stream
        })
        .collect();
    let read = |mut stream: &UnixStream| {
        let mut reply = [0; 8];
        stream.read(&mut reply).map(|length| if length == 8 { Status::from_wire(reply[7]) } else { None })
    };
    let told = || silent.iter().filter(|stream| matches!(read(stream), Ok(Some(Status::Busy)))).count();
    let mut busy = 0;
    wait_until("those for whom there is no place are told at once", || {
        busy += told();
        busy > 0
    });
    assert!(busy <= 76, "{busy} were told so, and there are places for 1,024");
    // The first of them gets no answer, and is not waited for.
    wait_until("who says nothing loses its place", || matches!(read(&silent[0]), Ok(None)));
    wait_until("others have the places", || call_nss(&path) == Ok(Status::NotFound));
}

#[test]
fn what_a_client_has_written_to_the_log_is_escaped_and_has_an_end() {
    let Some(mut daemon) = Daemon::start() else { return };
    signal(daemon.pid(), "-TERM");
    daemon.wait();
    let log = daemon.folder.join("log");
    daemon.process = Some(daemon.command().stderr(fs::File::create(&log).unwrap()).spawn().unwrap());
    wait_until("the daemon answers", || call_nss(&daemon.folder.join("run/nss.sock")).is_ok());
    let context = Context { user: "nobody", service: "x\nforged: \u{1b}[2J", rhost: "", tty: "", flags: 0 };
    let frame = context.encode(Op::Account);
    for _ in 0..1500 {
        let mut reply = Vec::new();
        call(&daemon.folder.join("run/pam.sock"), Trust::Root, &frame, &[], MAX_REPLY, LIMIT, &mut reply).unwrap();
    }
    let text = fs::read_to_string(&log).unwrap();
    let lines = text.lines().filter(|line| line.contains("forged")).count();
    assert!((100..1500).contains(&lines), "{lines} lines of 1,500");
    let strays: Vec<_> = text.lines().filter(|line| !line.starts_with("entrad: ")).collect();
    assert!(strays.is_empty() && !text.contains('\u{1b}'), "{strays:?}");
}
