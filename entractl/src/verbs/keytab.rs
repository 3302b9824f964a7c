//! `keytab`: the machine's keys, and giving it a new password.

use std::path::Path;
use std::time::{Duration, Instant};

use entra_core::config::Domain;
use entra_core::discovery::Server;
use entra_core::machine::{self, Error, Places, Rotated};
use serde_json::json;

use super::join::LOCK;
use super::testjoin::configured;
use crate::cli::KeytabAction;
use crate::exit::{Exit, Failure};
use crate::host::lock::Lock;
use crate::host::{Paths, need_root};
use crate::output::{Answer, Output, Step, fields, span};
use crate::preflight::{connect, dns};

/// Longest run of a change, all exchanges together.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Port of kpasswd (RFC 3244).
const KPASSWD: u16 = 464;

/// Does it.
pub(super) fn run(action: &KeytabAction, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("keytab")?;
    let paths = Paths::installed();
    let domains = configured(&paths, "keytab")?;
    if domains.is_empty() {
        return Err(Failure::no("keytab", "this host has joined no domain").remedy("`entractl join DOMAIN`"));
    }
    match action {
        KeytabAction::Status => status(&domains, &paths),
        KeytabAction::Rotate => {
            let _lock = Lock::take(Path::new(LOCK), "keytab")?;
            for domain in member_of(&domains, &paths)? {
                let server = output.pass(dns::find(domain).and_then(|servers| connect::first(&servers)))?.server;
                let rotated = output.pass(rotate(domain, &server, &paths))?;
                output.step(Step::ok("keytab", told(rotated)));
            }
            Ok(Answer::done("", json!({ "rotated": true })))
        }
    }
}

/// Gives the machine a new password, or brings a change that was broken off to its end. The caller holds the lock.
pub(super) fn rotate(domain: &Domain, server: &Server, paths: &Paths) -> Result<Rotated, Failure> {
    let kdc = server.kdc();
    let (mut kpasswd, realm) = (kdc, domain.realm());
    kpasswd.set_port(KPASSWD);
    let to = machine::Server { realm: &realm, kdc, kpasswd };
    machine::rotate(&Places::installed(&paths.keytab), to, Instant::now() + TIMEOUT).map_err(|error| {
        let (exit, remedy) = match &error {
            Error::Offline(_) => (Exit::NoDirectory, "`entractl check connect`; ports 88 and 464 are needed"),
            Error::Refused(_) => (Exit::No, "`entractl testjoin` tells whether the domain still knows this machine"),
            Error::Host(_) => (Exit::No, "see that /etc is writable and has room, then repeat it"),
            Error::Samba(_) => (Exit::No, "repeat it when Samba is in order; the keytab has the new keys already"),
        };
        Failure::new(exit, "keytab", error.to_string()).remedy(remedy)
    })
}

fn told(rotated: Rotated) -> String {
    let how =
        if rotated.resumed { "a change that was broken off is at its end" } else { "the machine has a new password" };
    let samba = if rotated.samba { ", Samba has it too" } else { "" };
    format!("{how}: key version {}, beside the one before{samba}", rotated.kvno)
}

/// Those domains of which the keytab has keys.
fn member_of<'a>(domains: &'a [Domain], paths: &Paths) -> Result<Vec<&'a Domain>, Failure> {
    let places = Places::installed(&paths.keytab);
    let (mut found, mut missing) = (Vec::new(), None);
    for domain in domains {
        match machine::keys(&places, &domain.realm()) {
            Ok(_) => found.push(domain),
            Err(error) => missing = Some(error),
        }
    }
    match missing {
        Some(error) if found.is_empty() => {
            Err(Failure::no("keytab", error.to_string()).remedy("`entractl leave`, then `entractl join`"))
        }
        _ => Ok(found),
    }
}

fn status(domains: &[Domain], paths: &Paths) -> Result<Answer, Failure> {
    let places = Places::installed(&paths.keytab);
    let (mut texts, mut list) = (Vec::new(), Vec::new());
    for domain in member_of(domains, paths)? {
        let keys = machine::keys(&places, &domain.realm()).map_err(|error| Failure::no("keytab", error.to_string()))?;
        let age = keys.written.elapsed().map_or(0, |age| age.as_secs());
        let most = domain.keytab_max_age.as_secs();
        let next = match most {
            0 => "never by itself (keytab_max_age)".to_owned(),
            _ if keys.pending => "as soon as entrad runs: a change was broken off".to_owned(),
            _ if age >= most => "as soon as entrad is online".to_owned(),
            _ => format!("in {}", span(most - age)),
        };
        let samba = if places.samba.exists() { "shares the password" } else { "does not" };
        texts.push(fields(&[
            ("machine", Some(keys.principal.clone())),
            ("key version", Some(keys.kvno.to_string())),
            ("age", Some(span(age))),
            ("next change", Some(next)),
            ("Samba", Some(samba.to_owned())),
        ]));
        list.push(json!({
            "domain": domain.name, "principal": keys.principal, "kvno": keys.kvno, "age_seconds": age,
            "max_age_seconds": most, "pending": keys.pending, "samba": places.samba.exists(),
        }));
    }
    Ok(Answer::done(texts.join("\n\n"), json!({ "domains": list })))
}
