//! The page: a table of figures for each size, growth, goals, configurations.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::goals;
use crate::products::{PRODUCTS, Who};
use crate::results::{Results, Size};
use crate::rows::{ROWS, Row};
use crate::stats::spread;

const SIZES: [Size; 2] = [Size::Small, Size::Large];

/// Titles of the parts whose rows stand together.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Cached", &["warm", "glibc", "list"]),
    ("Not cached", &["cold", "members", "disk"]),
    ("All users", &["distinct", "enumeration"]),
    ("Logins", &["login"]),
    ("Start and memory", &["start"]),
];

const INTRODUCTION: &str = "\
# Benchmarks

![entrad, SSSD and winbind side by side](benchmarks.svg)

Written by `cargo xtask bench`, on this project's lab (`tests/lab/README.md`): a Samba AD DC and three clients on one \
machine, in network namespaces, with the clients' state in memory. In each row the products are asked in turn, in \
several rounds; a figure is the median of the rounds, with the least and the most in parentheses.

- The directory called 2,000 has 2,000 users in the usual unit and 3,200 more that fill a group of 5,200; the one called \
  50,000 has 50,000 users in all. Both have about 3,000 groups, 2,800 of them one user's (280 chains, ten deep).
- *Directly*: the NSS module's function, called in a loop. *Through glibc*: `getpwnam_r` and its sisters with \
  `files` asked first, as in nsswitch.conf; the column *bare* is a module that answers at once.
- *Not cached*: the daemon was stopped, what it remembers of users and groups removed, the daemon started and asked for \
  something else, so that it is connected. The column *bare* of getpwnam is one search by ldapsearch on an open, sealed \
  connection.
- winbind answers without gecos and without members of groups: its figures are of less work.
- *Login*: `pamtester bench alice authenticate acct_mgmt` with the product's module alone; *bare* is `kinit -T`, the same \
  exchange armored with the machine's ticket.
- *Each user once*: SSSD and winbind got forty seconds for it: their memory and disk afterwards are those of the users that came.
- A ratio is void where the peer was over twice as slow as in other labs of this kind: noise, or a bad setting.
";

/// The whole page.
pub fn page(results: &Results) -> String {
    let mut text = INTRODUCTION.to_owned();
    let note = |name: &str| results.notes.get(name).map_or("", String::as_str);
    let _ = writeln!(
        text,
        "\nMachine: {}. Versions: entrad {}, SSSD {}, winbind {}. The run took {}.",
        note("machine"),
        note("version entrad"),
        note("version SSSD"),
        note("version winbind"),
        note("took")
    );
    text.push_str("\n## What must hold\n\n");
    text.push_str(&goals(results));
    for size in SIZES.into_iter().filter(|size| results.has(*size)) {
        let _ = writeln!(text, "\n## {} users", size.name());
        for (title, parts) in GROUPS {
            let rows: Vec<&Row> = ROWS.iter().filter(|row| parts.contains(&row.part)).collect();
            table(&mut text, results, size, title, &rows);
        }
        for (name, note) in &results.notes {
            if let Some(who) = name.strip_prefix(&format!("{} distinct ", size.name())) {
                let _ = writeln!(text, "Each user once, {who}: {note}.\n");
            }
            if let Some(part) = name.strip_prefix(&format!("failed {} ", size.name())) {
                let _ = writeln!(text, "The part \"{part}\" failed: {}\n", note.lines().collect::<Vec<_>>().join(" "));
            }
        }
    }
    growth(&mut text, results);
    text.push_str("\n## Configurations\n");
    for who in PRODUCTS {
        let config: Vec<&str> = note(&format!("config {}", who.name()))
            .lines()
            .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
            .collect();
        let _ = write!(text, "\n{}:\n\n```\n{}\n```\n", who.name(), config.join("\n"));
    }
    text
}

/// The goals as a table.
pub fn goals(results: &Results) -> String {
    let mut text = "| Row | 2,000 users | 50,000 users |\n|---|---|---|\n".to_owned();
    for judged in goals::judge(results) {
        let seen = |size| judged.seen.iter().find(|(which, _)| *which == size).map_or("–", |(_, text)| text.as_str());
        let _ = writeln!(text, "| {} | {} | {} |", judged.text, seen(Size::Small), seen(Size::Large));
    }
    text
}

