//! Which hosts the file shares are on, and the names that an administrator gives for them.

use crate::cli::CloudName;
use crate::exit::{Exit, Failure};

/// The realm of Entra ID. Every tenant's has this name; the KDC proxy's URL tells the tenants apart.
pub(super) const REALM: &str = "KERBEROS.MICROSOFTONLINE.COM";

/// What stands between the account and the top-level name in a host name of Azure Files.
const FILE: &str = "file.core";

impl CloudName {
    /// The host whose KDC proxy serves the cloud's tenants.
    pub(super) fn login_host(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::Usgov => "login.microsoftonline.us",
        }
    }

    /// What the storage accounts' names end with, which is the trust's top-level name.
    pub(super) fn top_level_name(self) -> &'static str {
        match self {
            Self::Public => "windows.net",
            Self::Usgov => "usgovcloudapi.net",
        }
    }
}

/// The hosts that belong to the realm, as `[domain_realm]` names them: one per account, or all by their suffix.
///
/// # Errors
/// Status 2 for a name that is none.
pub(super) fn hosts(accounts: &[String], top_level_name: &str) -> Result<Vec<String>, Failure> {
    let suffix = suffix(top_level_name)?;
    if accounts.is_empty() {
        return Ok(vec![format!(".{suffix}")]);
    }
    let mut hosts = Vec::with_capacity(accounts.len());
    for account in accounts {
        let host = format!("{}.{suffix}", self::account(account)?);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// The name of a storage account: 3 to 24 lower-case letters and digits.
///
/// # Errors
/// Status 2, with what is wrong.
pub(super) fn account(name: &str) -> Result<&str, Failure> {
    let shown = name.escape_default();
    let usage = |what: String| Failure::new(Exit::Usage, "storage account", what);
    if let Some(label) = name.split_once('.').map(|(label, _)| label) {
        let label = label.escape_default();
        return Err(usage(format!("{shown} is a host name")).remedy(format!("give the account alone: {label}")));
    }
    if let Some((at, other)) = name.chars().enumerate().find(|(_, c)| !c.is_ascii_lowercase() && !c.is_ascii_digit()) {
        let what = format!("{shown} has '{}' at place {}", other.escape_debug(), at + 1);
        return Err(usage(what).remedy("names of storage accounts are lower-case letters and digits"));
    }
    if !(3..=24).contains(&name.len()) {
        let what = format!("\"{shown}\" has {} characters: names of storage accounts have 3 to 24", name.len());
        return Err(usage(what).remedy("the portal lists the accounts under Storage accounts"));
    }
    Ok(name)
}

/// `file.core.` and the top-level name.
fn suffix(top_level_name: &str) -> Result<String, Failure> {
    let name = top_level_name.to_ascii_lowercase();
    let usage = |what: String| Failure::new(Exit::Usage, "top-level name", what);
    if let Some(rest) = name.trim_start_matches('.').strip_prefix("file.core.").or(name.strip_prefix("core.")) {
        return Err(usage(format!("{name} is more than the top-level name")).remedy(format!("give {rest}")));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if name.len() > 200 || !name.contains('.') || !name.split('.').all(label) {
        let what = format!("{} is no domain name", top_level_name.escape_default());
        return Err(usage(what).remedy("such as windows.net, as the trust's TopLevelNames has it"));
    }
    Ok(format!("{FILE}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_or_those_that_are_named() {
        assert_eq!(hosts(&[], "windows.net").unwrap(), [".file.core.windows.net"]);
        let named = ["acct".to_owned(), "other1".to_owned(), "acct".to_owned()];
        let expected = ["acct.file.core.usgovcloudapi.net", "other1.file.core.usgovcloudapi.net"];
        assert_eq!(hosts(&named, "usgovcloudapi.net").unwrap(), expected);
    }

    #[test]
    fn names_of_accounts_have_their_rules() {
        assert!(account("ab").unwrap_err().error.contains("has 2 characters"));
        assert!(account(&"a".repeat(25)).is_err() && account(&"a".repeat(24)).is_ok() && account("a1b").is_ok());
        assert!(account("Acct").unwrap_err().error.contains("'A' at place 1"));
        assert!(account("my-acct").unwrap_err().error.contains("'-' at place 3"));
        let host = account("acct.file.core.windows.net").unwrap_err();
        assert_eq!(host.remedy.unwrap(), "give the account alone: acct");
        assert_eq!(account("a = b\n").unwrap_err().exit, Exit::Usage, "a line of its own in krb5.conf");
    }

    #[test]
    fn a_top_level_name_is_a_domain_name() {
        for wrong in ["", "net", "a..b", "-a.b", "a b.c", "a.b\n[realms]"] {
            assert!(suffix(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(suffix("file.core.windows.net").unwrap_err().remedy.unwrap(), "give windows.net");
    }
}
