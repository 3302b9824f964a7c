//! `idmap chown`: files follow the ids that move. Listed first; changed with a journal, so that it may be interrupted.

mod acl;
mod journal;
mod target;
mod walk;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::compare::{JOURNAL, Moves};
use crate::cli::IdmapChown;
use crate::exit::{Exit, Failure};
use crate::host::need_root;
use crate::interrupt::Interrupt;
use crate::output::{Answer, fields, printable};
use journal::Journal;
use target::{Key, Seen, Target};
use walk::Missed;

const VERB: &str = "idmap chown";
/// Files that are written down and changed together: one wait for the disk, and as many open descriptors.
const BATCH: usize = 128;
/// Files and misses that are shown.
const SHOWN: usize = 20;
/// Beside the journal once everything was changed.
const DONE: &str = "done";

/// Lists, or changes.
pub(super) fn run(options: &IdmapChown) -> Result<Answer, Failure> {
    need_root(VERB)?;
    let failed = |error: String| Failure::no(VERB, error);
    let moves = Moves::read(&options.plan)?;
    let trees = options
        .trees
        .iter()
        .map(|tree| tree.canonicalize().map_err(|error| failed(format!("{}: {error}", tree.display()))));
    let trees: Vec<PathBuf> = trees.collect::<Result<_, _>>()?;
    let (journal, done) = (options.plan.join(JOURNAL), options.plan.join(DONE));
    if done.exists() {
        return Err(failed(format!("{} was carried out to its end", options.plan.display()))
            .remedy("make a plan of its own for other trees: a file must not be mapped twice"));
    }
    let journal = (options.apply || journal.exists()).then(|| Journal::open(&journal, &trees)).transpose();
    let mut change = Change { moves, journal: journal.map_err(failed)?, trees, found: Found::default() };
    change.list().map_err(failed)?;
    let total = change.found.files;
    if options.apply {
        change.carry_out(total).map_err(|error| {
            failed(error).remedy("run the same command again: it goes on where it ended, and maps no file twice")
        })?;
        if change.found.missed.is_empty() {
            std::fs::write(&done, "").map_err(|error| failed(format!("{}: {error}", done.display())))?;
        }
    }
    Ok(change.answer(options.apply))
}

/// What a walk found.
#[derive(Default)]
struct Found {
    files: u64,
    shown: Vec<String>,
    missed: Vec<Missed>,
}

struct Change {
    moves: Moves,
    journal: Option<Journal>,
    trees: Vec<PathBuf>,
    found: Found,
}

/// A file that waits for its batch.
type Waiting = (Key, PathBuf, Seen, Target);

impl Change {
    /// What the walk says of each file that has something to become.
    fn each(
        &mut self,
        mut work: impl FnMut(&mut Option<Journal>, &mut Found, Waiting) -> Result<(), String>,
    ) -> Result<(), String> {
        let Self { moves, journal, trees, found } = self;
        *found = Found::default();
        let mut missed = Vec::new();
        let mut visit = |key: Key, path: &Path, seen: Seen| match decide(journal.as_ref(), moves, &key, &seen) {
            Ok(Some(target)) => work(journal, found, (key, path.to_path_buf(), seen, target)),
            Ok(None) => Ok(()),
            Err(why) => {
                found.missed.push(Missed(path.to_path_buf(), why));
                Ok(())
            }
        };
        walk::all(trees, &mut visit, &mut |miss| missed.push(miss))?;
        found.missed.append(&mut missed);
        Ok(())
    }

    fn list(&mut self) -> Result<(), String> {
        self.each(|_, found, (_, path, _, target)| {
            found.files += 1;
            if found.shown.len() < SHOWN {
                found.shown.push(line(&path, &target));
            }
            Ok(())
        })
    }

    fn carry_out(&mut self, total: u64) -> Result<(), String> {
        let interrupt = Interrupt::watch();
        let mut progress = Progress::new(total);
        let mut waiting = Vec::new();
        self.each(|journal, found, file| {
            waiting.push(file);
            if waiting.len() < BATCH {
                return Ok(());
            }
            if interrupt.came() {
                return Err("interrupted".into());
            }
            change(journal, found, &mut waiting)?;
            progress.show(found.files);
            Ok(())
        })?;
        change(&mut self.journal, &mut self.found, &mut waiting)?;
        progress.end(self.found.files);
        Ok(())
    }

