//! `check security`, the directory's side: what the domain controller demands and offers, against what a managed domain's
//! "Security settings" can demand. What is off there is a weakness of the domain and not of this host: a warning.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use entra_core::config::{Domain, LdapSecurity};
use entra_core::directory::ldap::{Demand, TlsVersion, demands_binding, demands_signing, tls_versions};
use entra_core::discovery::{LDAPS_PORT, Server};

use crate::exit::Failure;
use crate::host::private::PrivateFolder;
use crate::host::{Paths, effective_uid};
use crate::output::Step;
use crate::preflight::{block_on, root_dse};

/// Longest wait for a ticket.
const TICKET: Duration = Duration::from_secs(5);
const STEP: &str = "security";

/// One line per setting. Nothing where this machine cannot prove itself: that is another line's to say.
pub(super) fn check(domain: &Domain, server: &Server, paths: &Paths) -> Vec<Step> {
    let path = format!("/run/entractl-security.{}", std::process::id());
    if effective_uid() != 0 {
        return Vec::new();
    }
    let Ok(folder) = PrivateFolder::make(Path::new(&path)) else { return Vec::new() };
    let ticket = folder.file("machine.ccache");
    let realm = domain.realm();
    if entra_krb5::initial_with_keytab(&realm, server.kdc(), None, &paths.keytab, &ticket, TICKET).is_err() {
        return Vec::new();
    }
    let mut server = server.clone();
    if server.host.is_empty() {
        let Ok((root, _)) = root_dse::read(server.addr) else { return Vec::new() };
        server.host = root.host;
    }
    let ccache = format!("FILE:{}", ticket.display());
    let asked = block_on(STEP, async {
        let ldaps = SocketAddr::new(server.addr.ip(), LDAPS_PORT);
        let signing = demands_signing(domain, &server, &ccache).await;
        let versions = tls_versions(ldaps).await;
        let binding = match &versions {
            Ok(_) => Some(demands_binding(domain, &server, &ccache).await),
            Err(_) => None,
        };
        Ok::<_, Failure>((signing, versions, binding))
    });
    let (signing, versions, binding) = match asked {
        Ok(asked) => asked,
        Err(failure) => return vec![Step::fail(&failure)],
    };
    let host = server.host.as_str();
    let mut steps = vec![signs(host, &signing)];
    steps.extend(tls(host, domain, &versions));
    steps.extend(binding.map(|binding| binds(host, domain, &binding)));
    let service = format!("ldap/{host}/{}@{realm}", domain.name);
    let rc4 = entra_krb5::gives_rc4(&realm, server.kdc(), &service, &ticket, TICKET);
    steps.push(weak_tickets(host, &rc4.map_err(|error| error.message)));
    steps
}

fn signs(host: &str, demand: &Demand) -> Step {
    match demand {
        Demand::Yes => Step::ok(STEP, format!("{host} takes no LDAP bind that is neither signed nor sealed")),
        Demand::No => Step::warn(
            STEP,
            format!("{host} takes LDAP binds that are neither signed nor sealed (this host always seals)"),
            "turn on \"LDAP signing\" in the domain's security settings (AD: LDAP server signing requirements)",
        ),
        Demand::Unknown(why) => unknown(format!("whether {host} demands LDAP signing is not known: {why}")),
    }
}

fn tls(host: &str, domain: &Domain, versions: &Result<Vec<TlsVersion>, String>) -> Option<Step> {
    let list = |versions: &[TlsVersion]| versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match versions {
        Err(why) if domain.ldap_security == LdapSecurity::Ldaps => Some(Step::fail(
            &Failure::no(STEP, format!("{host} offers no LDAPS ({why}), which the configuration asks for"))
                .remedy("have secure LDAP (TCP 636) enabled for the domain, or use ldap_security = \"seal\""),
        )),
        Err(_) => Some(Step::ok(STEP, format!("{host} offers no LDAPS: nothing here needs it"))),
        // A port that takes connections and has no certificate: the line about the certificate says so.
        Ok(spoken) if spoken.is_empty() => None,
        Ok(spoken) => {
            let old: Vec<_> = spoken.iter().copied().filter(|version| version.is_old()).collect();
            if old.is_empty() {
                return Some(Step::ok(STEP, format!("{host} speaks {}", list(spoken))));
            }
            if old.len() == spoken.len() {
                let what = format!("{host} speaks {} and nothing newer: no client of today connects", list(spoken));
                return Some(Step::warn(STEP, what, "enable TLS 1.2 on the domain controllers"));
            }
            Some(Step::warn(
                STEP,
                format!("{host} still speaks {} (this host does not)", list(&old)),
                "turn on \"TLS 1.2 only mode\" in the domain's security settings",
            ))
        }
    }
}

