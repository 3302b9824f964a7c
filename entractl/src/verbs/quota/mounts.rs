//! What is mounted where, and whether quotas of users count there.

use std::path::Path;

use crate::exit::Failure;

/// Where the kernel says what is mounted (proc(5)).
const TABLE: &str = "/proc/self/mountinfo";

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// What is mounted.
    pub device: String,
    /// `ext4`, `xfs`, …
    pub kind: String,
    /// Where.
    path: String,
    /// The file system's own options.
    options: Vec<String>,
}

impl Mount {
    /// What is mounted at `path`, the uppermost where several are.
    ///
    /// # Errors
    /// Where nothing is.
    pub(super) fn find(path: &Path) -> Result<Self, Failure> {
        let table =
            std::fs::read_to_string(TABLE).map_err(|error| Failure::no("quota", format!("{TABLE}: {error}")))?;
        Self::of(&table, path).ok_or_else(|| {
            Failure::no("quota", format!("no file system is mounted at {}", path.display()))
                .remedy("mount it, or name in entra.toml where it is mounted: `findmnt --target PATH` says where")
        })
    }

    fn of(table: &str, path: &Path) -> Option<Self> {
        table.lines().filter_map(Self::parse).rfind(|mount| Path::new(&mount.path) == path)
    }

    /// A line: ids, device numbers, root, place, options, optional fields up to a hyphen, kind, device, options of the
    /// file system.
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let path = unescape(left.split(' ').nth(4)?);
        let mut right = right.split(' ');
        let (kind, device, options) = (right.next()?, right.next()?, right.next()?);
        let options = options.split(',').map(str::to_owned).collect();
        Some(Self { device: unescape(device), kind: kind.to_owned(), path, options })
    }

    /// Whether quotas of users count there.
    ///
    /// # Errors
    /// What is missing, and what enables it.
    pub(super) fn has_quotas(&self) -> Result<(), Failure> {
        let Self { device, kind, path, .. } = self;
        let has = |names: &[&str]| self.options.iter().any(|option| names.contains(&option.as_str()));
        let off = |remedy: String| {
            Err(Failure::no("quota", format!("{path} ({kind}, {device}) keeps no quotas of users")).remedy(remedy))
        };
        match kind.as_str() {
            "ext4" if has(&["usrquota", "quota"]) || self.options.iter().any(|it| it.starts_with("usrjquota=")) => {
                Ok(())
            }
            "ext4" => off(format!(
                "`umount {path}; tune2fs -O quota {device}`, then the option usrquota in /etc/fstab and `mount {path}`; for \
                 the root file system from a rescue system"
            )),
            "xfs" if has(&["usrquota", "uquota"]) => Ok(()),
            "xfs" => off(format!(
                "the option uquota in /etc/fstab, then `umount {path}; mount {path}` (a remount does not do); for the root \
                 file system rootflags=uquota on the kernel's command line"
            )),
            _ => Err(Failure::no("quota", format!("{path} is {kind}: quotas are set on ext4 and xfs"))
                .remedy("use that file system's own quotas")),
        }
    }
}

/// Blanks, tabs, line ends and backslashes stand as octal numbers.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: &str, options: &str) -> Result<(), Failure> {
        let line = format!("36 35 98:0 / /srv/a\\040b rw,noatime shared:1 - {kind} /dev/sdb1 {options}");
        Mount::of(&line, Path::new("/srv/a b")).unwrap().has_quotas()
    }

    #[test]
    fn what_is_mounted_last_counts() {
        let table = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n\
                     3 1 8:3 / /srv rw master:1 - xfs /dev/sda3 rw,usrquota\n";
        assert_eq!(Mount::of(table, Path::new("/srv")).unwrap().device, "/dev/sda3");
        assert_eq!(Mount::of(table, Path::new("/srv/x")), None);
    }

    #[test]
    fn a_file_system_without_quotas_is_named_with_what_enables_them() {
        assert!(judged("ext4", "rw,usrquota").is_ok() && judged("xfs", "rw,usrquota,noprjquota").is_ok());
        let ext4 = judged("ext4", "rw,grpquota").unwrap_err();
        assert_eq!(ext4.error, "/srv/a b (ext4, /dev/sdb1) keeps no quotas of users");
        assert!(ext4.remedy.unwrap().contains("tune2fs -O quota /dev/sdb1"));
        for options in ["rw,noquota", "rw,uqnoenforce"] {
            assert!(judged("xfs", options).unwrap_err().remedy.unwrap().contains("uquota"), "{options}");
        }
        assert!(judged("btrfs", "rw").unwrap_err().error.contains("is btrfs: quotas are set on ext4 and xfs"));
    }
}
