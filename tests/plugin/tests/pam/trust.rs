//! Whose daemon the module believes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Outcome};
use entra_wire::paths::PAM_SOCKET;

use crate::PASSWORD;
use crate::application::{Login, codes};
use crate::daemon::Daemon;
use crate::namespace::{inside, is_inside};

/// A user without any rights; needs no line in /etc/passwd.
const OTHER: u32 = 65_532;

/// A daemon of another user that says yes to everything, ended when dropped.
struct Foreign {
    process: Child,
    folder: PathBuf,
}

/// Where the one of this test's outer process is.
fn folder_of(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("entra-pam-foreign-{pid}"))
}

impl Foreign {
    fn start() -> Self {
        let folder = folder_of(std::process::id());
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
        let (driver, answer, socket) = (folder.join("driver"), folder.join("answer"), folder.join("pam.sock"));
        fs::write(&answer, Outcome::bare(Code::Success).encode()).unwrap();
        // By a program of its own, as in nss_trust.rs.
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_nss-driver")).arg(&driver).status().unwrap().success());
        let word = format!("serve={},{}", socket.display(), answer.display());
        let process = Command::new(&driver).arg(word).uid(OTHER).spawn().unwrap();
        let limit = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < limit, "the other user's daemon does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
        Self { process, folder }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_daemon_of_another_user_is_not_believed() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can start another user's daemon");
        return;
    }
    // Inside there are no other users.
    let _foreign = (!is_inside()).then(Foreign::start);
    inside("trust::a_daemon_of_another_user_is_not_believed", None, |view| {
        symlink(folder_of(parent_id()).join("pam.sock"), PAM_SOCKET).unwrap();
        let said = Login::new(Some("alice"), &[PASSWORD]).every_group();
        assert_eq!(said, [codes::AUTHINFO_UNAVAIL; 6]);
        let log = view.logged();
        assert!(log.contains("reason=socket-not-root"), "{log}");
        // The same answer, said by root.
        fs::remove_file(PAM_SOCKET).unwrap();
        let _daemon = Daemon::saying(Code::Success);
        assert_eq!(Login::new(Some("alice"), &[PASSWORD]).authenticate(0), codes::SUCCESS);
    });
}
