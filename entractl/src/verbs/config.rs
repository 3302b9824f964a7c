//! `config check`: whether the daemon would take the configuration, and what is wrong where; with a daemon there, also
//! whether the rules of access and the options of tickets name users and groups that exist.

use std::path::Path;

use entra_core::config::{Config, Domain};
use entra_core::control::{LookupKey, Reply, Request};
use entra_core::idmap::IdMapper;
use entra_core::store::SliceStore;
use entra_core::types::{NameForm, Sid};
use serde_json::json;

use crate::cli::ConfigAction;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::host::{Paths, need_root};
use crate::output::Answer;

const VERB: &str = "config check";
/// The option that is no rule of access, and names groups too.
const TICKET_GROUPS: &str = "service_ticket_groups";

/// Reads the file as the daemon does, and asks it for the names.
pub(super) fn run(action: &ConfigAction, socket: &Path) -> Result<Answer, Failure> {
    let ConfigAction::Check { file } = action;
    let paths = Paths::installed();
    let given = |config: &Config| if *file == paths.config { keeps_ids(config, &paths.slices) } else { Ok(()) };
    check(file, given, |config| missing(config, socket))
}

/// The daemon does not start with a configuration that would change ids that this host has given. Only root can read
/// which these are.
fn keeps_ids(config: &Config, slices: &Path) -> Result<(), String> {
    if need_root(VERB).is_err() {
        return Ok(());
    }
    let mapper = SliceStore::copy_of(slices).and_then(|slices| IdMapper::open(slices, &config.domains));
    mapper.map(drop).map_err(|error| error.to_string())
}

fn check(
    file: &Path,
    keeps_ids: impl FnOnce(&Config) -> Result<(), String>,
    missing: impl FnOnce(&Config) -> Vec<String>,
) -> Result<Answer, Failure> {
    match entra_core::config::load(file) {
        Ok(config) => {
            if let Err(message) = keeps_ids(&config) {
                let mut failure = Failure::no(VERB, format!("{}: {message}", file.display()));
                failure.more = Some(json!({ "file": file, "valid": false, "message": message }));
                return Err(failure);
            }
            let domains: Vec<_> = config.domains.iter().map(|domain| domain.name.clone()).collect();
            let named = if domains.is_empty() { "no domain".to_owned() } else { domains.join(", ") };
            let warnings = missing(&config);
            let mut text = format!("{}: in order ({named})", file.display());
            for warning in &warnings {
                text.push_str("\nwarning: ");
                text.push_str(warning);
            }
            Ok(Answer::done(text, json!({ "file": file, "valid": true, "domains": domains, "warnings": warnings })))
        }
        Err(error) => {
            let exit = if error.not_permitted { Exit::NotPermitted } else { Exit::No };
            let mut failure = Failure::new(exit, VERB, error.to_string());
            failure.more = Some(json!({
                "file": file, "valid": false, "line": error.line, "column": error.column, "message": error.message,
            }));
            Err(failure)
        }
    }
}

/// An account that a rule names.
struct Named {
    /// The option, such as `access.services.sshd.deny_groups`.
    rule: String,
    name: String,
    group: bool,
}

/// The accounts that the rules and the options of tickets name by name; SIDs need no lookup to count.
fn named(domain: &Domain) -> Vec<Named> {
    let (access, mut named) = (&domain.access, Vec::new());
    let mut put = |rule: String, list: &[String], group: bool| {
        let names = list.iter().filter(|entry| entry.parse::<Sid>().is_err());
        named.extend(names.map(|name| Named { rule: rule.clone(), name: name.clone(), group }));
    };
    put("access.permit".into(), &access.permit, true);
    let services = access.services.iter().map(|own| (format!("access.services.{}", own.service), &own.rules));
    for (prefix, rules) in std::iter::once(("access".to_owned(), &access.rules)).chain(services) {
        put(format!("{prefix}.allow_users"), &rules.allow_users, false);
        put(format!("{prefix}.allow_groups"), &rules.allow_groups, true);
        put(format!("{prefix}.deny_users"), &rules.deny_users, false);
        put(format!("{prefix}.deny_groups"), &rules.deny_groups, true);
    }
    put(TICKET_GROUPS.into(), &domain.service_ticket_groups, true);
    named
}

