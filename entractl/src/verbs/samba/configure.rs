//! `samba configure`: smb.conf, the machine's secret, and the services, in an order in which each can be undone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use entra_core::config::{self, Domain};
use entra_core::discovery::Server;
use entra_core::idmap::IdMapper;
use entra_core::store::SliceStore;
use serde_json::json;

use super::plan::{self, Backend, Ids, Met};
use super::smb_conf::{self, Setting};
use super::undo::{Note, Places};
use super::{programs, secrets};
use crate::cli::SambaConfigure;
use crate::direct;
use crate::exit::Failure;
use crate::host::journal::Journal;
use crate::host::lock::Lock;
use crate::host::private::PrivateFolder;
use crate::host::{Paths, file, need_root};
use crate::output::{Answer, Output, Step};
use crate::preflight::{connect, dns, machine};
use crate::verbs::join::LOCK;
use crate::verbs::keytab;

/// Where the files are tried before they are put in place.
const FOLDER: &str = "/run/entractl-samba";

/// Configures.
pub(super) fn run(options: &SambaConfigure, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("samba")?;
    let _lock = Lock::take(Path::new(LOCK), "samba")?;
    let (paths, places) = (Paths::installed(), Places::installed());
    output.pass(programs::need())?;
    let plan = Plan::make(options, &paths, &places, output)?;
    output.take(plan.tried(&places))?;
    let summary = json!({
        "configured": !options.dry_run, "realm": plan.realm, "workgroup": plan.ids[0].workgroup,
        "settings": plan.settings.iter().map(|it| json!({ "key": it.key, "value": it.value })).collect::<Vec<_>>(),
        "include": places.include, "smb_conf": places.smb_conf, "overruled": plan.overruled,
    });
    if options.dry_run {
        let text = format!(
            "\n{} would hold:\n{}\nand {} would include it at the end of [global]",
            places.include.display(),
            plan.file.trim_end(),
            places.smb_conf.display()
        );
        return Ok(Answer::done(text, summary));
    }
    let written = Note::write(&plan.domain.name, &plan.ids[0].workgroup, &places, &plan.file, &plan.smb_conf);
    let note = output.pass(written.map_err(|error| Failure::no("smb.conf", error.to_string())))?;
    output.step(Step::ok("smb.conf", format!("{} includes {}", places.smb_conf.display(), places.include.display())));
    if let Err(failure) = plan.secret(&paths, output) {
        output.step(Step::fail(&failure));
        let undone = match note.undo(&places) {
            Ok(()) => Step::ok("undo", format!("{} is as it was", places.smb_conf.display())),
            Err(error) => Step::warn("undo", error.to_string(), "`entractl samba configure --remove`"),
        };
        output.step(undone);
        return Err(failure);
    }
    output.step(restarted());
    let text = format!("\nSamba serves the users of {}; `entractl check samba` looks at it", plan.domain.name);
    Ok(Answer::done(text, summary))
}

/// Undoes it. The secret stays in Samba's hands: it opens nothing that the keytab does not.
pub(super) fn remove(options: &SambaConfigure, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("samba")?;
    let _lock = Lock::take(Path::new(LOCK), "samba")?;
    let places = Places::installed();
    let Some(note) = Note::load(&places)? else {
        return Err(Failure::no("samba", "Samba was not configured by entractl").remedy("there is nothing to undo"));
    };
    let json = json!({ "configured": options.dry_run, "domain": note.domain });
    if options.dry_run {
        let text = format!("{} would be as it was before `samba configure`", places.smb_conf.display());
        return Ok(Answer::done(text, json));
    }
    let undone = note.undo(&places);
    output.pass(undone.map_err(|error| Failure::no("smb.conf", error.to_string())))?;
    output.step(Step::ok("smb.conf", format!("{} is as it was", places.smb_conf.display())));
    output.step(restarted());
    Ok(Answer::done("", json))
}

/// Everything that is known before anything is changed.
struct Plan {
    domain: Domain,
    realm: String,
    sid: entra_core::types::Sid,
    ids: Vec<Ids>,
    settings: Vec<Setting>,
    overruled: Vec<String>,
    file: String,
    smb_conf: String,
    server: Server,
}

