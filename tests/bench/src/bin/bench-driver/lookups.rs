//! Lookups: one again and again, many once, all users.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ffi::{Lookup, Outcome, Room, Way, c_string};
use crate::{Call, Target};

/// Which lines of a file of keys are asked for.
pub struct Lines {
    /// Left out at the start.
    pub skip: usize,
    /// Taken after them.
    pub take: usize,
    /// Every nth of these.
    pub stride: usize,
}

/// A batch takes about so long: far above the clock's own cost, far below a turn of the scheduler.
const BATCH: Duration = Duration::from_micros(500);

/// Calls for `millis` and prints a line per batch.
///
/// # Errors
/// When the module cannot be loaded or does not know.
pub fn warm(target: &Target, call: Call, key: &str, millis: u64, processes: usize) -> Result<(), String> {
    if processes > 1 {
        return alongside(processes, |_| Vec::new());
    }
    let way = target.way()?;
    let lookup = call.lookup(key)?;
    let mut room = Room::new();
    // The first call loads, connects and maps.
    for _ in 0..2 {
        if way.call(&lookup, &mut room) == Outcome::Unavailable {
            return Err(format!("{key}: the module does not know"));
        }
    }
    let one = Instant::now();
    way.call(&lookup, &mut room);
    let count = (BATCH.as_nanos() / one.elapsed().as_nanos().max(10)).clamp(1, 20_000) as u32;
    let end = Instant::now() + Duration::from_millis(millis);
    let mut text = String::new();
    while Instant::now() < end {
        let start = Instant::now();
        let mut last = Outcome::Unavailable;
        for _ in 0..count {
            last = std::hint::black_box(way.call(std::hint::black_box(&lookup), &mut room));
        }
        line(&mut text, start.elapsed().as_secs_f64() * 1e9 / f64::from(count), last);
    }
    print(&text)
}

/// Looks up each key once and prints a line per call.
///
/// # Errors
/// When the module cannot be loaded, or the file read.
pub fn each(
    target: &Target,
    call: Call,
    keys: &Path,
    lines: &Lines,
    processes: usize,
    seconds: u64,
) -> Result<(), String> {
    if processes > 1 {
        let shares = |number: usize| {
            let take = lines.take.saturating_sub(number);
            vec![
                ("--skip", (lines.skip + number).to_string()),
                ("--take", take.to_string()),
                ("--stride", processes.to_string()),
            ]
        };
        return alongside(processes, shares);
    }
    let all = std::fs::read_to_string(keys).map_err(|error| format!("{}: {error}", keys.display()))?;
    let way = target.way()?;
    let mut room = Room::new();
    let mut text = String::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    for key in all.lines().skip(lines.skip).take(lines.take).step_by(lines.stride) {
        if Instant::now() > end {
            break;
        }
        let lookup = call.lookup(key)?;
        let start = Instant::now();
        let outcome = way.call(&lookup, &mut room);
        line(&mut text, start.elapsed().as_secs_f64() * 1e9, outcome);
    }
    print(&text)
}

/// Lists all users and prints a line per time.
///
/// # Errors
/// When the module cannot list.
pub fn users(target: &Target, times: usize) -> Result<(), String> {
    let way = target.way()?;
    let mut room = Room::new();
    let mut text = String::new();
    for _ in 0..times {
        let start = Instant::now();
        let count = way.users(&mut room)?;
        line(&mut text, start.elapsed().as_secs_f64() * 1e9, Outcome::Found(count));
    }
    print(&text)
}

impl Target {
    /// Loads what is named.
    ///
    /// # Errors
    /// When that fails.
    pub fn way(&self) -> Result<Way, String> {
        match (&self.module, &self.sources) {
            (Some(module), _) => Way::direct(module),
            (None, sources) => Way::glibc(sources.as_deref().unwrap_or("files")),
        }
    }
}

impl Call {
    /// The lookup of this kind for a name or an id.
    ///
    /// # Errors
    /// When it is no id.
    pub fn lookup(self, key: &str) -> Result<Lookup, String> {
        let id = || key.parse().map_err(|_| format!("{key:?} is no id"));
        Ok(match self {
            Self::Getpwnam => Lookup::User(c_string(key)?),
            Self::Getpwuid => Lookup::Uid(id()?),
            Self::Getgrnam => Lookup::Group(c_string(key)?),
            Self::Getgrgid => Lookup::Gid(id()?),
            Self::Initgroups => Lookup::Groups(c_string(key)?),
        })
    }
}

/// Adds a line: when, how long, what.
pub fn line(text: &mut String, nanos: f64, outcome: Outcome) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let what = match outcome {
        Outcome::Found(count) => count.to_string(),
        Outcome::Absent => "absent".into(),
        Outcome::Unavailable => "unavailable".into(),
    };
    let _ = writeln!(text, "{now} {nanos:.1} {what}");
}

/// Prints the lines.
///
/// # Errors
/// When nobody reads.
pub fn print(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// Runs this program so many times at once, with its own arguments and then those of `more`; what they print comes one
/// after the other.
fn alongside(processes: usize, more: impl Fn(usize) -> Vec<(&'static str, String)>) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut children = Vec::new();
    for number in 0..processes {
        let mut replaced = more(number);
        replaced.push(("--processes", "1".into()));
        // Each option stands on the command line once: what is replaced is taken out with its value.
        let mut words = Vec::new();
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            if replaced.iter().any(|(option, _)| *option == word) {
                given.next();
            } else {
                words.push(word);
            }
        }
        words.extend(replaced.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        let child = Command::new(&own).args(words).stdout(Stdio::piped()).spawn();
        children.push(child.map_err(|error| error.to_string())?);
    }
    // They print when they are done, each into a pipe of its own that this reads in turn.
    let readers: Vec<_> = children.into_iter().map(|child| std::thread::spawn(|| child.wait_with_output())).collect();
    for reader in readers {
        let output = reader.join().map_err(|_| "a reader ended")?.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("a process ended with {}", output.status));
        }
        std::io::stdout().write_all(&output.stdout).map_err(|error| error.to_string())?;
    }
    Ok(())
}
