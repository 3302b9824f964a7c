//! What a change of owners has begun, so that no file is mapped twice: of two ids that swap, the second time would put
//! the first owner back. A line stands on the disk before its file is touched, and says what the file is to become.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::target::{Key, Target};

/// First line: the trees, in their order.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    trees: Vec<PathBuf>,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: Key,
    target: Target,
}

/// The open journal.
pub(super) struct Journal {
    file: File,
    begun: HashMap<Key, Target>,
}

impl Journal {
    /// Opens the journal for these trees, or begins it.
    ///
    /// # Errors
    /// Where it is for other trees, or cannot be read or written.
    pub fn open(path: &Path, trees: &[PathBuf]) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| failed(&error))?,
        };
        let mut file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(|error| failed(&error))?;
        let head = Head { trees: trees.to_vec() };
        let mut begun = HashMap::new();
        // A line without an end was cut off: its file was not touched yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        file.set_len(whole.len() as u64).map_err(|error| failed(&error))?;
        let mut lines = whole.lines();
        if let Some(first) = lines.next() {
            let known: Head = serde_json::from_str(first).map_err(|error| failed(&error))?;
            if known != head {
                let known: Vec<_> = known.trees.iter().map(|tree| tree.display().to_string()).collect();
                return Err(failed(&format!(
                    "this change began for {}: name the same, in this order",
                    known.join(" ")
                )));
            }
            for line in lines {
                let Line { key, target } = serde_json::from_str(line).map_err(|error| failed(&error))?;
                begun.insert(key, target);
            }
        } else {
            let line = serde_json::to_string(&head).map_err(|error| failed(&error))?;
            writeln!(file, "{line}").and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        }
        Ok(Self { file, begun })
    }

    /// What was begun for a file.
    pub fn begun(&self, key: &Key) -> Option<&Target> {
        self.begun.get(key)
    }

    /// Writes what files are to become; on the disk when the call returns.
    ///
    /// # Errors
    /// When it cannot be written: then touch none of them.
    pub fn begin<'a>(&mut self, files: impl Iterator<Item = (&'a Key, &'a Target)>) -> io::Result<()> {
        let mut text = Vec::new();
        for (key, target) in files {
            serde_json::to_writer(&mut text, &Line { key: *key, target: target.clone() })?;
            text.push(b'\n');
        }
        self.file.write_all(&text)?;
        self.file.sync_data()
    }
}
