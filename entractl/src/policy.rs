//! Logon rights that group policies give or deny on this computer. Windows enforces them, and SSSD does by default;
//! nobody does here, so an administrator who relies on them must hear it.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use entra_core::Error;
use entra_core::config::Domain;
use entra_core::directory::Directory;
use entra_core::directory::ldap::{LdapDirectory, SecurityPolicy, Settings};

use crate::direct::MachineKdc;
use crate::host::Paths;
use crate::host::private::PrivateFolder;
use crate::output::{Step, printable};
use crate::preflight::block_on;
use crate::process;

/// Reads files of SYSVOL.
const SMBCLIENT: &str = "/usr/bin/smbclient";
/// Longest time to read one file.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for one answer of the directory.
const DEADLINE: Duration = Duration::from_secs(10);
/// Rights to log on here (MS-GPSB 2.2.6): given, then denied.
const RIGHTS: [&str; 8] = [
    "SeInteractiveLogonRight",
    "SeRemoteInteractiveLogonRight",
    "SeNetworkLogonRight",
    "SeBatchLogonRight",
    "SeDenyInteractiveLogonRight",
    "SeDenyRemoteInteractiveLogonRight",
    "SeDenyNetworkLogonRight",
    "SeDenyBatchLogonRight",
];

/// What to do about a right that counts for nothing.
const REMEDY: &str = "let in the same people with `permit` in the domain's table access, or `entractl join --permit`";

/// Looks for logon rights, with the machine's own ticket. One line per policy that sets some; one line that says that
/// there are none.
pub fn look(step: &str, domain: &Domain, computer: &str, paths: &Paths, folder: &PrivateFolder) -> Vec<Step> {
    let found = policies(domain, computer, paths, folder);
    let asked = match found {
        Ok(found) => found,
        Err(error) => {
            let detail = format!("whether group policies set logon rights for this computer is not known: {error}");
            return vec![Step::warn(step, detail, "`entractl check security` looks again")];
        }
    };
    let ccache = folder.file("machine.ccache");
    let names: Vec<_> = asked.policies.iter().map(|policy| format!("\"{}\"", printable(&policy.name))).collect();
    if !names.is_empty() && !Path::new(SMBCLIENT).exists() {
        let detail = format!("group policies may set logon rights, which are not enforced here: {}", names.join(", "));
        let remedy = "`apt-get install smbclient`, then `entractl check security` reads them";
        return vec![Step::warn(step, detail, remedy)];
    }
    let mut steps = Vec::new();
    for (policy, name) in asked.policies.iter().zip(names) {
        match template(&asked, &domain.name, &policy.id, &ccache, folder) {
            Ok(text) => {
                let rights = logon_rights(&text);
                if !rights.is_empty() {
                    let detail = format!("the group policy {name} sets {}: not enforced here", rights.join(", "));
                    steps.push(Step::warn(step, detail, REMEDY));
                }
            }
            Err(error) => {
                let detail = format!("the group policy {name} may set logon rights, not enforced here: {error}");
                steps.push(Step::warn(step, detail, "see that policy's user rights assignment"));
            }
        }
    }
    if steps.is_empty() {
        steps.push(Step::ok(step, "no group policy sets logon rights for this computer"));
    }
    steps
}

/// The domain controller that was asked.
struct Asked {
    host: String,
    address: IpAddr,
    policies: Vec<SecurityPolicy>,
}

/// Asks the directory. The ticket stays in the folder.
fn policies(domain: &Domain, computer: &str, paths: &Paths, folder: &PrivateFolder) -> Result<Asked, String> {
    let ccache = folder.file("machine.ccache");
    let settings = Settings {
        domain: domain.clone(),
        profile_path: folder.file("krb5.conf"),
        machine_ccache: format!("FILE:{}", ccache.display()),
        lookup_deadline: DEADLINE,
        bulk_deadline: DEADLINE,
    };
    let kdc = Arc::new(MachineKdc { keytab: paths.keytab.clone(), ccache });
    let asked = async {
        let directory = LdapDirectory::new(settings, kdc)?;
        let info = directory.domain_info().await?;
        let policies = directory.security_policies(&info.base_dn, &format!("{computer}$")).await?;
        let health = directory.health();
        match (health.server, health.address) {
            (Some(host), Some(address)) => Ok(Asked { host, address: address.ip(), policies }),
            _ => Err(Error::Offline("no domain controller".into())),
        }
    };
    block_on("policy", async { Ok(asked.await) }).map_err(|failure| failure.error)?.map_err(|error| error.to_string())
}

