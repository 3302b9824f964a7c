//! How the host stands with its domains, in the words of NAS software: one state, and a code for each thing that is wrong.
//! The codes are those of TrueNAS where it has one for the same thing (its directory services' health checks, there with
//! `AD_` before some of them).

use std::fs;
use std::os::unix::fs::MetadataExt;

use entra_core::config::Domain;
use entra_core::control::{DomainStatus, Status};
use entra_core::directory::Fault;
use serde::Serialize;

use crate::exit::Failure;
use crate::host::Paths;
use crate::host::changing::Change;
use crate::host::journal::{Journal, State as JoinState};
use crate::output::relative;
use crate::preflight::machine;

/// From here on the clock counts as wrong, in seconds; Kerberos fails at 300.
pub(super) const MOST_SLEW: u64 = 180;

/// How the host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    /// No domain is configured.
    Disabled,
    /// Something is wrong, as the codes say.
    Faulted,
    /// `entractl join` runs.
    Joining,
    /// `entractl leave` runs.
    Leaving,
    /// Every domain serves.
    Healthy,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Code {
    /// The directory refuses the machine's key.
    SecretInvalid,
    /// The keytab has no usable key of this machine.
    KeytabInvalid,
    /// No domain controller serves.
    NetlogonFailure,
    /// The clock is off by more than [`MOST_SLEW`].
    NtpExcessiveSlew,
    /// Samba has another SID for the domain than the directory.
    StaleLocalSid,
    /// The settings for Kerberos programs are missing.
    #[serde(rename = "KRB5_NO_CONFIG")]
    Krb5NoConfig,
    /// Others than root may write them.
    #[serde(rename = "KRB5_CONFIG_PERM")]
    Krb5ConfigPerm,
    /// There is no keytab.
    #[serde(rename = "KRB5_NO_KEYTAB")]
    Krb5NoKeytab,
    /// Others than root may read or write it.
    #[serde(rename = "KRB5_KEYTAB_PERM")]
    Krb5KeytabPerm,
    /// The machine's ticket has ended.
    #[serde(rename = "KRB5_TKT_EXPIRED")]
    Krb5TktExpired,
    /// The configuration is refused.
    ConfigInvalid,
    /// A join was broken off.
    JoinIncomplete,
    /// The daemon does not answer.
    EntradStopped,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Which.
    pub code: Code,
    /// Whether it makes the host FAULTED: else somebody should know.
    pub severity: Severity,
    /// Whose; `None` = the host's.
    pub domain: Option<String>,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// It makes the host FAULTED.
    Error,
    /// Works, but somebody should know.
    Warning,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Health {
    /// In one word.
    pub state: State,
    /// In one sentence.
    pub message: String,
    /// Everything that is wrong, the errors first.
    #[serde(rename = "health")]
    pub findings: Vec<Finding>,
}

/// What was found out, each by who may.
pub(super) struct Seen<'a> {
    /// The join or leave that runs.
    pub changing: Option<(Change, u32)>,
    /// The host's files.
    pub paths: &'a Paths,
    /// What the daemon says, or why it says nothing.
    pub status: Result<&'a Status, &'a Failure>,
    /// The domain controllers' clocks minus ours in seconds, by domain, where one was asked.
    pub slews: &'a [(String, i64)],
    /// Samba's workgroup and the SID that it has for it, where Samba serves this domain.
    pub samba: Option<(String, String)>,
    /// Now, in Unix seconds.
    pub now: u64,
}

