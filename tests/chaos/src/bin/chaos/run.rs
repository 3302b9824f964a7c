//! One row: the load, the fault in the middle of it, and the verdict.

use std::time::Duration;

use entra_chaos::{Kind, Tally};

use crate::faults::Fault;
use crate::stage::Stage;

/// How long the load runs before the fault is made, and after it has ended.
const AROUND: Duration = Duration::from_millis(1500);
/// A cached lookup waits for nobody: it may take this much longer than the slowest lookup in /etc/passwd, which is what
/// the machine itself delayed.
const CACHED_SLACK: Duration = Duration::from_millis(250);

/// What came of a row.
pub struct Row {
    /// What the load counted.
    pub tally: Tally,
    /// What showed the fault.
    pub proof: String,
    /// How long after its end a user that was never seen resolved.
    pub back: Option<Duration>,
    /// What must not be; empty: the row holds.
    pub problems: Vec<String>,
}

/// Runs a row.
pub fn row(stage: &Stage, fault: &Fault) -> Row {
    let mut row = Row { tally: Tally::default(), proof: String::new(), back: None, problems: Vec::new() };
    if let Err(reason) = play(stage, fault, &mut row) {
        row.problems.push(reason);
    }
    row.problems.extend(judge(&row.tally, fault.may_fail));
    row
}

fn play(stage: &Stage, fault: &Fault, row: &mut Row) -> Result<(), String> {
    stage.well()?;
    // The log's proof is this row's own.
    stage.client.sh(": >/var/log/lab-entrad.log", &[])?.text()?;
    (fault.before)(stage)?;
    stage.start_load()?;
    std::thread::sleep(AROUND);
    let made = (fault.make)(stage);
    std::thread::sleep(fault.lasts);
    let proof = (fault.proof)(stage);
    let ended = (fault.end)(stage);
    let back = stage.until_back();
    std::thread::sleep(AROUND);
    row.tally = stage.end_load()?;
    let after = (fault.after)(stage);
    if let Some(more) = made? {
        row.tally.merge(more);
    }
    row.proof = proof?;
    ended?;
    row.back = Some(back?);
    after
}

/// What must not be in a load's counts.
pub fn judge(tally: &Tally, may_fail: &[Kind]) -> Vec<String> {
    let mut problems = Vec::new();
    let machine = Duration::from_micros(tally.of(Kind::Local).longest_us);
    for kind in Kind::ALL {
        let (count, name) = (tally.of(kind), kind.name());
        if count.made == 0 {
            problems.push(format!("{name}: nothing was asked"));
        }
        if count.wrong > 0 {
            problems.push(format!("{name}: {} wrong answers", count.wrong));
        }
        if count.late > 0 {
            problems.push(format!("{name}: {} answers after the deadline", count.late));
        }
        if count.unavailable > 0 && !may_fail.contains(&kind) {
            problems.push(format!("{name}: {} without an answer", count.unavailable));
        }
        let took = Duration::from_micros(count.longest_us);
        if matches!(kind, Kind::Cached | Kind::CachedAnew) && took > machine + CACHED_SLACK {
            problems.push(format!(
                "{name}: one took {} ms, the machine's own delay was {} ms",
                took.as_millis(),
                machine.as_millis()
            ));
        }
    }
    if !problems.is_empty() {
        problems.extend(tally.examples.iter().map(|example| format!("  {example}")));
        problems.extend(tally.said.iter().map(|(how, times)| format!("  {times} × {how}")));
    }
    problems
}

/// The table's own test: with one wrong uid planted in what the load takes for true, the verdict must be "wrong".
pub fn prove_judgement(stage: &Stage) -> Result<(), String> {
    stage.well()?;
    stage.plant_lie(true)?;
    let counted = stage.start_load().and_then(|()| {
        std::thread::sleep(AROUND);
        stage.end_load()
    });
    stage.plant_lie(false)?;
    let problems = judge(&counted?, &Kind::ALL);
    if problems.iter().any(|problem| problem.contains("wrong answers")) {
        Ok(())
    } else {
        Err(format!("a wrong answer was planted and nobody noticed: {problems:?}"))
    }
}

#[cfg(test)]
mod tests {
    use entra_chaos::Answer;

    use super::*;

    fn good() -> Tally {
        let mut tally = Tally::default();
        for kind in Kind::ALL {
            tally.add(kind, "x", &Answer::Right, Duration::from_millis(1));
        }
        tally
    }

    fn with(kind: Kind, answer: &Answer, took: Duration) -> Vec<String> {
        let mut tally = good();
        tally.add(kind, "x", answer, took);
        judge(&tally, &[Kind::Unknown])
    }

    #[test]
    fn right_answers_in_time_are_no_problem() {
        assert_eq!(judge(&good(), &[]), Vec::<String>::new());
    }

    #[test]
    fn one_wrong_or_late_answer_or_one_that_did_not_come_is() {
        let (soon, right) = (Duration::from_millis(1), Answer::Right);
        assert!(with(Kind::Login, &Answer::Wrong("refused".into()), soon)[0].contains("1 wrong"));
        assert!(with(Kind::Uncached, &right, Duration::from_secs(5))[0].contains("after the deadline"));
        assert!(with(Kind::Cached, &right, Duration::from_secs(1))[0].contains("one took 1000 ms"));
        let away = Answer::Unavailable("try again".into());
        assert!(with(Kind::Uncached, &away, soon)[0].contains("without an answer"));
        assert!(with(Kind::Unknown, &away, soon).is_empty());
    }

    #[test]
    fn a_load_that_asked_nothing_proves_nothing() {
        assert_eq!(judge(&Tally::default(), &[]).len(), Kind::ALL.len());
    }
}
