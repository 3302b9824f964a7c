//! The one environment variable that is set here. FFI edge: changing the environment is not safe beside other threads.

use std::path::Path;

use crate::exit::Failure;

/// Makes libgssapi read this krb5 configuration instead of the host's: it takes no other way to be told. To be called
/// before any thread is started.
///
/// # Errors
/// When there are other threads already.
pub fn use_krb5_config(path: &Path, verb: &str) -> Result<(), Failure> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(Failure::no(verb, format!("{threads} threads run where one should")));
    }
    // SAFETY: this is the only thread of the process, as was seen above.
    unsafe { std::env::set_var("KRB5_CONFIG", path) };
    Ok(())
}
