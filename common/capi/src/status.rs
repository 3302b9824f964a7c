//! What a function tells its caller, and the frame around every function.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use entra_wire::cache_map::Nobody;
use entra_wire::client::CallError;
use entra_wire::codec::CodecError;
use entra_wire::protocol::Status;

/// `ENTRA_OK`
pub(crate) const OK: c_int = 0;

/// Why there is no answer; the numbers are `entra.h`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Failure {
    /// The directory said that there is none, or it cannot be the directory's.
    NotFound = 1,
    /// Nobody who can be believed answers now.
    Unavailable = 2,
    /// The caller's memory is too short.
    Range = 3,
    /// An argument that nobody can answer.
    Invalid = 4,
}

impl Failure {
    /// The number.
    pub(crate) fn code(self) -> c_int {
        self as c_int
    }
}

/// "Not found" is never made of an error: whoever cannot tell says so.
impl From<CallError> for Failure {
    fn from(_: CallError) -> Self {
        Self::Unavailable
    }
}

impl From<Nobody> for Failure {
    fn from(_: Nobody) -> Self {
        Self::NotFound
    }
}

impl From<CodecError> for Failure {
    fn from(_: CodecError) -> Self {
        Self::Unavailable
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        if status == Status::NotFound { Self::NotFound } else { Self::Unavailable }
    }
}

/// Runs a function's body: no panic leaves it, and the thread's errno stays as it was.
pub(crate) fn entry(body: impl FnOnce() -> Result<(), Failure>) -> c_int {
    // SAFETY: gives the address of this thread's errno, valid while the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; nobody else writes it.
    let before = unsafe { errno.read() };
    // UNAVAILABLE and not an abort: a fault of ours must not end the program that asked.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Failure::Unavailable));
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result.map_or_else(Failure::code, |()| OK)
}

/// What a status means, in words.
pub(crate) fn words(status: c_int) -> &'static CStr {
    match status {
        OK => c"done",
        1 => c"no such user or group in the directory",
        2 => c"the directory cannot be asked now: entrad is not running, or has no answer",
        3 => c"the buffer is too short",
        4 => c"an argument is not valid",
        _ => c"no status of libentra",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_errno_survives() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        // SAFETY: this thread's errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { errno.write(libc::EXDEV) };
        let status = entry(|| {
            // SAFETY: as above.
            unsafe { errno.write(libc::EAGAIN) };
            panic!("in the library")
        });
        std::panic::set_hook(hook);
        // SAFETY: as above.
        assert_eq!((status, unsafe { errno.read() }), (Failure::Unavailable.code(), libc::EXDEV));
    }

    #[test]
    fn only_the_directorys_word_is_not_found() {
        let others = [Status::Offline, Status::Busy, Status::Refused, Status::BadRequest];
        assert!(others.into_iter().all(|status| Failure::from(status) == Failure::Unavailable));
        assert_eq!(Failure::from(Status::NotFound), Failure::NotFound);
    }
}
