//! `cache`: forgetting cached answers, and counting them. Ids and offline credentials are no cache and stay.

use std::path::Path;

use entra_core::control::{CacheStats, Reply, Request};
use serde_json::json;

use crate::cli::CacheAction;
use crate::daemon;
use crate::exit::Failure;
use crate::output::{Answer, fields, span};

/// Asks the daemon.
pub(super) fn run(action: &CacheAction, socket: &Path) -> Result<Answer, Failure> {
    match action {
        CacheAction::Flush { name } => {
            let reply = daemon::ask(socket, "cache flush", &Request::CacheFlush { name: name.clone() })?;
            let Reply::Done { count } = reply else { return Err(daemon::unexpected("cache flush")) };
            Ok(Answer::done(forgotten(name.as_deref(), count), json!({ "forgotten": count })))
        }
        CacheAction::Stats => match daemon::ask(socket, "cache stats", &Request::CacheStats)? {
            Reply::Cache(stats) => Ok(Answer::done(render(&stats), stats)),
            _ => Err(daemon::unexpected("cache stats")),
        },
    }
}

fn forgotten(name: Option<&str>, count: u64) -> String {
    let entries = if count == 1 { "1 entry".into() } else { format!("{count} entries") };
    match name {
        Some(name) => format!("{entries} of {name} forgotten"),
        None => format!("{entries} forgotten"),
    }
}

/// Counts for people.
pub(super) fn render(stats: &CacheStats) -> String {
    let share =
        (stats.lookups > 0).then(|| format!("{} ({} %)", stats.hits, stats.hits.saturating_mul(100) / stats.lookups));
    fields(&[
        ("users on disk", Some(stats.users.to_string())),
        ("groups on disk", Some(stats.groups.to_string())),
        ("oldest entry", stats.oldest_seconds.map(|age| format!("{} old", span(age)))),
        ("in memory", Some(format!("{} answers, {} of them negative", total(stats), stats.negative_entries))),
        ("lookups", Some(stats.lookups.to_string())),
        ("answered from cache", Some(share.unwrap_or_else(|| stats.hits.to_string()))),
        ("directory searches", Some(stats.directory_searches.to_string())),
    ])
}

fn total(stats: &CacheStats) -> u64 {
    stats.memory_entries.saturating_add(stats.negative_entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_for_people() {
        let stats = CacheStats { memory_entries: 5, negative_entries: 2, lookups: 8, hits: 6, ..CacheStats::default() };
        let text = render(&stats);
        assert!(text.contains("in memory:           7 answers, 2 of them negative\n"), "{text}");
        assert!(text.contains("answered from cache: 6 (75 %)\n"), "{text}");
        assert!(!text.contains("oldest"), "{text}");
        assert_eq!(forgotten(Some("alice"), 1), "1 entry of alice forgotten");
        assert_eq!(forgotten(None, 0), "0 entries forgotten");
    }
}
