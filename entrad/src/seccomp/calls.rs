//! What the worker may ask the kernel for.
//!
//! Found by strace over what the suite does with a worker (start, lookups, enumeration, logins, changed passwords, TLS,
//! an outage, the end), and completed from what glibc, SQLite, tokio and libkrb5 do on other kernels and architectures.
//! Not on the list, among the rest: execve, fork, ptrace, process_vm_*, kill of another process, mount, namespaces,
//! set*id, capset, keyctl, bpf, perf_event_open, io_uring_*, userfaultfd, personality, listen, raw and packet sockets,
//! memory that is both written and executed.

use libc::c_long;

/// When a call on the list goes through. Arguments count from 0; the kernel takes the ones looked at here as 32 bits,
/// but for [`Condition::Null`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// Where the argument is one of these.
    OneOf(u32, &'static [u32]),
    /// Where the argument has all of these bits.
    All(u32, u32),
    /// Where the argument does not have all of these bits together.
    NotAll(u32, u32),
    /// Where the argument is a null pointer.
    Null(u32),
}

use Condition::{All, Always, NotAll, Null, OneOf};

/// Kinds of sockets that may be made: `entractl` and the service manager, the directory, and netlink, with which glibc
/// asks for this host's addresses.
const FAMILIES: &[u32] = &[libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32, libc::AF_NETLINK as u32];
/// What isatty(3) and std's `set_nonblocking` ask; TIOCSTI, which types into a terminal, is none of it.
const IOCTLS: &[u32] = &[libc::FIONBIO as u32, libc::FIONREAD as u32, libc::FIOCLEX as u32, libc::TCGETS as u32];
/// A thread's name; nothing of what prctl(2) does to a process.
const PRCTLS: &[u32] = &[libc::PR_SET_NAME as u32];
const WRITE_AND_EXECUTE: u32 = (libc::PROT_WRITE | libc::PROT_EXEC) as u32;
const EXECUTE: u32 = libc::PROT_EXEC as u32;
const THREAD: u32 = libc::CLONE_THREAD as u32;

/// The calls of every architecture, then those that only the older ones have.
pub const ALLOWED: [(c_long, Condition); COMMON.len() + OLDER.len()] = {
    let mut all = [(0, Always); COMMON.len() + OLDER.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < COMMON.len() { COMMON[at] } else { OLDER[at - COMMON.len()] };
        at += 1;
    }
    all
};

