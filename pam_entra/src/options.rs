//! The arguments of a line in `/etc/pam.d`, and the flags of the call.

use std::ffi::CStr;

use pam::constants::{PAM_SILENT, PamFlag};

/// How the module was called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// `use_first_pass`: never prompt; the password that an earlier module asked for is the only one.
    pub(crate) use_first_pass: bool,
    /// `quiet`, or PAM_SILENT: show the person nothing but prompts.
    pub(crate) quiet: bool,
    /// `debug`: log also what went well and why a user was left to other modules.
    pub(crate) debug: bool,
    /// Flags of the PAM call.
    pub(crate) flags: PamFlag,
    /// Arguments that the module does not know.
    pub(crate) unknown: Vec<String>,
}

impl Call {
    /// Reads the arguments; unknown ones are kept for the log.
    ///
    /// Three are accepted without effect of their own: `try_first_pass` is what happens anyway (a password that is
    /// there is taken, else asked for), `forward_pass` likewise (a password that was asked for is always left for the
    /// modules behind), and `use_authtok` too: a new password that a module before this one asked for is always the one
    /// that is taken, and where there is none (pam_unix asks only for its own users) it is asked for.
    pub(crate) fn new(args: &[&CStr], flags: PamFlag) -> Self {
        let mut call = Self { flags, quiet: flags & PAM_SILENT != 0, ..Self::default() };
        for arg in args {
            match arg.to_bytes() {
                b"use_first_pass" => call.use_first_pass = true,
                b"quiet" => call.quiet = true,
                b"debug" => call.debug = true,
                b"try_first_pass" | b"forward_pass" | b"use_authtok" => {}
                _ => call.unknown.push(arg.to_string_lossy().into_owned()),
            }
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_option_is_known() {
        let args = [c"use_first_pass", c"try_first_pass", c"forward_pass", c"use_authtok", c"quiet", c"debug"];
        let call = Call::new(&args, 0);
        assert!(call.use_first_pass && call.quiet && call.debug && call.unknown.is_empty(), "{call:?}");
    }

    #[test]
    fn an_unknown_option_is_named_and_changes_nothing() {
        let call = Call::new(&[c"nullok"], 0);
        assert_eq!(call, Call { unknown: vec!["nullok".into()], ..Call::default() });
    }

    #[test]
    fn the_application_can_ask_for_silence() {
        assert!(Call::new(&[], PAM_SILENT).quiet);
    }
}
