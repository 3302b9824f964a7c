//! Both modules as an ordinary user, by cwrap's nss_wrapper and pam_wrapper (Debian: libnss-wrapper, libpam-wrapper):
//! real programs, no root, and nothing installed. With a daemon, pam_wrapper drives the module in `pam/wrapper.rs`:
//! `pam_entra.so` believes a root-owned socket in the installed place only.

// Test code: a failed step ends the test with its reason.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use entra_plugin_tests::child;
use entra_plugin_tests::directory::{Directory, Members, User};
use entra_plugin_tests::folder::Folder;
use entra_plugin_tests::modules;
use entra_plugin_tests::nss_stage::Stage;
use entra_wire::paths::CONFIG;

const ALICE: &str = "alice:*:674001103:674000513:alice of the directory:/home/alice:/bin/bash\n";
const DEADLINE: Duration = Duration::from_secs(60);

/// Users and groups of the host, as the wrapped programs see it.
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nlocal:x:1000:1000::/home/local:/bin/sh\n";
const GROUP: &str = "root:x:0:\nlocal:x:1000:\n";

/// A program as a user without any rights, with the wrappers before everything else; it reads `input`.
struct Wrapped {
    folder: Folder,
}

impl Wrapped {
    fn new() -> Self {
        let folder = Folder::new();
        for (name, text) in [("passwd", PASSWD), ("group", GROUP), ("input", "a password\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// Its exit status and everything that it wrote; `variables` beside those that show the host above.
    fn run(&self, variables: &[(&str, &Path)], words: &[&str]) -> (i32, String) {
        let path = self.folder.path();
        let root = std::fs::metadata(path).unwrap().uid() == 0;
        let mut command = Command::new(if root { "setpriv" } else { "env" });
        if root {
            command.args(["--reuid=65533", "--regid=65533", "--clear-groups", "env"]);
        }
        // Only the program itself is wrapped, not what starts it.
        let mut all = vec![("NSS_WRAPPER_PASSWD", path.join("passwd")), ("NSS_WRAPPER_GROUP", path.join("group"))];
        all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        all.push(("LD_PRELOAD", "libnss_wrapper.so:libpam_wrapper.so".into()));
        command.args(all.iter().map(|(name, value)| format!("{name}={}", value.display())));
        command.args(["sh", "-c", "exec \"$@\" <\"$0\" 2>&1"]).arg(path.join("input")).args(words);
        let (status, text) = child::finish(&mut command, DEADLINE);
        assert!(!text.contains("cannot be preloaded"), "install libnss-wrapper and libpam-wrapper: {text}");
        (status.code().unwrap_or(-1), text)
    }
}

#[test]
fn programs_find_users_and_groups_through_nss_wrapper() {
    let stage = Stage::new(env!("CARGO_BIN_EXE_nss-driver"));
    let mut alice = User::new("alice", 674_001_103);
    alice.groups = vec![674_002_000];
    let staff = Members::new("staff (emea)", 674_002_000, ["alice", "bob"].map(str::to_owned));
    let domain_users = Members::new("domain users", 674_000_513, []);
    let daemon = stage.knowing(Directory { users: vec![alice], groups: vec![staff, domain_users] });
    let wrapped = Wrapped::new();
    let ask = |words: &[&str]| {
        let prefix = Path::new("entra");
        let variables = [
            ("NSS_WRAPPER_MODULE_SO_PATH", stage.module.as_path()),
            ("NSS_WRAPPER_MODULE_FN_PREFIX", prefix),
            ("ENTRA_RUN_DIR", stage.path()),
            ("ENTRA_CONFIG_DIR", stage.path()),
        ];
        wrapped.run(&variables, words)
    };
    assert_eq!(ask(&["getent", "passwd", "alice"]), (0, ALICE.into()));
    assert_eq!(ask(&["getent", "passwd", "674001103"]), (0, ALICE.into()));
    assert_eq!(ask(&["getent", "group", "staff (emea)"]), (0, "staff (emea):*:674002000:alice,bob\n".into()));
    assert_eq!(ask(&["getent", "group", "674002000"]), (0, "staff (emea):*:674002000:alice,bob\n".into()));
    let id =
        "uid=674001103(alice) gid=674000513(domain users) groups=674000513(domain users),674002000(staff (emea))\n";
    assert_eq!(ask(&["id", "alice"]), (0, id.into()));
    let (status, all) = ask(&["getent", "passwd"]);
    assert!(status == 0 && all.starts_with("root:x:0:0:") && all.ends_with(ALICE), "{all}");
    // The host's own come from its files, and unknown ones from nowhere.
    assert_eq!(ask(&["id", "-u", "local"]), (0, "1000\n".into()));
    assert_eq!(ask(&["getent", "passwd", "nobody-there"]).0, 2);
    drop(daemon);
    assert_eq!(ask(&["getent", "passwd", "alice"]).0, 2);
    assert_eq!(ask(&["id", "-u", "local"]), (0, "1000\n".into()));
}

#[test]
fn on_a_host_that_has_not_joined_pam_wrapper_finds_nobody_of_ours() {
    assert!(!Path::new(CONFIG).exists(), "this machine is configured for a domain: the test wants one that is not");
    let wrapped = Wrapped::new();
    let module = modules::place_pam(wrapped.folder.path());
    let services = wrapped.folder.path().join("services");
    std::fs::create_dir(&services).unwrap();
    std::fs::write(services.join("other"), "auth required pam_deny.so\naccount required pam_deny.so\n").unwrap();
    let lines = ["auth", "account", "session", "password"]
        .map(|group| format!("{group} required {}\n", module.display()))
        .concat();
    std::fs::write(services.join("entra-test"), lines).unwrap();
    let ask = |user: &str, operation: &str| {
        let variables = [("PAM_WRAPPER", Path::new("1")), ("PAM_WRAPPER_SERVICE_DIR", services.as_path())];
        wrapped.run(&variables, &["pamtester", "entra-test", user, operation])
    };
    for operation in ["authenticate", "acct_mgmt", "open_session", "close_session", "chauthtok"] {
        // `daemon` stands in the machine's own passwd file; `local` is known to NSS, with an id that is not ours; nobody
        // knows `alice`, and no domain is configured that could.
        for user in ["root", "daemon", "local", "alice"] {
            let (status, said) = ask(user, operation);
            assert!(status == 1 && said.contains("User not known"), "{operation} of {user}: {said}");
            assert!(!said.contains("Password:"), "{operation} of {user}: {said}");
        }
    }
}
