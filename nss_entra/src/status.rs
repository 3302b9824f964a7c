//! What an entry point tells glibc: the only place with NSS and errno codes.
//!
//! The codes are the contract's ("NSS answers"). An outage is UNAVAIL and never TRYAGAIN: glibc's callers answer
//! TRYAGAIN by growing their buffer or asking again at once. A daemon that is not running is ENOENT: systemd-sysusers,
//! and with it the installation of packages, fails at any other value.

use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::c_int;
use libnss::interop::NssStatus;

use entra_wire::cache_map::Nobody;
use entra_wire::client::CallError;
use entra_wire::codec::CodecError;

/// Why there is no record to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The directory has no such entry, or the name or id cannot be ours, or an enumeration is at its end.
    NotFound,
    /// The record is longer than the caller's buffer: a longer one gets it.
    BufferTooSmall,
    /// The caller's array could not be made longer.
    NoMemory,
    /// No daemon that can be believed answers.
    NotRunning,
    /// The daemon is there and has no answer now, or this process has no room to ask it.
    TryLater,
}

impl Failure {
    fn codes(self) -> (NssStatus, c_int) {
        match self {
            Self::NotFound => (NssStatus::NotFound, libc::ENOENT),
            Self::BufferTooSmall => (NssStatus::TryAgain, libc::ERANGE),
            Self::NoMemory => (NssStatus::TryAgain, libc::ENOMEM),
            Self::NotRunning => (NssStatus::Unavail, libc::ENOENT),
            Self::TryLater => (NssStatus::Unavail, libc::EAGAIN),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotRunning | CallError::Untrusted | CallError::Broken => Self::NotRunning,
            CallError::TimedOut | CallError::Resources => Self::TryLater,
        }
    }
}

impl From<Nobody> for Failure {
    fn from(_: Nobody) -> Self {
        Self::NotFound
    }
}

impl From<CodecError> for Failure {
    fn from(_: CodecError) -> Self {
        Self::from(CallError::Broken)
    }
}

/// Runs an entry point: no panic leaves it, `errno` stays as it was, and `errnop` is written where it fails.
pub(crate) fn entry(errnop: ErrnoSlot, body: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let errno = ErrnoSlot::of_thread();
    let before = errno.get();
    // UNAVAIL and not an abort: a fault of ours must not end the process that asked for a name.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Failure::NotRunning));
    // errnop is the thread's errno in most callers: put that back first.
    errno.set(before);
    match result {
        Ok(()) => NssStatus::Success as c_int,
        Err(failure) => {
            let (status, code) = failure.codes();
            errnop.set(code);
            status as c_int
        }
    }
}

/// Where an errno stands. A pointer and not a borrow: `errnop` is mostly the thread's errno itself, which every system
/// call in between may write.
#[derive(Clone, Copy)]
pub(crate) struct ErrnoSlot(*mut c_int);

#[allow(unsafe_code)] // FFI edge: errno is behind a pointer.
impl ErrnoSlot {
    /// The caller's `errnop`.
    ///
    /// # Safety
    /// `errnop` is null or points to an int that outlives the entry point's call.
    pub(crate) unsafe fn new(errnop: *mut c_int) -> Self {
        Self(errnop)
    }

    /// For entry points that have none.
    pub(crate) fn none() -> Self {
        Self(std::ptr::null_mut())
    }

    fn of_thread() -> Self {
        // SAFETY: gives the address of this thread's errno, valid while the thread lives.
        Self(unsafe { libc::__errno_location() })
    }

    fn get(self) -> c_int {
        // SAFETY: null or valid, by the promise of `new`.
        unsafe { self.0.as_ref() }.copied().unwrap_or_default()
    }

    fn set(self, value: c_int) {
        if !self.0.is_null() {
            // SAFETY: not null, so valid, by the promise of `new`.
            unsafe { self.0.write(value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(result: Result<(), Failure>) -> (c_int, c_int) {
        let mut errno = 77;
        // SAFETY: a local int.
        #[allow(unsafe_code)]
        let slot = unsafe { ErrnoSlot::new(&raw mut errno) };
        (entry(slot, || result), errno)
    }

    #[test]
    fn each_failure_has_the_codes_of_the_contract() {
        assert_eq!(run(Ok(())), (1, 77), "errno is not touched by success");
        assert_eq!(run(Err(Failure::NotFound)), (0, libc::ENOENT));
        assert_eq!(run(Err(Failure::BufferTooSmall)), (-2, libc::ERANGE));
        assert_eq!(run(Err(Failure::NotRunning)), (-1, libc::ENOENT));
        assert_eq!(run(Err(Failure::TryLater)), (-1, libc::EAGAIN));
    }

    #[test]
    fn a_panic_is_an_answer() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let status = entry(ErrnoSlot::none(), || panic!("in the module"));
        std::panic::set_hook(hook);
        assert_eq!(status, NssStatus::Unavail as c_int);
    }

    #[test]
    fn the_threads_errno_survives_success() {
        ErrnoSlot::of_thread().set(libc::EXDEV);
        entry(ErrnoSlot::none(), || {
            ErrnoSlot::of_thread().set(libc::EAGAIN);
            Ok(())
        });
        assert_eq!(ErrnoSlot::of_thread().get(), libc::EXDEV);
    }
}
