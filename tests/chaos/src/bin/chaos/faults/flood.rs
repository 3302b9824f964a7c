//! Clients that hold places, talk rubbish, or are many. Another user's than the load's, as an attacker's would be; the
//! swarm is the load's own.

use std::time::Duration;

use super::{Fault, PLAIN, counted, shown, start};
use entra_chaos::Kind;

const IDLE: &str = include_str!("../../../../data/idle-clients.py");
const GARBAGE: &str = include_str!("../../../../data/garbage-clients.py");
const AS_NOBODY: [&str; 6] =
    ["prlimit", "--nofile=8192", "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];

pub const FAULTS: &[Fault] = &[
    Fault {
        key: "idle",
        title: "5,000 connections that say nothing, made again when they are closed",
        lasts: Duration::from_secs(10),
        make: |stage| {
            start(stage, "idle-clients", &[&AS_NOBODY[..], &["python3", "-u", "-c", IDLE]].concat()).map(|()| None)
        },
        proof: |stage| {
            let made = counted(stage, "idle-clients")?;
            shown(made >= 5000, format!("{made} connections made"))
        },
        end: |stage| Ok(stage.client.stop("idle-clients")?),
        quick: true,
        ..PLAIN
    },
    Fault {
        key: "garbage",
        title: "50 clients that send garbage",
        make: |stage| {
            start(stage, "garbage-clients", &[&AS_NOBODY[..], &["python3", "-u", "-c", GARBAGE]].concat())
                .map(|()| None)
        },
        proof: |stage| {
            let sent = counted(stage, "garbage-clients")?;
            shown(sent > 50, format!("{sent} pieces of garbage taken"))
        },
        end: |stage| Ok(stage.client.stop("garbage-clients")?),
        ..PLAIN
    },
    Fault {
        key: "swarm",
        title: "200 processes at once that look up, again and again",
        lasts: Duration::ZERO,
        may_fail: &[Kind::Uncached, Kind::Unknown],
        make: |stage| {
            let mut all = entra_chaos::Tally::default();
            for _ in 0..if stage.quick { 1 } else { 5 } {
                all.merge(stage.swarm(10)?);
            }
            stage.noted.set(all.sum().made);
            Ok(Some(all))
        },
        proof: |stage| shown(stage.noted.get() > 0, format!("{} lookups of the swarms", stage.noted.get())),
        ..PLAIN
    },
];
