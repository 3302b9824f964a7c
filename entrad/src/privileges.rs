//! Giving up rights, each step checked. FFI edge: std has none of these calls.
//!
//! | Process | Identity | Capabilities |
//! |---|---|---|
//! | worker | `entra` for ever | none, and none to be had: bounding set empty, no_new_privs |
//! | broker | root | [`BROKER_CAPABILITIES`], the same as its bounding set; no_new_privs |
//! | helper | root, then the worker's user or the person's | the broker's, then none |

use std::io::{Error, Result};
use std::ptr::null;

use crate::account::Account;

/// What the broker and its helpers keep, and why:
/// CAP_DAC_READ_SEARCH 2 (a keytab that is not root's, the armor below `/run/entra/private`), CAP_KILL 5 (a helper past
/// its deadline that has already become the person), CAP_SETGID 6 and CAP_SETUID 7 (becoming that person).
pub const BROKER_CAPABILITIES: [u32; 4] = [2, 5, 6, 7];

/// Highest capability number that is asked for; the kernel refuses those that it does not know.
const LAST_CAPABILITY: u32 = 63;
/// `_LINUX_CAPABILITY_VERSION_3`: two 32-bit words per set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Raises the limit of open descriptors to what the sockets' places need (three sockets of 1,024, and the stores), as
/// far as the hard limit goes: a worker without descriptors could not read /etc/passwd.
///
/// # Errors
/// When the kernel refuses.
pub fn allow_descriptors() -> Result<()> {
    const WANTED: libc::rlim_t = 8192;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_cur.max(WANTED.min(limit.rlim_max));
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Turns the single-threaded root process into the worker: `account` with its groups, no capability, and no way back.
///
/// # Errors
/// When any step fails; the process must end then.
pub fn drop_to(account: &Account) -> Result<()> {
    close_bounding_set(&[])?;
    set_identity(account.uid, account.gid, &account.groups)?;
    clear_ambient()?;
    set_capabilities(&[])?;
    no_new_privileges()?;
    not_dumpable()?;
    refuse_way_back()
}

/// Leaves the broker what [`BROKER_CAPABILITIES`] says, here and after every exec.
///
/// # Errors
/// As [`drop_to`].
pub fn become_broker() -> Result<()> {
    close_bounding_set(&BROKER_CAPABILITIES)?;
    clear_ambient()?;
    set_capabilities(&BROKER_CAPABILITIES)?;
    no_new_privileges()?;
    not_dumpable()
}

/// Turns a helper into a person (or the worker's user), with the primary group alone, for the rest of its life. Nothing
/// to do where it runs as that user already (tests).
///
/// # Errors
/// As [`drop_to`].
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    if !is_root() {
        // SAFETY: takes nothing, cannot fail.
        let own = unsafe { libc::getuid() };
        return if own == uid { Ok(()) } else { Err(Error::from_raw_os_error(libc::EPERM)) };
    }
    // What is kept for others in the broker's keyring is not this person's to have.
    match crate::keyring::own_session() {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => return Err(error),
        // Without the kernel's keys nothing is kept.
        _ => {}
    }
    set_identity(uid, gid, &[])?;
    if uid != 0 {
        set_capabilities(&[])?;
        refuse_way_back()?;
    }
    // Both were reset by the change of identity.
    not_dumpable()?;
    die_with_parent()
}

/// First thing in a helper: nothing inherited but the descriptors below `keep`, no environment, no core file, no
/// debugger, and no life without the broker.
///
/// # Errors
/// As [`drop_to`].
pub fn harden_helper(keep: u32) -> Result<()> {
    // SAFETY: no pointers; closes descriptors that nothing in this process uses yet.
    check(unsafe { libc::syscall(libc::SYS_close_range, keep, u32::MAX, 0) } as i32)?;
    // SAFETY: single-threaded, and no reference into the environment is held.
    check(unsafe { libc::clearenv() })?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is live for the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })?;
    // SAFETY: no pointers.
    unsafe { libc::umask(0o077) };
    // SAFETY: a C string.
    check(unsafe { libc::chdir(c"/".as_ptr()) })?;
    no_new_privileges()?;
    not_dumpable()?;
    die_with_parent()
}

