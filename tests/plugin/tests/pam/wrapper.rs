//! The module by way of pam_wrapper (Debian: libpam-wrapper) with a daemon: a real application, a folder of services
//! that is not `/etc/pam.d`, and no root.

use std::process::Command;

use entra_wire::pam::{Code, Outcome};
use entra_wire::protocol::Op;

use crate::PASSWORD;
use crate::daemon::{Answer, Daemon};
use crate::namespace::inside;

#[test]
fn pamtester_logs_in_through_pam_wrapper() {
    inside("wrapper::pamtester_logs_in_through_pam_wrapper", None, |view| {
        let daemon = Daemon::start(|asked| match (asked.op, asked.password.as_deref()) {
            (Op::Authenticate, Some(password)) if password != PASSWORD.as_bytes() => {
                Answer::Outcome(Outcome { message: "Wrong password.".into(), ..Outcome::bare(Code::WrongPassword) })
            }
            _ => Answer::Outcome(Outcome::bare(Code::Success)),
        });
        // Moved to another place: the service is unknown to the system.
        std::fs::create_dir("/run/services").unwrap();
        view.service("");
        for name in ["entra-test", "other"] {
            std::fs::copy(format!("/etc/pam.d/{name}"), format!("/run/services/{name}")).unwrap();
        }
        std::fs::remove_file("/etc/pam.d/entra-test").unwrap();
        let operations = ["authenticate", "setcred", "acct_mgmt", "open_session", "close_session"];
        let test = |password: &str| {
            std::fs::write("/run/input", format!("{password}\n")).unwrap();
            let mut command = Command::new("sh");
            command.args(["-c", "exec \"$@\" </run/input 2>&1", "sh", "pamtester", "entra-test", "alice"]);
            command.args(operations);
            command.env("LD_PRELOAD", "libpam_wrapper.so").env("PAM_WRAPPER", "1");
            command.env("PAM_WRAPPER_SERVICE_DIR", "/run/services");
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (passed, said) = test(PASSWORD);
        assert!(passed && said.contains("successfully authenticated"), "{said}");
        let asked: Vec<(Op, String)> = daemon.asked().into_iter().map(|asked| (asked.op, asked.service)).collect();
        let wanted = [Op::Authenticate, Op::SetCred, Op::Account, Op::OpenSession, Op::CloseSession];
        assert_eq!(asked, wanted.map(|op| (op, "entra-test".to_owned())));
        let (passed, said) = test("not hers");
        assert!(!passed && said.contains("Wrong password.") && said.contains("Authentication failure"), "{said}");
    });
}
