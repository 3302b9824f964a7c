//! What has logins get the tickets of storage accounts: `service_tickets` and `service_ticket_groups` of entra.toml
//! (entra.toml(5)), everything else kept as it stands.

use toml_edit::{Array, DocumentMut, Item, TableLike, value};

/// The options.
const SERVICES: &str = "service_tickets";
const GROUPS: &str = "service_ticket_groups";

/// The configuration with the file services of these hosts, and with these groups, beside what a domain has already.
///
/// # Errors
/// A sentence where the text is no configuration, before or after, or the domain is not in it.
pub(super) fn add(text: &str, domain: &str, hosts: &[String], groups: &[String]) -> Result<String, String> {
    let mut document = parsed(text)?;
    let table = document
        .get_mut("domains")
        .and_then(|domains| domains.get_mut(domain))
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| format!("{domain} is not in it"))?;
    // Somebody has tickets for all already: a list of groups would take them from the others.
    let everybody = has_entries(table, SERVICES) && !has_entries(table, GROUPS);
    extend(table, SERVICES, hosts.iter().map(|host| format!("cifs/{host}")));
    if !everybody {
        extend(table, GROUPS, groups.iter().cloned());
    }
    let text = document.to_string();
    entra_core::config::parse(&text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// The configuration without the file services of these hosts, as `[domain_realm]` names them: one, or with a dot in front
/// all below. The groups go with the last service.
///
/// # Errors
/// Where the text is no TOML.
pub(super) fn remove(text: &str, hosts: &[String]) -> Result<String, String> {
    let mut document = parsed(text)?;
    let Some(domains) = document.get_mut("domains").and_then(Item::as_table_like_mut) else {
        return Ok(text.to_owned());
    };
    for (_, item) in domains.iter_mut() {
        let Some(table) = item.as_table_like_mut() else { continue };
        let Some(services) = table.get_mut(SERVICES).and_then(Item::as_array_mut) else { continue };
        let before = services.len();
        services.retain(|service| !service.as_str().is_some_and(|service| is_of(service, hosts)));
        if services.is_empty() && before > 0 {
            table.remove(SERVICES);
            table.remove(GROUPS);
        }
    }
    Ok(document.to_string())
}

fn parsed(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string())
}

fn has_entries(table: &dyn TableLike, key: &str) -> bool {
    table.get(key).and_then(Item::as_array).is_some_and(|list| !list.is_empty())
}

fn extend(table: &mut dyn TableLike, key: &str, entries: impl Iterator<Item = String>) {
    if table.get(key).and_then(Item::as_array).is_none() {
        // A plain key has to stand in front of the tables below the domain's; a table puts it there by itself.
        table.insert(key, value(Array::new()));
    }
    let Some(list) = table.get_mut(key).and_then(Item::as_array_mut) else { return };
    for entry in entries {
        if !list.iter().any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(&entry))) {
            list.push(entry);
        }
    }
}

/// Whether a service is that of one of the hosts.
fn is_of(service: &str, hosts: &[String]) -> bool {
    let (kind, host) = service.split_once('/').unwrap_or(("cifs", service));
    let host = host.to_ascii_lowercase();
    kind == "cifs" && hosts.iter().any(|own| host == *own || (own.starts_with('.') && host.ends_with(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "[domains.\"d.example\"]\nshell = \"/bin/sh\" # plain\n\n[domains.\"d.example\".access]\n";

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_added_is_removed_without_a_trace() {
        let hosts = texts(&["acct.file.core.windows.net"]);
        let text = add(PLAIN, "d.example", &hosts, &texts(&["ops", "S-1-5-21-1-2-3-1200"])).unwrap();
        let config = entra_core::config::parse(&text).unwrap();
        assert_eq!(config.domains[0].service_tickets, ["cifs/acct.file.core.windows.net"]);
        assert_eq!(config.domains[0].service_ticket_groups, ["ops", "S-1-5-21-1-2-3-1200"]);
        assert_eq!(add(&text, "d.example", &hosts, &texts(&["OPS"])).unwrap(), text, "a second time");
        assert_eq!(remove(&text, &hosts).unwrap(), PLAIN);
        assert_eq!(remove(&text, &texts(&[".file.core.windows.net"])).unwrap(), PLAIN);
        assert_eq!(remove(&text, &texts(&["other.file.core.windows.net"])).unwrap(), text);
    }

    #[test]
    fn what_an_administrator_wrote_stays() {
        let own = "[domains.\"d.example\"]\nservice_tickets = [\"cifs/files.d.example\"] # ours\n";
        let hosts = texts(&["acct.file.core.windows.net"]);
        let text = add(own, "d.example", &hosts, &texts(&["ops"])).unwrap();
        let config = entra_core::config::parse(&text).unwrap();
        assert_eq!(config.domains[0].service_tickets, ["cifs/files.d.example", "cifs/acct.file.core.windows.net"]);
        assert!(config.domains[0].service_ticket_groups.is_empty(), "others lost their tickets");
        assert_eq!(remove(&text, &hosts).unwrap(), own);
    }

    #[test]
    fn nothing_is_written_that_the_daemon_would_refuse() {
        let hosts = texts(&["acct.file.core.windows.net"]);
        assert!(add(PLAIN, "d.example", &hosts, &texts(&["S-1-bad"])).unwrap_err().contains("is no SID"));
        assert!(add(PLAIN, "e.example", &hosts, &[]).is_err());
        assert!(add("no toml", "d.example", &hosts, &[]).is_err());
    }
}
