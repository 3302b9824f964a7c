//! `cloud-trust status`: what the directory holds of the trust, under the names that `Get-AzureADKerberosServer` uses.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entra_core::Error;
use entra_core::config::Domain;
use entra_core::directory::Directory;
use entra_core::directory::ldap::{CloudTrust, LdapDirectory, Settings};
use serde_json::{Value, json};

use super::commands::{self, Command};
use super::objects::{self, Found};
use crate::direct::{self, MachineKdc};
use crate::exit::Failure;
use crate::host::private::PrivateFolder;
use crate::host::{Paths, need_root};
use crate::output::{Answer, unix_now};
use crate::preflight::block_on;
use crate::verbs::testjoin::configured;

/// Longest wait for one search.
const DEADLINE: Duration = Duration::from_secs(15);

/// Asks the directory of every configured domain with the machine's own ticket. That there is no trust is an answer.
pub(super) fn run(max_age_days: Option<u64>) -> Result<Answer, Failure> {
    need_root("cloud-trust")?;
    let paths = Paths::installed();
    let domains = configured(&paths, "cloud-trust")?;
    if domains.is_empty() {
        return Err(Failure::no("cloud-trust", "this host has joined no domain").remedy("`entractl join DOMAIN`"));
    }
    let (now, mut texts, mut values) = (unix_now(), Vec::new(), Vec::new());
    for domain in &domains {
        let objects = ask(domain, &paths)?;
        let found = objects::judge(&objects, now, max_age_days);
        let commands = commands::all(&domain.name, found.young);
        texts.push(render(domain, &objects, &found, &commands, now));
        values.push(value(domain, &objects, &found, &commands));
    }
    Ok(Answer::done(texts.join("\n\n"), json!({ "domains": values })))
}

fn ask(domain: &Domain, paths: &Paths) -> Result<CloudTrust, Failure> {
    let name = format!("/run/entractl-cloud-trust.{}", std::process::id());
    let folder = PrivateFolder::make(Path::new(&name))
        .map_err(|error| Failure::no("cloud-trust", format!("{name}: {error}")))?;
    let settings = Settings::new(domain.clone(), &folder.file(""), DEADLINE);
    let kdc = MachineKdc { keytab: paths.keytab.clone(), ccache: folder.file("machine.ccache") };
    block_on("cloud-trust", async {
        let asked: Result<CloudTrust, Error> = async {
            let directory = LdapDirectory::new(settings, Arc::new(kdc))?;
            let base = directory.domain_info().await?.base_dn;
            directory.cloud_trust(&base).await
        }
        .await;
        asked.map_err(|error| direct::explain("cloud-trust", &error))
    })
}

fn render(domain: &Domain, objects: &CloudTrust, found: &Found, commands: &[Command], now: u64) -> String {
    let mut lines = vec![objects::fields_of(&domain.name, objects, now)];
    if !found.remarks.is_empty() {
        lines.push(String::new());
        lines.extend(found.remarks.iter().map(|remark| format!("{:<5} {}", remark.mark(), remark.text)));
    }
    lines.push("\nIn PowerShell, with the module AzureADHybridAuthenticationManagement:".into());
    lines.extend(commands.iter().map(|it| format!("# {}\n{}", it.purpose, it.command)));
    lines.join("\n")
}

fn value(domain: &Domain, objects: &CloudTrust, found: &Found, commands: &[Command]) -> Value {
    let key = objects.key.as_ref();
    let change = key.and_then(|key| key.change.as_ref());
    let updated = objects::updated(objects);
    json!({
        "domain": domain.name,
        "state": found.state,
        "anchor": objects.anchor,
        "id": key.and_then(|key| key.number),
        "display_name": key.and_then(|key| key.number).map(|number| format!("krbtgt_{number}")),
        "computer_account": objects.computer.as_ref().map(|it| json!({
            "dn": it.dn, "sam_account_name": it.sam, "sid": it.sid, "krbtgt_link": it.link,
        })),
        "user_account": key.map(|it| json!({
            "dn": it.dn, "sam_account_name": it.sam, "sid": it.sid, "disabled": it.disabled,
        })),
        "key_version": key.and_then(|key| key.version),
        "key_usn": change.map(|change| change.usn),
        "key_updated_on": updated,
        "key_updated_from": change.map(|change| &change.origin),
        "cloud": "unknown: only Entra ID knows CloudId, CloudDisplayName, CloudDomainDnsName, CloudKeyVersion and CloudKeyUpdatedOn",
        "trust": objects::trust(objects).map(|it| json!({
            "dn": it.dn, "partner": it.partner, "direction": it.direction, "type": it.kind, "attributes": it.attributes,
            "encryption_types": it.enctypes, "created": it.created, "changed": it.changed,
            "top_level_names": it.names.as_ref().map(|names| names.iter().map(|it| json!({
                "name": it.name, "excluded": it.excluded, "disabled": it.disabled, "conflict": it.conflict,
            })).collect::<Vec<_>>()),
        })),
        "remarks": found.remarks.iter().map(|it| json!({ "result": it.mark(), "text": it.text })).collect::<Vec<_>>(),
        "commands": commands,
    })
}
