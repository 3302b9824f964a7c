//! Which group policies count for a computer, as far as they may hold security settings (MS-GPOL 3.2.5.1, MS-GPSB).
//! Nothing of them is enforced here: an administrator is told.
//!
//! Not looked at: links of sites, WMI filters, and whether the policy's permissions let this computer apply it.

use super::LdapDirectory;
use super::entry::Raw;
use crate::Error;

/// The client-side extension for security settings (MS-GPSB 1.9).
const SECURITY_EXTENSION: &str = "827D319E-6EAC-11D2-A4EA-00C04F79F83A";
/// groupPolicyContainer.flags: its computer half is off (MS-GPOL 2.2.4).
const COMPUTER_DISABLED: u32 = 2;
/// gPOptions of a container: what is linked above it does not count, unless enforced.
const BLOCKS: u32 = 1;
/// Most policies that are read.
const MOST: usize = 64;

/// A group policy with security settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Its identifier, `{…}`, which is also the name of its folder in SYSVOL.
    pub id: String,
    /// Display name.
    pub name: String,
    /// DN of the container that links it.
    pub linked_at: String,
}

/// One link in a container's gPLink.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    dn: String,
    enforced: bool,
}

impl LdapDirectory {
    /// The policies that hold security settings and are linked above the computer with this sAMAccountName (`HOST$`),
    /// nearest first.
    ///
    /// # Errors
    /// As every lookup.
    pub async fn security_policies(&self, base_dn: &str, sam: &str) -> Result<Vec<SecurityPolicy>, Error> {
        let Some(computer) = self.computer(base_dn, sam).await? else { return Ok(Vec::new()) };
        let mut found: Vec<SecurityPolicy> = Vec::new();
        let (mut blocked, mut read) = (false, 0);
        for container in containers(&computer.dn, base_dn) {
            let Some(entry) = self.read(container, &["gPLink", "gPOptions"], self.soon()).await? else { continue };
            for link in links(entry.text("gPLink").unwrap_or_default()) {
                if blocked && !link.enforced || read == MOST {
                    continue;
                }
                read += 1;
                let attributes = ["name", "displayName", "flags", "gPCMachineExtensionNames"];
                let policy = self.read(&link.dn, &attributes, self.soon()).await?;
                let policy = policy.and_then(|policy| with_security(&policy, container));
                found.extend(policy.filter(|policy| found.iter().all(|known| known.id != policy.id)));
            }
            blocked |= entry.number::<u32>("gPOptions").is_some_and(|options| options & BLOCKS != 0);
        }
        Ok(found)
    }
}

fn with_security(policy: &Raw, linked_at: &str) -> Option<SecurityPolicy> {
    let extensions = policy.text("gPCMachineExtensionNames")?.to_uppercase();
    let off = policy.number::<u32>("flags").is_some_and(|flags| flags & COMPUTER_DISABLED != 0);
    if off || !extensions.contains(SECURITY_EXTENSION) {
        return None;
    }
    let id = policy.text("name")?.to_owned();
    let name = policy.text("displayName").unwrap_or(&id).to_owned();
    Some(SecurityPolicy { id, name, linked_at: linked_at.to_owned() })
}

/// The containers of an entry up to the domain, nearest first.
fn containers<'a>(dn: &'a str, base_dn: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = dn;
    while let Some(parent) = parent(rest) {
        if parent.len() < base_dn.len() {
            break;
        }
        found.push(parent);
        rest = parent;
    }
    found
}

/// Reads a DN and a gPLink, whatever they are.
#[cfg(feature = "fuzzing")]
pub(super) fn read_any(dn: &str, base_dn: &str, text: &str) {
    assert!(containers(dn, base_dn).iter().all(|container| dn.ends_with(container) && container.len() < dn.len()));
    assert!(links(text).iter().all(|link| text.contains(&link.dn)));
}

/// What stands behind the first comma that no backslash escapes (RFC 4514 2.4).
fn parent(dn: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, byte) in dn.bytes().enumerate() {
        match byte {
            b'\\' => escaped = !escaped,
            b',' if !escaped => return dn.get(at + 1..),
            _ => escaped = false,
        }
    }
    None
}

/// The links of a gPLink, `[LDAP://DN;OPTIONS]…` (MS-GPOL 2.2.2), those that are off left out. The last one of the text
/// counts most.
fn links(text: &str) -> Vec<Link> {
    let parsed = text.split(']').rev().filter_map(|part| {
        let (dn, options) = part.trim_start_matches('[').rsplit_once(';')?;
        let dn = dn.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("LDAP://")).and(dn.get(7..))?;
        let options: u32 = options.trim().parse().ok()?;
        (options & 1 == 0).then(|| Link { dn: dn.to_owned(), enforced: options & 2 != 0 })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::raw;
    use super::*;

    #[test]
    fn containers_up_to_the_domain() {
        let base = "DC=d,DC=example";
        let dn = "CN=WEB\\,1,OU=a\\\\,OU=b,DC=d,DC=example";
        assert_eq!(containers(dn, base), ["OU=a\\\\,OU=b,DC=d,DC=example", "OU=b,DC=d,DC=example", "DC=d,DC=example"]);
    }

    #[test]
    fn links_that_are_off_do_not_count() {
        let text = "[LDAP://cn={A},cn=policies;0][ldap://cn={B},cn=policies;1][LDAP://cn={C},cn=policies;2][rubbish]";
        let link = |id: &str, enforced| Link { dn: format!("cn={{{id}}},cn=policies"), enforced };
        assert_eq!(links(text), [link("C", true), link("A", false)]);
        assert!(links(" ").is_empty());
    }

    #[test]
    fn only_policies_with_security_settings_for_computers() {
        let security: &[u8] = b"[{827d319e-6eac-11d2-a4ea-00c04f79f83a}{803E14A0-B4FB-11D0-A0D0-00A0C90F574B}]";
        let policy = |extensions: &'static [u8], flags: &'static [u8]| {
            raw("CN={A}", &[("name", &[b"{A}"]), ("gPCMachineExtensionNames", &[extensions]), ("flags", &[flags])])
        };
        let found = with_security(&policy(security, b"0"), "OU=x").unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str(), found.linked_at.as_str()), ("{A}", "{A}", "OU=x"));
        assert_eq!(with_security(&policy(security, b"2"), "OU=x"), None);
        assert_eq!(with_security(&policy(b"[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}]", b"0"), "OU=x"), None);
    }
}
