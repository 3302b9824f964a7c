//! `pam_entra.so` through the real libpam, with its installed paths and without root: see [`namespace`].

// The whole crate is tests; a failed step may panic.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod application;
mod change;
mod conversation;
mod daemon;
mod memory;
mod namespace;
mod process;
mod trust;
mod wrapper;

use std::time::{Duration, Instant};

use entra_wire::pam::{Code, Outcome, flags};
use entra_wire::protocol::{MAX_PASSWORD, MAX_REPLY, Op};

use application::{Login, codes};
use daemon::{Answer, Asked, Daemon};
use namespace::{LOCAL_PASSWORD, inside};

const PASSWORD: &str = "correct horse battery";

/// The Debian profile, as pam-auth-update writes it with pam_unix before it.
const DEBIAN_STACK: &str = "\
auth [success=2 default=ignore] pam_unix.so nullok
auth [success=1 user_unknown=ignore authinfo_unavail=ignore default=die] pam_entra.so use_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
account [default=bad success=ok user_unknown=ignore] pam_entra.so
password [success=2 default=ignore] pam_unix.so obscure yescrypt
password [success=1 user_unknown=ignore default=die] pam_entra.so use_authtok
password requisite pam_deny.so
password required pam_permit.so
session [default=1] pam_permit.so
session requisite pam_deny.so
session required pam_permit.so
session required pam_unix.so
session optional pam_entra.so
";

fn outcome(code: Code, reason: &str, message: &str) -> Answer {
    Answer::Outcome(Outcome { code, reason: reason.into(), message: message.into(), env: Vec::new() })
}

#[test]
fn a_login_goes_through_every_group() {
    inside("a_login_goes_through_every_group", None, |view| {
        let daemon = Daemon::start(|asked| {
            let env = match asked.op {
                Op::Authenticate => vec!["KRB5CCNAME=FILE:/tmp/krb5cc_1".into(), "LD_PRELOAD=/tmp/evil.so".into()],
                _ => Vec::new(),
            };
            Answer::Outcome(Outcome { env, ..Outcome::bare(Code::Success) })
        });
        let mut login = Login::new(Some("Alice"), &[PASSWORD]);
        login.set(4, "10.1.2.3");
        login.set(3, "ssh");
        assert_eq!(login.authenticate(codes::DISALLOW_NULL), codes::SUCCESS);
        assert_eq!(login.account(0), codes::SUCCESS);
        assert_eq!(login.setcred(codes::ESTABLISH_CRED), codes::SUCCESS);
        assert_eq!(login.open_session(), codes::SUCCESS);
        assert_eq!(login.environment(), ["KRB5CCNAME=FILE:/tmp/krb5cc_1"]);
        assert_eq!(login.close_session(), codes::SUCCESS);
        assert_eq!(login.setcred(codes::DELETE_CRED), codes::SUCCESS);
        assert_eq!(login.user(), "Alice", "PAM_USER stays as typed");
        assert_eq!(login.person().prompts, ["Password: "]);
        assert!(login.person().delays.is_empty());

        let asked = daemon.asked();
        let ops: Vec<(Op, u32)> = asked.iter().map(|asked| (asked.op, asked.flags)).collect();
        let expected = [
            (Op::Authenticate, flags::DISALLOW_NULL),
            (Op::Account, 0),
            (Op::SetCred, flags::CRED_ESTABLISH),
            (Op::OpenSession, 0),
            (Op::CloseSession, 0),
            (Op::SetCred, flags::CRED_DELETE),
        ];
        assert_eq!(ops, expected);
        let first = &asked[0];
        let told = (first.user.as_str(), first.service.as_str(), first.rhost.as_str(), first.tty.as_str());
        assert_eq!(told, ("Alice", "entra-test", "10.1.2.3", "ssh"));
        assert_eq!(first.password.as_deref(), Some(PASSWORD.as_bytes()));
        assert!(asked[1..].iter().all(|asked| asked.password.is_none()));
        assert!(view.logged().contains("authentication success; user=\"Alice\" rhost=\"10.1.2.3\""));
    });
}

