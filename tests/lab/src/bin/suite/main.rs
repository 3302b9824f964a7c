//! The suite on the real directory. One line per case, and at the end "N passed, N failed", and how many were skipped
//! because this machine cannot run them; exit status 1 when a case failed.
//!
//! `cargo run -p entra-lab --bin suite [-- [--keep] [--packages DIR] [PART…]]`: `PART` picks the cases whose name holds
//! it, `--keep` leaves the lab up (its name is `ENTRA_LAB_NAME`, else "suite").

#![forbid(unsafe_code)]

mod cases;
mod check;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
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

/// Runs the picked cases; whether all passed.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let start = Instant::now();
    let packages = arguments.packages.clone().unwrap_or_else(product::packages_dir);
    let picked: Vec<Case> = cases::all()
        .into_iter()
        .filter(|(name, _)| arguments.parts.is_empty() || arguments.parts.iter().any(|part| name.contains(part)))
        .collect();
    if picked.is_empty() {
        return Err(format!("no case's name holds any of {:?}", arguments.parts));
    }
    let world = World::up(packages)?;
    println!("lab up after {:.1} s", start.elapsed().as_secs_f64());
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, case) in picked {
        let begun = Instant::now();
        let verdict = case(&world);
        let took = begun.elapsed().as_secs_f64();
        if let Some(reason) = check::skip_reason(&verdict) {
            skipped += 1;
            println!("SKIPPED {name}\n        {}", reason.replace('\n', "\n        "));
            continue;
        }
        match verdict {
            Ok(()) => {
                passed += 1;
                println!("ok      {name} ({took:.1} s)");
            }
            Err(reason) => {
                failed += 1;
                println!("FAILED  {} ({took:.1} s)\n        {}", name, reason.replace('\n', "\n        "));
            }
        }
    }
    if !arguments.keep {
        match world.down() {
            Ok(()) => passed += 1,
            Err(reason) => {
                failed += 1;
                println!("FAILED  lab: taken down without a trace\n        {reason}");
            }
        }
    }
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    println!("{passed} passed, {failed} failed{skipped} in {:.0} s", start.elapsed().as_secs_f64());
    Ok(failed == 0)
}
