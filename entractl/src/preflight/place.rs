//! Where the computer account goes, and whether the administrator may put it there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use entra_core::Error;
use entra_core::auth::{AuthAnswer, AuthRequest, Kdc, MachineTicket, PasswordPipe};
use entra_core::config::Domain;
use entra_core::directory::ldap::{LdapDirectory, Rights, Settings};

use super::{block_on, permit};
use crate::cli::Preset;
use crate::exit::{Exit, Failure};
use crate::output::Step;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The organizational unit that every managed domain has.
const MANAGED: &str = "OU=AADDC Computers";

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The domain, as it will be configured.
    pub domain: &'a Domain,
    /// The DC to ask.
    pub server: SocketAddr,
    /// Residual name of the ccache with the administrator's ticket.
    pub ccache: &'a str,
    /// Where the LDAP adapter may write its krb5 configuration.
    pub krb5_config: &'a Path,
    /// DN of the domain.
    pub base_dn: &'a str,
    /// Name of the computer account, without `$`.
    pub computer: &'a str,
    /// DN that the administrator named.
    pub ou: Option<&'a str>,
    /// Groups whose members are to be let in.
    pub permit: &'a [String],
    /// Kind of directory that the administrator named.
    pub preset: Option<Preset>,
    /// Whether the ticket is the computer's own: the account was prepared then.
    pub prepared: bool,
}

/// Where the account goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// DN of the organizational unit or container.
    pub ou: String,
    /// Kind of directory, as named or as seen.
    pub preset: Preset,
    /// DN of the account where there is one already.
    pub account: Option<String>,
    /// The step's line.
    pub step: Step,
}

/// Asks the directory with the administrator's ticket; for the groups, too.
///
/// # Errors
/// That there is no such organizational unit, or no right to create computers there, or an account that may not be
/// changed; status 4 when the directory does not answer.
pub fn find(question: &Question<'_>) -> Result<Place, Failure> {
    block_on("ou", async {
        let directory = connect(question).map_err(|error| asked(&error))?;
        let sam = format!("{}$", question.computer);
        let account = directory.computer(question.base_dn, &sam).await.map_err(|error| asked(&error))?;
        if question.prepared {
            let managed = directory.rights(&format!("{MANAGED},{}", question.base_dn)).await;
            let seen = managed.map_err(|error| asked(&error))?.is_some();
            let preset = question.preset.unwrap_or(if seen { Preset::EntraDs } else { Preset::ActiveDirectory });
            permit::check(&directory, question.permit).await?;
            return prepared(preset, account.as_ref(), &sam);
        }
        let (preset, container) = container(question, &directory).await?;
        let quota = directory.machine_account_quota(question.base_dn).await.map_err(|error| asked(&error))?;
        let place = judge(preset, &container, account.as_ref(), quota, &sam)?;
        permit::check(&directory, question.permit).await?;
        Ok(place)
    })
}

async fn container(question: &Question<'_>, directory: &LdapDirectory) -> Result<(Preset, Rights), Failure> {
    let managed = format!("{MANAGED},{}", question.base_dn);
    let seen = directory.rights(&managed).await.map_err(|error| asked(&error))?;
    let preset = question.preset.unwrap_or(if seen.is_some() { Preset::EntraDs } else { Preset::ActiveDirectory });
    let found = match (question.ou, preset) {
        (Some(dn), _) => directory.rights(dn).await,
        (None, Preset::EntraDs) => Ok(seen),
        (None, Preset::ActiveDirectory) => directory.computers_container(question.base_dn).await,
    };
    let missing = || {
        let name = question.ou.map_or(managed.clone(), str::to_owned);
        Failure::no("ou", format!("the domain has no {name}, or this account may not see it"))
            .remedy("name an organizational unit that exists with --ou, as a DN such as OU=Servers,DC=example,DC=com")
    };
    match found {
        Ok(found) => Ok((preset, found.ok_or_else(missing)?)),
        // invalidDNSyntax, namingViolation: it is no DN.
        Err(Error::Protocol(_)) if question.ou.is_some() => Err(missing()),
        Err(error) => Err(asked(&error)),
    }
}

/// The place of an account that is there, which nobody but its owner needs to be allowed to change.
fn prepared(preset: Preset, account: Option<&Rights>, sam: &str) -> Result<Place, Failure> {
    let missing = || Failure::no("ou", format!("the account {sam} may not see itself")).remedy("see its permissions");
    let dn = account.ok_or_else(missing)?.dn.clone();
    // The first comma that no backslash escapes ends the account's own name (RFC 4514).
    let end = dn.match_indices(',').find(|(at, _)| !dn[..*at].ends_with('\\')).map_or(0, |(at, _)| at + 1);
    let step = Step::ok("ou", format!("the account {dn} was prepared"));
    Ok(Place { ou: dn[end..].to_owned(), preset, account: Some(dn), step })
}

