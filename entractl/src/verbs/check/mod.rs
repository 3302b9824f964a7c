//! `check`: a line per check, each failure with its remedy. Topics build on each other; a check whose ground is missing
//! says so in one line instead of failing in its own words.

mod host;
mod nss;
mod pam;
mod samba;
mod security;
mod system;

use std::path::Path;

use entra_core::config::Domain;
use entra_core::discovery::Server;
use serde_json::json;

use super::testjoin;
use crate::cli::{Check, Topic};
use crate::exit::{Exit, Failure};
use crate::host::Paths;
use crate::output::{Answer, Mark, Output, Step};
use crate::preflight::{clock, connect, dns, root_dse};

/// All topics, in the order in which they build on each other.
const ALL: [Topic; 9] = [
    Topic::Dns,
    Topic::Connect,
    Topic::Clock,
    Topic::Security,
    Topic::Join,
    Topic::Nss,
    Topic::Pam,
    Topic::Samba,
    Topic::CloudTrust,
];

/// Checks the topics asked for, or all.
pub(super) fn run(options: &Check, socket: &Path, output: &mut Output<'_>) -> Answer {
    let paths = Paths::installed();
    let domains = match &options.domain {
        Some(name) => named(name, &paths, output),
        None => domains(&paths, output),
    };
    let joined = options.domain.as_ref().is_none_or(|name| is_configured(name, &paths));
    let all: &[Topic] = if joined { &ALL } else { &[Topic::Dns, Topic::Connect, Topic::Clock] };
    let asked = if options.topics.is_empty() { all } else { &options.topics };
    let topics: Vec<_> = ALL.into_iter().filter(|it| asked.contains(it)).collect();
    for domain in &domains {
        of_domain(domain, &topics, &paths, joined, output);
    }
    for step in topics.into_iter().flat_map(|topic| of_host(topic, &domains, &paths, socket)) {
        output.step(step);
    }
    let failed: Vec<_> = output.steps().iter().filter(|step| step.result == Mark::Fail).map(|step| step.exit).collect();
    let text = match failed.len() {
        0 => "\neverything that was checked is in order".to_owned(),
        1 => "\n1 check failed".to_owned(),
        failures => format!("\n{failures} checks failed"),
    };
    let json = json!({ "ok": failed.is_empty(), "failures": failed.len() });
    Answer { text, json, exit: common_cause(&failed) }
}

/// Where every failure has the one cause that an exit status stands for, that one; else "it failed".
fn common_cause(failed: &[Exit]) -> Exit {
    match failed.split_first() {
        None => Exit::Done,
        Some((&cause, others))
            if matches!(cause, Exit::NoDaemon | Exit::NoDirectory | Exit::NotPermitted)
                && others.iter().all(|other| *other == cause) =>
        {
            cause
        }
        Some(_) => Exit::No,
    }
}

/// What the host itself shows.
fn of_host(topic: Topic, domains: &[Domain], paths: &Paths, socket: &Path) -> Vec<Step> {
    let settle = |result: Result<Step, Failure>| result.unwrap_or_else(|failure| Step::fail(&failure));
    match topic {
        Topic::Clock => vec![system::time_keeper(Path::new("/proc"))],
        Topic::Security => host::check(paths, domains),
        Topic::Nss => nss::check(socket).into_iter().chain(system::stores(paths).into_iter().map(settle)).collect(),
        Topic::Pam => {
            let folders = domains.iter().filter_map(|domain| system::ccache_folder(domain, Path::new("/")));
            pam::check().into_iter().chain(folders.map(settle)).collect()
        }
        Topic::Samba => samba::check(domains, paths, socket),
        Topic::CloudTrust => super::cloud_trust::check(paths),
        Topic::Dns | Topic::Connect | Topic::Join => Vec::new(),
    }
}

/// One domain: as it is configured, else as a join would begin with it.
fn named(name: &str, paths: &Paths, output: &mut Output<'_>) -> Vec<Domain> {
    let name = name.trim_end_matches('.').to_lowercase();
    let mut domains = testjoin::configured(paths, "config").unwrap_or_default();
    domains.retain(|domain| domain.name == name);
    if !domains.is_empty() {
        return domains;
    }
    let text = format!("[domains.{}]\n", toml_edit::Value::from(name.as_str()));
    if let Ok(config) = entra_core::config::parse(&text) {
        return config.domains;
    }
    let failure = Failure::no("dns", format!("`{name}` is no DNS name of a domain"));
    output.step(Step::fail(&failure.remedy("the portal's overview of the managed domain has it")));
    Vec::new()
}

