//! What processes do around a login: threads, forks, closed descriptors, chroot, interrupted system calls.

use std::ffi::{CString, c_int, c_long};
use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use entra_wire::pam::{Code, Outcome};

use crate::PASSWORD;
use crate::application::{Login, codes};
use crate::daemon::{Answer, Daemon};
use crate::namespace::inside;

/// Names the process that is about to ask.
const ASKING: &str = "/run/asking.pid";

/// A login that must succeed, from the password to the end of the session.
fn whole_login() -> bool {
    let mut login = Login::new(Some("alice"), &[PASSWORD]);
    [
        login.authenticate(0),
        login.account(0),
        login.setcred(codes::ESTABLISH_CRED),
        login.open_session(),
        login.close_session(),
        login.setcred(codes::DELETE_CRED),
    ] == [codes::SUCCESS; 6]
}

#[test]
fn eight_threads_log_in_at_once() {
    inside("process::eight_threads_log_in_at_once", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        let right = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let count = (0..5).filter(|_| whole_login()).count();
                    right.fetch_add(count, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(right.load(Ordering::Relaxed), 40);
        assert_eq!(daemon.asked().len(), 40 * 6);
    });
}

#[test]
fn a_child_goes_on_with_the_login_of_its_parent() {
    inside("process::a_child_goes_on_with_the_login_of_its_parent", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        // As sshd does it: the parent asks for the password, the child opens the session, the parent closes it.
        assert_eq!([login.authenticate(0), login.account(0)], [codes::SUCCESS; 2]);
        let opened = in_child(|| {
            [login.setcred(codes::ESTABLISH_CRED), login.open_session()] == [codes::SUCCESS; 2] && whole_login()
        });
        assert!(opened, "the child was refused");
        assert_eq!(login.close_session(), codes::SUCCESS);
        assert_eq!(daemon.asked().len(), 2 + 2 + 6 + 1);
    });
}

#[test]
fn forks_among_busy_threads_do_not_hang() {
    inside("process::forks_among_busy_threads_do_not_hang", None, |_| {
        let _daemon = Daemon::saying(Code::Success);
        let stop = AtomicBool::new(false);
        let right = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        Login::new(Some("alice"), &[PASSWORD]).authenticate(0);
                    }
                });
            }
            let right =
                (0..20).filter(|_| in_child(|| Login::new(Some("alice"), &[]).account(0) == codes::SUCCESS)).count();
            stop.store(true, Ordering::Relaxed);
            right
        });
        assert_eq!(right, 20);
    });
}

#[test]
fn none_of_the_descriptors_0_to_2_is_taken_while_they_are_closed() {
    inside("process::none_of_the_descriptors_0_to_2_is_taken_while_they_are_closed", None, |_| {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let daemon = Daemon::start(move |_| {
            // The module waits for this answer with its socket open, and with its pipe where there is one.
            let pid = std::fs::read_to_string(ASKING).unwrap();
            let used = (0..3).filter(|fd| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).is_ok()).count();
            counted.fetch_add(used, Ordering::Relaxed);
            Answer::Outcome(Outcome::bare(Code::Success))
        });
        // Before they are closed, for two reasons: libc keeps its connection to the system log open from here on, and
        // the check must see descriptors that are there.
        std::fs::write(ASKING, std::process::id().to_string()).unwrap();
        assert!(whole_login());
        assert_eq!(taken.swap(0, Ordering::Relaxed), 3 * 6);
        let right = in_child(|| {
            std::fs::write(ASKING, std::process::id().to_string()).unwrap();
            (0..3).for_each(close);
            let before = open_descriptors();
            whole_login() && open_descriptors() == before
        });
        assert!(right, "the login failed, or left a descriptor open");
        assert_eq!(taken.load(Ordering::Relaxed), 0, "the module used a standard descriptor");
        assert_eq!(daemon.asked().len(), 12);
    });
}

#[test]
fn after_chroot_nobody_is_ours() {
    inside("process::after_chroot_nobody_is_ours", None, |_| {
        let daemon = Daemon::saying(Code::Success);
        std::fs::create_dir("/run/empty").unwrap();
        let mut login = Login::new(Some("alice"), &[PASSWORD]);
        assert_eq!(login.authenticate(0), codes::SUCCESS);
        let quiet = in_child(|| {
            chroot("/run/empty");
            // No /etc/passwd to tell local users from ours, so none is.
            [login.account(0), login.open_session(), login.close_session()] == [codes::USER_UNKNOWN; 3]
        });
        assert!(quiet, "the module said something else than PAM_USER_UNKNOWN");
        assert_eq!(daemon.asked().len(), 1);
    });
}

#[test]
fn interrupted_system_calls_lose_no_login() {
    inside("process::interrupted_system_calls_lose_no_login", None, |_| {
        let _daemon = Daemon::saying(Code::Success);
        // Only the child is interrupted: the daemon lives in the parent. Rarer where every handler takes long.
        let micros = if crate::memory::is_watched() { 5000 } else { 300 };
        assert!(in_child(|| {
            storm_of_signals(micros);
            (0..30).all(|_| whole_login())
        }));
    });
}

/// Forks; whether `check` holds in the child, which ends at once, without the duties of an exit.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does what sshd's does after its fork; that this works is what is tested.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", Error::last_os_error()),
        0 => {
            // SAFETY: no pointer is passed.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let holds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
            // SAFETY: no pointer is passed.
            unsafe { libc::_exit(c_int::from(!holds)) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is a local int.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
        }
    }
}

fn close(fd: c_int) {
    // SAFETY: no pointer is passed, and only a child without a use for them closes 0 to 2.
    unsafe { libc::close(fd) };
}

fn chroot(folder: &str) {
    let folder = CString::new(folder).unwrap();
    // SAFETY: both are C strings.
    let done = unsafe { libc::chroot(folder.as_ptr()) == 0 && libc::chdir(c"/".as_ptr()) == 0 };
    assert!(done, "chroot: {}", Error::last_os_error());
}

/// How many; the one that counts them is among them each time.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Has a signal arrive every `micros` microseconds, its handler doing nothing, system calls not restarted.
fn storm_of_signals(micros: c_long) {
    extern "C" fn ignore(_: c_int) {}
    let interval = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: a zeroed sigaction is valid (no SA_RESTART); the handler touches nothing; the pointers are to locals.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
        assert_eq!(setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()), 0);
    }
}

unsafe extern "C" {
    fn setitimer(which: c_int, new: *const libc::itimerval, old: *mut libc::itimerval) -> c_int;
}
