//! The changes of a join, in an order in which each can be undone, and undoing them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use entra_core::control::{DomainStatus, Reply, Request};
use serde_json::json;

use super::plan::Plan;
use crate::exit::{Exit, Failure};
use crate::host::authselect::{self, Adopted, Authselect};
use crate::host::file::{self, Snapshot};
use crate::host::journal::{Journal, Kind, State};
use crate::host::{Paths, keytab, krb5_conf, service};
use crate::interrupt::Interrupt;
use crate::output::{Output, Step};
use crate::preflight::machine;
use crate::registration::{self, Registered};
use crate::{adcli, daemon};

/// Longest wait for a daemon that was started just now to be online.
const ONLINE: Duration = Duration::from_secs(20);

/// Does it; a failure undoes everything that was done, and says so.
pub(super) fn run(
    plan: &Plan,
    paths: &Paths,
    socket: &Path,
    interrupt: &Interrupt,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let keytab = Snapshot::take(&paths.keytab).map_err(|error| failed("keytab", &error))?;
    let journal = Journal::begin(&plan.domain.name, &plan.computer, keytab.as_ref().map(|saved| saved.mode));
    let mut change =
        Change { plan, paths, socket, interrupt, journal, keytab, service_touched: false, reloaded: false };
    let done = change.all(output);
    let Err(mut failure) = done else { return Ok(()) };
    output.step(Step::fail(&failure));
    let left = change.undo(output);
    failure.more = Some(json!({ "joined": false, "rolled_back": left.is_empty(), "left": left }));
    Err(failure)
}

struct Change<'a> {
    plan: &'a Plan,
    paths: &'a Paths,
    socket: &'a Path,
    interrupt: &'a Interrupt,
    journal: Journal,
    keytab: Option<Snapshot>,
    service_touched: bool,
    /// Whether a daemon that runs without systemd was told of the configuration.
    reloaded: bool,
}

/// One step; a step without a detail is not worth a line.
type Act<'a> = fn(&mut Change<'a>) -> Result<Step, Failure>;

impl<'a> Change<'a> {
    fn all(&mut self, output: &mut Output<'_>) -> Result<(), Failure> {
        let steps: [Act<'a>; 9] = [
            Self::krb5,
            Self::account,
            Self::check_keytab,
            Self::config,
            Self::service,
            Self::test,
            Self::logins,
            Self::register,
            Self::finish,
        ];
        for step in steps {
            if self.interrupt.came() {
                return Err(Failure::no("interrupt", "interrupted"));
            }
            let step = step(self)?;
            if !step.detail.is_empty() {
                output.step(step);
            }
        }
        Ok(())
    }

    /// Before adcli runs: what it writes depends on the encryption types that are permitted.
    fn krb5(&mut self) -> Result<Step, Failure> {
        let failed = |error: io::Error| failed("krb5", &error);
        let (domain, realm) = (&self.plan.domain.name, self.plan.domain.realm());
        self.journal.save(self.paths).map_err(failed)?;
        let snippet = krb5_conf::snippet(domain, &realm, &self.plan.kdcs);
        self.journal.write(self.paths, Kind::Krb5Snippet, snippet.as_bytes()).map_err(failed)?;
        let text = Snapshot::take(&self.paths.krb5_conf).map_err(failed)?.map(Snapshot::into_bytes).unwrap_or_default();
        let snippet = self.paths.krb5_snippet.display();
        let Some(edited) = krb5_conf::with_include(&text) else {
            return Ok(Step::ok("krb5", format!("{snippet} written")));
        };
        self.journal.write(self.paths, Kind::Krb5Conf, &edited).map_err(failed)?;
        Ok(Step::ok("krb5", format!("{snippet} written, and includedir on top of {}", self.paths.krb5_conf.display())))
    }

    fn account(&mut self) -> Result<Step, Failure> {
        self.journal.account_begun = true;
        self.journal.save(self.paths).map_err(|error| failed("account", &error))?;
        if self.keytab.is_some() {
            self.close_keytab().map_err(|error| failed("keytab", &error))?;
        }
        let account = adcli::Account {
            computer: &self.plan.computer,
            fqdn: &self.plan.fqdn,
            ou: &self.plan.place.ou,
            keytab: &self.paths.keytab,
        };
        if let Some(prepared) = &self.plan.prepared {
            self.take_keys(prepared)?;
            self.with_target(|target| adcli::renew(target, account, &|| self.interrupt.came()))?;
            let detail = format!("{}$ has a password of its own now", self.plan.computer);
            return Ok(Step::ok("account", detail));
        }
        self.with_target(|target| adcli::join(target, account, &|| self.interrupt.came()))?;
        let how = if self.plan.place.account.is_some() { "taken over" } else { "created" };
        Ok(Step::ok("account", format!("{}$ {how}", self.plan.computer)))
    }

