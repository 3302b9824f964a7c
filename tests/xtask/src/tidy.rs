//! The rules of the architecture, checked: `cargo xtask tidy`. Each finding names a place and what would be right.
//!
//! | Module | Rules |
//! |---|---|
//! | [`floors`] | which crate may depend on which; what the modules bring into other people's processes |
//! | [`binaries`] | soname, needed libraries and exported symbols of the built modules |
//! | [`unsafety`] | where `unsafe` may stand, and that each block says why it is sound |
//! | [`sources`] | length of a file, words that a crate must not use, libraries that one folder alone names |
//! | [`documents`] | manifests, the code map, paths of one machine |
//! | [`rust_text`] | source text without its comments and strings, for the rules above |

mod binaries;
mod documents;
mod floors;
mod rust_text;
mod sources;
mod unsafety;

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::run::{Outcome, root};

/// A rule that is broken somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A tracked text file: its path from the workspace's root, and what is in it.
struct Text {
    path: String,
    text: String,
}

impl Text {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// Checks everything; prints each finding.
///
/// # Errors
/// When a rule is broken, or when it cannot be checked.
pub fn run() -> Outcome {
    let texts = tracked_texts(&root())?;
    let mut findings = Vec::new();
    findings.extend(floors::check()?);
    findings.extend(sources::check(&texts));
    findings.extend(unsafety::check(&texts));
    findings.extend(documents::check(&texts, &root()));
    findings.extend(binaries::check()?);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, every rule holds", texts.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} findings")),
    }
}

/// Text files that git knows or would add.
fn tracked_texts(root: &Path) -> Result<Vec<Text>, String> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let names = output(&mut list)?;
    let texts: Vec<Text> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        // A file that is not UTF-8 holds no rule's subject; one that git still lists may be deleted already.
        .filter_map(|name| Some(Text { path: name.into(), text: std::fs::read_to_string(root.join(name)).ok()? }))
        .collect();
    if texts.iter().any(|text| text.path == "Cargo.toml") {
        Ok(texts)
    } else {
        Err(format!("{} is not the root of a git work tree: nothing was checked", root.display()))
    }
}

/// What a program prints.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{name} printed something that is not UTF-8"))
}
