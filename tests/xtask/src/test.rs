//! All tests, from nothing: what a bare Debian 12 lacks is installed first.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::needs;
use crate::run::{self, Outcome};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// Leave out what needs root: packages to be installed, the packages themselves, the lab suite
    #[arg(long)]
    without_lab: bool,
}

/// Seconds that each fuzz target runs here: with what building takes, within five minutes.
const SHORT: &str = "10";

type Step = (&'static str, fn() -> Outcome);

/// Does it: stops at the first step that fails.
pub fn run(options: &Options) -> Outcome {
    let start = Instant::now();
    if !options.without_lab {
        needs::build()?;
        needs::tests()?;
    }
    let mut steps: Vec<Step> = vec![
        ("format", || cargo(&["fmt", "--all", "--check"])),
        ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])),
        ("unit, property and plugin tests", || cargo(&["test", "--workspace", "--quiet"])),
        ("instructions of warm lookups", || own(&["gate"])),
        ("memory packing under Miri", || own(&["miri"])),
        ("licences and advisories", deny),
        ("fuzzing, briefly", || own(&["fuzz", "--seconds", SHORT])),
        ("rules of the architecture", || own(&["tidy"])),
    ];
    if !options.without_lab {
        steps.push(("packages", || own(&["package", "deb"])));
        steps.push(("RPM packages", || own(&["package", "rpm"])));
        steps.push(("lab suite", || cargo(&["run", "--quiet", "--package", "entra-lab", "--bin", "suite"])));
    }
    for (name, step) in steps {
        println!("== {name}");
        let begun = Instant::now();
        step().map_err(|reason| format!("{name}: {reason}"))?;
        println!("== {name}: passed in {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("All passed in {:.0} s.", start.elapsed().as_secs_f64());
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
