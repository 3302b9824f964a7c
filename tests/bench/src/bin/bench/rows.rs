//! The rows: what is measured, in which unit, what was seen of the peers elsewhere, and what entrad must reach.

use Unit::{Mebibytes, Micros, Millis, PerSecond, Seconds};

/// How a row's samples are kept and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Samples in nanoseconds, shown in microseconds.
    Micros,
    /// Samples in nanoseconds, shown in milliseconds.
    Millis,
    /// Samples in nanoseconds, shown in seconds.
    Seconds,
    /// Samples per second: more is better.
    PerSecond,
    /// Samples in MiB.
    Mebibytes,
    /// Samples are a number without a unit: more is better.
    Share,
}

/// One thing that is measured for each product.
pub struct Row {
    /// Its name in results and for `--rows`.
    pub id: &'static str,
    /// The part of the bench that measures it.
    pub part: &'static str,
    /// What it is, for readers.
    pub title: &'static str,
    /// How its samples are kept.
    pub unit: Unit,
    /// What SSSD and winbind took in other labs of this kind, in the unit shown: over twice as much and its ratio is void.
    pub known: [Option<f64>; 2],
}

const fn row(
    part: &'static str,
    id: &'static str,
    title: &'static str,
    unit: Unit,
    sssd: Option<f64>,
    winbind: Option<f64>,
) -> Row {
    Row { id, part, title, unit, known: [sssd, winbind] }
}

const NO: Option<f64> = None;

/// Every row, in the order in which they are shown.
pub const ROWS: &[Row] = &[
    row("warm", "direct-getpwnam", "getpwnam, module called directly", Micros, Some(0.5), Some(127.0)),
    row("warm", "direct-getpwuid", "getpwuid, directly", Micros, Some(0.5), Some(125.0)),
    row("warm", "direct-getgrnam", "getgrnam of 1 member, directly", Micros, NO, NO),
    row("warm", "direct-getgrgid", "getgrgid of 1 member, directly", Micros, NO, NO),
    row("warm", "direct-getgrnam-100", "getgrnam of 100 members, directly", Micros, Some(0.65), Some(67.0)),
    row("warm", "direct-getgrnam-1600", "getgrnam of 1,600 members, directly", Micros, Some(6.2), NO),
    row("warm", "direct-initgroups-60", "initgroups, 60 groups, directly", Micros, Some(0.5), Some(765.0)),
    row("warm", "direct-initgroups-150", "initgroups, 150 groups, directly", Micros, NO, NO),
    row("warm", "direct-absent-name", "name that does not exist, directly", Micros, Some(54.0), Some(62.0)),
    row("warm", "direct-absent-uid", "uid of ours that does not exist, directly", Micros, NO, NO),
    row("warm", "direct-nobody", "uid of nobody's range, directly", Micros, NO, NO),
    row("warm", "eight-getpwnam", "getpwnam, directly, 8 processes", PerSecond, NO, NO),
    row("glibc", "glibc-getpwnam", "getpwnam through glibc", Micros, Some(8.8), Some(129.0)),
    row("glibc", "glibc-getpwuid", "getpwuid through glibc", Micros, NO, NO),
    row("glibc", "glibc-getgrnam", "getgrnam of 1 member through glibc", Micros, NO, NO),
    row("glibc", "glibc-getgrgid", "getgrgid of 1 member through glibc", Micros, NO, NO),
    row("glibc", "glibc-initgroups-150", "getgrouplist, 150 groups, through glibc", Micros, NO, NO),
    row("cold", "cold-getpwnam", "getpwnam, p50", Millis, Some(2.3), Some(0.49)),
    row("cold", "cold-getpwnam-p99", "getpwnam, p99", Millis, Some(4.4), Some(0.78)),
    row("cold", "cold-initgroups-60", "initgroups, 60 groups", Millis, Some(54.0), Some(84.0)),
    row("cold", "cold-id-60", "id, 60 groups", Millis, Some(642.0), Some(110.0)),
    row("cold", "cold-id-150", "id, 150 groups", Millis, NO, NO),
    row("cold", "cold-id-2800", "id, 2,800 nested groups", Millis, NO, NO),
    row("members", "cold-getgrnam-1600", "getgrnam of 1,600 members", Millis, Some(376.0), NO),
    row("members", "cold-getgrnam-5200", "getgrnam of 5,200 members", Millis, Some(1095.0), NO),
    row("disk", "disk-getpwnam", "getpwnam with the state on the disk, p50", Millis, NO, NO),
    row("distinct", "distinct-rate", "each user once, 8 processes", PerSecond, NO, NO),
    row("distinct", "distinct-last-first", "rate of the last tenth over the first", Unit::Share, NO, NO),
    row("distinct", "memory-full", "memory (PSS) after it", Mebibytes, NO, NO),
    row("distinct", "disk-full", "state on the disk after it", Mebibytes, NO, NO),
    row("enumeration", "enumerate-first", "all users, the first time", Seconds, NO, Some(26.0)),
    row("enumeration", "enumerate-again", "all users, again", Seconds, NO, NO),
    row("list", "list-warm", "ls -l of 10,000 files of 2,000 users, cached", Millis, NO, NO),
    row("list", "list-cold", "ls -l of 10,000 files of 2,000 users, nothing cached", Millis, NO, NO),
    row("login", "login", "login by pamtester, p50", Millis, Some(32.0), Some(37.0)),
    row("login", "login-p99", "login by pamtester, p99", Millis, NO, NO),
    row("login", "login-cpu", "processor time of the daemons for 1,000 logins", Seconds, NO, NO),
    row("start", "memory-idle", "memory (PSS), idle", Mebibytes, Some(108.0), Some(17.0)),
    row("start", "start-empty", "start to the first answer, nothing stored", Millis, NO, NO),
    row("start", "start-stored", "start to the first answer, from what is stored", Millis, NO, NO),
];

/// The row of this name.
pub fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

impl Unit {
    /// Its sign.
    pub fn sign(self) -> &'static str {
        match self {
            Micros => "µs",
            Millis => "ms",
            Seconds => "s",
            PerSecond => "/s",
            Mebibytes => "MiB",
            Unit::Share => "",
        }
    }

    /// A sample as it is shown.
    pub fn shown(self, sample: f64) -> f64 {
        match self {
            Micros => sample / 1e3,
            Millis => sample / 1e6,
            Seconds => sample / 1e9,
            PerSecond | Mebibytes | Unit::Share => sample,
        }
    }

    /// Whether more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, PerSecond | Unit::Share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[at + 1..].iter().all(|other| other.id != row.id), "{}", row.id);
        }
    }
}