/// Judges it.
pub(super) fn judge(seen: &Seen<'_>) -> Health {
    let mut health = Vec::new();
    let config = entra_core::config::load(&seen.paths.config);
    if let Err(error) = config.as_ref().map_err(|error| (!error.missing).then(|| error.to_string()))
        && let Some(error) = error
    {
        health.push(error_of(
            Code::ConfigInvalid,
            None,
            error,
            "correct that place; `entractl config check` says when",
        ));
    }
    let domains = config.map(|config| config.domains).unwrap_or_default();
    let broken_off = journal_state(seen.paths) == Some(JoinState::Joining) && seen.changing.is_none();
    if broken_off {
        let what = "a join was broken off before its end".to_owned();
        health.push(error_of(Code::JoinIncomplete, None, what, "`entractl join` again, or `entractl leave`"));
    }
    if !domains.is_empty() {
        health.extend(krb5(seen.paths));
        health.extend(domains.iter().filter_map(|domain| keytab(seen.paths, domain)));
        match seen.status {
            Ok(status) => health.extend(status.domains.iter().flat_map(|domain| of_domain(domain, seen))),
            Err(failure) => {
                let remedy = failure.remedy.clone().unwrap_or_default();
                health.push(error_of(Code::EntradStopped, None, failure.error.clone(), &remedy));
            }
        }
    }
    health.sort_by_key(|finding| finding.severity != Severity::Error);
    let fault = health.iter().find(|finding| finding.severity == Severity::Error);
    let (state, message) = match (seen.changing, fault) {
        (Some((Change::Joining, pid)), _) => (State::Joining, format!("`entractl join` runs (process {pid})")),
        (Some((Change::Leaving, pid)), _) => (State::Leaving, format!("`entractl leave` runs (process {pid})")),
        (None, Some(fault)) => (State::Faulted, fault.message.clone()),
        (None, None) if domains.is_empty() => {
            (State::Disabled, "no domain is configured: `entractl join DOMAIN` joins one".to_owned())
        }
        (None, None) => (State::Healthy, healthy(seen.status.ok())),
    };
    Health { state, message, findings: health }
}

fn healthy(status: Option<&Status>) -> String {
    let each = status.into_iter().flat_map(|status| &status.domains).map(|domain| match &domain.server {
        Some(server) => format!("{} by {server}", domain.domain),
        None => domain.domain.clone(),
    });
    format!("online with {}", each.collect::<Vec<_>>().join(", "))
}

fn error_of(code: Code, domain: Option<&str>, message: String, remedy: &str) -> Finding {
    let domain = domain.map(str::to_owned);
    Finding { code, severity: Severity::Error, domain, message, remedy: remedy.to_owned() }
}

/// How far a join came; nothing where only root could tell.
fn journal_state(paths: &Paths) -> Option<JoinState> {
    Journal::load(paths, "status").ok().flatten().map(|journal| journal.state)
}

/// The settings that Kerberos programs of this host have. The daemon has its own.
fn krb5(paths: &Paths) -> Option<Finding> {
    let shown = paths.krb5_snippet.display();
    let remedy = "`entractl check security` says what belongs there";
    match fs::metadata(&paths.krb5_snippet) {
        Err(_) => Some(Finding {
            severity: Severity::Warning,
            ..error_of(Code::Krb5NoConfig, None, format!("{shown} is missing"), remedy)
        }),
        Ok(meta) if meta.uid() != 0 || meta.mode() & 0o022 != 0 => {
            let message = format!("{shown} can be written by others than root");
            Some(error_of(Code::Krb5ConfigPerm, None, message, &format!("`chown root: {shown}; chmod 644 {shown}`")))
        }
        Ok(_) => None,
    }
}

fn keytab(paths: &Paths, domain: &Domain) -> Option<Finding> {
    let shown = paths.keytab.display();
    let name = Some(domain.name.as_str());
    let rejoin = "`entractl leave`, then `entractl join`";
    match fs::metadata(&paths.keytab) {
        Err(_) => return Some(error_of(Code::Krb5NoKeytab, name, format!("{shown} is missing"), rejoin)),
        Ok(meta) if meta.uid() != 0 || meta.mode() & 0o177 != 0 => {
            let message = format!("{shown} has owner {} and mode {:04o}", meta.uid(), meta.mode() & 0o7777);
            let remedy = format!("`chown root: {shown}; chmod 600 {shown}`; if others could read it, join again");
            return Some(error_of(Code::Krb5KeytabPerm, name, message, &remedy));
        }
        Ok(_) => {}
    }
    if crate::host::effective_uid() != 0 {
        return None;
    }
    let failure = machine::keys(&paths.keytab, &domain.realm()).err()?;
    Some(error_of(Code::KeytabInvalid, name, failure.error, failure.remedy.as_deref().unwrap_or(rejoin)))
}

