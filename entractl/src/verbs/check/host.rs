//! `check security`: keys, modes and encryption types on this host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use entra_core::config::Domain;
use entra_core::discovery::Server;

use crate::exit::{Exit, Failure};
use crate::host::private::PrivateFolder;
use crate::host::{Paths, krb5_conf};
use crate::output::Step;
use crate::policy;
use crate::preflight::machine;

/// One line per thing that was looked at.
pub(super) fn check(paths: &Paths, domains: &[Domain]) -> Vec<Step> {
    let mut steps = vec![settle(configuration(&paths.config))];
    for domain in domains {
        steps.push(settle(keytab(paths, domain)));
        steps.push(settle(krb5(paths, domain)));
    }
    steps
}

fn settle(result: Result<Step, Failure>) -> Step {
    result.unwrap_or_else(|failure| Step::fail(&failure))
}

/// The modules take no id range from a file that others may write.
fn configuration(path: &Path) -> Result<Step, Failure> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|error| Failure::no("security", format!("{shown}: {error}")))?;
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        let error = format!(
            "{shown} can be written by others than root (owner {}, mode {:04o})",
            meta.uid(),
            meta.mode() & 0o7777
        );
        return Err(Failure::no("security", error).remedy(format!("`chown root: {shown}; chmod 644 {shown}`")));
    }
    Ok(Step::ok("security", format!("{shown} is root's alone to write")))
}

fn keytab(paths: &Paths, domain: &Domain) -> Result<Step, Failure> {
    need_root()?;
    let keys = machine::keys(&paths.keytab, &domain.realm())
        .map_err(|failure| Failure { step: "security".into(), ..failure })?;
    Ok(Step::ok("security", format!("{} is private, its {} keys are AES", paths.keytab.display(), keys.count)))
}

/// Whether the KDC lets a login hide in FAST armor, without which a weak password can be guessed from what is overheard.
pub(super) fn armor(domain: &Domain, server: &Server, paths: &Paths) -> Result<Step, Failure> {
    need_root()?;
    let offered = machine::armor_is_offered(&paths.keytab, &domain.realm(), server.kdc());
    if offered.map_err(|failure| Failure { step: "security".into(), ..failure })? {
        return Ok(Step::ok("security", format!("{server} offers Kerberos armor (FAST)")));
    }
    let remedy = "turn on Kerberos armoring in the domain's security settings";
    Ok(Step::warn("security", format!("{server} offers no Kerberos armor (FAST)"), remedy))
}

/// Logon rights of group policies, which nobody enforces here. Nothing where this machine has no key: that is another
/// line's to say.
pub(super) fn policies(domain: &Domain, paths: &Paths) -> Vec<Step> {
    let Ok(keys) = need_root().and_then(|()| machine::keys(&paths.keytab, &domain.realm())) else { return Vec::new() };
    let path = format!("/run/entractl-check.{}", std::process::id());
    let Ok(folder) = PrivateFolder::make(Path::new(&path)) else { return Vec::new() };
    policy::look("security", domain, keys.name.trim_end_matches('$'), paths, &folder)
}

fn need_root() -> Result<(), Failure> {
    if crate::host::effective_uid() == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::NotPermitted, "security", "only root can read the keytab").remedy("run it with sudo"))
}

/// Whether Kerberos programs on this host see AES only and no reverse DNS.
fn krb5(paths: &Paths, domain: &Domain) -> Result<Step, Failure> {
    let shown = paths.krb5_snippet.display();
    let failure = |error: String| {
        Failure::no("security", error).remedy("`entractl leave` and `entractl join` write the krb5 settings afresh")
    };
    let text = fs::read_to_string(&paths.krb5_snippet).map_err(|error| failure(format!("{shown}: {error}")))?;
    if let Some(wrong) = wrong_setting(&text) {
        return Err(failure(format!("{shown}: {wrong}")));
    }
    let krb5_conf = fs::read(&paths.krb5_conf).unwrap_or_default();
    if krb5_conf::with_include(&krb5_conf).is_some() {
        let error = format!(
            "{} does not include {} before its first section",
            paths.krb5_conf.display(),
            paths.krb5_dir.display()
        );
        return Err(failure(error).remedy(format!("put `{}` on its first line", krb5_conf::INCLUDE)));
    }
    Ok(Step::ok("security", format!("krb5 settings of {}: AES only, no reverse DNS", domain.realm())))
}

/// What the snippet says and should not, or does not say and should.
fn wrong_setting(text: &str) -> Option<String> {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == wanted).then(|| value.trim())
        })
    };
    let enctypes = value("permitted_enctypes").unwrap_or_default();
    if enctypes.is_empty()
        || !enctypes.split([' ', ',']).filter(|name| !name.is_empty()).all(|name| name.starts_with("aes"))
    {
        return Some("permitted_enctypes does not name AES alone".into());
    }
    ["rdns", "dns_canonicalize_hostname"]
        .into_iter()
        .find(|key| !value(key).is_some_and(|value| matches!(value, "false" | "no" | "0" | "off")))
        .map(|key| format!("{key} is not false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_weaken_are_named() {
        let good = krb5_conf::snippet("d.example", "D.EXAMPLE", &[]);
        assert_eq!(wrong_setting(&good), None);
        assert!(wrong_setting(&good.replace("aes128-cts-hmac-sha1-96", "arcfour-hmac")).unwrap().contains("AES"));
        assert_eq!(wrong_setting(&good.replace("rdns = false", "rdns = true")).unwrap(), "rdns is not false");
        assert!(wrong_setting("").is_some());
    }
}
