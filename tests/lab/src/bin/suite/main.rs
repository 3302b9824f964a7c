//! The suite on the real directory. One line per case, and at the end "N passed, N failed", and how many were skipped
//! because this machine cannot run them; exit status 1 when a case failed.
//!
//! `cargo run -p entra-lab --bin suite [-- [--keep] [--packages DIR] [PART…]]`: `PART` picks the cases whose name holds
//! it, `--keep` leaves the labs up: that of the first lane with a picked case is called `ENTRA_LAB_NAME`, else "suite",
//! and the other one's the same with "-b".

#![forbid(unsafe_code)]

mod cases;
mod check;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use check::Verdict;
use entra_lab::product;
use world::World;

/// A case: its name and what it does. Each brings the nodes it needs into the state it needs, so any one runs alone.
type Case = (&'static str, fn(&World) -> Verdict);

#[derive(Default)]
struct Arguments {
    keep: bool,
    packages: Option<PathBuf>,
    parts: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("suite: {reason}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("suite: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--keep" => arguments.keep = true,
            "--packages" => arguments.packages = Some(words.next().ok_or("--packages wants a folder")?.into()),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => arguments.parts.push(word),
        }
    }
    Ok(arguments)
}

/// How many cases ended how.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs the picked cases, the lanes beside each other; whether all passed.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let start = Instant::now();
    let packages = arguments.packages.clone().unwrap_or_else(product::packages_dir);
    let is_picked =
        |(name, _): &Case| arguments.parts.is_empty() || arguments.parts.iter().any(|part| name.contains(part));
    let picked = cases::lanes().map(|cases| cases.into_iter().filter(is_picked).collect::<Vec<Case>>());
    let picked: Vec<_> = picked.into_iter().filter(|cases| !cases.is_empty()).collect();
    if picked.is_empty() {
        return Err(format!("no case's name holds any of {:?}", arguments.parts));
    }
    let name = std::env::var("ENTRA_LAB_NAME").unwrap_or_else(|_| "suite".into());
    let names = [name.clone(), format!("{name}-b")];
    for name in &names {
        World::clear(name)?;
    }
    // Once for both: two runs of apt on one machine would be in each other's way.
    entra_lab::host::prepare()?;
    let lanes = names.iter().zip(&picked);
    let tallies: Vec<Result<Tally, String>> = thread::scope(|scope| {
        let keep = arguments.keep;
        let started: Vec<_> = lanes
            .map(|(name, cases)| {
                let packages = packages.clone();
                scope.spawn(move || lane(name, cases, packages, keep))
            })
            .collect();
        started.into_iter().map(|lane| lane.join().map_err(|_| "a lane's thread ended".to_owned())?).collect()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        let tally = tally?;
        sum.passed += tally.passed;
        sum.failed += tally.failed;
        sum.skipped += tally.skipped;
    }
    let skipped = if sum.skipped == 0 { String::new() } else { format!(", {} skipped", sum.skipped) };
    println!("{} passed, {} failed{skipped} in {:.0} s", sum.passed, sum.failed, start.elapsed().as_secs_f64());
    Ok(sum.failed == 0)
}

/// Runs cases one after the other on a lab of their own. Each prints once, when it has ended: lanes do not mix their lines.
fn lane(name: &str, cases: &[Case], packages: PathBuf, keep: bool) -> Result<Tally, String> {
    let start = Instant::now();
    let world = World::up(name, packages)?;
    println!("lab {name} up after {:.1} s", start.elapsed().as_secs_f64());
    let mut tally = Tally::default();
    for (name, case) in cases {
        let begun = Instant::now();
        let verdict = case(&world);
        let took = begun.elapsed().as_secs_f64();
        if let Some(reason) = check::skip_reason(&verdict) {
            tally.skipped += 1;
            println!("SKIPPED {name}\n        {}", reason.replace('\n', "\n        "));
            continue;
        }
        match verdict {
            Ok(()) => {
                tally.passed += 1;
                println!("ok      {name} ({took:.1} s)");
            }
            Err(reason) => {
                tally.failed += 1;
                println!("FAILED  {name} ({took:.1} s)\n        {}", reason.replace('\n', "\n        "));
            }
        }
    }
    if !keep {
        match world.down() {
            Ok(()) => tally.passed += 1,
            Err(reason) => {
                tally.failed += 1;
                println!("FAILED  lab: {name} taken down without a trace\n        {reason}");
            }
        }
    }
    Ok(tally)
}
