//! Samples of every row, kept beside the page so that it can be made again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::products::Who;
use crate::rows::{self, Row};
use crate::stats::median;

/// How large the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    Small,
    Large,
}

impl Size {
    /// Its name for readers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "2,000",
            Self::Large => "50,000",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// Everything that was seen.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    /// Samples by size, row and product.
    samples: BTreeMap<String, Vec<f64>>,
    /// Facts about the run, by name: machine, versions, configurations.
    pub notes: BTreeMap<String, String>,
}

impl Results {
    /// Adds a sample, in the unit of the row.
    pub fn add(&mut self, size: Size, row: &str, who: Who, sample: f64) {
        debug_assert!(rows::find(row).is_some(), "{row} is no row");
        self.samples.entry(key(size, row, who)).or_default().push(sample);
    }

    /// The samples of a row.
    pub fn of(&self, size: Size, row: &str, who: Who) -> &[f64] {
        self.samples.get(&key(size, row, who)).map_or(&[], Vec::as_slice)
    }

    /// The median of a row in the unit in which it is shown.
    pub fn shown(&self, size: Size, row: &Row, who: Who) -> Option<f64> {
        median(self.of(size, row.id, who)).map(|sample| row.unit.shown(sample))
    }

    /// Whether a size was measured at all.
    pub fn has(&self, size: Size) -> bool {
        self.samples.keys().any(|name| name.starts_with(size.key()))
    }

    /// Whether a peer was over twice as slow as elsewhere in this row: then it tells of noise or of a bad setting.
    pub fn is_slow(&self, size: Size, row: &Row, peer: Who) -> bool {
        let known = match peer {
            Who::Sssd => row.known[0],
            Who::Winbind => row.known[1],
            _ => None,
        };
        let Some((seen, known)) = self.shown(size, row, peer).zip(known) else { return false };
        if row.unit.more_is_better() { seen < known / 2.0 } else { seen > known * 2.0 }
    }

    /// Reads what [`Results::write`] wrote.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn key(size: Size, row: &str, who: Who) -> String {
    format!("{} {row} {}", size.key(), who.name())
}