const COMMON: [(c_long, Condition); 113] = [
    // Waiting: the event loop, locks.
    (libc::SYS_epoll_pwait, Always),
    (libc::SYS_epoll_pwait2, Always),
    (libc::SYS_epoll_ctl, Always),
    (libc::SYS_epoll_create1, Always),
    (libc::SYS_eventfd2, Always),
    (libc::SYS_futex, Always),
    (libc::SYS_ppoll, Always),
    (libc::SYS_pselect6, Always),
    (libc::SYS_nanosleep, Always),
    (libc::SYS_clock_nanosleep, Always),
    (libc::SYS_restart_syscall, Always),
    // Sockets: those that were handed over listen already.
    (libc::SYS_socket, OneOf(0, FAMILIES)),
    (libc::SYS_socketpair, OneOf(0, &[libc::AF_UNIX as u32])),
    (libc::SYS_accept4, Always),
    (libc::SYS_accept, Always),
    (libc::SYS_connect, Always),
    (libc::SYS_bind, Always),
    (libc::SYS_sendto, Always),
    (libc::SYS_sendmsg, Always),
    (libc::SYS_sendmmsg, Always),
    (libc::SYS_recvfrom, Always),
    (libc::SYS_recvmsg, Always),
    (libc::SYS_recvmmsg, Always),
    (libc::SYS_shutdown, Always),
    (libc::SYS_getsockname, Always),
    (libc::SYS_getpeername, Always),
    (libc::SYS_getsockopt, Always),
    (libc::SYS_setsockopt, Always),
    (libc::SYS_ioctl, OneOf(1, IOCTLS)),
    // Files: the stores, the shared cache, the configuration; permission is the file system's.
    (libc::SYS_openat, Always),
    (libc::SYS_close, Always),
    (libc::SYS_close_range, Always),
    (libc::SYS_read, Always),
    (libc::SYS_write, Always),
    (libc::SYS_readv, Always),
    (libc::SYS_writev, Always),
    (libc::SYS_pread64, Always),
    (libc::SYS_pwrite64, Always),
    (libc::SYS_preadv, Always),
    (libc::SYS_pwritev, Always),
    (libc::SYS_lseek, Always),
    (libc::SYS_copy_file_range, Always),
    (libc::SYS_sendfile, Always),
    (libc::SYS_splice, Always),
    // A password that a login and the verifier both want.
    (libc::SYS_tee, Always),
    (libc::SYS_fstat, Always),
    (libc::SYS_newfstatat, Always),
    (libc::SYS_statx, Always),
    (libc::SYS_fstatfs, Always),
    (libc::SYS_statfs, Always),
    (libc::SYS_faccessat, Always),
    (libc::SYS_faccessat2, Always),
    (libc::SYS_readlinkat, Always),
    (libc::SYS_getdents64, Always),
    (libc::SYS_getcwd, Always),
    (libc::SYS_ftruncate, Always),
    (libc::SYS_fallocate, Always),
    (libc::SYS_fsync, Always),
    (libc::SYS_fdatasync, Always),
    (libc::SYS_fadvise64, Always),
    (libc::SYS_flock, Always),
    (libc::SYS_fcntl, Always),
    (libc::SYS_fchmod, Always),
    (libc::SYS_fchmodat, Always),
    (libc::SYS_fchown, Always),
    (libc::SYS_umask, Always),
    (libc::SYS_utimensat, Always),
    (libc::SYS_renameat, Always),
    (libc::SYS_renameat2, Always),
    (libc::SYS_unlinkat, Always),
    (libc::SYS_mkdirat, Always),
    (libc::SYS_dup, Always),
    (libc::SYS_dup3, Always),
    (libc::SYS_pipe2, Always),
    // libkrb5 of the host reads its settings out of one.
    (libc::SYS_memfd_create, Always),
    // Memory. Libraries that libkrb5 loads are mapped from files, readable and executable at once, as dlopen(3) does.
    (libc::SYS_brk, Always),
    (libc::SYS_mmap, NotAll(2, WRITE_AND_EXECUTE)),
    (libc::SYS_mprotect, NotAll(2, EXECUTE)),
    (libc::SYS_munmap, Always),
    (libc::SYS_mremap, Always),
    (libc::SYS_madvise, Always),
    (libc::SYS_msync, Always),
    (libc::SYS_membarrier, Always),
    // Threads, never processes.
    (libc::SYS_clone, All(0, THREAD)),
    // Answered by the filter before.
    (libc::SYS_clone3, Always),
    (libc::SYS_set_robust_list, Always),
    (libc::SYS_rseq, Always),
    (libc::SYS_sched_yield, Always),
    (libc::SYS_sched_getaffinity, Always),
    (libc::SYS_gettid, Always),
    (libc::SYS_getpid, Always),
    (libc::SYS_getppid, Always),
    (libc::SYS_prctl, OneOf(0, PRCTLS)),
    (libc::SYS_exit, Always),
    (libc::SYS_exit_group, Always),
    // Signals to itself: abort(3).
    (libc::SYS_tgkill, Always),
    (libc::SYS_rt_sigaction, Always),
    (libc::SYS_rt_sigprocmask, Always),
    (libc::SYS_rt_sigreturn, Always),
    (libc::SYS_sigaltstack, Always),
    // Questions without an effect.
    (libc::SYS_clock_gettime, Always),
    (libc::SYS_clock_getres, Always),
    (libc::SYS_gettimeofday, Always),
    (libc::SYS_getrandom, Always),
    (libc::SYS_getcpu, Always),
    (libc::SYS_getuid, Always),
    (libc::SYS_geteuid, Always),
    (libc::SYS_getgid, Always),
    (libc::SYS_getegid, Always),
    (libc::SYS_getresuid, Always),
    (libc::SYS_uname, Always),
    (libc::SYS_sysinfo, Always),
    // Read, not set.
    (libc::SYS_prlimit64, Null(2)),
];

/// What newer architectures were never given: the same as above, in calls without a folder's descriptor or flags.
#[cfg(target_arch = "x86_64")]
const OLDER: [(c_long, Condition); 17] = [
    (libc::SYS_epoll_wait, Always),
    (libc::SYS_poll, Always),
    (libc::SYS_select, Always),
    (libc::SYS_open, Always),
    (libc::SYS_stat, Always),
    (libc::SYS_lstat, Always),
    (libc::SYS_access, Always),
    (libc::SYS_readlink, Always),
    (libc::SYS_rename, Always),
    (libc::SYS_unlink, Always),
    (libc::SYS_mkdir, Always),
    (libc::SYS_rmdir, Always),
    (libc::SYS_chmod, Always),
    (libc::SYS_dup2, Always),
    (libc::SYS_getrlimit, Always),
    (libc::SYS_time, Always),
    (libc::SYS_utimes, Always),
];

#[cfg(not(target_arch = "x86_64"))]
const OLDER: [(c_long, Condition); 0] = [];