#[test]
fn the_password_is_in_the_pipe_and_nowhere_else() {
    inside("the_password_is_in_the_pipe_and_nowhere_else", None, |view| {
        view.service("debug");
        let daemon = Daemon::start(|_| outcome(Code::WrongPassword, "wrong-password", "Sorry."));
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        login.authenticate(0);
        let secret = PASSWORD.as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        let asked = daemon.asked();
        assert_eq!(asked[0].password.as_deref(), Some(secret));
        assert!(!holds(&asked[0].frame), "the frame");
        let log = view.logged();
        assert!(log.contains("authentication failure; user=\"alice\" reason=wrong-password"), "{log}");
        assert!(!holds(log.as_bytes()), "the log");
        assert!(!holds(&std::fs::read("/proc/self/cmdline").unwrap()), "the arguments");
        assert!(!holds(&std::fs::read("/proc/self/environ").unwrap()), "the environment");
        assert!(!holds(login.environment().join("\n").as_bytes()), "the session's environment");
    });
}

#[test]
fn every_outcome_has_its_code() {
    inside("every_outcome_has_its_code", None, |_| {
        let code = std::sync::Arc::new(std::sync::Mutex::new(Code::Success));
        let answer = code.clone();
        let _daemon = Daemon::start(move |_| Answer::Outcome(Outcome::bare(*answer.lock().unwrap())));
        #[rustfmt::skip]
        let table = [
            // outcome                 authenticate             setcred                 account                  open session
            (Code::Success,          [codes::SUCCESS,          codes::SUCCESS,          codes::SUCCESS,          codes::SUCCESS]),
            (Code::UnknownUser,      [codes::USER_UNKNOWN,     codes::USER_UNKNOWN,     codes::USER_UNKNOWN,     codes::USER_UNKNOWN]),
            (Code::WrongPassword,    [codes::AUTH_ERR,         codes::CRED_ERR,         codes::AUTH_ERR,         codes::SESSION_ERR]),
            (Code::Unavailable,      [codes::AUTHINFO_UNAVAIL, codes::AUTHINFO_UNAVAIL, codes::AUTHINFO_UNAVAIL, codes::AUTHINFO_UNAVAIL]),
            (Code::Denied,           [codes::PERM_DENIED,      codes::CRED_ERR,         codes::PERM_DENIED,      codes::SESSION_ERR]),
            (Code::AccountExpired,   [codes::ACCT_EXPIRED,     16,                      codes::ACCT_EXPIRED,     codes::SESSION_ERR]),
            (Code::MaxTries,         [codes::MAXTRIES,         codes::CRED_ERR,         codes::MAXTRIES,         codes::SESSION_ERR]),
            (Code::Failed,           [codes::SYSTEM_ERR,       codes::CRED_ERR,         codes::SYSTEM_ERR,       codes::SESSION_ERR]),
        ];
        for (said, expected) in table {
            *code.lock().unwrap() = said;
            let got = [
                Login::new(Some("alice"), &[PASSWORD]).authenticate(0),
                Login::new(Some("alice"), &[]).setcred(codes::REFRESH_CRED),
                Login::new(Some("alice"), &[]).account(0),
                Login::new(Some("alice"), &[]).open_session(),
            ];
            assert_eq!(got, expected, "{said:?}");
        }
    });
}

#[test]
fn an_expired_password_passes_authentication_and_stops_at_the_account() {
    inside("an_expired_password_passes_authentication_and_stops_at_the_account", None, |_| {
        // The account group's own answer knows nothing of the expiry: the module remembers it.
        let _daemon = Daemon::start(|asked| match asked.op {
            Op::Authenticate => outcome(Code::MustChange, "password-expired", "Your password has expired."),
            _ => Answer::Outcome(Outcome::bare(Code::Success)),
        });
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        assert_eq!(login.account(0), codes::NEW_AUTHTOK_REQD);
        assert_eq!(Login::new(Some("alice"), &[]).account(0), codes::SUCCESS, "a login without that password");
    });
}

