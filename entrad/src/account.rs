//! The worker's own user, read from `/etc/passwd` and `/etc/group` directly: asking NSS would ask ourselves.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Most groups that are kept, NGROUPS_MAX of old kernels.
const MAX_GROUPS: usize = 64;
/// Longest part of a file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A local user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its uid, never 0.
    pub uid: u32,
    /// Its primary gid.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
}

/// Looks `name` up in files of the passwd(5) and group(5) format.
///
/// # Errors
/// A sentence that says what to do.
pub fn find(name: &str, passwd: &Path, group: &Path) -> Result<Account, String> {
    let cannot = |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut found = None;
    each_line(passwd, |fields| {
        if found.is_none()
            && let [line_name, _, uid, gid, ..] = fields
            && *line_name == name
        {
            found = uid.parse().ok().zip(gid.parse().ok());
        }
    })
    .map_err(|error| cannot(passwd, error))?;
    let (uid, gid) = found.ok_or_else(|| {
        format!("there is no user {name} in {}: create it as a system user (systemd-sysusers)", passwd.display())
    })?;
    if uid == 0 {
        return Err(format!("the user {name} has uid 0: the daemon needs one without rights"));
    }
    let mut groups = Vec::new();
    each_line(group, |fields| {
        if let [_, _, id, members] = fields
            && members.split(',').any(|member| member == name)
            && let Ok(id) = id.parse()
            && id != 0
            && groups.len() < MAX_GROUPS
        {
            groups.push(id);
        }
    })
    .map_err(|error| cannot(group, error))?;
    Ok(Account { uid, gid, groups })
}

fn each_line(path: &Path, mut seen: impl FnMut(&[&str])) -> std::io::Result<()> {
    let mut reader = BufReader::new(std::fs::File::open(path)?.take(MAX_FILE));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Ok(text) = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(&line)) {
            seen(&text.split(':').collect::<Vec<_>>());
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_files(passwd: &str, group: &str) -> Result<Account, String> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("entra-account-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("passwd"), passwd).unwrap();
        std::fs::write(folder.join("group"), group).unwrap();
        let found = find("entra", &folder.join("passwd"), &folder.join("group"));
        std::fs::remove_dir_all(&folder).unwrap();
        found
    }

    #[test]
    fn the_first_line_of_that_name_counts() {
        let passwd = "root:x:0:0::/:/bin/sh\nentra2:x:5:5::/:/\nentra:x:990:991::/:/\nentra:x:1:1::/:/";
        let group = "root:x:0:entra\nssl-cert:x:110:bob,entra\nold:x:111:entra2\n";
        assert_eq!(with_files(passwd, group), Ok(Account { uid: 990, gid: 991, groups: vec![110] }));
    }

    #[test]
    fn nobody_runs_as_root_by_a_line_in_passwd() {
        assert!(with_files("entra:x:0:0::/:/\n", "").unwrap_err().contains("uid 0"));
        assert!(with_files("entra:x:y:0::/:/\n", "").unwrap_err().contains("no user entra"));
    }
}
