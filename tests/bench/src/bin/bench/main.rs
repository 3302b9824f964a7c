//! Measures entrad beside SSSD and winbind on one directory, each row for each product in turn, and writes the page and
//! its picture. `cargo xtask bench` builds what this needs and starts it.

#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "counts of calls and bytes are far below 2^52")]

mod goals;
mod parts;
mod picture;
mod products;
mod report;
mod results;
mod rows;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use entra_lab::{Lab, product};

use parts::Bench;
use products::PRODUCTS;
use results::{Results, Size};

#[derive(Parser)]
#[command(name = "bench", about = "Measure entrad beside SSSD and winbind")]
struct Arguments {
    /// Size of the directory: 2000, 50000 or both
    #[arg(long, default_value = "both", value_parser = ["2000", "50000", "both"])]
    users: String,
    /// Only parts with one of these in their name
    #[arg(long, num_args = 1.., value_name = "PART")]
    rows: Vec<String>,
    /// A look at whether it works: one short round
    #[arg(long)]
    quick: bool,
    /// Measure nothing: make the page again from what was seen last
    #[arg(long)]
    render: bool,
    /// Leave the lab up
    #[arg(long)]
    keep: bool,
    /// Name of the lab
    #[arg(long, env = "ENTRA_LAB_NAME", default_value = "bench")]
    name: String,
    /// Folder with bench-driver and libnss_benchnull.so
    #[arg(long)]
    built: PathBuf,
    /// Folder of the page; without it docs, or target/bench where something was left out
    #[arg(long)]
    docs: Option<PathBuf>,
}

/// The note of a run that left nothing out: only its page goes to docs.
const WHOLE: &str = "whole";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let known = parts::PARTS.map(|(name, _)| name);
    if let Some(word) = arguments.rows.iter().find(|word| !known.iter().any(|name| name.contains(word.as_str()))) {
        return Err(format!("there is no part \"{word}\"; there are {}", known.join(", ")));
    }
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let aside = workspace.join("target/bench");
    std::fs::create_dir_all(&aside).map_err(|error| format!("{}: {error}", aside.display()))?;
    let kept = aside.join("results.json");
    let results = if arguments.render {
        Results::read(&kept)?
    } else {
        let mut results = measure(arguments)?;
        if !arguments.quick && arguments.rows.is_empty() && arguments.users == "both" {
            results.notes.insert(WHOLE.into(), "yes".into());
        }
        results.write(&kept)?;
        results
    };
    let folder = match &arguments.docs {
        Some(folder) => folder.clone(),
        None if results.notes.contains_key(WHOLE) => workspace.join("docs"),
        None => aside,
    };
    for (name, text) in [("benchmarks.md", report::page(&results)), ("benchmarks.svg", picture::draw(&results))] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    println!("{}", report::goals(&results));
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Results, String> {
    let begin = Instant::now();
    let mut results = Results::default();
    report::machine(&mut results);
    let sizes: &[(Size, &str)] = match arguments.users.as_str() {
        "2000" => &[(Size::Small, "dc-small")],
        "50000" => &[(Size::Large, "dc-large")],
        _ => &[(Size::Small, "dc-small"), (Size::Large, "dc-large")],
    };
    for (size, dc) in sizes {
        let measured = at_size(arguments, *size, dc, &mut results);
        if !arguments.keep {
            entra_lab::down(&arguments.name)?;
        }
        measured?;
    }
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    results.notes.insert("took".into(), format!("{minutes:.0} minutes"));
    Ok(results)
}

fn at_size(arguments: &Arguments, size: Size, dc: &str, results: &mut Results) -> Result<(), String> {
    let begin = Instant::now();
    entra_lab::down(&arguments.name)?;
    let mut nodes = vec![dc.to_owned()];
    nodes.extend(products::nodes().map(str::to_owned));
    let lab = Lab::up(&entra_lab::Options { name: arguments.name.clone(), nodes })?;
    let client = lab.node("client")?;
    product::install(&client, &product::packages_dir())?;
    product::join(&client)?.text()?;
    // Of the same weight as the others' first start.
    product::start_daemon(&client)?;
    lab.node("sssd")?.put_file("/etc/sssd/sssd.conf", include_str!("../../../data/sssd.conf"), 0o600)?;
    let users = users(size);
    let products = parts::products(&lab, &arguments.built, &users)?;
    for product in &products {
        let who = product.who.name();
        results.notes.insert(format!("version {who}"), product.version()?);
        results.notes.insert(format!("config {who}"), product.node.read_file(product.config())?);
        // With the configuration of the bench from here on.
        product.cold()?;
    }
    println!("{} users: the lab is up after {:.0} s", size.name(), begin.elapsed().as_secs_f64());
    let effort = if arguments.quick { parts::QUICK } else { parts::FULL };
    let mut bench = Bench { lab: &lab, size, effort, products, users, results, failures: Vec::new() };
    for (name, part) in parts::PARTS {
        if !arguments.rows.is_empty() && !arguments.rows.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let start = Instant::now();
        // A part that fails must not take the others' figures with it: its rows stay empty, and the page says why.
        if let Err(error) = part(&mut bench) {
            bench.failures.push(error.to_string());
        }
        for failure in std::mem::take(&mut bench.failures) {
            eprintln!("bench: {name}: {failure}");
            bench.results.notes.entry(format!("failed {} {name}", size.name())).or_insert(failure);
        }
        println!("{} users, {name}: {:.0} s", size.name(), start.elapsed().as_secs_f64());
        for row in rows::ROWS.iter().filter(|row| row.part == name) {
            let line: Vec<String> = PRODUCTS
                .iter()
                .filter_map(|who| Some(format!("{} {}", who.name(), report::figure(bench.results, size, row, *who)?)))
                .collect();
            println!("  {}: {}", row.title, line.join(", "));
        }
    }
    Ok(())
}

/// Names of the plain users, as the lab's `fill.py` and `fill-large.py` make them.
fn users(size: Size) -> Vec<String> {
    let mut names: Vec<String> = (1..=1980).map(|number| format!("user{number:04}")).collect();
    names.extend((1..=3200).map(|number| format!("bulk{number:04}")));
    if size == Size::Large {
        names.extend((1..=44_797).map(|number| format!("person{number:05}")));
    }
    names
}