fn binds(host: &str, domain: &Domain, demand: &Result<Demand, String>) -> Step {
    match demand {
        Ok(Demand::Yes) => {
            Step::ok(STEP, format!("{host} has a verified certificate and enforces LDAP channel binding"))
        }
        Ok(Demand::No) => Step::warn(
            STEP,
            format!("{host} takes binds inside TLS without channel binding (this host always sends it)"),
            "turn on \"LDAP channel binding\" in the domain's security settings",
        ),
        Ok(Demand::Unknown(why)) => {
            unknown(format!("whether {host} enforces LDAP channel binding is not known: {why}"))
        }
        Err(why) => {
            let (what, remedy) = why.split_once(": ").unwrap_or((why, "see its certificate"));
            let what = format!("LDAPS of {host} cannot be used: {what}");
            if domain.ldap_security == LdapSecurity::Seal {
                return Step::warn(STEP, format!("{what} (nothing here needs it)"), remedy);
            }
            Step::fail(&Failure::no(STEP, what).remedy(remedy))
        }
    }
}

fn weak_tickets(host: &str, given: &Result<bool, String>) -> Step {
    match given {
        Ok(false) => Step::ok(STEP, format!("{host} gives no Kerberos tickets with RC4")),
        Ok(true) => Step::warn(
            STEP,
            format!("{host} gives Kerberos tickets with RC4 to whoever asks (this host does not)"),
            "turn off \"Kerberos RC4 encryption\" in the domain's security settings",
        ),
        Err(why) => unknown(format!("whether {host} gives Kerberos tickets with RC4 is not known: {why}")),
    }
}

fn unknown(what: String) -> Step {
    Step::warn(STEP, what, "`entractl check connect` sees whether the server answers at all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Mark;

    fn domain(security: &str) -> Domain {
        let text = format!("[domains.\"d.example\"]\nldap_security = \"{security}\"\n");
        entra_core::config::parse(&text).unwrap().domains.remove(0)
    }

    #[test]
    fn what_the_domain_leaves_open_is_a_warning_with_the_portals_name_for_it() {
        for (step, setting) in [
            (signs("dc1", &Demand::No), "LDAP signing"),
            (binds("dc1", &domain("seal"), &Ok(Demand::No)), "LDAP channel binding"),
            (weak_tickets("dc1", &Ok(true)), "Kerberos RC4 encryption"),
            (tls("dc1", &domain("seal"), &Ok(vec![TlsVersion::V11, TlsVersion::V12])).unwrap(), "TLS 1.2 only mode"),
        ] {
            assert_eq!(step.result, Mark::Warn, "{step:?}");
            assert!(step.remedy.as_ref().unwrap().contains(setting), "{step:?}");
        }
    }

    #[test]
    fn old_versions_are_named_and_new_ones_are_well() {
        let said = |versions: &[TlsVersion]| tls("dc1", &domain("seal"), &Ok(versions.to_vec())).unwrap();
        assert!(
            said(&[TlsVersion::V10, TlsVersion::V11, TlsVersion::V12]).detail.contains("still speaks TLS 1.0, TLS 1.1")
        );
        assert_eq!(said(&[TlsVersion::V12, TlsVersion::V13]), Step::ok(STEP, "dc1 speaks TLS 1.2, TLS 1.3"));
        assert!(said(&[TlsVersion::V11]).detail.contains("nothing newer"));
    }

    #[test]
    fn a_bad_certificate_matters_where_it_is_used() {
        let wrong = Err("the certificate of dc1 has expired: have a new one installed".to_owned());
        let unused = binds("dc1", &domain("seal"), &wrong);
        assert_eq!(unused.result, Mark::Warn);
        let used = binds("dc1", &domain("ldaps"), &wrong);
        assert_eq!((used.result, used.remedy.as_deref()), (Mark::Fail, Some("have a new one installed")));
        assert_eq!(tls("dc1", &domain("ldaps"), &Err("refused".into())).unwrap().result, Mark::Fail);
        assert_eq!(tls("dc1", &domain("seal"), &Err("refused".into())).unwrap().result, Mark::Ok);
    }
}