#[test]
fn who_is_not_ours_is_left_alone_in_every_group_without_a_request() {
    let name = "who_is_not_ours_is_left_alone_in_every_group_without_a_request";
    inside(name, Some("root:x:0:0::/:/bin/sh\nother:x:70000:70000::/:/bin/sh\nlow:x:998:998::/:/bin/sh\n"), |_| {
        // A daemon that hangs: a single request would keep the caller until its deadline.
        let daemon = Daemon::start(|_| Answer::Silence);
        let long = "a".repeat(2000);
        for user in ["root", "ROOT", "local", "Local", "other", "low", "", "a:b", "a\nb", &long] {
            let mut login = Login::new(Some(user), &[PASSWORD]);
            assert_eq!(login.every_group(), [codes::USER_UNKNOWN; 6], "{user:?}");
            assert!(login.person().prompts.is_empty() && login.person().read.is_empty(), "{user:?}");
            assert!(login.environment().is_empty(), "{user:?}");
        }
        assert_eq!(daemon.asked().len(), 0);
    });
}

#[test]
fn a_user_known_by_an_id_of_ours_is_asked_about() {
    let name = "a_user_known_by_an_id_of_ours_is_asked_about";
    inside(name, Some("alice:x:674001103:674000513::/home/alice:/bin/bash\n"), |_| {
        let daemon = Daemon::saying(Code::Success);
        assert_eq!(Login::new(Some("alice"), &[]).account(0), codes::SUCCESS);
        assert_eq!(daemon.asked().len(), 1);
    });
}

#[test]
fn without_a_passwd_file_nobody_is_asked_about() {
    inside("without_a_passwd_file_nobody_is_asked_about", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        std::fs::remove_file("/etc/passwd").unwrap();
        assert_eq!(Login::new(Some("alice"), &[PASSWORD]).every_group(), [codes::USER_UNKNOWN; 6]);
        assert_eq!(daemon.asked().len(), 0);
    });
}

#[test]
fn local_users_get_through_the_debian_stack_without_a_daemon() {
    inside("local_users_get_through_the_debian_stack_without_a_daemon", None, |view| {
        view.stack(DEBIAN_STACK);
        let mut login = Login::new(Some("local"), &[LOCAL_PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        assert_eq!(login.account(0), codes::SUCCESS);
        assert_eq!(login.setcred(codes::ESTABLISH_CRED), codes::SUCCESS);
        assert_eq!(login.open_session(), codes::SUCCESS);
        assert_eq!(login.close_session(), codes::SUCCESS);
        assert_eq!(login.person().prompts.len(), 1);
        let mut root = Login::new(Some("root"), &[]);
        assert_eq!([root.account(0), root.setcred(codes::ESTABLISH_CRED), root.open_session()], [codes::SUCCESS; 3]);
        let mut wrong = Login::new(Some("local"), &["not it"]);
        assert_ne!(wrong.authenticate(0), codes::SUCCESS);
    });
}

#[test]
fn the_debian_stack_lets_a_directory_user_in_with_one_prompt() {
    let name = "the_debian_stack_lets_a_directory_user_in_with_one_prompt";
    inside(name, Some("alice:*:674001103:674000513::/home/alice:/bin/bash\n"), |view| {
        view.stack(DEBIAN_STACK);
        let daemon = Daemon::start(|asked| match (asked.op, asked.password.as_deref()) {
            (Op::Authenticate, Some(password)) if password != PASSWORD.as_bytes() => {
                outcome(Code::WrongPassword, "wrong-password", "")
            }
            (Op::ChangeCheck, _) => outcome(Code::Denied, "elsewhere", "Change it at work."),
            _ => Answer::Outcome(Outcome::bare(Code::Success)),
        });
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        assert_eq!(login.setcred(codes::ESTABLISH_CRED), codes::SUCCESS);
        assert_eq!(login.account(0), codes::SUCCESS);
        assert_eq!(login.open_session(), codes::SUCCESS);
        assert_eq!(login.person().prompts.len(), 1);
        assert_eq!(login.change_password(), codes::PERM_DENIED);
        assert_eq!(login.person().read, ["Change it at work."]);
        assert_eq!(Login::new(Some("alice"), &["no"]).authenticate(0), codes::AUTH_ERR);
        let asked: Vec<Op> = daemon.asked().iter().map(|asked| asked.op).collect();
        let once = [Op::Authenticate, Op::SetCred, Op::Account, Op::OpenSession, Op::ChangeCheck, Op::Authenticate];
        assert_eq!(asked, once);
    });
}

#[test]
fn without_a_daemon_a_directory_user_meets_an_outage() {
    inside("without_a_daemon_a_directory_user_meets_an_outage", None, |view| {
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.every_group(), [codes::AUTHINFO_UNAVAIL; 6]);
        let read = &login.person().read;
        assert!(read.iter().all(|sentence| sentence.contains("cannot be checked right now")), "{read:?}");
        assert_eq!(read.len(), 3, "authentication, account and password change speak, the others do not: {read:?}");
        assert!(login.person().delays.is_empty(), "an outage is no guess");
        let log = view.logged();
        assert!(log.contains("authentication not possible now; reason=daemon-not-running"), "{log}");
        assert!(!log.contains("alice"), "an unproven name may be a password: {log}");
    });
}

#[test]
fn answers_that_break_the_protocol_are_an_outage() {
    inside("answers_that_break_the_protocol_are_an_outage", None, |_| {
        let whole = Outcome::bare(Code::Success).encode();
        let mut trailing = whole.clone();
        trailing[0] += 1;
        trailing.push(0);
        let mut unknown_code = whole.clone();
        unknown_code[8] = 99;
        let huge = u32::try_from(MAX_REPLY).unwrap().to_le_bytes().to_vec();
        let answers =
            [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), whole[..9].to_vec(), trailing, unknown_code, huge, vec![0; 64]];
        let rest = std::sync::Mutex::new(answers.into_iter());
        let daemon = Daemon::start(move |_| rest.lock().unwrap().next().map_or(Answer::HangUp, Answer::Bytes));
        for round in 0..7 {
            let code = Login::new(Some("alice"), &[PASSWORD]).authenticate(0);
            assert_eq!(code, codes::AUTHINFO_UNAVAIL, "answer {round}");
        }
        assert_eq!(daemon.asked().len(), 7);
    });
}

