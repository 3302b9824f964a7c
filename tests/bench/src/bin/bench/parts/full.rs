//! Every user once, and what a product is like when it knows them all.

use entra_lab::{Error, Result};

use super::Bench;
use crate::products::{FOLDER, Line, Who};

/// In so many processes.
const PROCESSES: &str = "8";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(1, |bench, product, _| {
        product.cold()?;
        // SSSD takes minutes for 50,000: it gets a part of them. entrad must show all.
        let seconds = if product.who == Who::Entrad { 300 } else { bench.effort.seconds };
        let (keys, seconds) = (format!("{FOLDER}/users"), seconds.to_string());
        let mut lines =
            product.direct("each", &["getpwnam", &keys, "--processes", PROCESSES, "--seconds", &seconds])?;
        lines.sort_by(|left, right| left.when.total_cmp(&right.when));
        let asked = lines.len();
        lines.retain(|line| line.found.is_some());
        let (whole, shape) = rates(&lines).ok_or_else(|| Error::new("too few users were found"))?;
        bench.add("distinct-rate", product.who, whole);
        bench.add("distinct-last-first", product.who, shape);
        bench.add("memory-full", product.who, product.memory());
        bench.add("disk-full", product.who, product.disk()?);
        let note = format!("{} distinct {}", bench.size.name(), product.who.name());
        let text = format!("{} found of {asked} asked for, of {} users", lines.len(), bench.users.len());
        bench.results.notes.insert(note, text);
        Ok(())
    });
    bench.in_turn(bench.effort.rounds.min(3), |bench, product, _| {
        product.unmap()?;
        let took = product.time_to_answer()?;
        bench.add("start-stored", product.who, took);
        Ok(())
    });
    Ok(())
}

/// Answers per second over all, and the last tenth's rate over the first's.
fn rates(lines: &[Line]) -> Option<(f64, f64)> {
    let tenth = lines.len() / 10;
    let span = |part: &[Line]| Some(part.last()?.when - part.first()?.when);
    let whole = lines.len() as f64 / span(lines)?;
    let first = span(lines.get(..tenth)?)?;
    let last = span(lines.get(lines.len() - tenth..)?)?;
    (tenth > 1).then_some((whole, first / last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_falls_shows_in_its_last_tenth() {
        let line = |when: f64| Line { when, nanos: 0.0, found: Some(1) };
        let mut lines: Vec<Line> = (0..90).map(|number| line(f64::from(number))).collect();
        lines.extend((0..10).map(|number| line(90.0 + 2.0 * f64::from(number))));
        let (_, shape) = rates(&lines).unwrap();
        assert!((shape - 0.5).abs() < 0.01, "{shape}");
    }
}
