//! Developers' commands. `cargo xtask demo` shows the main job from nothing, `cargo xtask test` runs every test from
//! nothing; the rest are their parts.

#![forbid(unsafe_code)]

mod beside;
mod corpus;
mod demo;
mod fuzz;
mod gate;
mod lab;
mod miri;
mod needs;
mod on_lab;
mod package;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developers' commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job, from nothing, on a real directory (needs root)
    Demo,
    /// Run all tests, from nothing (needs root)
    Test(test::Options),
    /// Bring the lab up or down, or open a shell in one of its nodes (needs root)
    Lab(lab::Options),
    /// Measure beside SSSD and winbind, and write docs/benchmarks.md (needs root)
    Bench(on_lab::Options),
    /// Make faults in the lab under a load, and write docs/reliability.md (needs root)
    Chaos(on_lab::Options),
    /// Build packages into target/packages
    Package(package::Options),
    /// Count the instructions of warm lookups, and compare
    Gate,
    /// Feed hostile input to everything that reads what others wrote
    Fuzz(fuzz::Options),
    /// Run what packs memory under Miri, where that is installed
    Miri,
    /// Check the rules of the architecture
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo => demo::run(),
        Command::Test(options) => test::run(&options),
        Command::Lab(options) => lab::run(&options),
        Command::Bench(options) => on_lab::bench(&options),
        Command::Chaos(options) => on_lab::chaos(&options),
        Command::Package(options) => package::run(&options),
        Command::Gate => gate::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Miri => miri::run(),
        Command::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