#[test]
fn a_daemon_that_hangs_is_an_outage_after_the_deadline() {
    inside("a_daemon_that_hangs_is_an_outage_after_the_deadline", None, |view| {
        let said = std::sync::Mutex::new([Answer::Silence, Answer::Hangs, Answer::Silence].into_iter());
        let daemon = Daemon::start(move |_| said.lock().unwrap().next().unwrap_or(Answer::HangUp));
        // A login's own time is 50 s; a daemon that says nothing is given 6 s of it, whatever is asked.
        for ask in [Login::account, |login: &mut Login, flags| login.authenticate(flags)] {
            let begun = Instant::now();
            assert_eq!(ask(&mut Login::new(Some("alice"), &[PASSWORD]), 0), codes::AUTHINFO_UNAVAIL);
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        }
        assert_eq!(Login::new(Some("alice"), &[PASSWORD]).authenticate(0), codes::AUTHINFO_UNAVAIL);
        assert_eq!(daemon.asked().len(), 3);
        assert!(view.logged().contains("reason=daemon-timed-out"));
    });
}

#[test]
fn a_daemon_that_works_at_it_is_waited_for() {
    inside("a_daemon_that_works_at_it_is_waited_for", None, |_| {
        let _daemon = Daemon::start(|_| Answer::Late(Duration::from_secs(8), Outcome::bare(Code::Success)));
        assert_eq!(Login::new(Some("alice"), &[PASSWORD]).authenticate(0), codes::SUCCESS);
    });
}

#[test]
fn passwords_that_cannot_be_right_are_refused_without_a_request() {
    inside("passwords_that_cannot_be_right_are_refused_without_a_request", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        for password in ["", &"p".repeat(MAX_PASSWORD + 1), &"p".repeat(64 * 1024)] {
            let mut login = Login::new(Some("alice"), &[password]);
            assert_eq!(login.authenticate(0), codes::AUTH_ERR, "{} bytes", password.len());
            assert_eq!(login.person().delays.len(), 1, "{} bytes", password.len());
        }
        assert_eq!(daemon.asked().len(), 0);
        let longest = "p".repeat(MAX_PASSWORD);
        assert_eq!(Login::new(Some("alice"), &[&longest]).authenticate(0), codes::SUCCESS);
        assert_eq!(daemon.asked()[0].password.as_deref(), Some(longest.as_bytes()));
    });
}