/// What the daemon says of a domain.
fn of_domain(domain: &DomainStatus, seen: &Seen<'_>) -> Vec<Finding> {
    let name = Some(domain.domain.as_str());
    let set_clock = "set the clock: `timedatectl set-ntp true`, with the domain controllers as time servers";
    let mut found = Vec::new();
    if !domain.online {
        let reason = domain.reason.clone().unwrap_or_else(|| "the domain was not reached yet".into());
        let (code, remedy) = match domain.fault {
            Some(Fault::Refused) => (Code::SecretInvalid, "`entractl testjoin` names what is wrong with the join"),
            Some(Fault::Clock) => (Code::NtpExcessiveSlew, set_clock),
            Some(Fault::Unreachable) | None => {
                (Code::NetlogonFailure, "`entractl check` names what keeps the directory away")
            }
        };
        found.push(error_of(code, name, reason, remedy));
    }
    let slew = seen.slews.iter().find(|(of, _)| *of == domain.domain).map(|(_, ahead)| *ahead);
    if let Some(ahead) = slew.filter(|ahead| ahead.unsigned_abs() > MOST_SLEW) {
        let side = if ahead > 0 { "behind" } else { "ahead of" };
        let message = format!("this host's clock is {} s {side} the domain controller's", ahead.unsigned_abs());
        found.push(error_of(Code::NtpExcessiveSlew, name, message, set_clock));
    }
    if let Some(end) = domain.machine_ticket_expires.filter(|end| *end < seen.now) {
        let message = format!("the machine's ticket ended {}", relative(end, seen.now));
        let remedy = "the daemon gets one as soon as a domain controller answers; `entractl testjoin` tries it";
        let finding = error_of(Code::Krb5TktExpired, name, message, remedy);
        found.push(Finding { severity: Severity::Warning, ..finding });
    }
    if let (Some((workgroup, theirs)), Some(netbios), Some(sid)) = (&seen.samba, &domain.netbios, &domain.sid)
        && workgroup.eq_ignore_ascii_case(netbios)
        && theirs != sid
    {
        let message = format!("Samba has the SID {theirs} for {workgroup}, the directory has {sid}");
        found.push(error_of(
            Code::StaleLocalSid,
            name,
            message,
            "`entractl samba configure` gives Samba the right one",
        ));
    }
    found
}

/// For people: the state, and a line per finding.
pub(super) fn render(health: &Health) -> String {
    let mut lines = vec![format!("health: {}", word(health.state))];
    lines.extend(health.findings.iter().map(|finding| {
        let place = finding.domain.as_ref().map(|domain| format!("{domain}: ")).unwrap_or_default();
        format!("{:<18} {place}{} -> {}", word(finding.code), finding.message, finding.remedy)
    }));
    lines.join("\n")
}

