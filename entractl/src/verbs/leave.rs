//! `leave`: undoes what join did, on the host and, with somebody's credentials, in the domain.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use entra_core::config::Domain;
use entra_core::control::Request;
use entra_core::machine::Places;
use serde_json::json;

use super::cloud_trust;
use super::join::{LOCK, private_folder};
use super::testjoin::configured;
use crate::cli::Leave;
use crate::exit::{Exit, Failure};
use crate::host::journal::Journal;
use crate::host::lock::Lock;
use crate::host::private::PrivateFolder;
use crate::host::{Paths, config, file, keytab, krb5_conf, need_root, service};
use crate::interrupt::Interrupt;
use crate::output::{Answer, Output, Step};
use crate::preflight::credentials::{self, Ticket};
use crate::preflight::{connect, dns, root_dse};
use crate::registration::{self, Registered};
use crate::{adcli, daemon, terminal};

/// Leaves. The account goes first: where that fails, the host is still joined and the command can be repeated.
pub(super) fn run(options: &Leave, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("leave")?;
    let _lock = Lock::take(Path::new(LOCK), "leave")?;
    let paths = Paths::installed();
    let joined = output.pass(Joined::find(&paths))?;
    let folder = private_folder("leave")?;
    if let Some(registered) = joined.journal.as_ref().and_then(|journal| journal.dns.as_ref()) {
        // Before the account goes, whose records they are.
        output.step(joined.unregister(registered, &paths, &folder));
    }
    let deleted = joined.delete_account(options, &folder, output)?;

    let _interrupt = Interrupt::watch();
    let _ = daemon::ask(socket, "leave", &Request::CacheFlush { name: None });
    let enabled_by_join = joined.journal.as_ref().is_none_or(|journal| journal.service_enabled);
    if service::has_systemd() {
        output.step(stop(enabled_by_join));
    }
    // Before join's own settings: the folder may go with these.
    let trust = cloud_trust::forget(&paths);
    if let Ok(Some(path)) = &trust {
        output.step(Step::ok("krb5", format!("{} (the cloud trust) is removed", path.display())));
    }
    let mut left = joined.undo(&paths);
    left.extend(trust.err());
    if !service::has_systemd() {
        output.step(reload(socket));
    }
    let places = Places::installed(&paths.keytab);
    // A password that is nobody's any more.
    left.extend(file::remove(&places.journal).err().map(|error| format!("{}: {error}", places.journal.display())));
    if places.samba.exists() {
        let detail = "Samba is still set up as a member of the domain";
        output.step(Step::warn("samba", detail, "`entractl samba configure --remove` puts smb.conf back"));
    }
    let name = &joined.domain.name;
    if !left.is_empty() {
        let failure = Failure::no("host", format!("left behind: {}", left.join("; "))).remedy("remove it by hand");
        return output.pass(Err(failure));
    }
    output.step(Step::ok("host", "keytab, krb5 settings and configuration are as before the join"));
    let json = json!({ "joined": false, "domain": name, "computer": joined.computer, "account_deleted": deleted });
    Ok(Answer::done(format!("\nleft {name}"), json))
}

/// What is known of the join.
struct Joined {
    domain: Domain,
    computer: String,
    journal: Option<Journal>,
}

impl Joined {
    fn find(paths: &Paths) -> Result<Self, Failure> {
        let journal = Journal::load(paths, "leave")?;
        let domains = configured(paths, "leave")?;
        let name = match (&journal, domains.as_slice()) {
            (Some(journal), _) => journal.domain.clone(),
            (None, [domain]) => domain.name.clone(),
            (None, []) => {
                return Err(Failure::no("leave", "this host has joined no domain").remedy("there is nothing to undo"));
            }
            (None, [..]) => {
                return Err(Failure::no("leave", "several domains are configured and none was joined by entractl")
                    .remedy("take them out of entra.toml by hand"));
            }
        };
        let known = domains.into_iter().find(|domain| domain.name == name);
        // The configuration may have lost the domain: its defaults serve.
        let domain = known.map_or_else(|| plain_domain(&name), Ok)?;
        let machine = machine_name(paths, &domain.realm());
        let computer = journal.as_ref().map(|journal| journal.computer.clone()).or(machine);
        let computer = computer.ok_or_else(|| {
            Failure::no("leave", format!("{} has no key of this machine", paths.keytab.display()))
                .remedy(format!("take {name} out of {} by hand", paths.config.display()))
        })?;
        Ok(Self { domain, computer, journal })
    }

