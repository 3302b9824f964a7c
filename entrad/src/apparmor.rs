//! AppArmor, where it confines this daemon: the worker puts the profile `entrad//worker` on top of `entrad`, which it was
//! started under and which has to allow what the broker and its helpers do. What is stacked allows what each of its
//! profiles allows; so this is a step down, which no_new_privs leaves open, and there is no step back.

use std::fs;
use std::io::{Error, Result};
use std::path::Path;

/// The calling thread's own attributes (proc_pid_attr(5)): AppArmor's, and what kernels before 5.8 have, or with AppArmor
/// as their one major security module.
const CURRENT: [&str; 2] = ["/proc/self/attr/apparmor/current", "/proc/self/attr/current"];
/// How the kernel names a process under our profile; the mode stands behind it in parentheses.
const OURS: &str = "entrad (";
/// apparmor(7): "stack", and the profile.
const STACK: &str = "stack entrad//worker";

/// Confines this process further, for ever. `false` where our profile does not confine it: AppArmor is not there, the
/// profile is not loaded, or another one was given. Call it before any thread is started: each has a profile of its own.
///
/// # Errors
/// When the kernel refuses, which says that the loaded profile is not the one that belongs to this version.
pub fn confine() -> Result<bool> {
    for path in CURRENT.map(Path::new) {
        // Another security module's words, or none.
        let Ok(label) = fs::read_to_string(path) else { continue };
        return stack(path, &label);
    }
    Ok(false)
}

fn stack(path: &Path, label: &str) -> Result<bool> {
    if !label.starts_with(OURS) {
        return Ok(false);
    }
    // One write with the whole command, as the kernel wants it.
    fs::OpenOptions::new().write(true).open(path).and_then(|mut file| {
        let written = std::io::Write::write(&mut file, STACK.as_bytes())?;
        if written == STACK.len() { Ok(true) } else { Err(Error::other("the kernel took a part of the command")) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_under_our_profile_is_confined_further_and_no_other() {
        let file = std::env::temp_dir().join(format!("entrad-apparmor-{}", std::process::id()));
        for (label, confined) in [
            ("entrad (enforce)\n", true),
            ("entrad (complain)\n", true),
            ("unconfined\n", false),
            ("entrad//&entrad//worker (enforce)\n", false),
            ("entrad-of-others (enforce)\n", false),
        ] {
            fs::write(&file, "").unwrap();
            assert_eq!(stack(&file, label).unwrap(), confined, "{label}");
            assert_eq!(fs::read_to_string(&file).unwrap(), if confined { STACK } else { "" }, "{label}");
        }
        fs::remove_file(&file).unwrap();
    }
}