/// A state or a code as the JSON form has it.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::host::file::tests::Folder;
    use crate::host::keytab::tests::record;
    use entra_core::control::CacheStats;
    use std::os::unix::fs::PermissionsExt;

    const DOMAIN: &str = "d.example";

    fn host() -> (Folder, Paths) {
        let folder = Folder::new();
        let paths = Paths::below(&folder.0);
        let files: [(&Path, &[u8], u32); 3] = [
            (&paths.config, b"[domains.\"d.example\"]\n", 0o644),
            (&paths.krb5_snippet, b"[libdefaults]\n", 0o644),
            (&paths.keytab, &[&[5, 2][..], &record("HOST$", "D.EXAMPLE", 2, 18)].concat(), 0o600),
        ];
        for (path, bytes, mode) in files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        (folder, paths)
    }

    fn status(online: bool, fault: Option<Fault>) -> Status {
        let domain = DomainStatus {
            domain: DOMAIN.into(),
            netbios: Some("D".into()),
            sid: Some("S-1-5-21-1-2-3".into()),
            online,
            since: 1,
            reason: fault.map(|_| "the reason".into()),
            fault,
            server: Some("dc1.d.example".into()),
            address: None,
            latency_us: None,
            id_range: None,
            machine_ticket_expires: Some(2_000),
            keytab_changed: None,
        };
        Status { version: "1".into(), uptime_seconds: 1, domains: vec![domain], cache: CacheStats::default() }
    }

    fn seen<'a>(paths: &'a Paths, status: &'a Status) -> Seen<'a> {
        Seen { changing: None, paths, status: Ok(status), slews: &[], samba: None, now: 1_000 }
    }

    fn codes(health: &Health) -> Vec<String> {
        health.findings.iter().map(|finding| word(finding.code)).collect()
    }

    #[test]
    fn every_code_has_its_cause() {
        if crate::host::effective_uid() != 0 {
            return; // The keytab and the settings have to be root's.
        }
        let (_folder, paths) = host();
        let well = status(true, None);
        let judged = judge(&seen(&paths, &well));
        assert_eq!((judged.state, codes(&judged)), (State::Healthy, vec![]), "{judged:?}");
        assert_eq!(judged.message, "online with d.example by dc1.d.example");
        for (fault, code) in [
            (Fault::Refused, "SECRET_INVALID"),
            (Fault::Clock, "NTP_EXCESSIVE_SLEW"),
            (Fault::Unreachable, "NETLOGON_FAILURE"),
        ] {
            let away = status(false, Some(fault));
            let judged = judge(&seen(&paths, &away));
            assert_eq!((judged.state, codes(&judged)), (State::Faulted, vec![code.to_owned()]));
            assert_eq!(judged.message, "the reason");
        }
        let slews = [(DOMAIN.to_owned(), -181)];
        let judged = judge(&Seen { slews: &slews, ..seen(&paths, &well) });
        assert_eq!(codes(&judged), ["NTP_EXCESSIVE_SLEW"]);
        assert!(judged.message.contains("181 s ahead of"), "{judged:?}");
        let slews = [(DOMAIN.to_owned(), 180)];
        assert_eq!(judge(&Seen { slews: &slews, ..seen(&paths, &well) }).state, State::Healthy);
        let samba = Some(("D".to_owned(), "S-1-5-21-9-9-9".to_owned()));
        assert_eq!(codes(&judge(&Seen { samba, ..seen(&paths, &well) })), ["STALE_LOCAL_SID"]);
        let late = judge(&Seen { now: 3_000, ..seen(&paths, &well) });
        assert_eq!((late.state, codes(&late)), (State::Healthy, vec!["KRB5_TKT_EXPIRED".to_owned()]), "a warning");
        let stopped = Failure::new(crate::exit::Exit::NoDaemon, "status", "entrad is not running");
        assert_eq!(codes(&judge(&Seen { status: Err(&stopped), ..seen(&paths, &well) })), ["ENTRAD_STOPPED"]);

        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&paths.keytab, 0o644);
        assert_eq!(codes(&judge(&seen(&paths, &well))), ["KRB5_KEYTAB_PERM"]);
        mode(&paths.keytab, 0o600);
        fs::write(&paths.keytab, [5, 2]).unwrap();
        assert_eq!(codes(&judge(&seen(&paths, &well))), ["KEYTAB_INVALID"]);
        fs::remove_file(&paths.keytab).unwrap();
        mode(&paths.krb5_snippet, 0o666);
        assert_eq!(codes(&judge(&seen(&paths, &well))), ["KRB5_CONFIG_PERM", "KRB5_NO_KEYTAB"]);
        fs::remove_file(&paths.krb5_snippet).unwrap();
        let judged = judge(&seen(&paths, &well));
        assert_eq!(codes(&judged), ["KRB5_NO_KEYTAB", "KRB5_NO_CONFIG"], "errors first");
        assert!(render(&judged).starts_with("health: FAULTED\nKRB5_NO_KEYTAB     d.example: "), "{}", render(&judged));
    }

    #[test]
    fn a_host_without_a_domain_is_disabled_unless_it_is_on_its_way() {
        let (_folder, paths) = host();
        let nobody = Status { domains: Vec::new(), ..status(true, None) };
        fs::write(&paths.config, "").unwrap();
        assert_eq!(judge(&seen(&paths, &nobody)).state, State::Disabled);
        let joining = Some((Change::Joining, 77));
        assert_eq!(judge(&Seen { changing: joining, ..seen(&paths, &nobody) }).state, State::Joining);
        let leaving = Some((Change::Leaving, 77));
        assert_eq!(judge(&Seen { changing: leaving, ..seen(&paths, &nobody) }).state, State::Leaving);
        Journal::begin(DOMAIN, "HOST", None).save(&paths).unwrap();
        let judged = judge(&seen(&paths, &nobody));
        assert_eq!((judged.state, codes(&judged)), (State::Faulted, vec!["JOIN_INCOMPLETE".to_owned()]));
        fs::write(&paths.config, "x = 1\n").unwrap();
        assert!(codes(&judge(&seen(&paths, &nobody))).contains(&"CONFIG_INVALID".to_owned()));
    }
}