    /// Takes this host's name out of the domain's DNS. What hinders is no reason to stay joined.
    fn unregister(&self, registered: &Registered, paths: &Paths, folder: &PrivateFolder) -> Step {
        let removed = dns::find(&self.domain)
            .and_then(|servers| connect::first(&servers))
            .and_then(|reached| Ok((root_dse::read(reached.server.addr)?.0.host, reached.server)))
            .map_err(|failure| failure.error)
            .and_then(|(host, server)| {
                let (realm, ccache) = (self.domain.realm(), folder.file("machine.ccache"));
                let (host, realm) = (host.as_str(), realm.as_str());
                let machine =
                    registration::Machine { server: &server, host, realm, keytab: &paths.keytab, ccache: &ccache };
                machine.with_ticket(|dns| registration::remove(dns, registered))
            });
        match removed {
            Ok(()) => Step::ok("register", format!("{} is no longer in DNS", registered.name)),
            Err(error) => {
                let detail = format!("{} may still be in DNS: {error}", registered.name);
                Step::warn("register", detail, "have it removed there")
            }
        }
    }

    /// Gives whether the account was deleted.
    fn delete_account(
        &self,
        options: &Leave,
        folder: &PrivateFolder,
        output: &mut Output<'_>,
    ) -> Result<bool, Failure> {
        let (realm, account) = (self.domain.realm(), format!("{}$", self.computer));
        if options.user.is_none() && !options.ccache {
            let remedy =
                format!("`adcli delete-computer -D {} {}` as an administrator", self.domain.name, self.computer);
            output.step(Step::warn(
                "account",
                format!("{account} stays in the domain: no credentials were given"),
                remedy,
            ));
            return Ok(false);
        }
        let server = output.pass(dns::find(&self.domain).and_then(|servers| connect::first(&servers)))?.server;
        let host = output.pass(root_dse::read(server.addr))?.0.host;
        output.step(Step::ok("connect", format!("{host} ({})", server.addr.ip())));
        let ticket: Ticket = output.pass(match &options.user {
            Some(user) => terminal::password("credentials", user, options.password_stdin)
                .and_then(|password| credentials::with_password(&realm, server.kdc(), user, password, folder)),
            None => credentials::current(&realm),
        })?;
        output.step(Step::ok("credentials", ticket.detail.clone()));
        let server = adcli::server_argument(server.addr, &host);
        let target =
            adcli::Target { domain: &self.domain.name, realm: &realm, server: &server, ccache: &ticket.ccache };
        let deleted = output.pass(adcli::delete(target, &self.computer))?;
        output.step(Step::ok(
            "account",
            format!("{account} {}", if deleted { "was deleted" } else { "was gone already" }),
        ));
        Ok(true)
    }

    /// Gives what could not be undone.
    fn undo(&self, paths: &Paths) -> Vec<String> {
        let mut left = match &self.journal {
            Some(journal) => journal.undo(paths),
            None => undo_without_journal(&self.domain, paths),
        };
        left.extend(forget_passwords(paths).err());
        left
    }
}