/// A row's median with its unit and spread; `None` where it was not measured.
pub fn figure(results: &Results, size: Size, row: &Row, who: Who) -> Option<String> {
    let middle = results.shown(size, row, who)?;
    let (least, most) = spread(results.of(size, row.id, who))?;
    let (least, most) = (number(row.unit.shown(least)), number(row.unit.shown(most)));
    let sign = row.unit.sign();
    let shown = format!("{} {sign}", number(middle));
    let shown = shown.trim_end();
    Some(if least == most { shown.to_owned() } else { format!("{shown} ({least}–{most})") })
}

fn table(text: &mut String, results: &Results, size: Size, title: &str, rows: &[&Row]) {
    let columns = [Who::Entrad, Who::Sssd, Who::Winbind, Who::Bare];
    let lines: Vec<String> = rows
        .iter()
        .filter(|row| columns.iter().any(|who| !results.of(size, row.id, *who).is_empty()))
        .map(|row| {
            let cell = |who| figure(results, size, row, who).unwrap_or_else(|| "–".into());
            let cells = columns.map(cell);
            let ratio = |other| {
                let ratio = results.shown(size, row, Who::Entrad)? / results.shown(size, row, other)?;
                let void = if results.is_slow(size, row, other) { " (void)" } else { "" };
                Some(format!("{} ×{void}", number(ratio)))
            };
            let ratios = [Who::Sssd, Who::Winbind].map(|who| ratio(who).unwrap_or_else(|| "–".into()));
            format!("| {} | {} | {} |", row.title, cells.join(" | "), ratios.join(" | "))
        })
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(
            text,
            "\n### {title}\n\n| Row | entrad | SSSD | winbind | bare | of SSSD | of winbind |\n|---|---|---|---|---|---|---|\n{}\n",
            lines.join("\n")
        );
    }
}

fn growth(text: &mut String, results: &Results) {
    if !SIZES.into_iter().all(|size| results.has(size)) {
        return;
    }
    text.push_str("\n## From 2,000 to 50,000 users\n\n| Row | entrad | SSSD | winbind |\n|---|---|---|---|\n");
    for row in ROWS {
        let cells = PRODUCTS.map(|who| {
            let both = results.shown(Size::Large, row, who).zip(results.shown(Size::Small, row, who));
            both.map(|(large, small)| format!("{} ×", number(large / small)))
        });
        if cells.iter().any(Option::is_some) {
            let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".into()));
            let _ = writeln!(text, "| {} | {} |", row.title, cells.join(" | "));
        }
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    if value > 0.0 && value < 0.001 {
        return "<0.001".into();
    }
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        size if size >= 0.01 => 4,
        _ => 5,
    };
    format!("{value:.digits$}")
}

/// Notes what this machine is and how busy it is.
pub fn machine(results: &mut Results) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = read("/proc/cpuinfo");
    let model =
        model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map_or("", |pair| pair.1);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let date =
        Command::new("date").arg("+%F").output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = format!(
        "{processors} processors ({}), Linux {}, load {load} before the run, {}",
        model.trim(),
        kernel.trim(),
        date.unwrap_or_default().trim()
    );
    results.notes.insert("machine".into(), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([0.0312, 0.25, 2.5, 25.04, 250.4].map(number), ["0.0312", "0.250", "2.50", "25.0", "250"]);
    }

    #[test]
    fn a_page_shows_figures_ratios_and_failures() {
        let mut results = Results::default();
        results.add(Size::Small, "cold-getpwnam", Who::Entrad, 1e6);
        results.add(Size::Small, "cold-getpwnam", Who::Sssd, 2e6);
        results.notes.insert("failed 2,000 login".into(), "no KDC\nmore".into());
        let page = page(&results);
        assert!(page.contains("| getpwnam, p50 | 1.00 ms | 2.00 ms | – | – | 0.500 × | – |"), "{page}");
        assert!(page.contains("The part \"login\" failed: no KDC more\n"), "{page}");
        assert!(!page.contains("50,000 users\n\n###"), "{page}");
    }
}
