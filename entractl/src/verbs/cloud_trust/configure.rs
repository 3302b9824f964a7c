//! `cloud-trust configure`: the krb5 settings, and taking them back.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::logins;
use super::shares::{self, REALM};
use super::snippet;
use super::tenant::Tenant;
use crate::cli::CloudTrustConfigure;
use crate::exit::{Exit, Failure};
use crate::host::file::{self, Snapshot};
use crate::host::lock::Lock;
use crate::host::{Paths, krb5_conf, need_root, service};
use crate::output::{Answer, Output, Step};
use crate::verbs::join::LOCK;

/// Everybody's Kerberos programs read it.
const MODE: u32 = 0o644;

/// Does it.
pub(super) fn run(options: &CloudTrustConfigure, output: &mut Output<'_>) -> Result<Answer, Failure> {
    let paths = Paths::installed();
    if options.remove {
        return remove(options.dry_run, &paths);
    }
    let plan = Plan::make(options)?;
    if options.dry_run {
        if let Err(failure) = super::plugin::find(Path::new("/")) {
            output.step(Step::warn("k5tls", failure.error, failure.remedy.unwrap_or_default()));
        }
    } else {
        need_root("cloud-trust")?;
        let plugin = output.pass(super::plugin::find(Path::new("/")))?;
        output.step(Step::ok("k5tls", format!("libkrb5 speaks TLS: {}", plugin.display())));
    }
    let _lock = (!options.dry_run).then(|| Lock::take(Path::new(LOCK), "cloud-trust")).transpose()?;
    plan.carry_out(&paths, options.dry_run, output)
}

/// What is to be written.
struct Plan {
    tenant: Tenant,
    kdc: String,
    hosts: Vec<String>,
    text: String,
    ticket_groups: Vec<String>,
}

impl Plan {
    fn make(options: &CloudTrustConfigure) -> Result<Self, Failure> {
        let tenant = Tenant::parse(options.tenant.as_deref().unwrap_or_default())?;
        let top_level_name = options.top_level_name.as_deref().unwrap_or(options.cloud.top_level_name());
        let hosts = shares::hosts(&options.storage_account, top_level_name)?;
        let kdc = format!("https://{}/{tenant}/kerberos", options.cloud.login_host());
        let text = snippet::text(&kdc, &hosts);
        Ok(Self { tenant, kdc, hosts, text, ticket_groups: options.ticket_group.clone() })
    }

    fn carry_out(&self, paths: &Paths, dry_run: bool, output: &mut Output<'_>) -> Result<Answer, Failure> {
        let path = snippet::path(paths);
        let present = present(&path)?;
        let obstacle = included(paths).and_then(|()| clear(paths, &self.hosts));
        let changed = present.as_ref().is_none_or(|it| it.bytes != self.text.as_bytes() || it.mode != MODE);
        let summary = |configured: bool, changed: bool| {
            json!({
                "configured": configured, "changed": changed, "file": path, "text": self.text,
                "tenant": self.tenant.to_string(), "realm": REALM, "kdc": self.kdc, "hosts": self.hosts,
            })
        };
        let logins = self.logins(paths);
        if dry_run {
            if let Ok(Some(text)) = &logins {
                let detail = format!("{} would be:\n{}", paths.config.display(), text.trim_end());
                output.step(Step::ok("logins", detail));
            }
            for failure in [logins.err(), obstacle.err()].into_iter().flatten() {
                output.step(Step::warn(&failure.step, failure.error, failure.remedy.unwrap_or_default()));
            }
            let text = if changed {
                format!("{} would hold:\n{}", path.display(), self.text.trim_end())
            } else {
                format!("{} holds this already:\n{}", path.display(), self.text.trim_end())
            };
            return Ok(Answer::done(text, summary(false, changed)));
        }
        output.pass(obstacle)?;
        let logins = output.pass(logins)?;
        if changed {
            let written = paths.krb5_dir.is_dir().then_some(()).ok_or_else(|| no_folder(paths)).and_then(|()| {
                let new = Snapshot { bytes: self.text.clone().into_bytes(), mode: MODE, owner: (0, 0) };
                new.restore(&path).map_err(|error| failed(&path, &error))
            });
            output.pass(written)?;
            output.step(Step::ok("krb5", format!("{} names the KDC proxy of tenant {}", path.display(), self.tenant)));
        } else {
            output.step(Step::ok("krb5", format!("{} is as it should be already", path.display())));
        }
        if let Some(text) = &logins {
            output.pass(write_logins(paths, text))?;
            let detail = format!("logins of members of {} get the tickets", self.ticket_groups.join(", "));
            output.step(Step::ok("logins", detail));
            output.step(restarted());
        }
        let hosts = self.hosts.join(", ");
        let text = format!("\ntickets for {hosts} come from {}", self.kdc);
        Ok(Answer::done(text, summary(true, changed)))
    }
}

