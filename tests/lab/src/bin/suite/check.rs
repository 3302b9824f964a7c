//! What a case says about what it saw.

use std::fmt::Debug;

use entra_lab::Output;

/// Outcome of a case: the error says what was expected and what came.
pub type Verdict = Result<(), String>;

/// What the reason of a case that was not run begins with.
const SKIPPED: &str = "skipped: ";

/// The error of a case that this machine cannot run at all: it counts as neither passed nor failed, and its line says why.
pub fn skip(reason: &str) -> String {
    format!("{SKIPPED}{reason}")
}

/// The reason of a case that was skipped.
pub fn skip_reason(verdict: &Verdict) -> Option<&str> {
    verdict.as_ref().err()?.strip_prefix(SKIPPED)
}

/// Insists on equality.
pub fn equal<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T) -> Verdict {
    if got == wanted { Ok(()) } else { Err(format!("{what}:\n  wanted {wanted:?}\n  got    {got:?}")) }
}

/// Insists on a condition.
pub fn that(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Insists on an exit status.
pub fn status(what: &str, output: &Output, wanted: i32) -> Verdict {
    that(output.status == wanted, || format!("{what}: wanted status {wanted}, got {}", output.describe()))
}

/// Insists on success and gives the standard output without its line end.
pub fn text(what: &str, output: Output) -> Result<String, String> {
    output.text().map_err(|error| format!("{what}: {error}"))
}

/// Insists that a text holds a part, whatever the case of its letters.
pub fn holds(what: &str, text: &str, part: &str) -> Verdict {
    that(text.to_lowercase().contains(&part.to_lowercase()), || format!("{what}: \"{part}\" is not in:\n{text}"))
}
