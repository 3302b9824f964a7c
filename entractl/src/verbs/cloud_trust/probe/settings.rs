//! What the host's krb5 settings say of the way to a storage account: host, KDC proxy, who vouches for it.

use std::fs;
use std::path::{Path, PathBuf};

use entra_core::kkdcp::ProxyUrl;

use super::super::shares::{self, REALM};
use super::super::snippet::{self, Says};
use crate::cli::CloudName;
use crate::exit::Failure;
use crate::host::Paths;

/// Most files of one folder of authorities.
const MOST_FILES: usize = 2048;

/// What is needed for the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The account's host.
    pub(super) host: String,
    /// Whether `[domain_realm]` gives the host to Entra ID's realm, so that programs ask for the trust by name.
    pub(super) mapped: bool,
    /// The first KDC proxy; `None` where there is none, with what stands there instead.
    pub(super) proxy: Result<ProxyUrl, String>,
    /// Files of authorities; none: the system's.
    pub(super) anchors: Vec<PathBuf>,
}

impl Settings {
    /// Reads them for an account.
    ///
    /// # Errors
    /// Status 2 where the account's name is none.
    pub(super) fn read(account: &str, paths: &Paths) -> Result<Self, Failure> {
        Self::from_says(account, &snippet::read_all(paths))
    }

    fn from_says(account: &str, says: &Says) -> Result<Self, Failure> {
        let account = shares::account(account)?;
        let host = host(account, says)?;
        let proxy = match says.kdcs.first() {
            None => Err(format!("no krb5 settings name a KDC of {REALM}")),
            Some(kdc) => ProxyUrl::parse(kdc).ok_or_else(|| format!("the KDC of {REALM} is {kdc:?}: no HTTPS URL")),
        };
        let mapped = realm_of(&host, says) == Some(REALM);
        Ok(Self { host, mapped, proxy, anchors: says.anchors.iter().flat_map(|value| anchor_files(value)).collect() })
    }
}

/// The account's host below the suffix that the settings map, or the public cloud's.
fn host(account: &str, says: &Says) -> Result<String, Failure> {
    let ours = says.hosts.iter().filter(|(_, realm)| realm == REALM).map(|(host, _)| host.as_str());
    for known in ours {
        let (label, suffix) = known.split_once('.').unwrap_or_default();
        if suffix.starts_with("file.core.") && (label.is_empty() || label == account) {
            return Ok(format!("{account}.{suffix}"));
        }
    }
    let hosts = shares::hosts(&[account.to_owned()], CloudName::Public.top_level_name())?;
    Ok(hosts.into_iter().next().unwrap_or_default())
}

/// The realm that `[domain_realm]` gives a host: its own line, else the nearest domain's (krb5.conf(5)).
fn realm_of<'a>(host: &str, says: &'a Says) -> Option<&'a str> {
    let line = |key: &str| says.hosts.iter().find(|(known, _)| known == key).map(|(_, realm)| realm.as_str());
    let domains = host.match_indices('.').flat_map(|(at, _)| [&host[at..], &host[at + 1..]]);
    std::iter::once(host).chain(domains).find_map(line)
}

/// The files behind a value of `http_anchors`.
fn anchor_files(value: &str) -> Vec<PathBuf> {
    let value = match value.strip_prefix("ENV:") {
        Some(variable) => std::env::var(variable).unwrap_or_default(),
        None => value.to_owned(),
    };
    match value.split_once(':') {
        Some(("DIR", folder)) => {
            let entries = fs::read_dir(Path::new(folder)).into_iter().flatten().flatten();
            let mut files: Vec<_> = entries.map(|it| it.path()).filter(|it| it.is_file()).take(MOST_FILES).collect();
            files.sort();
            files
        }
        Some(("FILE", file)) => vec![file.into()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KDC: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/kerberos";

    fn settings(account: &str, text: &str) -> Settings {
        Settings::from_says(account, &snippet::read(text)).unwrap()
    }

    #[test]
    fn what_configure_wrote_is_the_way() {
        let all = settings("acct", &snippet::text(KDC, &[".file.core.windows.net".into()]));
        assert_eq!((all.host.as_str(), all.mapped), ("acct.file.core.windows.net", true));
        assert_eq!(all.proxy.unwrap().host, "login.microsoftonline.com");
        let one = snippet::text(KDC, &["acct.file.core.usgovcloudapi.net".into()]);
        assert_eq!(settings("acct", &one).host, "acct.file.core.usgovcloudapi.net");
        let other = settings("other", &one);
        assert_eq!((other.host.as_str(), other.mapped), ("other.file.core.windows.net", false));
    }

    #[test]
    fn without_settings_there_is_no_proxy() {
        let none = settings("acct", "");
        assert!(!none.mapped && none.proxy.unwrap_err().contains("no krb5 settings"));
        let plain = settings("acct", &format!("[realms]\n{REALM} = {{\n kdc = kdc.example:88\n}}\n"));
        assert!(plain.proxy.unwrap_err().contains("kdc.example:88"));
    }

    #[test]
    fn the_nearest_line_decides() {
        let text = format!("[domain_realm]\n .windows.net = A.EXAMPLE\n acct.file.core.windows.net = {REALM}\n");
        assert!(settings("acct", &text).mapped);
        assert!(!settings("other", &text).mapped);
    }

    #[test]
    fn authorities_of_the_realm_are_used() {
        let text = format!("[realms]\n{REALM} = {{\n kdc = {KDC}\n http_anchors = FILE:/etc/my-ca.pem\n}}\n");
        assert_eq!(settings("acct", &text).anchors, [PathBuf::from("/etc/my-ca.pem")]);
    }
}