impl Plan {
    fn make(
        options: &SambaConfigure,
        paths: &Paths,
        places: &Places,
        output: &mut Output<'_>,
    ) -> Result<Self, Failure> {
        let configured = output.pass(config::load(&paths.config).map_err(|error| {
            Failure::no("config", error.to_string()).remedy("`entractl join DOMAIN` first, then this")
        }))?;
        let name = output.pass(joined(paths, &configured.domains))?;
        let mut met = output.pass(direct::acquaint("samba"))?;
        // The domain whose member this machine is goes first.
        met.sort_by_key(|(domain, _)| domain.name != name);
        let met: Vec<Met> = met.into_iter().map(|(domain, info)| Met { domain, info }).collect();
        let first = met.first().filter(|met| met.domain.name == name);
        let first = first.ok_or_else(|| Failure::no("samba", format!("{name} is not configured")))?;
        let server = output.pass(dns::find(&first.domain).and_then(|servers| connect::first(&servers)))?.server;
        let ids = output.pass(all_ids(&met, paths, options))?;
        for ids in &ids {
            let how = if ids.backend == Backend::Rid { "by arithmetic" } else { "by entractl (idmap_script)" };
            output.step(Step::ok("ids", format!("{}: {}-{}, {how}", ids.workgroup, ids.range.0, ids.range.1)));
        }
        let text = match fs::read_to_string(&places.smb_conf) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => output.pass(text.map_err(|error| Failure::no("smb.conf", error.to_string())))?,
        };
        let present = output.pass(present(&text))?;
        let others = output.pass(plan::others(&present, &ids, &configured.domains))?;
        output.step(Step::ok("ids", format!("everybody else: {}-{}", others.0, others.1)));
        let realm = first.domain.realm();
        let settings = plan::settings(&realm, &ids, others, programs::version());
        let overruled = contradictions(&present, &settings, &ids);
        output.pass(judge(&overruled, options.force))?;
        for what in &overruled {
            output.step(Step::warn("smb.conf", format!("overruled: {what}"), "take it out of smb.conf"));
        }
        let (file, smb_conf) = (plan::file(&settings), smb_conf::with_include(&text, &places.include));
        let (domain, sid) = (first.domain.clone(), first.info.sid.clone());
        Ok(Self { domain, realm, sid, ids, settings, overruled, file, smb_conf, server })
    }

    /// What testparm says of the files as they will be.
    fn tried(&self, places: &Places) -> Result<Step, Failure> {
        let folder = private()?;
        let (include, smb_conf) = (folder.file("entra.conf"), folder.file("smb.conf"));
        let text = smb_conf::with_include(&self.smb_conf, &include);
        file::replace(&include, self.file.as_bytes(), 0o600)
            .and_then(|()| file::replace(&smb_conf, text.as_bytes(), 0o600))
            .map_err(|error| Failure::no("testparm", error.to_string()))?;
        let printed = programs::testparm(&smb_conf, true).map_err(|error| {
            Failure::no("testparm", format!("{} would be refused: {error}", places.smb_conf.display()))
                .remedy("correct what it names; nothing was changed")
        })?;
        let seen = smb_conf::globals(&printed);
        if let Some(lost) = smb_conf::lost(&self.settings, &seen).next() {
            let error = format!("{} = {} does not count: something overrules it", lost.key, lost.value);
            return Err(Failure::no("testparm", error).remedy("`testparm -sv` shows what counts"));
        }
        Ok(Step::ok("testparm", format!("it takes {} settings", self.settings.len())))
    }

    /// Gives Samba the machine's secret, where it does not have it.
    fn secret(&self, paths: &Paths, output: &mut Output<'_>) -> Result<(), Failure> {
        if programs::testjoin().is_ok() {
            output.step(Step::ok("secret", "Samba has the machine's secret, and the domain accepts it"));
            return Ok(());
        }
        let failed =
            |error: String| Failure::no("secret", error).remedy("`entractl check connect samba` looks further");
        let workgroup = self.ids.first().map(|ids| ids.workgroup.as_str()).unwrap_or_default();
        secrets::begin(workgroup, &self.sid).map_err(failed)?;
        let rotated = keytab::rotate(&self.domain, &self.server, paths)?;
        programs::testjoin().map_err(|error| failed(format!("the domain does not accept Samba's secret: {error}")))?;
        let detail =
            format!("the machine has a new password, shared by keytab (key version {}) and Samba", rotated.kvno);
        output.step(Step::ok("secret", detail));
        Ok(())
    }
}

