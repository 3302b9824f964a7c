//! Nothing is remembered, but the connection to the directory is there.

use entra_lab::{Error, Result, dc};

use super::Bench;
use crate::products::{FOLDER, Product, Who, principal};
use crate::stats::{median, quantile};

/// A measurement over this is not repeated: its noise is no matter, its time is.
const SLOW: f64 = 8e9;

/// What entrad asks for about a user; the bare search asks for the same.
const ATTRIBUTES: [&str; 6] =
    ["objectSid", "sAMAccountName", "userPrincipalName", "displayName", "primaryGroupID", "userAccountControl"];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let calls = bench.effort.calls;
    let mut slow: Vec<(Who, &str)> = Vec::new();
    bench.in_turn(bench.effort.rounds, |bench, product, round| {
        product.cold()?;
        let (p50, p99) = users(product, round * calls, calls)?;
        bench.add("cold-getpwnam", product.who, p50);
        bench.add("cold-getpwnam-p99", product.who, p99);
        if product.who == Who::Entrad {
            let took = bare_search(product)?;
            bench.add("cold-getpwnam", Who::Bare, took);
        }
        let took = groups_of(product, "sixty-a", 60)?;
        bench.add("cold-initgroups-60", product.who, took);
        for (row, user) in [("cold-id-60", "sixty-b"), ("cold-id-150", "many"), ("cold-id-2800", "deep")] {
            if slow.contains(&(product.who, row)) {
                continue;
            }
            let took = id(product, user)?;
            bench.add(row, product.who, took);
            if took > SLOW {
                slow.push((product.who, row));
            }
        }
        Ok(())
    });
    Ok(())
}

/// Large groups: in sessions of their own, because a group's members are remembered as users too.
pub(super) fn members(bench: &mut Bench) -> Result<()> {
    for (row, group) in [("cold-getgrnam-1600", "big-1600"), ("cold-getgrnam-5200", "big-5200")] {
        bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
            product.cold()?;
            let took = one(product, "getgrnam", group)?;
            bench.add(row, product.who, took);
            Ok(())
        });
    }
    Ok(())
}

/// Users once more, with the products' state on the disk of this machine instead of in its memory.
pub(super) fn disk(bench: &mut Bench) -> Result<()> {
    let calls = bench.effort.calls;
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, round| {
        product.forget()?;
        // The archives that nodes share are on the disk; a folder there, under the state's.
        let place = format!("/run/lab/apt/bench-{}-{}", bench.lab.name(), product.service());
        let state = product.state();
        let mount = format!("rm -rf {place}; cp -a {state} {place} && mount --bind {place} {state}");
        product.node.sh(&mount, &[])?.text()?;
        let measured = product.start().and_then(|()| users(product, round * calls, calls));
        let stopped = product.stop();
        product.node.sh(&format!("umount {state}; rm -rf {place}"), &[])?.text()?;
        stopped?;
        bench.add("disk-getpwnam", product.who, measured?.0);
        Ok(())
    });
    Ok(())
}

/// Asks for some users once: p50 and p99.
fn users(product: &Product, skip: usize, take: usize) -> Result<(f64, f64)> {
    let keys = format!("{FOLDER}/users");
    let words = ["getpwnam", &keys, "--skip", &skip.to_string(), "--take", &take.to_string()];
    let lines = product.direct("each", &words)?;
    if let Some(at) = lines.iter().position(|line| line.found.is_none()) {
        return Err(Error::new(format!("user {} of the list was not found", skip + at)));
    }
    let times: Vec<f64> = lines.iter().map(|line| line.nanos).collect();
    let both = median(&times).zip(quantile(&times, 0.99));
    both.ok_or_else(|| Error::new("no user was asked for"))
}

/// One lookup of one key.
fn one(product: &Product, call: &str, key: &str) -> Result<f64> {
    let line = product.direct("each", &[call, &key_file(product, key)?])?.first().copied();
    match line {
        Some(line) if line.found.is_some() => Ok(line.nanos),
        _ => Err(Error::new(format!("{call} {key}: not found"))),
    }
}

fn groups_of(product: &Product, user: &str, least: usize) -> Result<f64> {
    let line = product.direct("each", &["initgroups", &key_file(product, user)?])?.first().copied();
    match line {
        Some(line) if line.found.is_some_and(|count| count >= least) => Ok(line.nanos),
        other => Err(Error::new(format!("initgroups of {user}: {other:?}, not {least} groups"))),
    }
}

/// `id USER`, as a person would run it.
fn id(product: &Product, user: &str) -> Result<f64> {
    let lines = product.drive(&["exec", "--", "id", user])?;
    lines.first().map(|line| line.nanos).ok_or_else(|| Error::new("the driver printed nothing"))
}

fn key_file(product: &Product, key: &str) -> Result<String> {
    let path = format!("{FOLDER}/key-{key}");
    product.node.put_file(&path, format!("{key}\n"), 0o644)?;
    Ok(path)
}

/// Searches of one ldapsearch: its start and its bind, which one of them stands for, are as long as a hundred searches.
const SEARCHES: usize = 1000;

/// What a search for a user takes on an open connection: many in one ldapsearch, less one in another.
fn bare_search(product: &Product) -> Result<f64> {
    let node = &product.node;
    let cache = format!("KRB5CCNAME=FILE:{FOLDER}/machine");
    let host = node.read_file("/etc/hostname")?.trim().to_ascii_uppercase();
    let uri = format!("ldap://{}", dc::HOST);
    node.must(&["env", &cache, "kinit", "-k", &principal(&format!("{host}$"))])?;
    let base = dc::DNS_DOMAIN.split('.').map(|part| format!("DC={part}")).collect::<Vec<_>>().join(",");
    let search = |count: usize| -> Result<f64> {
        let names = format!("{FOLDER}/searched");
        node.sh(&format!("head -{count} {FOLDER}/users >{names}"), &[])?.text()?;
        let mut words =
            vec!["exec", "--times", "3", "--", "env", &cache, "ldapsearch", "-N", "-LLL", "-Q", "-Y", "GSSAPI"];
        words.extend(["-o", "ldif_wrap=no", "-H", &uri, "-b", &base, "-f", &names, "(sAMAccountName=%s)"]);
        words.extend(ATTRIBUTES);
        let times: Vec<f64> = product.drive(&words)?.iter().map(|line| line.nanos).collect();
        median(&times).ok_or_else(|| Error::new("ldapsearch was not run"))
    };
    Ok((search(SEARCHES + 1)? - search(1)?) / SEARCHES as f64)
}