/// Removes the verifiers for offline logins with the last domain. Where there is another one, the daemon sorts out at its
/// next start whose are left: root reads and writes no database in a folder of the worker.
fn forget_passwords(paths: &Paths) -> Result<(), String> {
    if configured(paths, "leave").is_ok_and(|domains| !domains.is_empty()) {
        return Ok(());
    }
    let mut journal = paths.credentials.clone().into_os_string();
    journal.push("-journal");
    for path in [&paths.credentials, &PathBuf::from(journal)] {
        file::remove(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// A configuration that an administrator wrote: the domain and the realm's keys go, krb5.conf is not ours to judge.
fn undo_without_journal(domain: &Domain, paths: &Paths) -> Vec<String> {
    // Who made the keytab is not known: it stays, even if nothing is left in it.
    let mode = std::fs::metadata(&paths.keytab).ok().map(|meta| meta.permissions().mode() & 0o7777);
    let journal = Journal::begin(&domain.name, "", mode);
    let mut left: Vec<String> = journal.undo_keytab(paths).err().into_iter().collect();
    let edited = std::fs::read_to_string(&paths.config)
        .map_err(|error| error.to_string())
        .and_then(|text| config::remove_domain(&text, &domain.name).map_err(|error| error.to_string()))
        .and_then(|text| file::replace(&paths.config, text.as_bytes(), 0o644).map_err(|error| error.to_string()));
    left.extend(edited.err().map(|error| format!("{}: {error}", paths.config.display())));
    let ours = std::fs::read_to_string(&paths.krb5_snippet).is_ok_and(|text| text.starts_with(krb5_conf::HEADER));
    if ours {
        let removed = file::remove(&paths.krb5_snippet);
        left.extend(removed.err().map(|error| format!("{}: {error}", paths.krb5_snippet.display())));
    }
    left
}

/// Stops the daemon. That it cannot be stopped is no reason to stay joined.
fn stop(disable: bool) -> Step {
    match service::stop(disable) {
        Ok(()) if disable => Step::ok("service", "entrad is stopped and disabled"),
        Ok(()) => Step::ok("service", "entrad is stopped"),
        Err(error) => Step::warn("service", error, "`systemctl stop entrad`"),
    }
}

/// Tells a daemon that runs without systemd, once the configuration names the domain no more: who started it may have
/// other work for it, and ends it.
fn reload(socket: &Path) -> Step {
    match daemon::reload(socket, "service") {
        Ok(0) => Step::ok("service", "entrad runs on, and serves no domain any more"),
        Ok(count) => Step::ok("service", format!("entrad runs on, and serves {count} other domain(s)")),
        Err(failure) if failure.exit == Exit::NoDaemon => Step::ok("service", "entrad is not running"),
        Err(failure) => {
            let detail = format!("entrad runs, and still serves the domain ({})", failure.error);
            Step::warn("service", detail, "end `entrad --foreground`")
        }
    }
}

fn plain_domain(name: &str) -> Result<Domain, Failure> {
    let text = format!("[domains.\"{name}\"]\n");
    let config = entra_core::config::parse(&text).map_err(|error| Failure::no("leave", error.to_string()))?;
    config.domains.into_iter().next().ok_or_else(|| Failure::no("leave", "no domain"))
}

/// The computer's name by its keytab, without `$`.
fn machine_name(paths: &Paths, realm: &str) -> Option<String> {
    let bytes = zeroize::Zeroizing::new(std::fs::read(&paths.keytab).ok()?);
    let keys = keytab::of_realm(&bytes, realm).ok()?;
    keys.iter().find_map(|key| key.name.strip_suffix('$').map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::host::keytab::tests::record;
    use std::fs;

    fn host(config: &str) -> (Folder, Paths) {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        fs::create_dir_all(paths.config.parent().unwrap()).unwrap();
        fs::write(&paths.config, config).unwrap();
        (folder, paths)
    }

    #[test]
    fn a_host_that_joined_nothing_has_nothing_to_leave() {
        let (_folder, paths) = host("");
        assert!(Joined::find(&paths).err().unwrap().error.contains("joined no domain"));
    }

    #[test]
    fn a_prepared_configuration_is_cleared_without_a_journal() {
        let (_folder, paths) = host("cache_ttl = \"1h\"\n\n[domains.\"d.example\"]\nshell = \"/bin/sh\"\n");
        let other = record("nfs/h", "OTHER", 1, 18);
        fs::write(&paths.keytab, [&[5, 2][..], &other, &record("WEB1$", "D.EXAMPLE", 2, 18)].concat()).unwrap();
        let joined = Joined::find(&paths).unwrap();
        assert_eq!((joined.computer.as_str(), joined.domain.name.as_str()), ("WEB1", "d.example"));
        fs::create_dir_all(paths.credentials.parent().unwrap()).unwrap();
        fs::write(&paths.credentials, "verifiers").unwrap();
        assert_eq!(joined.undo(&paths), Vec::<String>::new());
        assert!(!paths.credentials.exists(), "passwords of the domain can still be guessed at");
        assert_eq!(fs::read_to_string(&paths.config).unwrap(), "cache_ttl = \"1h\"\n");
        assert_eq!(fs::read(&paths.keytab).unwrap(), [&[5, 2][..], &other].concat());
    }

    #[test]
    fn a_lost_configuration_does_not_stop_it() {
        let (_folder, paths) = host("");
        let mut journal = Journal::begin("d.example", "WEB1", None);
        journal.save(&paths).unwrap();
        let joined = Joined::find(&paths).unwrap();
        assert_eq!(joined.computer, "WEB1");
        assert_eq!(joined.undo(&paths), Vec::<String>::new());
        assert!(!paths.journal.exists());
    }
}
