//! `check samba`: whether Samba is a member of the same domain, with the same ids and the same secret.

use std::path::Path;
use std::time::Duration;

use entra_core::config::Domain;
use entra_core::control::{Reply, Request};
use entra_core::idmap::{IdMapper, SLICE_SIZE};
use entra_core::store::SliceStore;
use entra_core::types::Sid;

use crate::daemon;
use crate::exit::Failure;
use crate::host::Paths;
use crate::output::Step;
use crate::verbs::samba::programs;
use crate::verbs::samba::smb_conf::{self, Setting};
use crate::verbs::samba::undo::{Note, Places};

/// Longest wait for an answer of winbindd, which may ask a domain controller.
const WINBIND: Duration = Duration::from_secs(10);
/// Domain Users: every domain has it.
const DOMAIN_USERS: u32 = 513;

/// One line per thing that was looked at; one line alone where Samba is not ours to judge.
pub(super) fn check(domains: &[Domain], paths: &Paths, socket: &Path) -> Vec<Step> {
    let places = Places::installed();
    let note = match Note::load(&places) {
        Ok(Some(note)) => note,
        Err(failure) => return vec![Step::fail(&failure)],
        Ok(None) if programs::find("winbindd").is_none() => {
            return vec![Step::ok("samba", "Samba is not installed")];
        }
        Ok(None) => {
            let detail = "Samba is installed and does not serve the users of the domain";
            return vec![Step::warn("samba", detail, "`entractl samba configure`, where it should")];
        }
    };
    let settled = |result: Result<Step, Failure>| result.unwrap_or_else(|failure| Step::fail(&failure));
    let mut steps: Vec<Step> = vec![settled(programs::need().map(|()| Step::ok("samba", "its programs are there")))];
    let domain = domains.iter().find(|domain| domain.name == note.domain);
    match settings(&places) {
        Ok((step, present)) => {
            steps.push(step);
            steps.extend(domain.map(|domain| settled(ranges(&present, domain, &note, paths))));
        }
        Err(failure) => steps.push(Step::fail(&failure)),
    }
    if let Err(failure) = winbindd() {
        steps.push(Step::fail(&failure));
        return steps;
    }
    steps.push(Step::ok("samba", "winbindd answers"));
    if crate::host::effective_uid() == 0 {
        steps.push(settled(secret(&note.workgroup)));
    }
    steps.extend(domain.map(|domain| settled(same_ids(domain, paths, socket))));
    steps
}

/// Whether what was written is what counts.
fn settings(places: &Places) -> Result<(Step, Vec<Setting>), Failure> {
    let wrong = |what: String| Failure::no("samba", what).remedy("`entractl samba configure` writes it anew");
    let name = places.include.display();
    let text = std::fs::read_to_string(&places.include).map_err(|error| wrong(format!("{name}: {error}")))?;
    let ours = smb_conf::globals(&format!("[global]\n{text}"));
    let printed = programs::testparm(&places.smb_conf, true).map_err(wrong)?;
    let present = smb_conf::globals(&printed);
    let lost: Vec<_> = smb_conf::lost(&ours, &present).map(|own| own.key.as_str()).collect();
    if lost.contains(&"realm") {
        return Err(wrong(format!("{} does not include {name}", places.smb_conf.display())));
    }
    if !lost.is_empty() {
        let error = format!("{} overrules {name}: {}", places.smb_conf.display(), lost.join(", "));
        return Err(wrong(error).remedy("take these settings out of smb.conf"));
    }
    Ok((Step::ok("samba", format!("{} settings of {name} count", ours.len())), present))
}