#[test]
fn a_person_who_hangs_up_is_a_failed_conversation() {
    inside("a_person_who_hangs_up_is_a_failed_conversation", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        assert_eq!(Login::new(Some("alice"), &[]).authenticate(0), codes::CONV_ERR);
        assert_eq!(Login::new(None, &[]).authenticate(0), codes::CONV_ERR);
        assert_eq!(daemon.asked().len(), 0);
    });
}

#[test]
fn a_name_that_the_application_did_not_give_is_asked_for() {
    inside("a_name_that_the_application_did_not_give_is_asked_for", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        let mut login = Login::new(None, &["alice", PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        assert_eq!(login.person().prompts.len(), 2);
        assert_eq!(daemon.asked()[0].user, "alice");
    });
}

#[test]
fn use_first_pass_never_prompts() {
    inside("use_first_pass_never_prompts", None, |view| {
        view.service("use_first_pass");
        let daemon = Daemon::saying(Code::Success);
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.authenticate(0), codes::AUTH_ERR);
        assert!(login.person().prompts.is_empty());
        assert_eq!(daemon.asked().len(), 0);
        // A password that was asked for here serves the modules behind.
        view.stack("auth optional pam_entra.so\nauth required pam_entra.so use_first_pass\n");
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        assert_eq!(login.person().prompts, ["Password: "]);
        assert!(daemon.asked().iter().all(|asked| asked.password.as_deref() == Some(PASSWORD.as_bytes())));
        assert_eq!(daemon.asked().len(), 2);
    });
}

#[test]
fn the_person_reads_one_sentence_unless_silence_is_asked_for() {
    inside("the_person_reads_one_sentence_unless_silence_is_asked_for", None, |view| {
        let _daemon = Daemon::start(|_| outcome(Code::AccountExpired, "account-disabled", "Disabled.\u{1b}[2J\nAsk."));
        let read = |flags: i32| {
            let mut login = Login::new(Some("alice"), &[PASSWORD]);
            assert_eq!(login.authenticate(flags), codes::ACCT_EXPIRED);
            login.person().read.clone()
        };
        assert_eq!(read(0), ["Disabled. [2J Ask."]);
        assert_eq!(read(codes::SILENT), [""; 0]);
        view.service("quiet");
        assert_eq!(read(0), [""; 0]);
        assert_eq!(view.logged().matches("reason=account-disabled").count(), 3);
    });
}

#[test]
fn guesses_cost_time() {
    inside("guesses_cost_time", None, |_| {
        let _daemon = Daemon::saying(Code::WrongPassword);
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        login.authenticate(0);
        // libpam spreads the wait by up to 50 % of the 2 s that were asked for.
        assert!(matches!(login.person().delays[..], [1_000_000..=3_000_000]), "{:?}", login.person().delays);
    });
}

#[test]
fn no_variable_of_the_environment_leads_elsewhere() {
    inside("no_variable_of_the_environment_leads_elsewhere", None, |_| {
        let daemon = Daemon::saying(Code::Denied);
        for name in ["ENTRA_PAM_SOCKET", "ENTRA_SOCKET", "ENTRA_RUN_DIR", "ENTRA_CONFIG"] {
            // SAFETY: this process runs one test, and its daemon's thread reads no variable.
            unsafe { std::env::set_var(name, "/tmp/elsewhere") };
        }
        assert_eq!(Login::new(Some("alice"), &[]).account(0), codes::PERM_DENIED);
        assert_eq!(daemon.asked().len(), 1);
    });
}

#[test]
fn no_descriptor_stays_behind() {
    inside("no_descriptor_stays_behind", None, |_| {
        let answer = |asked: &Asked| match asked.op {
            Op::Account => Answer::HangUp,
            _ => Answer::Outcome(Outcome::bare(Code::Success)),
        };
        let _daemon = Daemon::start(answer);
        let round = || {
            Login::new(Some("alice"), &[PASSWORD, PASSWORD]).every_group();
        };
        // The first round opens what libc keeps: its connection to the system log.
        round();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        (0..20).for_each(|_| round());
        assert_eq!(open(), before);
    });
}
