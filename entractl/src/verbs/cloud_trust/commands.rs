//! What Microsoft's PowerShell module `AzureADHybridAuthenticationManagement` is told for this domain. Making, rotating and
//! removing the objects is its work: half of them are in the cloud.

use serde::Serialize;

/// One thing to do, and the command that does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Command {
    /// What for.
    pub(super) purpose: &'static str,
    /// The command, for PowerShell on a Windows host of the domain.
    pub(super) command: String,
}

/// All of them for a domain. Inside of 24 hours after the last change of the key a rotation has to be forced.
pub(super) fn all(domain: &str, forced: bool) -> Vec<Command> {
    let common = format!(
        "-Domain '{domain}' -DomainCredential (Get-Credential) -UserPrincipalName 'ADMIN@TENANT.onmicrosoft.com'"
    );
    let set = format!("Set-AzureADKerberosServer {common}");
    let force = if forced { " -Force" } else { "" };
    let one = |purpose, command| Command { purpose, command };
    vec![
        one("make the objects and the trust", format!("{set} -SetupCloudTrust")),
        one(
            "the same in a sovereign cloud (here the United States' government's)",
            format!("{set} -SetupCloudTrust -TopLevelNames 'usgovcloudapi.net,windows.net'"),
        ),
        one("change the key", format!("{set} -SetupCloudTrust -RotateServerKey{force}")),
        one("remove the trust alone", format!("Remove-AzureADKerberosServerTrustedDomainObject {common}")),
        one("remove everything", format!("Remove-AzureADKerberosServer {common}")),
        one(
            "where that ends in error 0x549, because this is a child domain: first in the forest's root",
            format!("{set} -SetupCloudTrust").replace(&format!("'{domain}'"), "'ROOT DOMAIN'"),
        ),
        one("then in this one, without the trust", set.clone()),
        one(
            "what the cloud's half is",
            format!(
                "Get-AzureADKerberosServer {common} | Format-List; (Get-AzureADKerberosServer {common}).CloudTrustDisplay"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_key_is_rotated_by_force() {
        let rotate = |forced| all("aadds.contoso.com", forced).into_iter().find(|it| it.purpose == "change the key");
        assert!(rotate(true).unwrap().command.ends_with("-SetupCloudTrust -RotateServerKey -Force"));
        assert!(rotate(false).unwrap().command.ends_with("-RotateServerKey"));
        let elsewhere = |it: &Command| !it.command.contains("-Domain 'aadds.contoso.com'");
        let elsewhere: Vec<_> = all("aadds.contoso.com", false).into_iter().filter(elsewhere).collect();
        assert_eq!(elsewhere.len(), 1, "only a child domain's trust is made in another domain: {elsewhere:?}");
    }
}