/// The policy's security template, as text; empty where it has none.
fn template(asked: &Asked, domain: &str, id: &str, ccache: &Path, folder: &PrivateFolder) -> Result<String, String> {
    let host = asked.host.as_str();
    // smbclient runs what follows a `!` or `;` of its commands: nothing from the directory stands in them unchecked.
    if !is_guid(id) || !is_name(domain) || !is_name(host) {
        return Err("its name is none".into());
    }
    let local = folder.file("GptTmpl.inf");
    let script = format!(
        "get \"{domain}\\Policies\\{id}\\Machine\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf\" \"{}\"",
        local.display()
    );
    let mut command = Command::new(SMBCLIENT);
    command
        .arg(format!("//{host}/sysvol"))
        .arg(format!("--ip-address={}", asked.address))
        // The option alone is not enough for Samba 4.17, the variable alone makes it ask for a password.
        .env("KRB5CCNAME", format!("FILE:{}", ccache.display()))
        .arg(format!("--use-krb5-ccache=FILE:{}", ccache.display()))
        .args(["--configfile=/dev/null", "--client-protection=encrypt", "-c"])
        .arg(script);
    let done = process::run(&mut command, TIMEOUT, &|| false)?;
    let said = format!("{}{}", done.output, done.errors);
    if said.contains("NT_STATUS_OBJECT_NAME_NOT_FOUND") || said.contains("NT_STATUS_OBJECT_PATH_NOT_FOUND") {
        return Ok(String::new());
    }
    let bytes = std::fs::read(&local).map_err(|_| {
        let line = said.lines().find(|line| line.contains("NT_STATUS")).unwrap_or("smbclient gives no reason");
        printable(line.trim())
    })?;
    let _ = std::fs::remove_file(&local);
    Ok(text(&bytes))
}

/// UTF-16 with a byte order mark, as Windows writes it, or bytes.
fn text(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(rest) => {
            let (units, _) = rest.as_chunks::<2>();
            String::from_utf16_lossy(&units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>())
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The logon rights that a template names, under `[Privilege Rights]`.
fn logon_rights(text: &str) -> Vec<&'static str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.eq_ignore_ascii_case("[Privilege Rights]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            found.extend(RIGHTS.into_iter().find(|right| right.eq_ignore_ascii_case(name.trim())));
        }
    }
    found
}

/// How many logon rights a file of SYSVOL names, whatever it is.
#[cfg(feature = "fuzzing")]
pub fn rights_in(bytes: &[u8]) -> usize {
    logon_rights(&text(bytes)).len()
}

fn is_guid(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    let lengths: Vec<_> = inner.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && inner.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_found_in_their_section_alone() {
        let template = "[Unicode]\r\nUnicode=yes\r\n[System Access]\r\nSeNetworkLogonRight = 1\r\n[Privilege Rights]\r\n\
                        seinteractivelogonright = *S-1-5-32-544,*S-1-5-21-1-2-3-1200\r\nSeBackupPrivilege = *S-1-5-32-551\r\n\
                        SeDenyRemoteInteractiveLogonRight =\r\n[Version]\r\nsignature=\"$CHICAGO$\"\r\n";
        let wide: Vec<u8> = template.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [template.as_bytes().to_vec(), [&[0xff, 0xfe], wide.as_slice()].concat()] {
            let rights = logon_rights(&text(&bytes));
            assert_eq!(rights, ["SeInteractiveLogonRight", "SeDenyRemoteInteractiveLogonRight"]);
        }
        assert!(logon_rights("").is_empty());
    }

    #[test]
    fn nothing_of_the_directory_becomes_a_command() {
        assert!(is_guid("{31B2F340-016D-11D2-945F-00C04FB984F9}"));
        for wrong in ["", "{}", "31B2F340-016D-11D2-945F-00C04FB984F9", "{31B2F340-016D-11D2-945F-00C04FB984;!}"] {
            assert!(!is_guid(wrong), "{wrong}");
        }
        assert!(is_name("dc1.d.example") && !is_name("d\";!id") && !is_name("-L"));
    }
}