/// The domain whose member this host is.
fn joined(paths: &Paths, domains: &[Domain]) -> Result<String, Failure> {
    if let Some(journal) = Journal::load(paths, "samba")? {
        return Ok(journal.domain);
    }
    let member = domains.iter().find(|domain| machine::keys(&paths.keytab, &domain.realm()).is_ok());
    member.map(|domain| domain.name.clone()).ok_or_else(|| {
        Failure::no("join", "this host has joined no domain").remedy("`entractl join DOMAIN` first, then this")
    })
}

fn all_ids(met: &[Met], paths: &Paths, options: &SambaConfigure) -> Result<Vec<Ids>, Failure> {
    let wrong = |error: entra_core::Error| Failure::no("ids", error.to_string());
    let domains: Vec<Domain> = met.iter().map(|met| met.domain.clone()).collect();
    let slices = SliceStore::copy_of(&paths.slices).map_err(wrong)?;
    let mapper = IdMapper::open(slices, &domains).map_err(wrong)?;
    met.iter().map(|met| plan::ids(met, &mapper, options.backend)).collect()
}

/// What counts in `[global]` now, files that are included among it, and our own lines not.
fn present(text: &str) -> Result<Vec<Setting>, Failure> {
    let folder = private()?;
    let file = folder.file("smb.conf");
    let bare = smb_conf::without_include(text).unwrap_or_else(|| text.to_owned());
    file::replace(&file, bare.as_bytes(), 0o600).map_err(|error| Failure::no("smb.conf", error.to_string()))?;
    let printed = programs::testparm(&file, false).map_err(|error| {
        Failure::no("smb.conf", format!("testparm refuses it as it stands: {error}")).remedy("correct it first")
    })?;
    let present = smb_conf::globals(&printed);
    match smb_conf::value(&present, "config backend") {
        Some(backend) if !backend.eq_ignore_ascii_case("file") => {
            Err(Failure::no("smb.conf", format!("the settings are in the {backend} (config backend)"))
                .remedy("`net conf list` shows them; put them into smb.conf, or set what `--dry-run` shows by hand"))
        }
        _ => Ok(present),
    }
}

fn contradictions(present: &[Setting], settings: &[Setting], ids: &[Ids]) -> Vec<String> {
    let overruled = smb_conf::conflicts(present, settings).into_iter();
    let mut found: Vec<_> = overruled.map(|(it, own)| format!("{} = {} (would be {own})", it.key, it.value)).collect();
    found.extend(plan::foreign(present, ids).into_iter().map(|it| format!("{it} (overlaps the domain's ids)")));
    found
}

fn judge(overruled: &[String], force: bool) -> Result<(), Failure> {
    if overruled.is_empty() || force {
        return Ok(());
    }
    let error = format!("it says otherwise: {}", overruled.join("; "));
    let remedy = "take that out of smb.conf, or overrule it with --force; other ids than before would change the owners \
                  of files";
    Err(Failure::no("smb.conf", error).remedy(remedy))
}

fn private() -> Result<PrivateFolder, Failure> {
    PrivateFolder::make(Path::new(FOLDER)).map_err(|error| Failure::no("samba", format!("{FOLDER}: {error}")))
}

/// Samba reads most of it at its start only.
fn restarted() -> Step {
    let by_hand = "restart winbindd and smbd: most of it is read at their start";
    match programs::restart() {
        Ok(units) if units.is_empty() => Step::warn("service", "systemd does not run Samba here", by_hand),
        Ok(units) => Step::ok("service", format!("{} restarted", units.join(", "))),
        Err(error) => Step::warn("service", error, by_hand),
    }
}
