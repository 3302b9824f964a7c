//! Everything that is asked for was asked for before.

use entra_lab::{Error, Result};

use super::Bench;
use crate::products::{Product, Who};
use crate::stats::median;

/// The user of the rows that need one, and its uid (slice and RID).
const USER: (&str, &str) = ("alice", "674001103");
/// A group with one member.
const GROUP: &str = "sixty-a-01";
/// In the domain's slice, beyond its RIDs.
const NO_UID: &str = "674190000";
/// Of nobody's range: between the local ids and the domain's.
const FOREIGN_UID: &str = "65534";

pub(super) fn direct(bench: &mut Bench) -> Result<()> {
    let gid = gid(bench)?;
    let rows = [
        ("direct-getpwnam", "getpwnam", USER.0),
        ("direct-getpwuid", "getpwuid", USER.1),
        ("direct-getgrnam", "getgrnam", GROUP),
        ("direct-getgrgid", "getgrgid", &gid),
        ("direct-getgrnam-100", "getgrnam", "big-100"),
        ("direct-getgrnam-1600", "getgrnam", "big-1600"),
        ("direct-initgroups-60", "initgroups", "sixty-a"),
        ("direct-initgroups-150", "initgroups", "many"),
        ("direct-absent-name", "getpwnam", "no-such-user"),
        ("direct-absent-uid", "getpwuid", NO_UID),
        ("direct-nobody", "getpwuid", FOREIGN_UID),
    ];
    bench.in_turn(1, |_, product, _| product.start());
    for (row, call, key) in rows {
        bench.in_turn(bench.effort.rounds, |bench, product, _| {
            let target = ["--module", product.service()];
            let took = warm(bench, product, &target, call, key)?;
            bench.add(row, product.who, took);
            Ok(())
        });
    }
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
        let millis = (bench.effort.millis * 4).to_string();
        let words = ["getpwnam", USER.0, "--processes", "8", "--millis", &millis];
        let lines = product.direct("warm", &words)?;
        let times: Vec<f64> = lines.iter().map(|line| line.nanos).collect();
        // Eight processes share the processors: a batch's time holds the waiting, so calls are counted by the clock.
        let per_second = rate(&times, 8).ok_or_else(|| Error::new("the driver printed nothing"))?;
        bench.add("eight-getpwnam", product.who, per_second);
        Ok(())
    });
    Ok(())
}

pub(super) fn through_glibc(bench: &mut Bench) -> Result<()> {
    let gid = gid(bench)?;
    let rows = [
        ("glibc-getpwnam", "getpwnam", USER.0),
        ("glibc-getpwuid", "getpwuid", USER.1),
        ("glibc-getgrnam", "getgrnam", GROUP),
        ("glibc-getgrgid", "getgrgid", &gid),
        ("glibc-initgroups-150", "initgroups", "many"),
    ];
    bench.in_turn(1, |_, product, _| product.start());
    for (row, call, key) in rows {
        bench.in_turn(bench.effort.rounds, |bench, product, _| {
            let sources = format!("files {}", product.service());
            let took = warm(bench, product, &["--sources", &sources], call, key)?;
            bench.add(row, product.who, took);
            let bare = match product.who {
                Who::Entrad => Who::Bare,
                Who::Sssd => Who::BareSssd,
                _ => return Ok(()),
            };
            let floor = warm(bench, product, &["--sources", "files benchnull"], call, key)?;
            bench.add(row, bare, floor);
            Ok(())
        });
    }
    Ok(())
}

fn warm(bench: &Bench, product: &Product, target: &[&str], call: &str, key: &str) -> Result<f64> {
    let millis = bench.effort.millis.to_string();
    let mut words = vec!["warm"];
    words.extend(target);
    words.extend([call, key, "--millis", &millis]);
    let times: Vec<f64> = product.drive(&words)?.iter().map(|line| line.nanos).collect();
    median(&times).ok_or_else(|| Error::new("the driver printed nothing"))
}

/// Calls per second of processes that share this machine: each one's mean over its batches, waiting included.
fn rate(times: &[f64], processes: usize) -> Option<f64> {
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    (!times.is_empty()).then(|| processes as f64 * 1e9 / mean)
}

/// The gid of [`GROUP`], which all products compute alike.
fn gid(bench: &Bench) -> Result<String> {
    let node = &bench.product(Who::Entrad)?;
    node.start()?;
    let line = node.node.must(&["getent", "group", GROUP])?;
    line.split(':').nth(2).map(str::to_owned).ok_or_else(|| Error::new(format!("{line:?} has no gid")))
}
