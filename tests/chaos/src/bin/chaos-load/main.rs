//! The part of the fault table that runs inside of a node: lookups through glibc and logins through PAM, again and
//! again, each judged. Prints what it counted as JSON, on one line, at its end.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "glibc's lookups")]
mod ffi;
mod logins;
mod lookups;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use entra_chaos::Tally;

#[derive(Parser)]
#[command(name = "chaos-load", about = "A load of lookups and logins, each answer judged")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// What is true.
#[derive(Args, Clone)]
struct Truth {
    /// File: `name uid gid gid,gid,…` of users that were looked up before
    #[arg(long)]
    cached: PathBuf,
    /// File: `name uid` of users that were not
    #[arg(long)]
    uncached: PathBuf,
    /// Lines of the latter that are used up
    #[arg(long, default_value_t = 0)]
    skip: usize,
}

#[derive(Subcommand)]
enum Verb {
    /// Lookups of every kind until the file STOP is there
    Lookups {
        #[command(flatten)]
        truth: Truth,
        stop: PathBuf,
    },
    /// Lookups of every kind in so many processes at once
    Swarm {
        #[command(flatten)]
        truth: Truth,
        #[arg(long, default_value_t = 200)]
        processes: usize,
        /// Rounds of each
        #[arg(long, default_value_t = 10)]
        rounds: usize,
    },
    /// What each process of a swarm does
    Brief {
        #[command(flatten)]
        truth: Truth,
        rounds: usize,
    },
    /// One lookup: `right`, `unavailable ERRNO` or `wrong …`, and the microseconds that it took
    Once { name: String, uid: u32 },
    /// Logins until the file STOP is there
    Logins {
        /// PAM service
        #[arg(long)]
        service: String,
        /// File: `name password` of those who log in
        #[arg(long)]
        right: PathBuf,
        /// File: a name on each line, for wrong passwords
        #[arg(long)]
        wrong: PathBuf,
        stop: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Lookups { truth, stop } => lookups::until(&truth, &stop).map(Some),
        Verb::Swarm { truth, processes, rounds } => lookups::swarm(&truth, processes, rounds).map(Some),
        Verb::Brief { truth, rounds } => lookups::brief(&truth, rounds).map(Some),
        Verb::Once { name, uid } => {
            println!("{}", lookups::once(&name, uid));
            Ok(None)
        }
        Verb::Logins { service, right, wrong, stop } => logins::until(&service, &right, &wrong, &stop).map(Some),
    };
    match done.and_then(|tally| tally.as_ref().map_or(Ok(()), print)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("chaos-load: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn print(tally: &Tally) -> Result<(), String> {
    println!("{}", serde_json::to_string(tally).map_err(|error| error.to_string())?);
    Ok(())
}
