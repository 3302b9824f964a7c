//! `status`: the daemon and every domain, with one reason where something is wrong, and how the host stands in the words
//! of NAS software ([`health`]).

mod health;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use entra_core::control::{DomainStatus, Reply, Request, Status};
use entra_core::discovery::{LDAP_PORT, LDAPS_PORT};
use serde_json::Value;

use self::health::{Health, Seen};
use super::cache;
use super::join::LOCK;
use super::samba::programs;
use super::samba::undo::{Note, Places};
use crate::daemon;
use crate::exit::Failure;
use crate::host::{Paths, changing};
use crate::output::{Answer, fields, relative, span, unix_now};
use crate::preflight::root_dse;

/// Longest wait for what Samba has written down.
const SAMBA: Duration = Duration::from_secs(5);

/// Asks the daemon, and looks at the host's files. A domain that is offline is an answer, not a failure; a daemon that
/// does not answer is one, with the health beside it.
pub(super) fn run(socket: &Path) -> Result<Answer, Failure> {
    let status = match daemon::ask(socket, "status", &Request::Status) {
        Ok(Reply::Status(status)) => Ok(status),
        Ok(_) => Err(daemon::unexpected("status")),
        Err(failure) => Err(failure),
    };
    let slews: Vec<_> = status.iter().flat_map(|status| &status.domains).filter_map(slew).collect();
    let health = health::judge(&Seen {
        changing: changing::now(Path::new("/proc"), Path::new(LOCK)),
        paths: &Paths::installed(),
        status: status.as_ref(),
        slews: &slews,
        samba: samba(),
        now: unix_now(),
    });
    match status {
        Ok(status) => {
            let text = format!("{}\n\n{}", render(&status, unix_now()), health::render(&health));
            Ok(Answer::done(text, with(serde_json::to_value(status).unwrap_or_default(), &health)))
        }
        Err(mut failure) => {
            failure.more =
                Some(with(failure.more.take().unwrap_or_else(|| Value::Object(serde_json::Map::new())), &health));
            Err(failure)
        }
    }
}

/// The object with the fields of the health in it.
fn with(mut object: Value, health: &Health) -> Value {
    if let (Some(fields), Ok(Value::Object(more))) = (object.as_object_mut(), serde_json::to_value(health)) {
        fields.extend(more);
    }
    object
}

/// How far the clock of the domain controller in use is ahead of ours; nothing where none is.
fn slew(domain: &DomainStatus) -> Option<(String, i64)> {
    let addr = domain.address.filter(|_| domain.online)?;
    // What is asked without a bind is asked on LDAP's own port.
    let port = if addr.port() == LDAPS_PORT { LDAP_PORT } else { addr.port() };
    let (_, ahead) = root_dse::read(SocketAddr::new(addr.ip(), port)).ok()?;
    Some((domain.domain.clone(), ahead))
}

/// Samba's workgroup, and the SID that it has written down for it. Nothing where Samba does not serve our domain, or only
/// root could tell.
fn samba() -> Option<(String, String)> {
    let note = Note::load(&Places::installed()).ok()??;
    let done = programs::run("net", &["getdomainsid"], SAMBA).ok().filter(|done| done.success)?;
    let sid = domain_sid(&done.output, &note.workgroup)?;
    Some((note.workgroup, sid))
}

/// The SID of a domain in what net(8) getdomainsid prints.
fn domain_sid(printed: &str, workgroup: &str) -> Option<String> {
    let begin = format!("SID for domain {workgroup} is: ");
    printed.lines().find_map(|line| Some(line.strip_prefix(&begin)?.trim().to_owned()))
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
    fn the_sid_that_samba_has() {
        let printed = "SID for local machine NAS1 is: S-1-5-21-7-7-7\nSID for domain AADDS is: S-1-5-21-1-2-3\n";
        assert_eq!(domain_sid(printed, "AADDS").as_deref(), Some("S-1-5-21-1-2-3"));
        assert_eq!(domain_sid("Could not fetch domain SID\n", "AADDS"), None);
    }

    #[test]
    fn an_offline_domain_says_since_when_and_why() {
        let domain = DomainStatus {
            domain: "aadds.contoso.com".into(),
            netbios: Some("AADDS".into()),
            sid: None,
            online: false,
            since: 1_000,
            reason: Some("no DC answers".into()),
            fault: None,
            server: None,
            address: None,
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