impl Plan {
    /// The configuration of the daemon with the options of tickets; `None` where none were asked for, or it has them.
    fn logins(&self, paths: &Paths) -> Result<Option<String>, Failure> {
        if self.ticket_groups.is_empty() {
            return Ok(None);
        }
        let shown = paths.config.display();
        let before = fs::read_to_string(&paths.config).unwrap_or_default();
        let domains = crate::host::config::domains(&before).unwrap_or_default();
        let [domain] = domains.as_slice() else {
            let what = format!("{shown} has {} domains, and the groups are those of one", domains.len());
            return Err(
                Failure::no("logins", what).remedy("`entractl join` first; among several, write the options there")
            );
        };
        let after = logins::add(&before, domain, &self.hosts, &self.ticket_groups);
        let after = after.map_err(|why| Failure::no("logins", format!("{shown}: {why}")))?;
        Ok((after != before).then_some(after))
    }
}

fn write_logins(paths: &Paths, text: &str) -> Result<(), Failure> {
    file::replace(&paths.config, text.as_bytes(), 0o644).map_err(|error| failed(&paths.config, &error))
}

/// Makes a changed configuration count. That the daemon cannot be restarted undoes nothing.
fn restarted() -> Step {
    if !service::has_systemd() {
        return Step::warn("service", "entrad reads its options when it starts", "restart `entrad --foreground`");
    }
    match service::restart_if_running() {
        Ok(()) => Step::ok("service", "entrad has read them, where it runs"),
        Err(error) => Step::warn("service", error, "`systemctl restart entrad`"),
    }
}

fn remove(dry_run: bool, paths: &Paths) -> Result<Answer, Failure> {
    let path = snippet::path(paths);
    if !dry_run {
        need_root("cloud-trust")?;
    }
    let _lock = (!dry_run).then(|| Lock::take(Path::new(LOCK), "cloud-trust")).transpose()?;
    let before = present(&path)?;
    let there = before.is_some();
    let shown = path.display();
    let mut text = match (there, dry_run) {
        (false, _) => format!("{shown} is not there: nothing to remove"),
        (true, true) => format!("{shown} would be removed"),
        (true, false) => {
            file::remove(&path).map_err(|error| failed(&path, &error))?;
            format!("{shown} is removed")
        }
    };
    let says = before.map(|before| snippet::read(&String::from_utf8_lossy(&before.bytes))).unwrap_or_default();
    let hosts: Vec<String> = says.hosts.into_iter().map(|(host, _)| host).collect();
    let config = fs::read_to_string(&paths.config).unwrap_or_default();
    if let Some(without) = logins::remove(&config, &hosts).ok().filter(|without| *without != config) {
        if !dry_run {
            write_logins(paths, &without)?;
        }
        let config = paths.config.display();
        let (names, then) = if dry_run { ("would name", "") } else { ("names", "; `systemctl restart entrad`") };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{config} {names} no tickets of these hosts{then}");
    }
    Ok(Answer::done(text, json!({ "configured": there && dry_run, "changed": there, "file": path })))
}

/// The file as it is; refused where somebody else wrote it.
fn present(path: &Path) -> Result<Option<Snapshot>, Failure> {
    let present = Snapshot::take(path).map_err(|error| failed(path, &error))?;
    if present.as_ref().is_some_and(|it| !snippet::is_ours(&String::from_utf8_lossy(&it.bytes))) {
        let what = format!("{} was not written by entractl", path.display());
        return Err(Failure::no("krb5", what).remedy("move it away, then repeat this"));
    }
    Ok(present)
}

/// Whether libkrb5 reads the folder.
///
/// # Errors
/// Where it does not, with what makes it.
pub(in crate::verbs) fn included(paths: &Paths) -> Result<(), Failure> {
    let text = fs::read(&paths.krb5_conf).unwrap_or_default();
    if krb5_conf::with_include(&text).is_none() {
        return Ok(());
    }
    let what = format!("{} does not include {}", paths.krb5_conf.display(), paths.krb5_dir.display());
    let remedy = format!("`entractl join` puts the line there: \"{}\" as the first one", krb5_conf::INCLUDE);
    Err(Failure::no("krb5", what).remedy(remedy))
}

