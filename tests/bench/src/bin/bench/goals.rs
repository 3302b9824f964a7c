//! What entrad must show, as ratios within one run.

use crate::products::Who;
use crate::results::{Results, Size};
use crate::rows;

/// What a row's median may be at most (or must be at least, where more is better).
#[derive(Clone, Copy)]
enum Bound {
    /// So many times SSSD's.
    Sssd(f64),
    /// So many times winbind's.
    Winbind(f64),
    /// So many times the bare call's.
    Bare(f64),
    /// The bare call's and so much more, in the unit shown.
    BareAnd(f64),
    /// So many times SSSD's, the bare call taken off both.
    SssdOverBare(f64),
    /// So many times another row's of entrad.
    Row(&'static str, f64),
    /// So much, in the unit shown.
    Value(f64),
    /// At 50,000 users so many times of what it is at 2,000.
    Growth(f64),
}

struct Goal {
    row: &'static str,
    bound: Bound,
}

const fn goal(row: &'static str, bound: Bound) -> Goal {
    Goal { row, bound }
}

const GOALS: &[Goal] = &[
    goal("direct-getpwnam", Bound::Sssd(0.25)),
    goal("direct-getpwuid", Bound::Sssd(0.25)),
    goal("direct-getgrnam", Bound::Sssd(0.25)),
    goal("direct-getgrgid", Bound::Sssd(0.25)),
    goal("direct-initgroups-60", Bound::Sssd(0.5)),
    goal("direct-initgroups-150", Bound::Sssd(0.5)),
    goal("direct-getgrnam-1600", Bound::Sssd(0.5)),
    goal("glibc-getpwnam", Bound::SssdOverBare(0.5)),
    goal("glibc-getpwuid", Bound::SssdOverBare(0.5)),
    goal("glibc-getgrnam", Bound::SssdOverBare(0.5)),
    goal("glibc-getgrgid", Bound::SssdOverBare(0.5)),
    goal("glibc-initgroups-150", Bound::SssdOverBare(0.5)),
    goal("direct-absent-name", Bound::Sssd(0.01)),
    goal("direct-absent-uid", Bound::Sssd(0.01)),
    goal("direct-getpwnam", Bound::Growth(1.2)),
    goal("direct-getpwuid", Bound::Growth(1.2)),
    goal("direct-getgrnam", Bound::Growth(1.2)),
    goal("direct-getgrgid", Bound::Growth(1.2)),
    goal("direct-initgroups-60", Bound::Growth(1.2)),
    goal("direct-initgroups-150", Bound::Growth(1.2)),
    goal("direct-getgrnam-1600", Bound::Growth(1.2)),
    goal("direct-absent-name", Bound::Growth(1.2)),
    goal("cold-getpwnam", Bound::Sssd(0.4)),
    goal("cold-getpwnam", Bound::Bare(1.5)),
    goal("disk-getpwnam", Bound::Row("cold-getpwnam", 1.2)),
    goal("cold-initgroups-60", Bound::Sssd(0.15)),
    goal("cold-id-60", Bound::Sssd(0.05)),
    goal("cold-id-60", Bound::Winbind(0.2)),
    goal("cold-id-2800", Bound::Sssd(0.05)),
    goal("cold-id-2800", Bound::Value(1000.0)),
    goal("cold-getgrnam-1600", Bound::Sssd(0.3)),
    goal("cold-getgrnam-5200", Bound::Sssd(0.2)),
    goal("distinct-rate", Bound::Sssd(10.0)),
    goal("distinct-last-first", Bound::Value(0.8)),
    goal("enumerate-first", Bound::Value(5.0)),
    goal("enumerate-again", Bound::Value(0.3)),
    goal("login", Bound::BareAnd(8.0)),
    goal("login", Bound::Sssd(0.75)),
    goal("memory-full", Bound::Sssd(0.3)),
    goal("memory-idle", Bound::Value(15.0)),
];

/// How a goal came out.
pub struct Judged {
    /// What must hold, for readers.
    pub text: String,
    /// What was seen, and what of it, for each size.
    pub seen: Vec<(Size, String)>,
}

/// Every goal, judged.
pub fn judge(results: &Results) -> Vec<Judged> {
    GOALS.iter().map(|goal| goal.judge(results)).collect()
}

impl Goal {
    fn judge(&self, results: &Results) -> Judged {
        let Some(row) = rows::find(self.row) else {
            return Judged { text: self.row.into(), seen: Vec::new() };
        };
        let least = row.unit.more_is_better();
        let word = if least { "at least" } else { "at most" };
        let sign = row.unit.sign();
        let text = match self.bound {
            Bound::Sssd(times) => format!("{word} {times} × SSSD"),
            Bound::Winbind(times) => format!("{word} {times} × winbind"),
            Bound::Bare(times) => format!("{word} {times} × the bare search"),
            Bound::BareAnd(more) => format!("{word} a bare `kinit -T` + {more} {sign}"),
            Bound::SssdOverBare(times) => format!("{word} {times} × SSSD, the null module taken off"),
            Bound::Row(other, times) => {
                format!("{word} {times} × of \"{}\"", rows::find(other).map_or(other, |row| row.title))
            }
            Bound::Value(value) => format!("{word} {value} {sign}"),
            Bound::Growth(times) => format!("{word} {times} × of what it is with 2,000 users"),
        };
        let seen = [Size::Small, Size::Large].into_iter().filter_map(|size| {
            let (ratio, limit, is_ratio) = self.ratio(results, size)?;
            let met = if least { ratio >= limit } else { ratio <= limit };
            let peer = match self.bound {
                Bound::Winbind(_) => Some(Who::Winbind),
                Bound::Value(_) | Bound::Growth(_) => None,
                // Where no peer is compared, SSSD tells of noise.
                _ => Some(Who::Sssd),
            };
            let is_void = peer.is_some_and(|peer| results.is_slow(size, row, peer));
            let verdict = match (is_void, met) {
                (true, _) => "void",
                (false, true) => "met",
                (false, false) => "**missed**",
            };
            let shown = if is_ratio { format!("{ratio:.3} ×") } else { format!("{ratio:.3} {sign}") };
            Some((size, format!("{shown} {verdict}")))
        });
        Judged { text: format!("{}: {}", row.title, text.trim_end()), seen: seen.collect() }
    }

