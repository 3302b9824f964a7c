//! All tests, from nothing: what a bare Debian 12 lacks is installed first.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::beside::{Beside, Share};
use crate::needs;
use crate::run::{self, Outcome};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Leave out what needs root: packages to be installed, the packages themselves, the lab suite
    #[arg(long)]
    without_lab: bool,
}

/// Seconds that each fuzz target runs here: two at once, all of them take six minutes. `cargo xtask fuzz` takes more.
const SHORT: &str = "30";

/// The nodes that the suite brings up: what they start from is built while cargo compiles.
const ROOTS: [&str; 10] = ["lab", "roots", "dc", "client", "sssd", "booted", "winbind", "cloud", "dc2", "member13"];

/// Does it: stops at the first step that fails. What only builds, and what only waits for a mirror, runs beside the steps
/// that wait for deadlines and for other programs; it is asked for its outcome where the next step needs it.
pub fn run(options: &Options) -> Outcome {
    let start = Instant::now();
    let with_lab = !options.without_lab;
    if with_lab {
        needs::everything()?;
    }
    // Here, because what has only the rest of the machine could be too slow for a mirror's patience.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    step("sources of the dependencies", || cargo(&["fetch", "--quiet", "--target", &host]))?;
    let beside = |name, share, words: &[&str]| with_lab.then(|| Beside::start(name, share, words)).transpose();
    let roots = beside("roots of the lab", Share::Equal, &ROOTS)?;
    let packages = beside("packages", Share::Rest, &["package", "deb"])?;
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    step("unit, property and plugin tests", || cargo(&["test", "--workspace", "--quiet"]))?;
    // Before those that build other parts of the same release into the same folder.
    packages.map_or(Ok(()), Beside::finish)?;
    let fuzzer = Beside::start("build of the fuzzer", Share::Rest, &["fuzz", "--build"])?;
    step("instructions of warm lookups", || own(&["gate"]))?;
    let miri = Beside::start("memory packing under Miri", Share::Rest, &["miri"])?;
    step("licences and advisories", deny)?;
    step("rules of the architecture", || own(&["tidy"]))?;
    if with_lab {
        step("RPM packages", || own(&["package", "rpm"]))?;
    }
    roots.map_or(Ok(()), Beside::finish)?;
    if with_lab {
        step("lab suite", || cargo(&["run", "--quiet", "--package", "entra-lab", "--bin", "suite"]))?;
    }
    miri.finish()?;
    fuzzer.finish()?;
    step("fuzzing, briefly", || own(&["fuzz", "--seconds", SHORT]))?;
    println!("All passed in {:.0} s.", start.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    println!("== {name}");
    let begun = Instant::now();
    work().map_err(|reason| format!("{name}: {reason}"))?;
    println!("== {name}: passed in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(words: &[&str]) -> Outcome {
    run::run(Command::new(env!("CARGO")).current_dir(run::root()).args(words))
}

/// What may come into the build. Asked where cargo-deny is installed: building it takes longer than all of this.
fn deny() -> Outcome {
    let there = Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return cargo(&["deny", "check"]);
    }
    println!("SKIPPED, nothing was checked: there is no cargo-deny (cargo install --locked cargo-deny)");
    Ok(())
}

/// A verb of this program, in a process of its own: it prints what it prints when called by hand.
fn own(words: &[&str]) -> Outcome {
    run::run(Command::new(run::own_program()?).args(words))
}
