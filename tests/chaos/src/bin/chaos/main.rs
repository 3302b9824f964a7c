//! The fault table: each fault made in the lab under a load of lookups and logins, and what the load was answered.
//!
//! `cargo xtask chaos [FAULT…] [--quick]`. A whole run writes docs/reliability.md, any other one
//! target/chaos/reliability.md. Exit status 1 when a row does not hold.

#![forbid(unsafe_code)]

mod beside;
mod faults;
mod report;
mod run;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use faults::Fault;
use stage::Stage;

#[derive(Parser)]
#[command(name = "chaos", about = "Faults under a load, and what the load was answered")]
struct Arguments {
    /// Faults to make; all unless named
    faults: Vec<String>,
    /// Few and short ones
    #[arg(long)]
    quick: bool,
    /// Leave the lab up
    #[arg(long)]
    keep: bool,
    /// Use the lab that is up
    #[arg(long)]
    reuse: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("chaos: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the picked rows; whether all hold.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let picked = pick(arguments)?;
    let whole = arguments.faults.is_empty() && !arguments.quick;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let name = std::env::var("ENTRA_LAB_NAME").unwrap_or_else(|_| "chaos".into());
    if !arguments.reuse {
        entra_lab::down(&name)?;
    }
    let stage = Stage::up(&name, &own.with_file_name("chaos-load"), arguments.quick)?;
    run::prove_judgement(&stage)?;
    println!("ok      the table notices a wrong answer");
    let before = stage.ids()?;
    let mut rows = Vec::new();
    for fault in picked {
        let begun = Instant::now();
        let row = run::row(&stage, fault);
        let sum = row.tally.sum();
        let mark = if row.problems.is_empty() { "ok     " } else { "FAILED " };
        println!(
            "{mark} {} ({:.0} s): {} asked, {} right, {} unavailable, {} late, {} wrong; back after {:?}; {}",
            fault.key,
            begun.elapsed().as_secs_f64(),
            sum.made,
            sum.right,
            sum.unavailable,
            sum.late,
            sum.wrong,
            row.back,
            row.proof
        );
        for problem in &row.problems {
            println!("        {problem}");
        }
        rows.push((fault, row));
    }
    let lost = beside::lost(&stage, &before)?;
    for line in &lost {
        println!("FAILED  {line}");
    }
    let figures = if whole { beside::figures(&stage)? } else { Vec::new() };
    let page = report::page(&stage, &rows, &figures, &lost)?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(if whole { "docs/reliability.md" } else { "target/chaos/reliability.md" });
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("written: {}", if whole { "docs/reliability.md" } else { "target/chaos/reliability.md" });
    if !arguments.keep {
        stage.lab.down()?;
    }
    Ok(lost.is_empty() && rows.iter().all(|(_, row)| row.problems.is_empty()))
}

fn pick(arguments: &Arguments) -> Result<Vec<&'static Fault>, String> {
    let all = faults::all();
    if let Some(unknown) = arguments.faults.iter().find(|word| !all.iter().any(|fault| fault.key == **word)) {
        let keys: Vec<&str> = all.iter().map(|fault| fault.key).collect();
        return Err(format!("there is no fault \"{unknown}\"; there are {}", keys.join(", ")));
    }
    let wanted = |fault: &&Fault| {
        if arguments.faults.is_empty() {
            fault.quick || !arguments.quick
        } else {
            arguments.faults.iter().any(|key| key == fault.key)
        }
    };
    Ok(all.into_iter().filter(wanted).collect())
}