/// A warning for each name that the directory does not know. None where no daemon can be asked: the file is judged by
/// itself then.
fn missing(config: &Config, socket: &Path) -> Vec<String> {
    let served = match daemon::ask(socket, VERB, &Request::Status) {
        Ok(Reply::Status(status)) => status.domains,
        _ => return Vec::new(),
    };
    let mut warnings = Vec::new();
    for domain in config.domains.iter().filter(|own| served.iter().any(|served| served.domain == own.name)) {
        for Named { rule, name, group } in named(domain) {
            let key = LookupKey::Name(match NameForm::parse(&name) {
                Some(NameForm::Short(short)) => format!("{short}@{}", domain.name),
                _ => name.clone(),
            });
            let request = if group { Request::Group { key } } else { Request::User { key } };
            // "There is none" and nothing else: an outage is no proof.
            if matches!(daemon::exchange(socket, VERB, &request, daemon::TIMEOUT), Ok(Reply::NotFound)) {
                warnings.push(warning(&rule, &name, &domain.name));
            }
        }
    }
    warnings
}

fn warning(rule: &str, name: &str, domain: &str) -> String {
    let kind = if rule.ends_with("users") { "user" } else { "group" };
    let effect = match rule.rsplit('.').next() {
        Some("deny_groups") => "so nobody is let in",
        Some("deny_users") => "so it keeps nobody out",
        Some(TICKET_GROUPS) => "so nobody gets tickets by it",
        _ => "so it lets nobody in",
    };
    format!("{rule} of {domain} names \"{name}\": the directory has no such {kind}, {effect}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;

    #[test]
    fn the_place_of_a_mistake_is_told() {
        let folder = Folder::new();
        let file = folder.0.join("entra.toml");
        std::fs::write(&file, "[domains.\"a.example\"]\npreset = \"entra-ds\"\n").unwrap();
        let answer = check(&file, |_| Ok(()), |_| Vec::new()).unwrap();
        assert_eq!(answer.json["domains"], json!(["a.example"]));
        std::fs::write(&file, "cache_ttl = \"1h\"\nno_such_key = 1\n").unwrap();
        let failure = check(&file, |_| Ok(()), |_| Vec::new()).unwrap_err();
        assert!(failure.error.contains("entra.toml:2:1"), "{}", failure.error);
        assert_eq!(failure.to_json()["line"], 2);
        assert!(check(&folder.0.join("none.toml"), |_| Ok(()), |_| Vec::new()).is_err());
    }

    #[test]
    fn a_file_that_would_change_given_ids_is_refused() {
        let folder = Folder::new();
        let file = folder.0.join("entra.toml");
        std::fs::write(&file, "[domains.\"a.example\"]\n").unwrap();
        let failure = check(&file, |_| Err("the ids".into()), |_| Vec::new()).unwrap_err();
        assert_eq!((failure.exit, failure.to_json()["valid"].clone()), (Exit::No, json!(false)));
        assert!(failure.error.ends_with("entra.toml: the ids"), "{}", failure.error);
    }

    #[test]
    fn names_that_nobody_has_are_warned_of_and_the_file_is_valid() {
        let folder = Folder::new();
        let file = folder.0.join("entra.toml");
        let text = "[domains.\"a.example\"]\nservice_ticket_groups = [\"files\"]\n\
                    [domains.\"a.example\".access]\ndefault = \"deny\"\npermit = [\"ops\", \"S-1-5-21-1-2-3-1200\"]\n\
                    [domains.\"a.example\".access.services.sshd]\ndeny_users = [\"mallory\"]\n";
        std::fs::write(&file, text).unwrap();
        let all = |config: &Config| {
            let named = named(&config.domains[0]);
            named.iter().map(|named| warning(&named.rule, &named.name, "a.example")).collect()
        };
        let answer = check(&file, |_| Ok(()), all).unwrap();
        assert_eq!(answer.exit, Exit::Done);
        assert!(answer.text.contains(
            "\nwarning: access.permit of a.example names \"ops\": the directory has no such group, so it lets nobody in\n"
        ));
        assert!(answer.text.contains("access.services.sshd.deny_users of a.example names \"mallory\""));
        assert_eq!(answer.json["warnings"].as_array().map(Vec::len), Some(3));
        assert!(answer.text.contains("names \"files\": the directory has no such group, so nobody gets tickets by it"));
    }
}
