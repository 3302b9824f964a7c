//! The password group: what the person is asked, what the daemon is told, and what is said to have happened.

use entra_wire::pam::{Code, Outcome, flags};
use entra_wire::protocol::Op;

use crate::application::{Login, codes};
use crate::daemon::{Answer, Asked, Daemon};
use crate::namespace::inside;
use crate::outcome;

const OLD: &str = "old password";
const NEW: &str = "new password";

/// A daemon that says yes, knows the old password and takes any new one.
fn directory(asked: &Asked) -> Answer {
    match (asked.op, asked.password.as_deref()) {
        (Op::ChangeCheck | Op::Change, Some(old)) if old != OLD.as_bytes() => {
            outcome(Code::WrongPassword, "wrong-password", "The password is wrong.")
        }
        (Op::Change, _) => outcome(Code::Success, "changed", "Your password has been changed."),
        _ => Answer::Outcome(Outcome::bare(Code::Success)),
    }
}

fn ops(daemon: &Daemon) -> Vec<Op> {
    daemon.asked().iter().map(|asked| asked.op).collect()
}

#[test]
fn the_old_password_is_proven_before_a_new_one_is_asked_for() {
    inside("change::the_old_password_is_proven_before_a_new_one_is_asked_for", None, |_| {
        let daemon = Daemon::start(directory);
        let mut login = Login::new(Some("alice"), &[OLD, NEW, NEW]);
        assert_eq!(login.change_password(), codes::SUCCESS);
        assert_eq!(login.person().prompts, ["Current password: ", "New password: ", "Retype new password: "]);
        assert_eq!(login.person().read, ["Your password has been changed."]);
        let asked = daemon.asked();
        assert_eq!(ops(&daemon), [Op::ChangeCheck, Op::ChangeCheck, Op::Change]);
        let passwords = (asked[2].password.as_deref(), asked[2].new_password.as_deref());
        assert_eq!(passwords, (Some(OLD.as_bytes()), Some(NEW.as_bytes())));

        let mut wrong = Login::new(Some("alice"), &["not it", NEW, NEW]);
        assert_eq!(wrong.change_password(), codes::AUTH_ERR);
        assert_eq!(wrong.person().prompts, ["Current password: "]);
        assert_eq!(wrong.person().read, ["The password is wrong."]);
    });
}

#[test]
fn where_it_is_changed_elsewhere_nothing_is_asked_for() {
    inside("change::where_it_is_changed_elsewhere_nothing_is_asked_for", None, |_| {
        let daemon = Daemon::start(|_| outcome(Code::PasswordRefused, "change-elsewhere", "Change it at work."));
        let mut login = Login::new(Some("alice"), &[OLD, NEW, NEW]);
        assert_eq!(login.change_password(), codes::AUTHTOK_ERR);
        assert!(login.person().prompts.is_empty());
        assert_eq!(login.person().read, ["Change it at work."]);
        assert_eq!(ops(&daemon), [Op::ChangeCheck]);
    });
}

#[test]
fn a_password_that_has_not_expired_stays_where_only_an_expired_one_is_meant() {
    inside("change::a_password_that_has_not_expired_stays_where_only_an_expired_one_is_meant", None, |_| {
        let daemon = Daemon::start(|asked| match asked.flags & flags::CHANGE_EXPIRED {
            0 => Answer::Outcome(Outcome::bare(Code::Success)),
            _ => outcome(Code::Success, "not-expired", "It stays as it is."),
        });
        let mut login = Login::new(Some("alice"), &[OLD, NEW, NEW]);
        assert_eq!(login.change_password_if(codes::CHANGE_EXPIRED), codes::SUCCESS);
        assert!(login.person().prompts.is_empty());
        assert_eq!(ops(&daemon), [Op::ChangeCheck]);
        // The same transaction, asked again without that flag.
        assert_eq!(login.change_password(), codes::SUCCESS);
        assert_eq!(login.person().prompts.len(), 3);
    });
}

#[test]
fn a_refused_password_can_be_replaced_by_another_one() {
    inside("change::a_refused_password_can_be_replaced_by_another_one", None, |_| {
        let daemon = Daemon::start(|asked| match asked.new_password.as_deref() {
            Some(b"weak") => outcome(Code::PasswordRefused, "password-policy", "Too weak."),
            _ => directory(asked),
        });
        let typed = [OLD, NEW, "a slip", "weak", "weak", NEW, NEW];
        let mut login = Login::new(Some("alice"), &typed);
        assert_eq!(login.change_password(), codes::SUCCESS);
        let expected = ["The two passwords are not the same.", "Too weak.", "Your password has been changed."];
        assert_eq!(login.person().read, expected);
        // Three tries, then it is over.
        let typed = [OLD, "weak", "weak", "weak", "weak", "weak", "weak", NEW, NEW];
        let mut login = Login::new(Some("alice"), &typed);
        assert_eq!(login.change_password(), codes::AUTHTOK_ERR);
        assert_eq!(login.person().read, ["Too weak."; 3]);
        assert_eq!(daemon.asked().iter().filter(|asked| asked.op == Op::Change).count(), 5);
    });
}

#[test]
fn who_gives_up_or_types_the_old_one_changes_nothing() {
    inside("change::who_gives_up_or_types_the_old_one_changes_nothing", None, |_| {
        let daemon = Daemon::start(directory);
        let mut login = Login::new(Some("alice"), &[OLD, ""]);
        assert_eq!(login.change_password(), codes::AUTHTOK_ERR);
        assert_eq!(login.person().read, ["No new password was given. Your password stays as it is."]);
        let mut login = Login::new(Some("alice"), &[OLD, OLD, OLD, ""]);
        assert_eq!(login.change_password(), codes::AUTHTOK_ERR);
        assert_eq!(login.person().read[0], "The new password is the old one.");
        let mut gone = Login::new(Some("alice"), &[OLD, NEW]);
        assert_eq!(gone.change_password(), codes::CONV_ERR);
        assert!(!ops(&daemon).contains(&Op::Change));
    });
}

#[test]
fn a_lost_answer_is_neither_changed_nor_unchanged() {
    inside("change::a_lost_answer_is_neither_changed_nor_unchanged", None, |view| {
        let _daemon = Daemon::start(|asked| match asked.op {
            Op::Change => Answer::HangUp,
            _ => directory(asked),
        });
        let mut login = Login::new(Some("alice"), &[OLD, NEW, NEW]);
        assert_eq!(login.change_password(), codes::AUTHTOK_ERR);
        assert!(login.person().read[0].starts_with("It is not known whether"), "{:?}", login.person().read);
        let log = view.logged();
        assert!(log.contains("reason=change-unknown"), "{log}");
        assert!(!log.contains(OLD) && !log.contains(NEW), "{log}");
    });
}
