//! What must be the same after all faults, and the waits that SSSD makes long.

use std::time::{Duration, Instant};

use crate::stage::Stage;

/// A wait: what for, what SSSD took in the same lab, the goal, and what was seen.
pub struct Figure {
    pub what: &'static str,
    pub sssd: &'static str,
    pub goal: Duration,
    pub seen: Duration,
    pub answer: String,
}

/// What was lost: ids that are others now, logins without the domain that no longer work. Empty: nothing.
pub fn lost(stage: &Stage, before: &str) -> Result<Vec<String>, String> {
    stage.well()?;
    let mut lost = Vec::new();
    // The store is rebuilt from the directory: the ids must come out the same.
    stage.client.must(&["entractl", "cache", "flush"])?;
    let after = stage.ids()?;
    for (old, new) in before.lines().zip(after.lines()).filter(|(old, new)| old != new) {
        lost.push(format!("ids: {old} was before, {new} is now"));
    }
    cut(stage, true)?;
    let logins = [("alice", "Alice-Pass-1"), ("bob", "Bob-Pass-1"), ("many", "Many-Pass-1")];
    let outcomes: Vec<_> = logins.iter().map(|(name, password)| (name, stage.login(name, password))).collect();
    cut(stage, false)?;
    for (name, outcome) in outcomes {
        let output = outcome?;
        if !output.ok() {
            lost.push(format!("credentials: {name} cannot log in without the domain: {}", output.describe()));
        }
    }
    Ok(lost)
}

/// Measures the waits.
pub fn figures(stage: &Stage) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    stage.well()?;
    let in_use = stage.in_use()?.0.name().to_owned();
    stage.lab.cut(&in_use)?;
    let (name, uid) = stage.never_seen();
    let cold = stage.once(name, uid);
    cut(stage, true)?;
    let (answer, seen) = cold?;
    figures.push(Figure {
        what: "first lookup of a user that is not cached, the DC in use cut off, another one alive",
        sssd: "6–8 s",
        goal: Duration::from_secs(2),
        seen,
        answer,
    });
    let waits = [
        ("an unknown user with every DC cut off, first", "6.0 s", Duration::from_millis(3500)),
        ("an unknown user with every DC cut off, again", "2 ms", Duration::from_millis(500)),
    ];
    for (what, sssd, goal) in waits {
        let (name, uid) = stage.never_seen();
        let (answer, seen) = stage.once(name, uid)?;
        figures.push(Figure { what, sssd, goal, seen, answer });
    }
    let output = stage.login("zoë", "Zoe-Pass-1")?;
    figures.push(Figure {
        what: "the first login of somebody with every DC cut off, after those lookups",
        sssd: "6.0 s",
        goal: Duration::from_millis(3500),
        seen: output.took,
        answer: output.stderr.lines().chain(output.stdout.lines()).last().unwrap_or_default().to_owned(),
    });
    // Long enough that whoever waits longer after each failure waits long.
    std::thread::sleep(Duration::from_secs(30));
    let begun = Instant::now();
    cut(stage, false)?;
    stage.until_back()?;
    figures.push(Figure {
        what: "every DC back after half a minute, until a user that is not cached resolves",
        sssd: "66–85 s",
        goal: Duration::from_secs(2),
        seen: begun.elapsed(),
        answer: "right".into(),
    });
    Ok(figures)
}

fn cut(stage: &Stage, out: bool) -> Result<(), String> {
    for node in ["dc", "dc2"] {
        if out { stage.lab.cut(node)? } else { stage.lab.mend(node)? }
    }
    Ok(())
}
