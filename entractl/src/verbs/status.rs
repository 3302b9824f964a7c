//! `status`: the daemon and every domain, with one reason where something is wrong.

use std::path::Path;

use entra_core::control::{DomainStatus, Reply, Request, Status};

use super::cache;
use crate::daemon;
use crate::exit::Failure;
use crate::output::{Answer, fields, relative, span, unix_now};

/// Asks the daemon. A domain that is offline is an answer, not a failure.
pub(super) fn run(socket: &Path) -> Result<Answer, Failure> {
    match daemon::ask(socket, "status", &Request::Status)? {
        Reply::Status(status) => Ok(Answer::done(render(&status, unix_now()), status)),
        _ => Err(daemon::unexpected("status")),
    }
}

fn render(status: &Status, now: u64) -> String {
    let daemon = format!("entrad {}, up for {}", status.version, span(status.uptime_seconds));
    let mut parts = vec![daemon];
    if status.domains.is_empty() {
        parts.push("no domain is configured: `entractl join DOMAIN` joins one".into());
    }
    parts.extend(status.domains.iter().map(|domain| render_domain(domain, now)));
    parts.push(cache::render(&status.cache));
    parts.join("\n\n")
}

fn render_domain(domain: &DomainStatus, now: u64) -> String {
    let state = if domain.online { "online" } else { "offline" };
    let ticket = domain.machine_ticket_expires.map(|end| {
        if end > now { format!("ends {}", relative(end, now)) } else { format!("ended {}", relative(end, now)) }
    });
    fields(&[
        ("domain", Some(domain.domain.clone())),
        ("state", Some(format!("{state} since {}", span(now.saturating_sub(domain.since))))),
        ("reason", domain.reason.clone()),
        ("NetBIOS name", domain.netbios.clone()),
        ("SID", domain.sid.clone()),
        ("server", domain.server.clone()),
        ("latency", domain.latency_us.map(millis)),
        ("ids", domain.id_range.map(|(first, last)| format!("{first}-{last}"))),
        ("machine ticket", ticket),
        ("keytab written", domain.keytab_changed.map(|then| relative(then, now))),
    ])
}

/// Microseconds as milliseconds with one decimal.
fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::control::CacheStats;

    #[test]
    fn an_offline_domain_says_since_when_and_why() {
        let domain = DomainStatus {
            domain: "aadds.contoso.com".into(),
            netbios: Some("AADDS".into()),
            sid: None,
            online: false,
            since: 1_000,
            reason: Some("no DC answers".into()),
            server: None,
            latency_us: Some(1_250),
            id_range: Some((674_000_000, 674_199_999)),
            machine_ticket_expires: Some(500),
            keytab_changed: None,
        };
        let status =
            Status { version: "0.1.0".into(), uptime_seconds: 65, domains: vec![domain], cache: CacheStats::default() };
        let text = render(&status, 1_300);
        assert!(text.starts_with("entrad 0.1.0, up for 1 min 5 s\n\ndomain:         aadds.contoso.com\n"), "{text}");
        for line in [
            "state:          offline since 5 min",
            "reason:         no DC answers",
            "latency:        1.2 ms",
            "ids:            674000000-674199999",
            "machine ticket: ended 13 min 20 s ago",
        ] {
            assert!(text.lines().any(|seen| seen == line), "no line `{line}` in\n{text}");
        }
        assert!(render(&Status { domains: vec![], ..status }, 0).contains("entractl join DOMAIN"));
    }
}
