//! The page.

use std::fmt::Write as _;
use std::time::Duration;

use entra_chaos::Kind;

use crate::beside::Figure;
use crate::faults::Fault;
use crate::run::Row;
use crate::stage::Stage;

const INTRODUCTION: &str = "\
# Reliability

Written by `cargo xtask chaos`, on this project's lab (`tests/lab/README.md`): a domain with two Samba domain \
controllers and a joined client on one machine. Each fault is made in the middle of a load that goes on all the time: \
lookups through glibc of users that are cached (by name, by uid, with groups, in a process that runs all the time and in \
new ones), of users that nobody has asked for yet, and of users and uids that do not exist; logins through PAM with right \
and with wrong passwords. Every answer is compared with what the directory's own database holds.

- *Unavailable* is the honest \"I do not know now\" (NSS: UNAVAIL, PAM: PAM_AUTHINFO_UNAVAIL, or \
  PAM_SYSTEM_ERR where a part of entrad itself broke). Each fault says which \
  kinds of requests may be answered so; a row in which another one is does not hold.
- *Wrong*: \"not found\" for a user who exists, anything found for one who does not, another uid, gid, name or list of \
  groups, a login with a wrong password, a refusal of the right one.
- *Late*: a lookup after 4 s (`lookup_deadline`, the half second that the module adds, half a second of a busy machine); \
  a login after 16 s.
- *Cached, longest*: the longest lookup of a cached user; in parentheses the longest one of root in /etc/passwd in the \
  same seconds, which is what the machine itself delayed (in the swarm: a hundred of them, as much work as the start of \
  its processes is). More than 250 ms beyond it does not hold.
- *Back after*: from the fault's end until a user that nobody has asked for resolves in a new process.
- Before the table is made, one wrong uid is planted in what the load takes for true: the verdict must be \"wrong\".
";

/// The whole page.
pub fn page(stage: &Stage, rows: &[(&Fault, Row)], figures: &[Figure], lost: &[String]) -> Result<String, String> {
    let mut text = INTRODUCTION.to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = |node: &entra_lab::Node, package: &str| node.must(&["dpkg-query", "-W", "-f", "${Version}", package]);
    let _ = writeln!(
        text,
        "\nVersions: entrad {}, Samba {} and {}, glibc {}. Machine: {cores} cores.\n",
        version(&stage.client, "entrad")?,
        version(&stage.dc, "samba")?,
        version(&stage.dc2, "samba")?,
        version(&stage.client, "libc6")?
    );
    text.push_str(
        "| Fault | Shown by | Asked | Right | Unavailable | Late | Wrong | Longest lookup | Cached, longest | Longest login | Back after | Holds |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (fault, row) in rows {
        line(&mut text, fault, row);
    }
    let _ = writeln!(
        text,
        "\nLost after all of it: {}.\n",
        if lost.is_empty() { "no id, no credential".to_owned() } else { lost.join("; ") }
    );
    failures(&mut text, rows);
    if !figures.is_empty() {
        beside(&mut text, figures);
    }
    Ok(text)
}

fn line(text: &mut String, fault: &Fault, row: &Row) {
    let sum = row.tally.sum();
    let longest = |kinds: &[Kind]| kinds.iter().map(|kind| row.tally.of(*kind).longest_us).max().unwrap_or_default();
    let lookups = longest(&[Kind::Cached, Kind::CachedAnew, Kind::Uncached, Kind::Unknown]);
    let away: Vec<String> = Kind::ALL
        .iter()
        .filter(|kind| row.tally.of(**kind).unavailable > 0)
        .map(|kind| format!("{} {}", kind.name(), row.tally.of(*kind).unavailable))
        .collect();
    let away = if away.is_empty() { "0".to_owned() } else { format!("{} ({})", sum.unavailable, away.join(", ")) };
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {away} | {} | {} | {} | {} ({}) | {} | {} | {} |",
        fault.title,
        row.proof,
        sum.made,
        sum.right,
        sum.late,
        sum.wrong,
        wait(lookups),
        wait(longest(&[Kind::Cached, Kind::CachedAnew])),
        wait(longest(&[Kind::Local])),
        wait(longest(&[Kind::Login])),
        row.back.map_or("–".into(), |took| wait(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))),
        if row.problems.is_empty() { "yes" } else { "**no**" }
    );
}

fn failures(text: &mut String, rows: &[(&Fault, Row)]) {
    let failed: Vec<_> = rows.iter().filter(|(_, row)| !row.problems.is_empty()).collect();
    if failed.is_empty() {
        return;
    }
    text.push_str("## What does not hold\n\n");
    for (fault, row) in failed {
        let first: Vec<&str> = row.problems.iter().filter(|line| !line.starts_with(' ')).map(String::as_str).collect();
        let _ = writeln!(text, "- {}: {}", fault.title, first.join("; ").replace('\n', " "));
    }
    text.push('\n');
}

fn beside(text: &mut String, figures: &[Figure]) {
    text.push_str("## Beside SSSD\n\nSSSD 2.8.2, measured in the same lab.\n\n| Wait | SSSD | Goal | entrad | Answer | Holds |\n|---|---|---|---|---|---|\n");
    for figure in figures {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            figure.what,
            figure.sssd,
            wait(micros(figure.goal)),
            wait(micros(figure.seen)),
            figure.answer,
            if figure.seen <= figure.goal { "yes" } else { "**no**" }
        );
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn wait(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}