fn judge(
    preset: Preset,
    container: &Rights,
    account: Option<&Rights>,
    quota: u32,
    sam: &str,
) -> Result<Place, Failure> {
    let place = |account: Option<&Rights>, step: Step| Place {
        ou: container.dn.clone(),
        preset,
        account: account.map(|account| account.dn.clone()),
        step,
    };
    let ou = &container.dn;
    match account {
        Some(account) if account.may_write("servicePrincipalName") => {
            let detail = format!("the account {} is there already and is taken over", account.dn);
            Ok(place(Some(account), Step::ok("ou", detail)))
        }
        Some(account) => {
            Err(Failure::no("ou", format!("there is an account {} already, and you may not change it", account.dn))
                .remedy("have it deleted, use another administrator, or give another --computer-name"))
        }
        None if container.may_create("computer") => {
            Ok(place(None, Step::ok("ou", format!("{ou}, where you may create computers"))))
        }
        // Whether the quota is used up, and whether it counts in this place, only the attempt tells.
        None if quota > 0 => {
            let detail = format!("you have no right in {ou}; the quota of {quota} computers for everybody may serve");
            Ok(place(None, Step::warn("ou", detail, "where it does not, use a member of AAD DC Administrators")))
        }
        None => Err(Failure::no("ou", format!("you may not create computers such as {sam} in {ou}"))
            .remedy("use an account that may (a member of AAD DC Administrators), or name another --ou")),
    }
}

fn asked(error: &Error) -> Failure {
    match error {
        Error::Offline(_) => Failure::new(Exit::NoDirectory, "ou", error.to_string()),
        // The bind was the administrator's, not this machine's.
        Error::MachineUnauthorized(said) => Failure::no("ou", format!("the directory refuses this account: {said}")),
        _ => Failure::no("ou", error.to_string()),
    }
}

/// A directory that binds as the administrator, to the DC that was chosen.
fn connect(question: &Question<'_>) -> Result<LdapDirectory, Error> {
    let settings = Settings {
        domain: Domain { servers: vec![question.server.to_string()], ..question.domain.clone() },
        profile_path: question.krb5_config.to_owned(),
        machine_ccache: question.ccache.to_owned(),
        lookup_deadline: TIMEOUT,
        bulk_deadline: TIMEOUT,
    };
    LdapDirectory::new(settings, Arc::new(TicketIsThere))
}

/// The ticket was got before: nothing more is asked of a KDC on this side.
struct TicketIsThere;

#[async_trait]
impl Kdc for TicketIsThere {
    async fn machine_ticket(&self, _realm: &str, _kdc: SocketAddr) -> Result<MachineTicket, Error> {
        Ok(MachineTicket { expires: SystemTime::now() + Duration::from_secs(600) })
    }

    async fn authenticate(&self, _: AuthRequest, _: PasswordPipe) -> Result<AuthAnswer, Error> {
        Err(Error::Config("nobody logs in here".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(dn: &str, create: &[&str], write: &[&str]) -> Rights {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rights { dn: dn.into(), child_classes: owned(create), attributes: owned(write) }
    }

    #[test]
    fn rights_and_quota() {
        let open = rights("OU=a", &["computer"], &[]);
        let shut = rights("OU=b", &["group"], &[]);
        let found = |container, account, quota| judge(Preset::EntraDs, container, account, quota, "H$");
        assert!(found(&open, None, 0).unwrap().step.detail.contains("may create computers"));
        assert!(found(&shut, None, 10).unwrap().step.detail.contains("quota of 10"));
        let refused = found(&shut, None, 0).unwrap_err();
        assert_eq!(refused.error, "you may not create computers such as H$ in OU=b");
        assert_eq!(refused.exit, Exit::No);
    }

    #[test]
    fn a_prepared_account_stays_where_it_is() {
        let mine = rights("CN=web\\,1,OU=c,DC=d", &[], &[]);
        let place = prepared(Preset::EntraDs, Some(&mine), "WEB1$").unwrap();
        assert_eq!((place.ou.as_str(), place.account.as_deref()), ("OU=c,DC=d", Some("CN=web\\,1,OU=c,DC=d")));
        assert!(prepared(Preset::EntraDs, None, "WEB1$").is_err());
    }

    #[test]
    fn an_account_that_is_there_counts_and_not_the_container() {
        let shut = rights("OU=b", &[], &[]);
        let mine = rights("CN=H,OU=c", &[], &["servicePrincipalName"]);
        let place = judge(Preset::ActiveDirectory, &shut, Some(&mine), 0, "H$").unwrap();
        assert_eq!(place.account.as_deref(), Some("CN=H,OU=c"));
        let open = rights("OU=a", &["computer"], &[]);
        let foreign = rights("CN=H,OU=c", &[], &["description"]);
        let refused = judge(Preset::ActiveDirectory, &open, Some(&foreign), 10, "H$").unwrap_err();
        assert!(refused.error.contains("CN=H,OU=c already"), "{}", refused.error);
    }
}