    fn answer(self, applied: bool) -> Answer {
        let Found { files, shown, missed } = self.found;
        let mut text = fields(&[
            ("ids that move", Some(format!("{} uids, {} gids", self.moves.uids.len(), self.moves.gids.len()))),
            (if applied { "files changed" } else { "files to change" }, Some(files.to_string())),
            ("not looked at", (!missed.is_empty()).then(|| missed.len().to_string())),
        ]);
        for line in &shown {
            let _ = write!(text, "\n  {}", printable(line));
        }
        for Missed(path, why) in missed.iter().take(SHOWN) {
            let _ = write!(text, "\n  {}: {}", printable(&path.to_string_lossy()), printable(why));
        }
        if !applied && files > 0 {
            text.push_str("\n\nwith --apply they are changed; let nobody write there meanwhile");
        }
        let misses: Vec<_> =
            missed.iter().map(|Missed(path, why)| json!({ "path": path.to_string_lossy(), "why": why })).collect();
        let json = json!({
            "applied": applied, "uids": self.moves.uids.len(), "gids": self.moves.gids.len(), "files": files,
            "first": shown, "missed": misses,
        });
        Answer { text, json, exit: if missed.is_empty() { Exit::Done } else { Exit::No } }
    }
}

/// What a file is to become. One that was begun becomes what was written down then, whatever it looks like now.
fn decide(journal: Option<&Journal>, moves: &Moves, key: &Key, seen: &Seen) -> Result<Option<Target>, String> {
    match journal.and_then(|journal| journal.begun(key)) {
        Some(begun) if [begun.from, begun.to].contains(&(seen.uid, seen.gid)) => Ok(Some(begun.clone())),
        Some(_) => Err("somebody else changed its owner meanwhile".into()),
        None => seen.target(moves).map_err(|error| error.to_string()),
    }
}

/// Writes down what the files are to become, then makes it so.
fn change(journal: &mut Option<Journal>, found: &mut Found, waiting: &mut Vec<Waiting>) -> Result<(), String> {
    let Some(journal) = journal else { return Err("there is no journal".into()) };
    let new = waiting.iter().filter(|(key, ..)| journal.begun(key).is_none());
    let new: Vec<_> = new.map(|(key, _, _, target)| (*key, target.clone())).collect();
    journal.begin(new.iter().map(|(key, target)| (key, target))).map_err(|error| format!("the journal: {error}"))?;
    for (_, path, seen, target) in waiting.drain(..) {
        match seen.change_to(&target) {
            Ok(()) => found.files += 1,
            Err(error) => found.missed.push(Missed(path, error.to_string())),
        }
    }
    Ok(())
}

fn line(path: &Path, target: &Target) -> String {
    let ((uid, gid), (new_uid, new_gid)) = (target.from, target.to);
    let what =
        if target.from == target.to { "access list".into() } else { format!("{uid}:{gid} -> {new_uid}:{new_gid}") };
    format!("{} {what}", path.display())
}

/// A bar for people at a terminal.
struct Progress {
    total: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    const PACE: Duration = Duration::from_millis(200);
    const WIDTH: u64 = 40;

    fn new(total: u64) -> Self {
        Self { total, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, files: u64) {
        if !self.terminal || self.shown.is_some_and(|then| then.elapsed() < Self::PACE) {
            return;
        }
        self.shown = Some(Instant::now());
        let filled = (files.min(self.total) * Self::WIDTH / self.total.max(1)) as usize;
        let bar: String = (0..Self::WIDTH as usize).map(|at| if at < filled { '#' } else { '.' }).collect();
        let _ = write!(std::io::stderr(), "\r[{bar}] {files} of {}", self.total);
    }

    fn end(&mut self, files: u64) {
        if self.shown.take().is_some() {
            self.show(files);
            let _ = writeln!(std::io::stderr());
        }
    }
}

#[cfg(test)]
mod tests;
