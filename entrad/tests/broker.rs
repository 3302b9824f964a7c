//! The broker, its worker and the real helper, as processes: forked as the daemon forks them, the worker without any
//! right, against MIT's krb5kdc.
//!
//! Run without arguments it starts itself once per scene: each is a daemon of its own that prints what it saw. Needs
//! root; without it, it says so and does nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

#[path = "scenes/helper.rs"]
mod helper;
#[path = "../../common/krb5/tests/support/mod.rs"]
#[allow(dead_code)] // Shared with the tests of entra-krb5, which use more of it.
mod support;
#[path = "scenes/tickets.rs"]
mod tickets;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use entra_core::Error;
use entra_core::auth::{
    AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, Kdc, KdcVerdict, PasswordPipe,
};
use entrad::account::Account;
use entrad::broker::{self, Channel, Policy, Realm, Settings};
use entrad::{privileges, seccomp};
use support::{REALM, TestKdc};

/// Ids of nobody on any host: the worker's user, and a person in the default id range.
const WORKER: u32 = 61_184;
const PERSON: u32 = 1_999_000_001;
const PASSWORD: &str = "Right-Password-1";
const TURN: Duration = Duration::from_secs(5);

/// A scene: its name, what runs as the worker, and what is checked outside of it.
type Scene = (&'static str, fn(&Stage));

const SCENES: [Scene; 17] = [
    ("the worker has no right left", no_right_left),
    ("no call of the worker leads out of it", confined),
    ("the machine's ticket is the worker's file", machine_ticket),
    ("a wrong password is tried once, with armor", wrong_password),
    ("a KDC without logon information lets nobody in", no_logon_information),
    ("a KDC that says nothing costs the time given", silent_kdc),
    ("a helper inherits nothing, whatever the daemon was started with", helper::inherits_nothing),
    ("a helper past its deadline is killed", late_helper),
    ("a flood is bounded, and what fits is served", flood),
    ("requests that the policy does not know are refused", refused),
    ("a verifier knows its password", verifier),
    ("a password is changed where the old one is right", change),
    ("a ticket is renewed and removed as its owner", tickets::renew_and_destroy),
    (tickets::FETCHED, tickets::fetch),
    ("two helpers at most compute, and hold up nobody else", heavy_helpers),
    ("a flood of logins leaves a place for the machine's ticket", place_of_the_machine),
    ("a helper that was killed or is of another version is told apart", another_version),
];

fn main() -> ExitCode {
    if !privileges::is_root() {
        println!("skipped: the broker needs root");
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, folder, kdc] = arguments.as_slice()
        && role == "scene"
    {
        let scene = SCENES.iter().find(|(known, _)| known == name).unwrap().1;
        scene(&Stage { folder: folder.into(), kdc: kdc.parse().unwrap() });
        return ExitCode::SUCCESS;
    }
    let mut kdc = TestKdc::start();
    let kpasswd = kdc.start_kpasswd();
    kdc.add_user("alice", PASSWORD);
    kdc.add_user("carol", PASSWORD);
    kdc.kadmin("modprinc -policy strict carol");
    kdc.kadmin(&format!("addprinc -randkey {}", tickets::SHARE));
    let keytab = kdc.machine_keytab();
    let mut failed = 0;
    for (number, (name, _)) in SCENES.iter().enumerate() {
        let stage = Stage::set(&kdc.path(&format!("stage-{number}")), kdc.address(), &keytab);
        fs::write(stage.path("kpasswd"), kpasswd.to_string()).unwrap();
        // With a variable and a descriptor that somebody left open for it.
        let outcome = Command::new("sh")
            .args(["-c", helper::WITH_MORE])
            .arg(std::env::current_exe().unwrap())
            .args(["scene", name, stage.folder.to_str().unwrap(), &stage.kdc.to_string()])
            .status()
            .unwrap();
        println!("{name} ... {}", if outcome.success() { "ok" } else { "FAILED" });
        failed += usize::from(!outcome.success());
        if *name == SCENES[3].0 && outcome.success() && kdc.refused_proofs() != 1 {
            println!("  FAILED: {} requests carried proof\n{}", kdc.refused_proofs(), kdc.log());
            failed += 1;
        }
        if *name == tickets::FETCHED && outcome.success() {
            failed += usize::from(!tickets::has_share(&stage.path("home/krb5cc")));
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A folder with what the daemon finds on a host.
struct Stage {
    folder: PathBuf,
    kdc: SocketAddr,
}

impl Stage {
    fn set(folder: &Path, kdc: SocketAddr, keytab: &Path) -> Self {
        // The worker and the person have to get to their own folders.
        for open in [folder.parent().unwrap(), folder] {
            fs::create_dir_all(open).unwrap();
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, owner, mode) in [("private", WORKER, 0o700), ("home", PERSON, 0o755)] {
            let path = folder.join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        fs::write(folder.join("entra.toml"), format!("[domains.\"{}\"]\n", REALM.to_lowercase())).unwrap();
        fs::copy(keytab, folder.join("keytab")).unwrap();
        fs::set_permissions(folder.join("keytab"), fs::Permissions::from_mode(0o600)).unwrap();
        Self { folder: folder.into(), kdc }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn script(&self, text: &str) -> PathBuf {
        let path = self.path("helper");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn settings(&self) -> Settings {
        Settings {
            policy: Policy {
                realms: vec![Realm { name: REALM.into(), keytab_max_age: Duration::ZERO }],
                config: self.path("entra.toml"),
                passwd: "/etc/passwd".into(),
                group: "/etc/group".into(),
                keeps_passwords: true,
            },
            program: env!("CARGO_BIN_EXE_krb5-helper").into(),
            keytab: self.path("keytab"),
            machine_ccache: self.path("private/machine.ccache"),
            worker: (WORKER, WORKER),
            helpers: 16,
            queue: 256,
        }
    }

    /// Does what the daemon does at its start, and runs `work` as the worker.
    fn play<F: Future<Output = ()>>(settings: Settings, work: impl FnOnce(Arc<Channel>) -> F) {
        let socket = broker::start(settings).unwrap();
        privileges::drop_to(&Account { uid: WORKER, gid: WORKER, groups: vec![] }).unwrap();
        assert!(seccomp::confine().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            work(Arc::new(Channel::new(socket, || {}).unwrap())).await;
        });
    }

    fn login(&self) -> AuthRequest {
        AuthRequest {
            realm: REALM.into(),
            kdc: self.kdc,
            other_kdcs: Vec::new(),
            principal: "alice".into(),
            expected_sid: "S-1-5-21-1-2-3-1104".parse().unwrap(),
            ccache: Some(CcacheTarget {
                uid: PERSON,
                gid: PERSON,
                name: format!("FILE:{}", self.path("home/krb5cc").display()),
            }),
            require_fast: false,
            timeout: Duration::from_secs(10),
        }
    }
}

fn pipe_with(password: &str) -> PasswordPipe {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(password.as_bytes()).unwrap();
    PasswordPipe(reader.into())
}

async fn log_in(channel: &Channel, request: AuthRequest, password: &str) -> Result<AuthAnswer, Error> {
    channel.authenticate(request, pipe_with(password)).await
}

fn status(pid: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.into(), value.trim().into())).collect()
}

fn no_right_left(stage: &Stage) {
    Stage::play(stage.settings(), async |_channel| {
        let own = status("self");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(u64::from_str_radix(&own[set], 16), Ok(0), "{set}");
        }
        assert_eq!(own["NoNewPrivs"], "1");
        assert_eq!(own["Uid"], [WORKER.to_string().as_str(); 4].join("\t"));
        assert_eq!(own["Gid"], [WORKER.to_string().as_str(); 4].join("\t"));
        assert_eq!(own["Groups"], "");
        assert!(fs::read("/etc/shadow").is_err());
        // The broker is the only child: what it keeps is what it needs.
        let pid = own["Pid"].clone();
        let children = fs::read_to_string(format!("/proc/self/task/{pid}/children")).unwrap();
        let broker = status(children.trim());
        let wanted = privileges::BROKER_CAPABILITIES.iter().fold(0u64, |set, number| set | 1 << number);
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(u64::from_str_radix(&broker[set], 16), Ok(wanted), "{set}");
        }
        assert_eq!(broker["NoNewPrivs"], "1");
    });
}

fn confined(stage: &Stage) {
    Stage::play(stage.settings(), async |_channel| {
        assert_eq!(status("self")["Seccomp"], "2");
        let refused = |outcome: std::io::Result<()>| outcome.unwrap_err().raw_os_error() == Some(libc::EPERM);
        assert!(refused(Command::new("/bin/true").status().map(drop)), "a program was started");
        assert!(refused(TcpListener::bind("127.0.0.1:0").map(drop)), "a socket listens");
        assert!(refused(fs::hard_link("/dev/null", stage.path("private/link"))), "a link was made");
        assert!(refused(std::os::unix::fs::chroot("/")), "the root was changed");
        // A thread is no process.
        assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
    });
}

fn machine_ticket(stage: &Stage) {
    Stage::play(stage.settings(), async |channel| {
        let ticket = channel.machine_ticket(REALM, stage.kdc).await.unwrap();
        assert!(ticket.expires > std::time::SystemTime::now());
        // Read as the worker, whose file it is.
        let path = stage.path("private/machine.ccache");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (WORKER, 0o600));
        let end = entra_krb5::tgt_end(&format!("FILE:{}", path.display()), REALM).unwrap();
        assert_eq!(end, Some(ticket.expires));
        assert_eq!(fs::read_dir(stage.path("private")).unwrap().count(), 1, "nothing is left beside it");
        let error = channel.machine_ticket("OTHER.EXAMPLE", stage.kdc).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
    });
}

fn wrong_password(stage: &Stage) {
    Stage::play(stage.settings(), async |channel| {
        channel.machine_ticket(REALM, stage.kdc).await.unwrap();
        let answer = log_in(&channel, stage.login(), "wrong").await.unwrap();
        assert_eq!(answer, AuthAnswer { verdict: KdcVerdict::WrongPassword, ccache: None, times: None });
        let nobody = AuthRequest { principal: "nobody".into(), ..stage.login() };
        assert_eq!(log_in(&channel, nobody, PASSWORD).await.unwrap().verdict, KdcVerdict::UnknownPrincipal);
    });
}

fn no_logon_information(stage: &Stage) {
    Stage::play(stage.settings(), async |channel| {
        for with_armor in [false, true] {
            if with_armor {
                channel.machine_ticket(REALM, stage.kdc).await.unwrap();
            }
            let answer = log_in(&channel, stage.login(), PASSWORD).await.unwrap();
            // Password and KDC are proved by now; whose ticket it is cannot be.
            assert!(
                matches!(&answer.verdict, KdcVerdict::Failed(why) if why.contains("logon information")),
                "{answer:?}"
            );
            assert_eq!(answer.ccache, None);
        }
    });
    assert_eq!(fs::read_dir(stage.path("home")).unwrap().count(), 0, "no ticket is written");
}

fn silent_kdc(stage: &Stage) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let request = AuthRequest { kdc: silent.local_addr().unwrap(), timeout: Duration::from_secs(1), ..stage.login() };
    // Beside one that answers it costs its patience alone; that this KDC issues no PAC comes after every proof.
    let beside = AuthRequest { other_kdcs: vec![stage.kdc], timeout: Duration::from_secs(10), ..request.clone() };
    Stage::play(stage.settings(), async |channel| {
        let started = Instant::now();
        let answer = log_in(&channel, request, PASSWORD).await.unwrap();
        assert!(matches!(answer.verdict, KdcVerdict::Unreachable(_)), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(log_in(&channel, beside.clone(), "wrong").await.unwrap().verdict, KdcVerdict::WrongPassword);
        let answer = log_in(&channel, beside, PASSWORD).await.unwrap();
        assert!(matches!(answer.verdict, KdcVerdict::Failed(_)), "{answer:?}");
    });
}

fn late_helper(stage: &Stage) {
    let pid_file = stage.path("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", pid_file.display());
    let settings = Settings { program: stage.script(&script), ..stage.settings() };
    let request = AuthRequest { timeout: Duration::from_secs(1), ..stage.login() };
    Stage::play(settings, async |channel| {
        let error = log_in(&channel, request, PASSWORD).await.unwrap_err();
        assert!(matches!(error, Error::Offline(_)), "{error}");
        let pid = fs::read_to_string(&pid_file).unwrap();
        let gone = || !Path::new(&format!("/proc/{}", pid.trim())).exists();
        let limit = Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(Instant::now() < limit, "the helper still lives");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

fn flood(stage: &Stage) {
    let settings = Settings { program: stage.script("exec sleep 1000"), helpers: 2, queue: 8, ..stage.settings() };
    Stage::play(settings, async |channel| {
        let answered = Arc::new(AtomicBool::new(false));
        let tries: Vec<_> = (0..60)
            .map(|_| {
                let (channel, answered) = (Arc::clone(&channel), Arc::clone(&answered));
                let request = AuthRequest { timeout: Duration::from_secs(2), ..stage.login() };
                tokio::spawn(async move {
                    let outcome = log_in(&channel, request, PASSWORD).await;
                    answered.store(true, Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        let (mut busy, mut late) = (0, 0);
        for one in tries {
            match one.await.unwrap() {
                Err(Error::Busy(_)) => busy += 1,
                Err(Error::Offline(_)) => late += 1,
                other => panic!("{other:?}"),
            }
        }
        // Who waits for the turns of others has the whole time of a KDC then: late is who got no answer in that time.
        assert!((8..=2 + 8).contains(&late), "{late} were started");
        assert_eq!(busy, 60 - late);
        // The places are free again.
        let request = AuthRequest { timeout: Duration::from_secs(1), ..stage.login() };
        assert!(matches!(log_in(&channel, request, PASSWORD).await, Err(Error::Offline(_))));
    });
}

fn refused(stage: &Stage) {
    Stage::play(stage.settings(), async |channel| {
        let target = |uid, name: &str| Some(CcacheTarget { uid, gid: PERSON, name: name.into() });
        for ccache in [target(0, "FILE:/tmp/krb5cc_0"), target(PERSON, "FILE:/tmp/../etc/krb5cc")] {
            let request = AuthRequest { ccache, ..stage.login() };
            let error = log_in(&channel, request, PASSWORD).await.unwrap_err();
            assert!(matches!(error, Error::Config(_)), "{error}");
        }
        // Whoever holds the password's pipe open gets no answer from it, and the daemon goes on.
        let (reader, _writer) = std::io::pipe().unwrap();
        let request = AuthRequest { timeout: Duration::from_secs(1), ..stage.login() };
        let error = channel.authenticate(request, PasswordPipe(reader.into())).await.unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
        assert_eq!(log_in(&channel, stage.login(), "wrong").await.unwrap().verdict, KdcVerdict::WrongPassword);
    });
}

fn verifier(stage: &Stage) {
    Stage::play(stage.settings(), async |channel| {
        let (first, second) = channel.copy(pipe_with(PASSWORD)).unwrap();
        let second = second.unwrap();
        let verifier = channel.make_verifier(first).await.unwrap();
        assert!(entra_core::auth::verifier::is_current(&verifier), "{verifier}");
        assert!(channel.check_verifier(&verifier, second, TURN).await.unwrap());
        assert!(!channel.check_verifier(&verifier, pipe_with("another"), TURN).await.unwrap());
        let error = channel.check_verifier("$argon2i$", pipe_with(PASSWORD), TURN).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
    });
}

fn change(stage: &Stage) {
    // kadmind stands beside the KDC; its address is the stage's.
    let kpasswd: SocketAddr = fs::read_to_string(stage.path("kpasswd")).unwrap().parse().unwrap();
    let request = |principal: &str| ChangeRequest {
        realm: REALM.into(),
        kdc: stage.kdc,
        kpasswd,
        principal: principal.into(),
        require_fast: false,
        timeout: Duration::from_secs(10),
    };
    Stage::play(stage.settings(), async |channel| {
        let change = async |old: &str, new: &str| {
            channel.change_password(request("carol"), pipe_with(old), pipe_with(new)).await.unwrap()
        };
        assert_eq!(change("wrong", "New-Password-2").await, ChangeVerdict::WrongPassword);
        let proof = channel.prove_for_change(request("carol"), pipe_with(PASSWORD)).await.unwrap();
        assert_eq!(proof, ChangeVerdict::Proven);
        let refused = change(PASSWORD, "short").await;
        assert!(matches!(&refused, ChangeVerdict::Refused(words) if words.contains("too short")), "{refused:?}");
        assert_eq!(change(PASSWORD, "New-Password-2").await, ChangeVerdict::Changed);
        assert_eq!(change(PASSWORD, "New-Password-3").await, ChangeVerdict::WrongPassword);
        let required = ChangeRequest { require_fast: true, ..request("carol") };
        let bare = channel.prove_for_change(required.clone(), pipe_with("New-Password-2")).await.unwrap();
        assert!(matches!(&bare, ChangeVerdict::Failed(why) if why.contains("FAST")), "{bare:?}");
        channel.machine_ticket(REALM, stage.kdc).await.unwrap();
        let armored = channel.prove_for_change(required, pipe_with("New-Password-2")).await.unwrap();
        assert_eq!(armored, ChangeVerdict::Proven);
    });
}

fn heavy_helpers(stage: &Stage) {
    let starts = stage.path("starts");
    let script = format!("echo x >> {}; exec sleep 1000", starts.display());
    let settings = Settings { program: stage.script(&script), ..stage.settings() };
    Stage::play(settings, async |channel| {
        let count = || fs::read_to_string(&starts).unwrap_or_default().lines().count();
        let until = async |wanted: usize| {
            let limit = Instant::now() + Duration::from_secs(10);
            while count() < wanted {
                assert!(Instant::now() < limit, "{} helpers were started", count());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        for _ in 0..6 {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move { channel.make_verifier(pipe_with(PASSWORD)).await });
        }
        until(2).await;
        let request = stage.login();
        let login = tokio::spawn({
            let channel = Arc::clone(&channel);
            async move { log_in(&channel, request, PASSWORD).await }
        });
        // The login came last and was not held up; of the others no third one was started.
        until(3).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(count(), 3);
        login.abort();
    });
}

fn place_of_the_machine(stage: &Stage) {
    let starts = stage.path("starts");
    // It is asked for what it is executed for: a login hangs, the machine's request is answered with nonsense at once.
    let script = format!("echo x >> {}; grep -q alice && exec sleep 1000; exit 1", starts.display());
    let settings = Settings { program: stage.script(&script), helpers: 2, queue: 4, ..stage.settings() };
    Stage::play(settings, async |channel| {
        for _ in 0..20 {
            let (channel, request) = (Arc::clone(&channel), stage.login());
            tokio::spawn(async move { log_in(&channel, request, PASSWORD).await });
        }
        let limit = Instant::now() + Duration::from_secs(10);
        while fs::read_to_string(&starts).unwrap_or_default().lines().count() < 2 {
            assert!(Instant::now() < limit, "no login was started");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let error = channel.machine_ticket(REALM, stage.kdc).await.unwrap_err();
        assert!(error.to_string().contains("without an answer"), "the machine's helper did not run: {error}");
    });
}

fn another_version(stage: &Stage) {
    let killed = stage.path("private/killed");
    let script = format!("[ -e {} ] && kill -KILL $$; printf 'EJ\\377\\377something else'", killed.display());
    let settings = Settings { program: stage.script(&script), ..stage.settings() };
    Stage::play(settings, async |channel| {
        let error = log_in(&channel, stage.login(), PASSWORD).await.unwrap_err();
        assert!(matches!(&error, Error::Interrupted(why) if why.contains("restart entrad")), "{error}");
        fs::write(&killed, "").unwrap();
        let error = log_in(&channel, stage.login(), PASSWORD).await.unwrap_err();
        assert!(matches!(&error, Error::Interrupted(why) if why.contains("without an answer")), "{error}");
    });
}
