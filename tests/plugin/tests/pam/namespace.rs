//! A private view of the machine for one test: user and mount namespaces with an `/etc`, a `/run` and a `/dev` of their
//! own, so that the module under test runs as installed, with its real paths, and needs no root.
//!
//! Each test runs itself again inside (unshare(1)) and asserts there; the outer run reports what the inner one said.

use std::ffi::CString;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;

use entra_plugin_tests::modules;

use crate::memory;

/// Set in the inner run, to the test's name.
const INSIDE: &str = "ENTRA_PAM_TEST";
/// Password of the user `local` in [`SHADOW`].
pub const LOCAL_PASSWORD: &str = "local secret";
/// Ends a reading of the log.
const MARK: &str = "mark of the tests";
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nlocal:x:1000:1000::/home/local:/bin/sh\n";
const SHADOW: &str = concat!(
    "root:*:20000:0:99999:7:::\n",
    "local:$6$saltsalt$SA5IMfqoEjV0YVHyu/OzLfertJ.LkVVhosgC41tQbwav.ye628cQVTJ38vmCYIbV3/OpdoeLRx5UtK1.0Hw1Y1",
    ":20000:0:99999:7:::\n"
);
const CONFIG: &str = "[domains.\"aadds.contoso.com\"]\npreset = \"entra-ds\"\n";

/// Whether this is the inner run of a test.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs `body` inside. `others`: passwd lines that only NSS knows (a module of somebody else's), `/etc/passwd` not.
pub fn inside(test: &str, others: Option<&str>, body: impl FnOnce(&Inside)) {
    if std::env::var_os(INSIDE).is_some_and(|name| name.to_str() == Some(test)) {
        body(&Inside::enter());
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--"]).args(memory::words());
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test);
    command.env("ENTRA_PAM_MODULE", modules::built().join("libpam_entra.so"));
    let lines = others.map(|lines| {
        let path = std::env::temp_dir().join(format!("entra-pam-{}-{test}", std::process::id()));
        std::fs::write(&path, lines).unwrap();
        command.env("LD_PRELOAD", "libnss_wrapper.so").env("NSS_WRAPPER_PASSWD", &path);
        command.env("NSS_WRAPPER_GROUP", "/etc/group");
        path
    });
    let output = command.output().expect("unshare(1) of util-linux");
    if let Some(path) = lines {
        let _ = std::fs::remove_file(path);
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "inside the namespace:\n{text}");
}

/// The private view, once entered.
pub struct Inside {
    log: Receiver<String>,
}

impl Inside {
    fn enter() -> Self {
        mount("tmpfs", "/run", "tmpfs", 0);
        for folder in ["entra", "stage/etc/pam.d", "stage/etc/entra", "stage/dev"] {
            std::fs::create_dir_all(Path::new("/run").join(folder)).unwrap();
        }
        let etc = Path::new("/run/stage/etc");
        for (name, text) in [
            ("passwd", PASSWD),
            ("shadow", SHADOW),
            ("group", "root:x:0:\nlocal:x:1000:\n"),
            ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"),
            ("entra/entra.toml", CONFIG),
            ("pam.d/other", "auth required pam_deny.so\naccount required pam_deny.so\n"),
        ] {
            std::fs::write(etc.join(name), text).unwrap();
        }
        for device in ["null", "zero", "urandom"] {
            std::fs::write(Path::new("/run/stage/dev").join(device), "").unwrap();
            mount(&format!("/dev/{device}"), &format!("/run/stage/dev/{device}"), "", libc::MS_BIND);
        }
        mount("/run/stage/etc", "/etc", "", libc::MS_BIND | libc::MS_REC);
        mount("/run/stage/dev", "/dev", "", libc::MS_BIND | libc::MS_REC);
        let inside = Self { log: collect_log() };
        inside.service("");
        inside
    }

    /// The service `entra-test`: the module under test alone in every group, with `options`.
    pub fn service(&self, options: &str) {
        let module = std::env::var("ENTRA_PAM_MODULE").unwrap();
        let groups = ["auth", "account", "session", "password"];
        self.stack(&groups.map(|group| format!("{group} required {module} {options}\n")).concat());
    }

    /// The service `entra-test`, line by line; `pam_entra.so` stands for the module under test.
    #[allow(clippy::unused_self)] // Only inside is there an /etc to write to.
    pub fn stack(&self, lines: &str) {
        let module = std::env::var("ENTRA_PAM_MODULE").unwrap();
        let lines = lines.replace(" pam_entra.so", &format!(" {module}"));
        std::fs::write("/etc/pam.d/entra-test", lines).unwrap();
    }

    /// What was written to the system log since the last call.
    pub fn logged(&self) -> String {
        // A datagram socket keeps the order: all that was written before this mark comes before it.
        UnixDatagram::unbound().unwrap().send_to(MARK.as_bytes(), "/dev/log").unwrap();
        self.log.iter().take_while(|line| line != MARK).map(|line| line + "\n").collect()
    }
}

/// Reads the system log's socket from now on: it holds ten lines, and then syslog(3) waits for ever.
fn collect_log() -> Receiver<String> {
    let socket = UnixDatagram::bind("/dev/log").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = [0; 4096];
        while let Ok(length) = socket.recv(&mut line) {
            let _ = sender.send(String::from_utf8_lossy(&line[..length]).into_owned());
        }
    });
    receiver
}

fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong) {
    let [source, target, kind] = [source, target, kind].map(|text| CString::new(text).unwrap());
    // SAFETY: three C strings that live through the call; no data.
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    assert_eq!(done, 0, "mount {target:?}: {}", std::io::Error::last_os_error());
}
