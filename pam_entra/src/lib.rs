//! `pam_entra.so`: the four PAM groups for users of the directory.
//!
//! The module decides by itself who cannot be ours ([`decide`]), and only then asks `entrad` over `pam.sock`, once per
//! call, with a deadline ([`request`]). It starts no thread, holds no descriptor between calls, prints nothing and
//! honours no environment variable.
//!
//! | File | Holds |
//! |---|---|
//! | [`auth`], [`account`], [`session`], [`password`] | one PAM group each |
//! | [`decide`] | is this user ours? before any IPC |
//! | [`authtok`] | the password: taken from the stack or asked for, handed on in a stream of its own |
//! | [`request`] | one question to the daemon |
//! | [`report`] | the sentence for the person, the line for the log, the session's environment |
//! | [`status`] | the only place with PAM codes |
//! | [`options`] | the arguments of a line in `/etc/pam.d` |
//! | [`ffi`], [`uid`] | calls into libpam and libc that the bindings lack |

#![deny(unsafe_code)]

mod account;
mod auth;
mod authtok;
mod decide;
#[allow(unsafe_code)] // FFI edge: libpam calls that pam-bindings lacks.
mod ffi;
mod options;
mod password;
mod report;
mod request;
mod session;
mod status;
#[allow(unsafe_code)] // FFI edge: getpwnam_r.
mod uid;

use std::ffi::CStr;
use std::sync::Once;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::options::Call;

/// The module.
struct Entra;

/// The six entry points. Each catches panics and answers PAM_ABORT then (`pam::macros::invoke_hook`).
#[allow(unsafe_code, missing_docs, clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)] // The macro's text.
mod hooks {
    use super::Entra;
    pam::pam_hooks!(Entra);
}

impl PamHooks for Entra {
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        auth::authenticate(pamh, &enter(pamh, &args, flags))
    }

    fn sm_setcred(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        auth::set_credentials(pamh, &enter(pamh, &args, flags))
    }

    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        account::check(pamh, &enter(pamh, &args, flags))
    }

    fn sm_open_session(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        session::open(pamh, &enter(pamh, &args, flags))
    }

    fn sm_close_session(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        session::close(pamh, &enter(pamh, &args, flags))
    }

    fn sm_chauthtok(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        password::change(pamh, &enter(pamh, &args, flags))
    }
}

fn enter(pamh: &PamHandle, args: &[&CStr], flags: PamFlag) -> Call {
    // The hook belongs to this module's own copy of std: the host's, even of a Rust program, stays as it is. Without
    // it a panic would write into the application's stderr before it is caught.
    static SILENT: Once = Once::new();
    SILENT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let call = Call::new(args, flags);
    for unknown in &call.unknown {
        ffi::log(pamh, libc::LOG_ERR, &format!("unknown option {unknown:?} is ignored; see pam_entra(8)"));
    }
    call
}