    /// Puts the key of the one-time password into the keytab, where adcli looks for it and puts the next one in its
    /// place.
    fn take_keys(&self, prepared: &Path) -> Result<(), Failure> {
        let path = &self.paths.keytab;
        let before = Snapshot::take(path).map_err(|error| failed("keytab", &error))?.map(Snapshot::into_bytes);
        let before = zeroize::Zeroizing::new(before.unwrap_or_default());
        let more = zeroize::Zeroizing::new(fs::read(prepared).map_err(|error| failed("keytab", &error))?);
        let both = keytab::merged(&before, &more)
            .map_err(|error| Failure::no("keytab", format!("{}: {error}", path.display())))?;
        file::replace(path, &both, 0o600).map_err(|error| failed("keytab", &error))
    }

    fn check_keytab(&mut self) -> Result<Step, Failure> {
        let realm = self.plan.domain.realm();
        self.close_keytab().map_err(|error| failed("keytab", &error))?;
        let keys = machine::keys(&self.paths.keytab, &realm)?;
        machine::prove(&self.paths.keytab, &realm, self.plan.server.kdc())?;
        let detail = format!("{}@{realm}, key version {}, {} keys, AES only", keys.name, keys.kvno, keys.count);
        Ok(Step::ok("keytab", detail))
    }