/// A lock that other programs of this host take too; held until dropped.
pub struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Takes the lock at `path`, without waiting.
    ///
    /// # Errors
    /// When somebody else holds it or the file cannot be made.
    pub fn take(path: &std::path::Path) -> Result<Self> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::OpenOptionsExt;
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // SAFETY: no pointer is passed; the descriptor is open for the call.
        check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })?;
        Ok(Self { _file: file })
    }
}

/// SIGKILL when the thread that forked this process ends.
///
/// # Errors
/// Never on Linux.
pub fn die_with_parent() -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
}

/// The umask, which also shapes the mode of sockets that are bound. Gives the one before.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: no pointers, cannot fail.
    unsafe { libc::umask(mask) }
}

/// Sets and removes environment variables for the libraries of this process.
///
/// # Errors
/// When the process has more than one thread: the environment has no lock that C code honours.
pub fn set_environment(values: &[(&str, &str)], removed: &[&str]) -> Result<()> {
    single_threaded()?;
    // SAFETY: no other thread exists that could read the environment.
    unsafe {
        for name in removed {
            std::env::remove_var(name);
        }
        for (name, value) in values {
            std::env::set_var(name, value);
        }
    }
    Ok(())
}

/// Forks. `true` in the child.
///
/// # Errors
/// As fork(2), and when the process has more than one thread: the child would inherit locks that nobody opens again.
pub fn fork() -> Result<bool> {
    single_threaded()?;
    // SAFETY: no other thread exists, so the child's copy of the process is whole.
    let pid = unsafe { libc::fork() };
    check(pid)?;
    Ok(pid == 0)
}

/// Lets a process outlive the signals that end a service; it ends by itself when its work is gone.
pub fn ignore_termination() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: SIG_IGN is a valid disposition for these signals.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Undoes [`ignore_termination`] in a program that was executed; a disposition to ignore is inherited.
pub fn default_termination() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: SIG_DFL is a valid disposition for these signals.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn single_threaded() -> Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() == 1 {
        Ok(())
    } else {
        Err(Error::other("this has to be done before any thread is started"))
    }
}

fn set_identity(uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    let list = if groups.is_empty() { null() } else { groups.as_ptr() };
    // SAFETY: `list` holds `groups.len()` ids. These go first: they need the rights that setresuid gives up.
    unsafe {
        check(libc::setgroups(groups.len(), list))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))
    }
}

/// Proves that root cannot be had back. A kernel or a container that let it would make everything else pointless.
fn refuse_way_back() -> Result<()> {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: three places for the result; then two calls without pointers that are expected to fail.
    let back = unsafe {
        check(libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved))?;
        libc::setresuid(0, 0, 0) == 0 || libc::setresgid(0, 0, 0) == 0
    };
    if back || [real, effective, saved].contains(&0) {
        return Err(Error::other("root could not be given up for good"));
    }
    Ok(())
}

fn close_bounding_set(keep: &[u32]) -> Result<()> {
    for capability in (0..=LAST_CAPABILITY).filter(|number| !keep.contains(number)) {
        match prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability)) {
            Ok(()) => {}
            // Past the kernel's last one.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            // A container without CAP_SETPCAP: the permitted set and no_new_privs have to do.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn clear_ambient() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)
}

fn set_capabilities(keep: &[u32]) -> Result<()> {
    let mut data = [CapData::default(); 2];
    let mut held = data;
    let header = CapHeader { version: CAPABILITY_VERSION, pid: 0 };
    // SAFETY: header and both data words are live and laid out as capget(2) says.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, held.as_mut_ptr()) } as i32)?;
    for number in keep {
        let (word, bit) = ((number / 32) as usize, 1 << (number % 32));
        if let (Some(slot), Some(had)) = (data.get_mut(word), held.get(word)) {
            // A container may hold fewer than root's; asking for more would fail as a whole.
            slot.permitted |= bit & had.permitted;
            slot.effective |= bit & had.permitted;
        }
    }
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } as i32)
}

fn no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

fn not_dumpable() -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

fn prctl(option: i32, value: libc::c_ulong) -> Result<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers only; the unused arguments are zero, as the kernel demands.
    check(unsafe { libc::prctl(option, value, zero, zero, zero) })
}

fn check(outcome: i32) -> Result<()> {
    if outcome < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
