//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Why a configuration was refused. Shown as `FILE:LINE:COLUMN: what is wrong; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named to [`super::load`]; `entra.toml` for [`super::parse`].
    pub file: PathBuf,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the file as a whole is meant.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
    /// Whether the file does not exist: the host is not configured, which a caller may take for "no domain".
    pub missing: bool,
    /// Whether the file is there, and not for this process to read.
    pub not_permitted: bool,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file.display(), self.message),
            line => write!(out, "{}:{line}:{}: {}", self.file.display(), self.column, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for crate::Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

/// A message and the bytes of the text that it is about; [`Problem::at`] turns them into line and column.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub message: String,
    pub span: Option<Range<usize>>,
}

impl Problem {
    pub fn new(message: impl Into<String>, span: Option<Range<usize>>) -> Self {
        Self { message: message.into(), span }
    }

    /// Gives the problem a place where it has none yet.
    pub fn or_span(mut self, span: Option<Range<usize>>) -> Self {
        self.span = self.span.or(span);
        self
    }

    pub fn at(self, file: PathBuf, text: &str) -> ConfigError {
        let (line, column) = self.span.map_or((0, 0), |span| line_and_column(text, span.start));
        ConfigError { file, line, column, message: self.message, missing: false, not_permitted: false }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
