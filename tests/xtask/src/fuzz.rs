//! Hostile input for everything that reads what others wrote: libFuzzer, over the targets of tests/fuzz.
//!
//! It runs with the toolchain that is there. The instrumentation is LLVM's own and needs no other compiler;
//! AddressSanitizer's option is one that a stable compiler keeps behind `RUSTC_BOOTSTRAP`, which is set for this build
//! alone. The same seed each time, so that what fails once in a short run fails again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::corpus::Corpus;
use crate::needs;
use crate::run::{self, Outcome};

/// What the command line can say.
#[derive(clap::Args)]
pub struct Options {
    /// One target alone; all of them where none is named
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// The same in seconds
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// Take what reached new code into the corpus
    #[arg(long)]
    keep: bool,
    /// Build the targets and run none
    #[arg(long, conflicts_with_all = ["target", "keep"])]
    build: bool,
}

/// Instrumentation as libFuzzer reads it (LLVM's SanitizerCoverage), and AddressSanitizer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1 --cfg fuzzing";
/// Targets in which a library leaks: libkrb5 (1.20) keeps the key of an entry that ends in the middle of it.
const LEAKS_ELSEWHERE: [&str; 1] = ["keytab"];
/// A run that takes so long for one input has found something, in seconds.
const SLOW: u32 = 10;
/// Memory that a target may take, in MiB.
const MEMORY: u32 = 2048;
/// Longest kept case, in bytes.
const LONGEST: u32 = 4096;

/// Fuzzes as the command line says.
///
/// # Errors
/// When something was found, or the targets cannot be built.
pub fn run(options: &Options) -> Outcome {
    needs::fuzzing()?;
    let (only, keep) = (options.target.as_deref(), options.keep);
    let time = Duration::from_secs(options.seconds.unwrap_or(options.minutes * 60));
    let fuzzer = build()?;
    if options.build {
        return Ok(());
    }
    let names = targets(&fuzzer)?;
    let chosen: Vec<&String> = names.iter().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Err(format!("there is no such target; there are {}", names.join(", ")));
    }
    let corpus = Corpus::unpack(&folder())?;
    println!("{:12} {:>12} {:>9} {:>9} {:>7}", "target", "executions", "edges", "features", "inputs");
    let mut found = Vec::new();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    for group in chosen.chunks(at_once) {
        let started =
            group.iter().map(|name| Running::start(&fuzzer, &corpus, name, time)).collect::<Result<Vec<_>, _>>()?;
        for running in started {
            let name = running.name.clone();
            found.extend(running.finish(time)?);
            if keep {
                corpus.take(&fuzzer, &name, &folder().join("work").join(&name))?;
            }
        }
    }
    if keep {
        corpus.pack()?;
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

/// The fuzzer, instrumented, in a target folder of its own.
fn build() -> Result<PathBuf, String> {
    let folder = folder();
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--profile", "fuzz", "--package", "entra-fuzz", "--features", "libfuzzer"]);
    // With a target named, build scripts and macros are not instrumented.
    build.args(["--bin", "fuzz", "--target", &triple, "--target-dir"]).arg(&folder).current_dir(run::root());
    run::run(build.env("RUSTFLAGS", FLAGS).env("RUSTC_BOOTSTRAP", "1"))?;
    Ok(folder.join(triple).join("fuzz/fuzz"))
}

fn folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), PathBuf::from).join("fuzz")
}

/// The targets' names; writes their seeds where the runs look for them.
fn targets(fuzzer: &Path) -> Result<Vec<String>, String> {
    let mut list = Command::new(fuzzer);
    let said = list.env("ENTRA_FUZZ_SEEDS", folder().join("work")).output();
    let said = said.map_err(|error| format!("cannot start {}: {error}", fuzzer.display()))?;
    let names = String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
    if names.is_empty() { Err(String::from_utf8_lossy(&said.stderr).into_owned()) } else { Ok(names) }
}

