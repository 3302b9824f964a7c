//! Programs again and again, a daemon's start, files to list.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::ffi::{Outcome, Room};
use crate::lookups::{line, print};
use crate::{Call, Target};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions to a daemon that starts.
const PAUSE: Duration = Duration::from_millis(2);

/// Runs a program `times` times, one after the other, and prints a line for each.
///
/// # Errors
/// When it cannot be started, or fails: a time of a failure means nothing.
pub fn exec(times: usize, stdin: Option<&Path>, words: &[String]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let mut text = String::new();
    for _ in 0..times {
        let input = match stdin {
            Some(path) => Stdio::from(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
            None => Stdio::null(),
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let output = command.output().map_err(|error| format!("{program}: {error}"))?;
        let nanos = start.elapsed().as_secs_f64() * 1e9;
        if !output.status.success() {
            return Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        line(&mut text, nanos, Outcome::Found(1));
    }
    print(&text)
}

/// Starts a daemon, asks for one user after the other until one is found, and prints a line.
///
/// # Errors
/// When it cannot be started or does not answer.
pub fn start(target: &Target, keys: &Path, pid_file: &Path, log: &Path, words: &[String]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let output = File::options().create(true).append(true).open(log).map_err(|error| told(log, error))?;
    let errors = output.try_clone().map_err(|error| told(log, error))?;
    let way = target.way()?;
    let names = std::fs::read_to_string(keys).map_err(|error| told(keys, error))?;
    let mut names = names.lines().cycle();
    let mut room = Room::new();
    let mut command = Command::new(program);
    // A group of its own: the end of this program's is not the daemon's.
    command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let begin = Instant::now();
    let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    std::fs::write(pid_file, format!("{}\n", child.id())).map_err(|error| told(pid_file, error))?;
    while begin.elapsed() < PATIENCE {
        let lookup = Call::Getpwnam.lookup(names.next().ok_or("no user is named")?)?;
        if let found @ Outcome::Found(_) = way.call(&lookup, &mut room) {
            let mut text = String::new();
            line(&mut text, begin.elapsed().as_secs_f64() * 1e9, found);
            return print(&text);
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("{program} knows no user after {} s", PATIENCE.as_secs()))
}

/// Makes `count` empty files and gives them to the uids in turn.
///
/// # Errors
/// When a file cannot be made.
pub fn files(folder: &Path, count: usize, uids: &Path) -> Result<(), String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    let list = std::fs::read_to_string(uids).map_err(|error| told(uids, error))?;
    let ids: Vec<u32> = list.lines().filter_map(|text| text.parse().ok()).collect();
    if ids.is_empty() {
        return Err(format!("{} holds no uid", uids.display()));
    }
    for (number, uid) in (0..count).zip(ids.iter().cycle()) {
        let path = folder.join(format!("file-{number:05}"));
        File::create(&path).map_err(|error| told(&path, error))?;
        std::os::unix::fs::chown(&path, Some(*uid), None).map_err(|error| told(&path, error))?;
    }
    Ok(())
}
