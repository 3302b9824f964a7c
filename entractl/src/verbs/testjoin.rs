//! `testjoin`: whether the directory still accepts this machine.

use entra_core::config::Domain;
use entra_core::discovery::Server;
use entra_core::machine::Places;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::host::Paths;
use crate::output::{Answer, Output, Step};
use crate::preflight::{connect, dns, machine};
use crate::verbs::samba::secrets;

/// Tests every configured domain; the first failure ends it.
pub(super) fn run(output: &mut Output<'_>) -> Result<Answer, Failure> {
    crate::host::need_root("testjoin")?;
    let paths = Paths::installed();
    let domains = configured(&paths, "testjoin")?;
    if domains.is_empty() {
        return Err(Failure::no("testjoin", "this host has joined no domain").remedy("`entractl join DOMAIN`"));
    }
    for domain in &domains {
        output.take(keys(domain, &paths))?;
        let server = output.pass(dns::find(domain).and_then(|servers| connect::first(&servers)))?.server;
        output.take(ticket(domain, &server, &paths))?;
    }
    let names: Vec<_> = domains.iter().map(|domain| domain.name.as_str()).collect();
    Ok(Answer::done("", json!({ "joined": true, "domains": names })))
}

/// The keytab is there and in order.
pub(super) fn keys(domain: &Domain, paths: &Paths) -> Result<Step, Failure> {
    let realm = domain.realm();
    let keys = machine::keys(&paths.keytab, &realm)?;
    Ok(Step::ok("keytab", format!("{}@{realm}, key version {}, {} keys", keys.name, keys.kvno, keys.count)))
}

/// The keytab is the directory's.
pub(super) fn ticket(domain: &Domain, server: &Server, paths: &Paths) -> Result<Step, Failure> {
    machine::prove(&paths.keytab, &domain.realm(), server.kdc()).map_err(|failure| {
        let broken_off = Places::installed(&paths.keytab).journal.exists();
        let remedy = "a change of the machine's password was broken off: `entractl keytab rotate` brings it to its end";
        if broken_off {
            return failure.remedy(remedy);
        }
        // Where nobody answers, Samba finds out nothing either.
        let way_back = if failure.exit == Exit::No { secrets::way_back() } else { None };
        match way_back {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    })?;
    Ok(Step::ok("ticket", format!("{server} accepts this machine's key, and the versions agree")))
}

/// The domains of the configuration; none where there is no file.
pub(super) fn configured(paths: &Paths, verb: &str) -> Result<Vec<Domain>, Failure> {
    match entra_core::config::load(&paths.config) {
        Ok(config) => Ok(config.domains),
        Err(error) if error.missing => Ok(Vec::new()),
        Err(error) => Err(Failure::no(verb, error.to_string())),
    }
}