fn is_configured(name: &str, paths: &Paths) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    testjoin::configured(paths, "config").is_ok_and(|domains| domains.iter().any(|domain| domain.name == name))
}

/// The configured domains. Without any, what the host itself shows is looked at all the same.
fn domains(paths: &Paths, output: &mut Output<'_>) -> Vec<Domain> {
    let domains = testjoin::configured(paths, "config").map_err(|failure| {
        failure.remedy("correct that place; entrad goes on with what it has, and would not start again")
    });
    let domains = output.pass(domains);
    if domains.as_ref().is_ok_and(Vec::is_empty) {
        output.step(Step::fail(&Failure::no("config", "no domain is configured").remedy("`entractl join DOMAIN`")));
    }
    domains.unwrap_or_default()
}

/// The checks that need the network. Each failure ends them: the next ones would only repeat it.
fn of_domain(domain: &Domain, topics: &[Topic], paths: &Paths, joined: bool, output: &mut Output<'_>) {
    let wanted = |topic| topics.contains(&topic);
    if ![Topic::Dns, Topic::Connect, Topic::Clock, Topic::Security, Topic::Join].into_iter().any(wanted) {
        return;
    }
    let Ok(servers) = output.pass(dns::find(domain)) else { return };
    if wanted(Topic::Dns) {
        for server in &servers {
            output.step(Step::ok("dns", format!("{}: {server}", domain.name)));
        }
    }
    let Some(server) = server(&servers, wanted(Topic::Connect), output) else { return };
    if wanted(Topic::Clock) {
        let judged = root_dse::read(server.addr).and_then(|(root, ahead)| clock::judge(ahead, &root.host));
        if output.take(judged).is_err() {
            return;
        }
    }
    if !joined && (wanted(Topic::Join) || wanted(Topic::Security)) {
        let detail = format!("this host is not joined to {}: what needs its account is not looked at", domain.name);
        output.step(Step::warn("join", detail, "`entractl join`, then check again"));
        return;
    }
    if wanted(Topic::Join) && output.take(readable(testjoin::keys(domain, paths))).is_ok() {
        let _ = output.take(testjoin::ticket(domain, &server, paths));
    }
    if wanted(Topic::Security) {
        let _ = output.take(host::armor(domain, &server, paths));
        for step in security::check(domain, &server, paths).into_iter().chain(host::policies(domain, paths)) {
            output.step(step);
        }
    }
}

/// The first server that can be used; with `each`, a line for every server.
fn server(servers: &[Server], each: bool, output: &mut Output<'_>) -> Option<Server> {
    if !each {
        return output.pass(connect::first(servers)).ok().map(|reached| reached.server);
    }
    let mut first = None;
    for server in servers {
        match connect::first(std::slice::from_ref(server)) {
            Ok(reached) => {
                output.step(Step::ok("connect", format!("{server}: Kerberos and LDAP answer")));
                for closed in reached.closed {
                    output.step(Step::warn("connect", format!("{server}: {closed}"), "open it if you need that"));
                }
                first.get_or_insert(reached.server);
            }
            Err(failure) => output.step(Step::fail(&failure)),
        }
    }
    first
}

/// The keytab is root's: say that instead of what the system says.
fn readable(keys: Result<Step, Failure>) -> Result<Step, Failure> {
    match keys {
        Err(failure) if crate::host::effective_uid() != 0 => Err(Failure {
            exit: Exit::NotPermitted,
            error: "only root can read the keytab".into(),
            remedy: Some("run it with sudo".into()),
            ..failure
        }),
        keys => keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_names_the_cause_that_all_failures_have() {
        assert_eq!(common_cause(&[]), Exit::Done);
        for cause in [Exit::NoDaemon, Exit::NoDirectory, Exit::NotPermitted] {
            assert_eq!(common_cause(&[cause, cause]), cause);
            assert_eq!(common_cause(&[cause, Exit::No]), Exit::No);
        }
        assert_eq!(common_cause(&[Exit::NoDirectory, Exit::NoDaemon]), Exit::No);
        assert_eq!(common_cause(&[Exit::Usage]), Exit::No, "a name in the configuration is nobody's command line");
    }
}
