//! Printing: text for people, JSON for programs, never both.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// What a verb found, in both forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For people; printed as it is, a newline is added.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Exit status: a check with a failure prints its answer and still ends with 1.
    pub exit: Exit,
}

impl Answer {
    /// An answer of a verb that did what was asked.
    pub fn done(text: impl Into<String>, json: impl Serialize) -> Self {
        let json = serde_json::to_value(json).unwrap_or(Value::Null);
        Self { text: text.into(), json, exit: Exit::Done }
    }
}

/// How a step or a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of `join`, `leave`, `testjoin` and `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Name of the step or topic.
    pub step: String,
    /// How it came out.
    pub result: Mark,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The exit status that the failure alone would give; [`Exit::Done`] where it is none.
    #[serde(skip)]
    pub exit: Exit,
}

impl Step {
    /// A step that went well.
    pub fn ok(step: &str, detail: impl Into<String>) -> Self {
        Self { step: step.into(), result: Mark::Ok, detail: detail.into(), remedy: None, exit: Exit::Done }
    }

    /// A step that went well enough.
    pub fn warn(step: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            result: Mark::Warn,
            detail: detail.into(),
            remedy: Some(remedy.into()),
            exit: Exit::Done,
        }
    }

    /// A step that failed.
    pub fn fail(failure: &Failure) -> Self {
        Self {
            step: failure.step.clone(),
            result: Mark::Fail,
            detail: failure.error.clone(),
            remedy: failure.remedy.clone(),
            exit: failure.exit,
        }
    }

    /// The line for people, with the remedy at its end.
    pub fn render(&self) -> String {
        let mark = match self.result {
            Mark::Ok => "ok",
            Mark::Warn => "warn",
            Mark::Fail => "fail",
        };
        let mut line = format!("{mark:<5} {:<12} {}", self.step, self.detail);
        if let Some(remedy) = &self.remedy {
            line.push_str(" -> ");
            line.push_str(remedy);
        }
        line
    }
}

/// Where output goes, and in which form.
pub struct Output<'a> {
    json: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    steps: Vec<Step>,
    /// Whether a list was begun, and how many rows of it are out.
    list: Option<u64>,
    /// Why a step's line could not be printed: the verb went on, and says so at its end.
    lost: Option<io::Error>,
}

impl<'a> Output<'a> {
    /// Prints to `out`, and failures for people to `err`.
    pub fn new(json: bool, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { json, out, err, steps: Vec::new(), list: None, lost: None }
    }

    /// Takes one finished step: people see it at once, programs get all of them at the end.
    pub fn step(&mut self, step: Step) {
        if !self.json {
            let line = step.render();
            // A reader that went away must not stop a join in the middle.
            if let Err(error) = writeln!(self.out, "{line}").and_then(|()| self.out.flush()) {
                self.lost.get_or_insert(error);
            }
        }
        self.steps.push(step);
    }

    /// Takes one step that may have failed, and passes the failure on.
    ///
    /// # Errors
    /// The step's failure, which has been shown.
    pub fn take(&mut self, step: Result<Step, Failure>) -> Result<(), Failure> {
        let step = self.pass(step)?;
        self.step(step);
        Ok(())
    }