/// Where the cases are that somebody named, because something failed in them; what fails now is put beside them.
fn kept(name: &str) -> PathBuf {
    run::root().join("tests/fuzz/corpus").join(name)
}

/// One target's fuzzer.
struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Running {
    fn start(fuzzer: &Path, corpus: &Corpus, name: &str, time: Duration) -> Result<Self, String> {
        let describe = |error: std::io::Error| format!("{name}: {error}");
        let (work, kept) = (folder().join("work").join(name), kept(name));
        for folder in [&work, &kept] {
            std::fs::create_dir_all(folder).map_err(describe)?;
        }
        let log = folder().join(format!("{name}.log"));
        let file = std::fs::File::create(&log).map_err(describe)?;
        let mut fuzz = Command::new(fuzzer);
        fuzz.env("ENTRA_FUZZ_TARGET", name)
            .env("ASAN_OPTIONS", "detect_odr_violation=0")
            .arg(&work)
            .arg(corpus.of(name)?)
            .arg(&kept);
        fuzz.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        fuzz.arg(format!("-artifact_prefix={}/found-", kept.display()));
        fuzz.args(["-seed=1", "-print_final_stats=1", "-use_value_profile=1"]);
        fuzz.args([format!("-timeout={SLOW}"), format!("-rss_limit_mb={MEMORY}"), format!("-max_len={LONGEST}")]);
        if LEAKS_ELSEWHERE.contains(&name) {
            fuzz.env("ASAN_OPTIONS", "detect_odr_violation=0:detect_leaks=0").arg("-detect_leaks=0");
        }
        let child = fuzz.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().map_err(describe)?;
        Ok(Self { name: name.to_owned(), child, log, started: Instant::now() })
    }

    /// Waits, and prints what was done. What was found, with the way to see it again.
    fn finish(mut self, time: Duration) -> Result<Option<String>, String> {
        let name = &self.name;
        let patience = time * 2 + Duration::from_secs(120);
        let status = loop {
            match self.child.try_wait().map_err(|error| format!("{name}: {error}"))? {
                Some(status) => break status,
                None if self.started.elapsed() > patience => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return Ok(Some(format!("{name}: did not end; {} says how far it came", self.log.display())));
                }
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        let log = std::fs::read(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let log = String::from_utf8_lossy(&log);
        let executions = value(&log, "stat::number_of_executed_units: ");
        let last = log.lines().rfind(|line| line.contains(" cov: ")).unwrap_or_default();
        let (edges, features, inputs) = (value(last, " cov: "), value(last, " ft: "), value(last, " corp: "));
        println!("{name:12} {executions:>12} {edges:>9} {features:>9} {inputs:>7}");
        if status.success() {
            // A target that does nothing passes everything.
            let idle = executions.parse::<u64>().unwrap_or(0) < 100 || edges.parse::<u64>().unwrap_or(0) < 10;
            return Ok(idle.then(|| format!("{name}: it ran nothing; see {}", self.log.display())));
        }
        Ok(Some(format!(
            "{name}: found something; {} says what. The input is beside the kept cases in {}: keep it there, under a \
             name that says what it was, and mend what fails",
            self.log.display(),
            kept(name).display()
        )))
    }
}

/// The word behind `label`; empty where it does not stand.
fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let rest = text.rfind(label).map_or("", |at| &text[at + label.len()..]);
    rest.split([' ', '\n', '/']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_words_are_read() {
        let log = "#512 NEW    cov: 212 ft: 400 corp: 20/1Kb lim: 4 exec/s: 0\n#9 DONE cov: 213 ft: 401 corp: 21/2Kb\n\
            stat::number_of_executed_units: 90001\nstat::average_exec_per_sec: 7\n";
        assert_eq!(value(log, "stat::number_of_executed_units: "), "90001");
        assert_eq!((value(log, " cov: "), value(log, " corp: "), value(log, "nothing: ")), ("213", "21", ""));
    }
}
