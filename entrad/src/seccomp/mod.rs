//! The worker's own seccomp(2) filter: of the system calls, what the event loop, the stores, glibc and libkrb5's GSSAPI
//! make, and nothing else. It comes on top of the unit's `SystemCallFilter=`, which has to leave the broker and the
//! helper theirs, and holds where no systemd is.
//!
//! A call that is not on the list fails and nothing is killed: a library that tries something new then goes another way,
//! and a login that would have worked still does. The kernel logs each such call (`type=1326`, audit or kernel log), so
//! that a probe is seen. EPERM is the answer for calls that existed when the list was made; ENOSYS, as an old kernel says
//! it, for later ones and for clone3(2), whose flags lie in memory that a filter cannot read: glibc then takes the call
//! before it. It tries clone3 for each thread, so a filter of its own answers that, which logs nothing.
//!
//! | Module | |
//! |---|---|
//! | [`calls`] | the list, and why |
//! | [`program`] | the list as the kernel's BPF |

mod calls;
mod program;

use std::io::{Error, Result};

use calls::Condition;

/// Confines this process and every thread that it starts, for ever. `false` where there is no filter for this
/// architecture, or the kernel gives none: the worker has no right even so, and the reader of the log is told.
///
/// # Errors
/// When the kernel knows filters and refuses this one: `no_new_privs` is missing, or memory.
pub fn confine() -> Result<bool> {
    let (Some(silent), Some(list)) = (program::without_clone3(), program::build(&calls::ALLOWED)) else {
        return Ok(false);
    };
    match install(&silent, 0).and_then(|()| install(&list, libc::SECCOMP_FILTER_FLAG_LOG)) {
        Ok(()) => Ok(true),
        // Built without CONFIG_SECCOMP_FILTER, or older than Linux 4.14; a container or a unit that lets nobody ask.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::EPERM)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn install(filter: &[libc::sock_filter], flags: libc::c_ulong) -> Result<()> {
    let len = u16::try_from(filter.len()).map_err(Error::other)?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from `filter`, which lives for the call, and writes nothing.
    let outcome = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if outcome == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