    /// A keytab that was there before keeps the mode that somebody gave it; with our keys in it, it may not.
    fn close_keytab(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&self.paths.keytab, fs::Permissions::from_mode(0o600))
    }

    fn config(&mut self) -> Result<Step, Failure> {
        let written = self.journal.write(self.paths, Kind::Config, self.plan.config.as_bytes());
        written.map_err(|error| failed("config", &error))?;
        Ok(Step::ok("config", format!("{} written", self.paths.config.display())))
    }

    fn service(&mut self) -> Result<Step, Failure> {
        if !service::has_systemd() {
            let Err(failure) = daemon::reload(self.socket, "service") else {
                self.reloaded = true;
                return Ok(Step::ok("service", "entrad runs already, and reads the configuration anew"));
            };
            let (state, remedy) = match failure.exit {
                Exit::NoDaemon => ("entrad is not running".into(), "start `entrad --foreground`"),
                _ => (
                    format!("entrad runs already ({})", failure.error),
                    "restart it, so that it reads the configuration",
                ),
            };
            return Ok(Step::warn("service", format!("systemd does not run here; {state}"), remedy));
        }
        self.journal.service_enabled = !service::is_enabled();
        self.journal.save(self.paths).map_err(|error| failed("service", &error))?;
        self.service_touched = true;
        let remedy = "`journalctl -u entrad` has its log";
        service::start().map_err(|error| Failure::no("service", error).remedy(remedy))?;
        Ok(Step::ok("service", "entrad is enabled and started"))
    }

    fn test(&mut self) -> Result<Step, Failure> {
        if !service::has_systemd() && !self.reloaded {
            return Ok(Step::ok(
                "test",
                "the domain accepts this machine; nothing answers lookups until entrad is started",
            ));
        }
        let domain = &self.plan.domain.name;
        let deadline = Instant::now() + ONLINE;
        loop {
            let reason = match status(self.socket, domain) {
                Ok(status) if status.online => {
                    return Ok(Step::ok("test", format!("entrad is online with {domain}")));
                }
                Ok(status) => status.reason.unwrap_or_else(|| "it gives no reason".into()),
                Err(failure) => failure.error,
            };
            if self.interrupt.came() || Instant::now() >= deadline {
                let error = format!("entrad did not come online in {} s: {reason}", ONLINE.as_secs());
                let remedy = if self.reloaded { "see its log" } else { "`journalctl -u entrad` has its log" };
                return Err(Failure::no("test", error).remedy(remedy));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Where authselect governs logins: the profile that asks us. What an administrator wrote there stays, with a warning.
    fn logins(&mut self) -> Result<Step, Failure> {
        let Some(tool) = Authselect::find(self.paths) else { return Ok(Step::ok("logins", "")) };
        let (journal, paths) = (&mut self.journal, self.paths);
        let adopted = tool.adopt(|before| {
            journal.authselect = Some(before);
            journal.save(paths).map_err(|error| error.to_string())
        });
        let profile = authselect::PROFILE;
        Ok(match adopted.map_err(|error| Failure::no("logins", error))? {
            Adopted::Before => Step::ok("logins", format!("authselect has the profile {profile} in force already")),
            Adopted::Now(features) => {
                Step::ok("logins", format!("authselect has {profile} {} in force now", features.join(" ")))
            }
            Adopted::Left(why) => {
                let remedy = format!(
                    "have nsswitch.conf and PAM ask entra by hand (nss_entra(8), pam_entra(8)), or write both anew by \
                     `authselect select {profile} with-mkhomedir --force`"
                );
                Step::warn("logins", format!("PAM and NSS stay as they are: {why}"), remedy)
            }
        })
    }

    /// A host without a name in DNS is joined all the same: what hinders is a warning.
    fn register(&mut self) -> Result<Step, Failure> {
        let plan = self.plan;
        let Some(addresses) = &plan.addresses else { return Ok(Step::ok("register", "")) };
        let realm = plan.domain.realm();
        let registered = self.machine(&realm).with_ticket(|dns| {
            registration::register(dns, &plan.fqdn, addresses, |planned| {
                self.journal.dns = Some(planned.clone());
                self.journal.save(self.paths)
            })
        });
        let step = match registered {
            Ok(registered) => {
                let step = Step::ok("register", announced(&registered));
                self.journal.dns = Some(registered);
                step
            }
            Err(error) => {
                let remedy = "where an account that is gone owns the record, have it deleted; else have the name entered \
                              by hand if others need it, or join with --no-dns";
                Step::warn("register", format!("{} is not in DNS: {error}", plan.fqdn), remedy)
            }
        };
        self.journal.save(self.paths).map_err(|error| failed("register", &error))?;
        Ok(step)
    }

    fn machine<'m>(&self, realm: &'m str) -> registration::Machine<'m>
    where
        'a: 'm,
    {
        let (plan, paths) = (self.plan, self.paths);
        let (server, host, ccache) = (&plan.server, plan.host.as_str(), plan.machine_ccache.as_path());
        registration::Machine { server, host, realm, keytab: &paths.keytab, ccache }
    }

    fn finish(&mut self) -> Result<Step, Failure> {
        self.journal.state = State::Joined;
        self.journal.save(self.paths).map_err(|error| failed("finish", &error))?;
        Ok(Step::ok("finish", ""))
    }

    /// Undoes everything, shows what, and gives what is left.
    fn undo(&mut self, output: &mut Output<'_>) -> Vec<String> {
        let mut left = Vec::new();
        if self.journal.service_enabled {
            left.extend(service::stop(true).err());
        }
        if let Some(registered) = &self.journal.dns {
            let realm = self.plan.domain.realm();
            let removed = self.machine(&realm).with_ticket(|dns| registration::remove(dns, registered));
            left.extend(removed.err().map(|error| format!("{} in DNS ({error})", registered.name)));
        }
        left.extend(authselect::undo(self.paths, self.journal.authselect.as_deref()).err());
        // While the krb5 settings are still there.
        let account = if self.journal.account_begun { self.undo_account(output) } else { None };
        left.extend(self.journal.undo_files(self.paths));
        let keytab = match &self.keytab {
            Some(saved) => saved.restore(&self.paths.keytab),
            None => crate::host::file::remove(&self.paths.keytab),
        };
        left.extend(keytab.err().map(|error| format!("{}: {error}", self.paths.keytab.display())));
        if self.service_touched && !self.journal.service_enabled {
            left.extend(service::restart_if_running().err());
        }
        if self.reloaded {
            left.extend(daemon::reload(self.socket, "undo").err().map(|failure| failure.error));
        }
        if left.is_empty() {
            left.extend(self.journal.forget(self.paths).err().map(|error| error.to_string()));
        }
        // Nothing of the account stands on this host: the journal would not help to remove it.
        left.extend(account);
        if left.is_empty() {
            output.step(Step::ok("undo", "keytab, krb5 settings and configuration are as they were"));
        } else {
            output.step(Step::warn("undo", format!("left behind: {}", left.join("; ")), "remove it by hand"));
        }
        left
    }

    fn undo_account(&self, output: &mut Output<'_>) -> Option<String> {
        let computer = &self.plan.computer;
        if let Some(dn) = &self.plan.place.account {
            let detail = format!("the account {dn} was there before and stays; its password may have been changed");
            let remedy = match self.plan.prepared {
                Some(_) => "have it reset (`adcli preset-computer`) before the next join",
                None => "join again to use it",
            };
            output.step(Step::warn("undo", detail, remedy));
            return None;
        }
        match self.with_target(|target| adcli::delete(target, computer)) {
            Ok(deleted) => {
                let detail = if deleted { "was deleted again" } else { "was not created" };
                output.step(Step::ok("undo", format!("the account {computer}$ {detail}")));
                None
            }
            Err(failure) => Some(format!("perhaps the account {computer}$ in the domain ({})", failure.error)),
        }
    }

    fn with_target<T>(&self, run: impl FnOnce(adcli::Target<'_>) -> T) -> T {
        let plan = self.plan;
        run(adcli::Target {
            domain: &plan.domain.name,
            realm: &plan.domain.realm(),
            server: &adcli::server_argument(plan.server.addr, &plan.host),
            ccache: &plan.ticket.ccache,
        })
    }
}

/// What was registered, in words.
fn announced(registered: &Registered) -> String {
    let shown = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let back = match registered.reverse.as_slice() {
        [] => "no zone takes the way back".to_owned(),
        reverse => format!("and back from {}", shown(reverse)),
    };
    format!("{} leads to {}, {back}", registered.name, shown(&registered.addresses))
}

fn failed(step: &str, error: &io::Error) -> Failure {
    Failure::no(step, error.to_string()).remedy("see that /etc is writable and has room")
}

fn status(socket: &Path, domain: &str) -> Result<DomainStatus, Failure> {
    match daemon::ask(socket, "test", &Request::Status)? {
        Reply::Status(status) => {
            let found = status.domains.into_iter().find(|it| it.domain == domain);
            found.ok_or_else(|| Failure::no("test", "it does not know the domain yet"))
        }
        _ => Err(daemon::unexpected("test")),
    }
}
