//! Whether a join or leave runs on this host now. The lock of those is root's alone to open, and taking it for a moment to
//! see whether it is free would break off a join that begins just then: the processes are looked at instead, which
//! everybody may do (proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Parser;

use crate::cli::{Cli, Verb};

/// What changes the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `entractl join`
    Joining,
    /// `entractl leave`
    Leaving,
}

/// The join or leave that runs, and its process id. `processes` is `/proc`; `lock` is the file that they hold, by which
/// one in a container of its own is told from one of this host, where the reader may see that.
pub fn now(processes: &Path, lock: &Path) -> Option<(Change, u32)> {
    let entries = fs::read_dir(processes).ok()?;
    entries.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let process = entry.path();
        if fs::read_to_string(process.join("comm")).ok()?.trim_end() != "entractl" {
            return None;
        }
        // Anybody may call a program so; root alone joins.
        if fs::metadata(&process).ok()?.uid() != 0 || !same_host(&process, lock) {
            return None;
        }
        Some((change(&fs::read(process.join("cmdline")).ok()?)?, pid))
    })
}

/// What a command line does, as the kernel shows it: each word ends with a NUL.
fn change(line: &[u8]) -> Option<Change> {
    let words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let words: Vec<_> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    match Cli::try_parse_from(words).ok()?.verb {
        Verb::Join(_) => Some(Change::Joining),
        Verb::Leave(_) => Some(Change::Leaving),
        _ => None,
    }
}

/// Whether a process sees our lock. True where only root could tell.
fn same_host(process: &Path, lock: &Path) -> bool {
    let theirs = process.join("root").join(lock.strip_prefix("/").unwrap_or(lock));
    match (fs::metadata(theirs), fs::metadata(lock)) {
        (Ok(theirs), Ok(ours)) => (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    #[test]
    fn a_join_is_told_from_what_else_runs() {
        let folder = Folder::new();
        let process = |pid: &str, comm: &str, line: &str| {
            let at = folder.0.join(pid);
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(at.join("cmdline"), line.replace(' ', "\0") + "\0").unwrap();
        };
        let seen = || now(&folder.0, Path::new("/nonexistent"));
        process("1", "systemd", "/sbin/init");
        process("20", "entractl", "entractl status --json");
        process("21", "less", "entractl join d.example --user admin");
        fs::write(folder.0.join("uptime"), "1").unwrap();
        assert_eq!(seen(), None);
        process("22", "entractl", "entractl --json join d.example --user admin --permit join");
        // Whose it is shows where root runs this; anybody else's folders are not root's.
        let as_root = crate::host::effective_uid() == 0;
        assert_eq!(seen(), as_root.then_some((Change::Joining, 22)));
        process("22", "entractl", "/usr/bin/entractl leave");
        assert_eq!(seen(), as_root.then_some((Change::Leaving, 22)));
        process("22", "entractl", "entractl keytab rotate");
        assert_eq!(seen(), None);
    }
}
