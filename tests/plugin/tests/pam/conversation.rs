//! What people do at a prompt, and what applications ask of credentials.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use entra_wire::pam::{Code, flags};
use entra_wire::protocol::Op;

use crate::application::{Login, NOTHING, codes};
use crate::daemon::Daemon;
use crate::namespace::inside;
use crate::{PASSWORD, outcome};

#[test]
fn a_late_answer_is_as_good_and_keeps_nobody_waiting_meanwhile() {
    inside("conversation::a_late_answer_is_as_good_and_keeps_nobody_waiting_meanwhile", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        // Longer than any answer of the daemon but an authentication may take: its time does not run at the prompt.
        let think = Duration::from_secs(6);
        let slow = std::thread::spawn(move || Login::new(Some("alice"), &[PASSWORD]).slowly(think).authenticate(0));
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        assert_eq!(Login::new(Some("alice"), &[PASSWORD]).authenticate(0), codes::SUCCESS);
        assert!(begun.elapsed() < think / 2, "another login waited for {:?}", begun.elapsed());
        assert_eq!(daemon.asked().len(), 1, "nothing is asked before the answer is there");
        assert_eq!(slow.join().unwrap(), codes::SUCCESS);
        assert_eq!(daemon.asked().len(), 2);
    });
}

#[test]
fn no_answer_at_all_is_a_failed_conversation() {
    inside("conversation::no_answer_at_all_is_a_failed_conversation", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        assert_eq!(Login::new(Some("alice"), &[NOTHING]).authenticate(0), codes::CONV_ERR);
        assert_eq!(daemon.asked().len(), 0);
    });
}

#[test]
fn a_password_ends_where_its_first_nul_is() {
    inside("conversation::a_password_ends_where_its_first_nul_is", None, |_| {
        // PAM hands C strings on: what stands behind the NUL reaches nobody, and one that begins with it is empty.
        let daemon = Daemon::saying(Code::Success);
        assert_eq!(Login::new(Some("alice"), &["\0secret"]).authenticate(0), codes::AUTH_ERR);
        assert_eq!(daemon.asked().len(), 0);
        assert_eq!(Login::new(Some("alice"), &["half\0secret"]).authenticate(0), codes::SUCCESS);
        assert_eq!(daemon.asked()[0].password.as_deref(), Some(&b"half"[..]));
    });
}

#[test]
fn credentials_with_each_flag() {
    inside("conversation::credentials_with_each_flag", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        let (keep, delete) = (flags::CRED_ESTABLISH, flags::CRED_DELETE);
        let each = [
            (0, keep),
            (codes::ESTABLISH_CRED, keep),
            (codes::REFRESH_CRED, keep),
            (codes::REINITIALIZE_CRED, keep),
            (codes::ESTABLISH_CRED | codes::SILENT, keep),
            (codes::DELETE_CRED, delete),
            (codes::DELETE_CRED | codes::SILENT, delete),
        ];
        for (flag, _) in each {
            assert_eq!(login.setcred(flag), codes::SUCCESS, "flag {flag:#x}");
        }
        let asked: Vec<(Op, u32)> = daemon.asked().iter().map(|asked| (asked.op, asked.flags)).collect();
        assert_eq!(asked, each.map(|(_, wanted)| (Op::SetCred, wanted)));
        assert!(login.person().prompts.is_empty(), "credentials ask nobody");
    });
}

#[test]
fn credentials_that_fail_have_the_codes_that_pam_setcred_may_give() {
    inside("conversation::credentials_that_fail_have_the_codes_that_pam_setcred_may_give", None, |_| {
        let rows = [
            (Code::Unavailable, codes::AUTHINFO_UNAVAIL),
            (Code::UnknownUser, codes::USER_UNKNOWN),
            (Code::Denied, codes::CRED_ERR),
            (Code::Failed, codes::CRED_ERR),
        ];
        let all = [codes::ESTABLISH_CRED, codes::REFRESH_CRED, codes::REINITIALIZE_CRED, codes::DELETE_CRED];
        let says = Mutex::new(rows.iter().flat_map(|(said, _)| [*said; 4]).collect::<Vec<_>>().into_iter());
        let _daemon = Daemon::start(move |_| outcome(says.lock().unwrap().next().unwrap(), "", ""));
        for (said, code) in rows {
            for flag in all {
                assert_eq!(Login::new(Some("alice"), &[]).setcred(flag), code, "{said:?} with {flag:#x}");
            }
        }
    });
}

#[test]
fn one_wrong_password_is_one_attempt_with_every_option() {
    inside("conversation::one_wrong_password_is_one_attempt_with_every_option", None, |view| {
        let daemon = Daemon::start(|_| outcome(Code::WrongPassword, "wrong-password", "The password is wrong."));
        for (round, options) in ["", "try_first_pass", "debug", "forward_pass"].into_iter().enumerate() {
            view.service(options);
            // A second answer is there for whoever asks again.
            let mut login = Login::new(Some("alice"), &[PASSWORD, PASSWORD]);
            assert_eq!(login.authenticate(0), codes::AUTH_ERR, "{options:?}");
            assert_eq!(login.person().prompts.len(), 1, "{options:?}");
            assert_eq!(login.person().read, ["The password is wrong."], "{options:?}");
            assert_eq!(daemon.asked().len(), round + 1, "{options:?}");
        }
    });
}
