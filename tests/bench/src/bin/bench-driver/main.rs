//! The part of the bench that runs inside of a node: it calls, and prints a line for each call, or for each batch of
//! calls: when it ended (ns since 1970), how long it took (ns), what came of it. Medians are made elsewhere.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "NSS modules and glibc")]
mod ffi;
mod lookups;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "bench-driver", about = "Calls that the bench measures")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// Where lookups go.
#[derive(Args, Clone)]
struct Target {
    /// The module `libnss_NAME.so.2`, its functions called directly
    #[arg(long, conflicts_with = "sources", required_unless_present = "sources")]
    module: Option<String>,
    /// glibc, with these sources in place of nsswitch.conf's
    #[arg(long)]
    sources: Option<String>,
}

/// A kind of lookup.
#[derive(Clone, Copy, ValueEnum)]
enum Call {
    Getpwnam,
    Getpwuid,
    Getgrnam,
    Getgrgid,
    Initgroups,
}

#[derive(Subcommand)]
enum Verb {
    /// One lookup again and again, in batches: nanoseconds per call of each batch
    Warm {
        #[command(flatten)]
        target: Target,
        /// Kind of lookup
        call: Call,
        /// Name or id
        key: String,
        /// How long
        #[arg(long, default_value_t = 100)]
        millis: u64,
        /// In so many processes at once
        #[arg(long, default_value_t = 1)]
        processes: usize,
    },
    /// Each key of a file once
    Each {
        #[command(flatten)]
        target: Target,
        /// Kind of lookup
        call: Call,
        /// File with a name or id on each line
        keys: PathBuf,
        /// Lines to leave out at the start
        #[arg(long, default_value_t = 0)]
        skip: usize,
        /// Lines to take after them
        #[arg(long, default_value_t = usize::MAX)]
        take: usize,
        /// Take every nth line only
        #[arg(long, default_value_t = 1)]
        stride: usize,
        /// In so many processes at once, which share the lines
        #[arg(long, default_value_t = 1)]
        processes: usize,
        /// Begin no call after so many seconds
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// All users
    Users {
        #[command(flatten)]
        target: Target,
        /// How often
        #[arg(long, default_value_t = 1)]
        times: usize,
    },
    /// A program again and again
    Exec {
        /// How often
        #[arg(long, default_value_t = 1)]
        times: usize,
        /// File that is its standard input
        #[arg(long)]
        stdin: Option<PathBuf>,
        /// Program and arguments
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Start a daemon and ask until it knows a user
    Start {
        #[command(flatten)]
        target: Target,
        /// File with a user's name on each line, asked for in turn: a miss may be remembered
        keys: PathBuf,
        /// Where the daemon's PID is written
        #[arg(long)]
        pid_file: PathBuf,
        /// Where its output goes
        #[arg(long)]
        log: PathBuf,
        /// Program and arguments
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Make files that belong to users, in turn
    Files {
        /// Folder, made where missing
        folder: PathBuf,
        /// How many
        count: usize,
        /// File with a uid on each line
        uids: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Warm { target, call, key, millis, processes } => lookups::warm(&target, call, &key, millis, processes),
        Verb::Each { target, call, keys, skip, take, stride, processes, seconds } => {
            lookups::each(&target, call, &keys, &lookups::Lines { skip, take, stride }, processes, seconds)
        }
        Verb::Users { target, times } => lookups::users(&target, times),
        Verb::Exec { times, stdin, words } => programs::exec(times, stdin.as_deref(), &words),
        Verb::Start { target, keys, pid_file, log, words } => programs::start(&target, &keys, &pid_file, &log, &words),
        Verb::Files { folder, count, uids } => programs::files(&folder, count, &uids),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench-driver: {reason}");
            ExitCode::FAILURE
        }
    }
}