    /// Shows a failure, under the name of the step that it carries, and passes the result on.
    ///
    /// # Errors
    /// The failure, which has been shown.
    pub fn pass<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result {
            self.step(Step::fail(failure));
        }
        result
    }

    /// Prints a part of a long list as it comes: nobody holds all of it in memory. For programs it is the array `key` of
    /// the object that ends with the verb.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub fn rows(&mut self, key: &str, text: &str, json: &[impl Serialize]) -> Result<(), Failure> {
        let printed = self.print_rows(key, text, json).and_then(|()| self.out.flush());
        printed.map_err(|error| Failure::no(key, format!("the output is not taken: {error}")))
    }

    fn print_rows(&mut self, key: &str, text: &str, json: &[impl Serialize]) -> io::Result<()> {
        if !self.json {
            return if text.is_empty() { Ok(()) } else { writeln!(self.out, "{text}") };
        }
        let mut part = String::new();
        let mut count = self.list.unwrap_or_else(|| {
            part = format!("{{\n  \"{key}\": [");
            0
        });
        for row in json {
            part.push_str(if count == 0 { "\n    " } else { ",\n    " });
            part.push_str(&serde_json::to_string(row)?);
            count += 1;
        }
        self.list = Some(count);
        self.out.write_all(part.as_bytes())
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Prints how the verb ended and gives the exit status.
    ///
    /// # Errors
    /// When the output, a step's line before included, could not be written.
    pub fn finish(&mut self, result: Result<Answer, Failure>) -> io::Result<Exit> {
        let exit = match result {
            Ok(answer) => {
                if self.json {
                    let json = self.with_steps(answer.json);
                    self.print_json(&json)?;
                } else if !answer.text.is_empty() {
                    writeln!(self.out, "{}", answer.text)?;
                }
                answer.exit
            }
            Err(failure) => {
                if self.json {
                    let json = self.with_steps(failure.to_json());
                    self.print_json(&json)?;
                } else {
                    writeln!(self.err, "entractl: {}: {}", failure.step, failure.error)?;
                    let shown = self.steps.iter().any(|step| step.result == Mark::Fail && step.step == failure.step);
                    if let Some(remedy) = failure.remedy.as_ref().filter(|_| !shown) {
                        writeln!(self.err, "  -> {remedy}")?;
                    }
                }
                failure.exit
            }
        };
        self.out.flush()?;
        match self.lost.take() {
            Some(error) => Err(error),
            None => Ok(exit),
        }
    }

    fn with_steps(&self, mut json: Value) -> Value {
        if !self.steps.is_empty()
            && let Some(fields) = json.as_object_mut()
        {
            fields.insert("steps".into(), json!(self.steps));
        }
        json
    }

    fn print_json(&mut self, json: &Value) -> io::Result<()> {
        let (Some(count), Some(fields)) = (self.list.take(), json.as_object()) else {
            return writeln!(self.out, "{json:#}");
        };
        self.out.write_all(if count == 0 { b"]" } else { b"\n  ]" })?;
        for (key, value) in fields {
            write!(self.out, ",\n  {}: {value}", Value::from(key.as_str()))?;
        }
        writeln!(self.out, "\n}}")
    }
}

/// Aligned `key: value` lines; pairs without a value are left out.
pub fn fields(pairs: &[(&str, Option<String>)]) -> String {
    let shown: Vec<_> = pairs.iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value))).collect();
    let width = shown.iter().map(|(key, _)| key.len() + 1).max().unwrap_or_default();
    let lines: Vec<_> = shown
        .into_iter()
        .map(|(key, value)| format!("{:<width$} {}", format!("{key}:"), printable(value)).trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// The text with control characters replaced: a display name in the directory must not drive a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A span of time in at most two units: `42 s`, `3 min 5 s`, `2 h`, `9 d 4 h`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    for (at, (length, unit)) in UNITS.iter().enumerate() {
        if seconds >= *length {
            let whole = format!("{} {unit}", seconds / length);
            let Some((next, next_unit)) = UNITS.get(at + 1) else { return whole };
            let rest = seconds % length / next;
            return if rest == 0 { whole } else { format!("{whole} {rest} {next_unit}") };
        }
    }
    "0 s".into()
}

/// How long ago, or how far ahead, `then` is from `now` (both Unix seconds).
pub fn relative(then: u64, now: u64) -> String {
    if then > now { format!("in {}", span(then - now)) } else { format!("{} ago", span(now - then)) }
}