fn clear(paths: &Paths, hosts: &[String]) -> Result<(), Failure> {
    let foreign = snippet::foreign(paths, hosts);
    if foreign.is_empty() {
        return Ok(());
    }
    let remedy = "take that out: one host serves one tenant, because every tenant's realm has the same name";
    Err(Failure::no("krb5", foreign.join("; ")).remedy(remedy))
}

fn no_folder(paths: &Paths) -> Failure {
    let folder = paths.krb5_dir.display();
    Failure::no("krb5", format!("{folder} is not there")).remedy(format!("`install -d -m 755 {folder}`"))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let exit = if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::No };
    Failure::new(exit, "krb5", format!("{}: {error}", path.display()))
}

/// What `check` says of the settings; nothing more than one line where there are none.
pub(super) fn check(paths: &Paths, root: &Path) -> Vec<Step> {
    let (path, topic) = (snippet::path(paths), "cloud-trust");
    let shown = path.display();
    let of = |failure: Failure| Step::fail(&Failure { step: topic.into(), ..failure });
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Step::ok(topic, "not set up on this host (`entractl cloud-trust configure`)")];
        }
        Err(error) => return vec![of(failed(&path, &error))],
    };
    let says = snippet::read(&text);
    let hosts: Vec<String> = says.hosts.iter().map(|(host, _)| host.clone()).collect();
    let mut steps = vec![match says.kdcs.as_slice() {
        [kdc] => Step::ok(topic, format!("tickets for {} come from {kdc}", hosts.join(", "))),
        _ => of(Failure::no(topic, format!("{shown} does not name one KDC proxy"))
            .remedy("`entractl cloud-trust configure --tenant ID` writes it anew")),
    }];
    let mode = fs::metadata(&path).map_or(0, |meta| meta.permissions().mode() & 0o7777);
    if mode & 0o444 != 0o444 || mode & 0o022 != 0 {
        let what = format!("{shown} has mode {mode:04o}: everybody's programs read it, root alone writes it");
        steps.push(of(Failure::no(topic, what).remedy(format!("`chmod 644 {shown}`"))));
    }
    steps.extend([included(paths), clear(paths, &hosts)].into_iter().filter_map(Result::err).map(of));
    match super::plugin::find(root) {
        Ok(_) => steps.push(Step::ok(topic, "libkrb5 speaks TLS (k5tls)")),
        Err(failure) => steps.push(of(failure)),
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::CloudName;
    use crate::host::file::tests::Folder;
    use crate::output::Mark;

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn options() -> CloudTrustConfigure {
        CloudTrustConfigure {
            tenant: Some(TENANT.into()),
            storage_account: Vec::new(),
            ticket_group: Vec::new(),
            top_level_name: None,
            cloud: CloudName::Public,
            dry_run: false,
            remove: false,
        }
    }

    fn carry_out(plan: &Plan, paths: &Paths, dry_run: bool) -> Result<Answer, Failure> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        plan.carry_out(paths, dry_run, &mut Output::new(true, &mut out, &mut err))
    }

    fn host() -> (Folder, Paths) {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        fs::create_dir_all(&paths.krb5_dir).unwrap();
        fs::write(&paths.krb5_conf, format!("{}\n[libdefaults]\n", krb5_conf::INCLUDE)).unwrap();
        (folder, paths)
    }

    #[test]
    fn the_file_is_written_once_and_nothing_else() {
        let (_folder, paths) = host();
        let before = fs::read(&paths.krb5_conf).unwrap();
        let plan = Plan::make(&options()).unwrap();
        assert_eq!(carry_out(&plan, &paths, true).unwrap().json["changed"], true);
        assert!(!snippet::path(&paths).exists(), "a dry run wrote it");
        assert_eq!(carry_out(&plan, &paths, false).unwrap().json["changed"], true);
        let written = fs::read_to_string(snippet::path(&paths)).unwrap();
        assert!(written.contains(&format!("kdc = https://login.microsoftonline.com/{TENANT}/kerberos\n")));
        assert!(written.contains("\n    .file.core.windows.net = KERBEROS.MICROSOFTONLINE.COM\n"));
        assert_eq!(fs::metadata(snippet::path(&paths)).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(carry_out(&plan, &paths, false).unwrap().json["changed"], false, "a second time");
        fs::set_permissions(snippet::path(&paths), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(carry_out(&plan, &paths, false).unwrap().json["changed"], true, "a mode that hides it");
        assert_eq!(fs::metadata(snippet::path(&paths)).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read(&paths.krb5_conf).unwrap(), before);
        assert_eq!(fs::read_dir(&paths.krb5_dir).unwrap().count(), 1);
    }

    #[test]
    fn without_the_include_nothing_is_written() {
        let (_folder, paths) = host();
        fs::write(&paths.krb5_conf, "[libdefaults]\n").unwrap();
        let plan = Plan::make(&options()).unwrap();
        let refused = carry_out(&plan, &paths, false).unwrap_err();
        assert!(refused.remedy.unwrap().contains("includedir /etc/krb5.conf.d/"));
        assert!(!snippet::path(&paths).exists());
        assert!(carry_out(&plan, &paths, true).is_ok(), "a dry run shows it all the same");
    }

    #[test]
    fn a_file_of_somebody_elses_stays() {
        let (_folder, paths) = host();
        fs::write(snippet::path(&paths), "[realms]\n").unwrap();
        let plan = Plan::make(&options()).unwrap();
        assert!(carry_out(&plan, &paths, false).unwrap_err().error.contains("not written by entractl"));
        assert!(remove(true, &paths).is_err());
        assert_eq!(fs::read_to_string(snippet::path(&paths)).unwrap(), "[realms]\n");
    }

    #[test]
    fn accounts_and_clouds() {
        let accounts =
            CloudTrustConfigure { storage_account: vec!["acct".into()], cloud: CloudName::Usgov, ..options() };
        let plan = Plan::make(&accounts).unwrap();
        assert!(plan.text.contains("https://login.microsoftonline.us/"));
        assert!(plan.text.contains("    acct.file.core.usgovcloudapi.net = "));
        assert!(!plan.text.contains("    .file.core"), "the suffix would take the other accounts too");
    }

    #[test]
    fn logins_get_the_tickets_of_accounts_and_remove_takes_that_back() {
        let (_folder, paths) = host();
        fs::create_dir_all(paths.config.parent().unwrap()).unwrap();
        let config = "[domains.\"d.example\"]\n";
        fs::write(&paths.config, config).unwrap();
        let wanted =
            CloudTrustConfigure { storage_account: vec!["acct".into()], ticket_group: vec!["ops".into()], ..options() };
        let plan = Plan::make(&wanted).unwrap();
        carry_out(&plan, &paths, true).unwrap();
        assert_eq!(fs::read_to_string(&paths.config).unwrap(), config, "a dry run wrote it");
        let text = plan.logins(&paths).unwrap().unwrap();
        assert!(text.contains("[\"cifs/acct.file.core.windows.net\"]"), "{text}");
        write_logins(&paths, &text).unwrap();
        fs::write(snippet::path(&paths), &plan.text).unwrap();
        assert_eq!(plan.logins(&paths).unwrap(), None, "a second time");
        let hosts: Vec<String> = snippet::read(&plan.text).hosts.into_iter().map(|(host, _)| host).collect();
        assert_eq!(logins::remove(&text, &hosts).unwrap(), config);
        fs::write(&paths.config, "").unwrap();
        assert!(carry_out(&plan, &paths, false).unwrap_err().error.contains("has 0 domains"));
    }

    #[test]
    fn check_names_each_fault() {
        let (folder, paths) = host();
        let marks = || -> Vec<Mark> { check(&paths, &folder.0).iter().map(|step| step.result).collect() };
        assert_eq!(marks(), [Mark::Ok], "not set up is no fault");
        carry_out(&Plan::make(&options()).unwrap(), &paths, false).unwrap();
        assert_eq!(marks(), [Mark::Ok, Mark::Fail], "k5tls is missing");
        let tls = folder.0.join("usr/lib/krb5/plugins/tls");
        fs::create_dir_all(&tls).unwrap();
        fs::write(tls.join("k5tls.so"), "").unwrap();
        assert_eq!(marks(), [Mark::Ok, Mark::Ok]);
        fs::write(&paths.krb5_conf, "[libdefaults]\n").unwrap();
        fs::set_permissions(snippet::path(&paths), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(marks(), [Mark::Ok, Mark::Fail, Mark::Fail, Mark::Ok]);
    }
}