/// Whether the ranges are apart, and the domain's is the one of lookups.
fn ranges(present: &[Setting], domain: &Domain, note: &Note, paths: &Paths) -> Result<Step, Failure> {
    let again = "`entractl samba configure` writes them anew";
    let wrong = |what: String| Failure::no("samba", what).remedy(again);
    let ranges = smb_conf::ranges(present);
    for (at, (name, range)) in ranges.iter().enumerate() {
        if let Some((other, _)) = ranges[at + 1..].iter().find(|(_, it)| it.0 <= range.1 && range.0 <= it.1) {
            return Err(wrong(format!("the ids of `idmap config {name}` and `{other}` overlap")));
        }
    }
    let own = ranges.iter().find(|(name, _)| name.eq_ignore_ascii_case(&note.workgroup)).map(|(_, range)| *range);
    let own = own.ok_or_else(|| wrong(format!("`idmap config {}` has no range", note.workgroup)))?;
    let backend = smb_conf::value(present, &format!("idmap config {} : backend", note.workgroup)).unwrap_or_default();
    if backend == "rid"
        && let Some((mapper, sid)) = mapper(domain, paths)
    {
        let further = mapper.blocks().iter().any(|block| block.domain == sid && block.first_rid >= SLICE_SIZE);
        if further {
            return Err(wrong("the domain has RIDs of 200000 and more, which `rid` does not map".into()));
        }
        if mapper.own_range(&domain.name).is_some_and(|range| range != own) {
            return Err(wrong(format!("Samba has {}-{} for {}, lookups have others", own.0, own.1, domain.name)));
        }
    }
    Ok(Step::ok("samba", format!("ids {}-{} ({backend}), apart from all others", own.0, own.1)))
}

fn winbindd() -> Result<(), Failure> {
    match programs::run("wbinfo", &["-p"], WINBIND) {
        Ok(done) if done.success => Ok(()),
        _ => Err(Failure::no("samba", "winbindd does not answer: smbd cannot serve a domain without it")
            .remedy("`systemctl restart winbind`; its log is /var/log/samba/log.winbindd")),
    }
}

fn secret(workgroup: &str) -> Result<Step, Failure> {
    let done = programs::run("wbinfo", &["-t", "--domain", workgroup], WINBIND);
    let said = match done {
        Ok(done) if done.success => return Ok(Step::ok("samba", "the domain accepts Samba's secret")),
        Ok(done) => done.errors.lines().next().unwrap_or_default().trim().to_owned(),
        Err(error) => error,
    };
    Err(Failure::no("samba", format!("the domain does not accept Samba's secret: {said}"))
        .remedy("`entractl testjoin` tells whether the keytab is right; if it is, `entractl samba configure`"))
}

/// Domain Users by winbindd, and by the daemon or its arithmetic.
fn same_ids(domain: &Domain, paths: &Paths, socket: &Path) -> Result<Step, Failure> {
    let wrong = |what: String| Failure::no("samba", what).remedy("`entractl samba configure`, then restart winbindd");
    let Some((mapper, sid)) = mapper(domain, paths) else {
        return Ok(Step::warn("samba", "ids cannot be compared yet", "start entrad, then check again"));
    };
    let group = sid.with_rid(DOMAIN_USERS).ok_or_else(|| wrong(format!("{sid} is no domain's SID")))?;
    let ours = match daemon::ask(socket, "samba", &Request::Sid { sid: group.to_string() }) {
        Ok(Reply::Group(group)) => Some(group.gid),
        _ => mapper.id_of(&group),
    };
    let Some(ours) = ours else {
        return Ok(Step::warn("samba", "ids cannot be compared: the directory gives none", "start entrad"));
    };
    let done = programs::run("wbinfo", &["-Y", &group.to_string()], WINBIND).map_err(wrong)?;
    let theirs = done.output.trim();
    if theirs.parse() == Ok(ours) {
        return Ok(Step::ok("samba", format!("winbindd and getent agree: {group} is gid {ours}")));
    }
    let theirs = if theirs.is_empty() { "nothing" } else { theirs };
    Err(wrong(format!("{group} is gid {ours} for getent and {theirs} for winbindd")))
}

/// Nothing where the files cannot be read, or the domain was never met.
fn mapper(domain: &Domain, paths: &Paths) -> Option<(IdMapper, Sid)> {
    let slices = SliceStore::copy_of(&paths.slices).ok()?;
    let mapper = IdMapper::open(slices, std::slice::from_ref(domain)).ok()?;
    let sid = mapper.domain_sid(&domain.name)?;
    Some((mapper, sid))
}