/// Now, in Unix seconds.
pub fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: bool, steps: &[Step], result: Result<Answer, Failure>) -> (String, String, Exit) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(json, &mut out, &mut err);
        steps.iter().cloned().for_each(|step| output.step(step));
        let exit = output.finish(result).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), exit)
    }

    #[test]
    fn steps_for_people_are_aligned_and_carry_the_remedy() {
        let failure = Failure::no("clock", "this host is 400 s behind dc1").remedy("set the clock");
        let steps = [Step::ok("dns", "dc1.aadds.contoso.com"), Step::fail(&failure)];
        let (out, err, exit) = run(false, &steps, Err(failure));
        assert_eq!(
            out,
            "ok    dns          dc1.aadds.contoso.com\n\
             fail  clock        this host is 400 s behind dc1 -> set the clock\n"
        );
        assert_eq!(err, "entractl: clock: this host is 400 s behind dc1\n", "the remedy was shown already");
        assert_eq!(exit, Exit::No);
        let alone = run(false, &[], Err(Failure::no("status", "no").remedy("do")));
        assert_eq!(alone.1, "entractl: status: no\n  -> do\n");
    }

    #[test]
    fn json_has_one_object_and_nothing_on_the_error_stream() {
        let failure = Failure::new(Exit::NoDirectory, "connect", "port 88 of dc1 is closed");
        let (out, err, exit) = run(true, &[Step::ok("dns", "dc1"), Step::fail(&failure)], Err(failure));
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            value,
            json!({
                "error": "port 88 of dc1 is closed", "step": "connect",
                "steps": [
                    {"step": "dns", "result": "ok", "detail": "dc1"},
                    {"step": "connect", "result": "fail", "detail": "port 88 of dc1 is closed"},
                ],
            })
        );
        assert_eq!((err.as_str(), exit), ("", Exit::NoDirectory));
    }

    #[test]
    fn a_list_is_one_object_also_where_it_breaks_off() {
        for json in [false, true] {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut output = Output::new(json, &mut out, &mut err);
            output.rows("users", "a\nb", &["a", "b"]).unwrap();
            output.rows("users", "", &[] as &[&str]).unwrap();
            output.rows("users", "c", &["c"]).unwrap();
            let failure = Failure::new(Exit::NoDaemon, "users", "it went away").remedy("start it");
            assert_eq!(output.finish(Err(failure)).unwrap(), Exit::NoDaemon);
            let out = String::from_utf8(out).unwrap();
            if json {
                let value: Value = serde_json::from_str(&out).unwrap();
                let wanted = json!({
                    "users": ["a", "b", "c"], "error": "it went away", "step": "users", "remedy": "start it"
                });
                assert_eq!(value, wanted);
            } else {
                assert_eq!(out, "a\nb\nc\n");
                assert_eq!(String::from_utf8(err).unwrap(), "entractl: users: it went away\n  -> start it\n");
            }
        }
        let mut out = Vec::new();
        let mut err = Vec::new();
        let mut output = Output::new(true, &mut out, &mut err);
        output.rows("users", "", &[] as &[&str]).unwrap();
        output.finish(Ok(Answer::done("", json!({ "next": null })))).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), json!({ "users": [], "next": null }));
    }

    #[test]
    fn a_line_that_is_lost_is_no_success() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (json, step, text) in [(false, true, ""), (false, false, "text"), (true, false, "")] {
            let mut err = Vec::new();
            let mut full = Full;
            let mut output = Output::new(json, &mut full, &mut err);
            if step {
                output.step(Step::ok("keytab", "fine"));
            }
            let finished = output.finish(Ok(Answer::done(text, json!({}))));
            assert_eq!(finished.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn fields_are_aligned_and_cannot_drive_a_terminal() {
        let text = fields(&[("name", Some("al\x1b[31mice".into())), ("netbios", None), ("uid", Some("7".into()))]);
        assert_eq!(text, "name: al\u{fffd}[31mice\nuid:  7");
    }

    #[test]
    fn spans() {
        let shown = [0, 59, 60, 185, 7_200, 90_061].map(span);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "3 min 5 s", "2 h", "1 d 1 h"]);
        assert_eq!(relative(100, 160), "1 min ago");
        assert_eq!(relative(160, 100), "in 1 min");
    }
}
