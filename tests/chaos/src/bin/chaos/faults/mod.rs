//! The faults: how each is made, how it is known to have been there, and how it goes.

mod clock;
mod daemon;
mod files;
mod flood;
mod names;
mod network;

use std::time::Duration;

use entra_chaos::{Kind, Tally};

use crate::stage::Stage;

/// One row of the table.
pub struct Fault {
    /// By what the command line picks it.
    pub key: &'static str,
    /// What the table calls it.
    pub title: &'static str,
    /// How long it lasts once it is made.
    pub lasts: Duration,
    /// Whether `--quick` has it.
    pub quick: bool,
    /// Kinds of requests that may be answered "unavailable" while it is there. All others must be answered.
    pub may_fail: &'static [Kind],
    /// Done before the load starts.
    pub before: fn(&Stage) -> Result<(), String>,
    /// Makes it; what it counted itself is added to the load.
    pub make: fn(&Stage) -> Result<Option<Tally>, String>,
    /// What shows that it was there; an error where nothing does. Asked while it lasts.
    pub proof: fn(&Stage) -> Result<String, String>,
    /// Ends it. Also called when something failed.
    pub end: fn(&Stage) -> Result<(), String>,
    /// Done after the load has ended.
    pub after: fn(&Stage) -> Result<(), String>,
}

/// Nothing need be known of the directory's answers: what is cached, and who was here before, is served.
const DIRECTORY_AWAY: &[Kind] = &[Kind::Uncached, Kind::Unknown, Kind::Guess];
/// The daemon itself is away for moments.
const DAEMON_AWAY: &[Kind] = &[Kind::Cached, Kind::CachedAnew, Kind::Uncached, Kind::Unknown, Kind::Login, Kind::Guess];

const PLAIN: Fault = Fault {
    key: "",
    title: "",
    lasts: Duration::from_secs(8),
    quick: false,
    may_fail: &[],
    before: |_| Ok(()),
    make: |_| Ok(None),
    proof: |_| Err("nothing shows it".into()),
    end: |_| Ok(()),
    after: |_| Ok(()),
};

/// All of them, in the order of the table.
pub fn all() -> Vec<&'static Fault> {
    [network::FAULTS, names::FAULTS, clock::FAULTS, daemon::FAULTS, files::FAULTS, flood::FAULTS]
        .into_iter()
        .flatten()
        .collect()
}

/// Insists on a proof.
fn shown(there: bool, what: String) -> Result<String, String> {
    if there { Ok(what) } else { Err(format!("the fault was not there: {what}")) }
}

/// A number that a service of the client printed last.
fn counted(stage: &Stage, service: &str) -> Result<u64, String> {
    let log = stage.client.log(service)?;
    let last = log.lines().rev().find_map(|line| line.trim().parse().ok());
    last.ok_or_else(|| format!("{service} counted nothing: {log}"))
}

/// Starts a service of the client whose log begins empty.
fn start(stage: &Stage, service: &str, words: &[&str]) -> Result<(), String> {
    stage.client.sh(r#"rm -f "/var/log/lab-$1.log""#, &[service])?.text()?;
    Ok(stage.client.start(service, words)?)
}