    /// What is compared with the limit, the limit, and whether it is a ratio.
    fn ratio(&self, results: &Results, size: Size) -> Option<(f64, f64, bool)> {
        let row = rows::find(self.row)?;
        let of = |who| results.shown(size, row, who);
        let own = of(Who::Entrad)?;
        Some(match self.bound {
            Bound::Sssd(times) => (own / of(Who::Sssd)?, times, true),
            Bound::Winbind(times) => (own / of(Who::Winbind)?, times, true),
            Bound::Bare(times) => (own / of(Who::Bare)?, times, true),
            Bound::BareAnd(more) => (own, of(Who::Bare)? + more, false),
            Bound::SssdOverBare(times) => {
                let own = (own - of(Who::Bare)?).max(0.0);
                (own / (of(Who::Sssd)? - of(Who::BareSssd)?), times, true)
            }
            Bound::Row(other, times) => (own / results.shown(size, rows::find(other)?, Who::Entrad)?, times, true),
            Bound::Value(value) => (own, value, false),
            Bound::Growth(times) => {
                if size == Size::Small {
                    return None;
                }
                (own / results.shown(Size::Small, row, Who::Entrad)?, times, true)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(results: &Results, row: &str, which: usize) -> String {
        let judged: Vec<Judged> = GOALS.iter().filter(|goal| goal.row == row).map(|goal| goal.judge(results)).collect();
        judged[which].seen.last().map(|(_, text)| text.clone()).unwrap_or_default()
    }

    #[test]
    fn every_goal_names_a_row() {
        for goal in GOALS {
            assert!(rows::find(goal.row).is_some(), "{}", goal.row);
        }
    }

    #[test]
    fn a_ratio_is_met_or_missed() {
        let mut results = Results::default();
        results.add(Size::Small, "cold-getpwnam", Who::Entrad, 1e6);
        results.add(Size::Small, "cold-getpwnam", Who::Sssd, 2.5e6);
        assert_eq!(seen(&results, "cold-getpwnam", 0), "0.400 × met");
        results.add(Size::Large, "cold-getpwnam", Who::Entrad, 2e6);
        results.add(Size::Large, "cold-getpwnam", Who::Sssd, 2.5e6);
        assert_eq!(seen(&results, "cold-getpwnam", 0), "0.800 × **missed**");
    }

    #[test]
    fn a_slow_peer_makes_a_row_void() {
        let mut results = Results::default();
        results.add(Size::Small, "cold-getpwnam", Who::Entrad, 1e6);
        results.add(Size::Small, "cold-getpwnam", Who::Sssd, 20e6);
        assert!(seen(&results, "cold-getpwnam", 0).ends_with("void"));
    }

    #[test]
    fn a_slow_peer_leaves_the_other_ratios() {
        let mut results = Results::default();
        for (who, nanos) in [(Who::Entrad, 1e6), (Who::Sssd, 640e6), (Who::Winbind, 900e6)] {
            results.add(Size::Small, "cold-id-60", who, nanos);
        }
        assert!(seen(&results, "cold-id-60", 0).ends_with("met"));
        assert!(seen(&results, "cold-id-60", 1).ends_with("void"));
    }

    #[test]
    fn a_rate_must_not_be_lower() {
        let mut results = Results::default();
        results.add(Size::Large, "distinct-rate", Who::Entrad, 1000.0);
        results.add(Size::Large, "distinct-rate", Who::Sssd, 130.0);
        assert!(seen(&results, "distinct-rate", 0).ends_with("missed**"));
    }

    #[test]
    fn growth_compares_the_two_directories() {
        let mut results = Results::default();
        results.add(Size::Small, "direct-getpwnam", Who::Entrad, 100.0);
        results.add(Size::Large, "direct-getpwnam", Who::Entrad, 110.0);
        assert_eq!(seen(&results, "direct-getpwnam", 1), "1.100 × met");
    }
}
