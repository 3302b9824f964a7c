//! repquota(8) and setquota(8), of the package `quota`. Both take and give numbers for users, and KiB.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use entra_core::config::Limits;

use super::Change;
use crate::exit::Failure;
use crate::process::{self, Done};

const READER: &str = "/usr/sbin/repquota";
const WRITER: &str = "/usr/sbin/setquota";
/// Longest run of either: some seconds for a hundred thousand users.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Most of its output: a million users.
const MOST: u64 = 128 << 20;

/// What a user has on a file system. Sizes are in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Limits of size.
    pub limits: Limits,
    /// Size of the files.
    pub used: u64,
    /// Number of files.
    pub files: u64,
    /// Limits of the number of files, which stay.
    pub file_limits: (u64, u64),
}

/// Everybody who has files or limits there.
///
/// # Errors
/// Where the package is missing, or the kernel refuses.
pub(super) fn read(path: &Path) -> Result<BTreeMap<u32, Kept>, Failure> {
    let mut command = Command::new(READER);
    command.args(["--user", "--verbose", "--no-names", "--output", "csv"]).arg(path);
    let done = run(&mut command, Vec::new(), path)?;
    parse(&done.output)
        .ok_or_else(|| Failure::no("quota", format!("{READER} said of {} what is not understood", path.display())))
}

/// Gives these users the limits that they should have.
///
/// # Errors
/// As [`read`].
pub(super) fn write(path: &Path, changes: &[Change], present: &BTreeMap<u32, Kept>) -> Result<(), Failure> {
    let mut command = Command::new(WRITER);
    command.args(["--user", "--batch"]).arg(path);
    run(&mut command, batch(changes, present).into_bytes(), path).map(drop)
}

fn run(command: &mut Command, input: Vec<u8>, path: &Path) -> Result<Done, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    if !Path::new(&program).exists() {
        return Err(Failure::no("quota", format!("{program} is not there")).remedy("`apt-get install quota`"));
    }
    let done = process::exchange(command, input, MOST, TIMEOUT).map_err(|error| Failure::no("quota", error))?;
    if done.success {
        return Ok(done);
    }
    let said = done.errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Err(Failure::no("quota", format!("{}: {program}: {said}", path.display())).remedy(
        "see whether quotas are on: `quotaon -p` of it; the kernel needs its quota support (modules quota_v2, xfs)",
    ))
}

/// A line for each: user, soft and hard limit of size, soft and hard limit of files.
fn batch(changes: &[Change], present: &BTreeMap<u32, Kept>) -> String {
    let mut lines = String::new();
    for change in changes {
        let (soft, hard) = present.get(&change.uid).copied().unwrap_or_default().file_limits;
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {} {} {soft} {hard}", change.uid, change.soft, change.hard);
    }
    lines
}

/// The table with a head, by the names of its columns: versions differ in what else they show.
fn parse(table: &str) -> Option<BTreeMap<u32, Kept>> {
    let mut lines = table.lines();
    let head: Vec<_> = lines.find(|line| line.starts_with("User,"))?.split(',').collect();
    let at = |name: &str| head.iter().position(|column| *column == name);
    let columns = [
        at("User")?,
        at("SpaceUsed").or_else(|| at("BlockUsed"))?,
        at("SpaceSoftLimit").or_else(|| at("BlockSoftLimit"))?,
        at("SpaceHardLimit").or_else(|| at("BlockHardLimit"))?,
        at("FileUsed")?,
        at("FileSoftLimit")?,
        at("FileHardLimit")?,
    ];
    let mut found = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let values: Vec<_> = line.split(',').collect();
        let [uid, used, soft, hard, files, file_soft, file_hard] = columns.map(|column| values.get(column).copied());
        let number = |text: Option<&str>| text?.parse::<u64>().ok();
        let uid = uid?.strip_prefix('#')?.parse().ok()?;
        let kept = Kept {
            limits: Limits { soft: number(soft)?, hard: number(hard)? },
            used: number(used)?,
            files: number(files)?,
            file_limits: (number(file_soft)?, number(file_hard)?),
        };
        found.insert(uid, kept);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repquota_prints_is_read_and_limits_of_files_stay() {
        let table = "User,BlockStatus,FileStatus,BlockUsed,BlockSoftLimit,BlockHardLimit,BlockGrace,FileUsed,\
                     FileSoftLimit,FileHardLimit,FileGrace\n\
                     #0,ok,ok,20,0,0,,2,0,0,\n\
                     #674001103,soft,ok,2048,1024,4096,6days,7,100,200,\n";
        let read = parse(table).unwrap();
        assert_eq!(read.len(), 2);
        let kept = read[&674_001_103];
        assert_eq!((kept.limits, kept.used, kept.files), (Limits { soft: 1024, hard: 4096 }, 2048, 7));
        let change =
            |uid| Change { uid, name: String::new(), soft: 5, hard: 6, soft_before: 0, hard_before: 0, used: 0 };
        assert_eq!(batch(&[change(674_001_103), change(9)], &read), "674001103 5 6 100 200\n9 5 6 0 0\n");
        assert_eq!(parse("repquota: nothing\n"), None);
        assert_eq!(parse("User,BlockUsed\n"), None);
    }
}
