//! Finding the domain controllers, as the daemon does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use entra_core::config::{Domain, LdapSecurity};
use entra_core::discovery::{LocateError, Server, Servers, locate};

use super::block_on;
use crate::exit::{Exit, Failure};

/// Longest wait for DNS.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The domain controllers in the order in which to try them: the pinned ones, else those that DNS names. Never empty.
///
/// # Errors
/// Which DNS server was asked and which record is missing (status 1), or that none answers (status 4).
pub fn find(domain: &Domain) -> Result<Vec<Server>, Failure> {
    block_on("dns", async {
        if domain.servers.is_empty() {
            return locate(&domain.name, &domain.dns_servers, TIMEOUT).await.map_err(|error| explain(&error));
        }
        let wrong = |error: entra_core::Error| Failure::new(Exit::NoDirectory, "dns", error.to_string());
        // What is asked before a bind is asked on LDAP's own port, whatever protects the rest.
        let plain = Domain { ldap_security: LdapSecurity::Seal, ..domain.clone() };
        Arc::new(Servers::new(&plain).map_err(wrong)?).candidates(TIMEOUT).await.map_err(wrong)
    })
}

/// The domain controllers that these DNS servers name, whatever the configuration says.
///
/// # Errors
/// As [`find`].
pub fn records(domain: &str, servers: &[SocketAddr]) -> Result<Vec<Server>, Failure> {
    block_on("dns", async { locate(domain, servers, TIMEOUT).await.map_err(|error| explain(&error)) })
}

fn explain(error: &LocateError) -> Failure {
    let remedy = "use the domain controllers as DNS servers (`entractl dns set ADDRESS`), or name one with --server";
    match error {
        LocateError::NoDnsServer(_) => Failure::no("dns", error.to_string()).remedy(remedy),
        LocateError::Unreachable { .. } => Failure::new(Exit::NoDirectory, "dns", error.to_string()).remedy(remedy),
        LocateError::Missing { servers, record } => {
            let asked: Vec<_> = servers.iter().map(|server| server.ip().to_string()).collect();
            Failure::no("dns", format!("the DNS server {} has no SRV record {record}", asked.join(", "))).remedy(remedy)
        }
        LocateError::BadName(_) => Failure::new(Exit::Usage, "dns", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_record_names_server_and_record() {
        let record = "_ldap._tcp.dc._msdcs.d.example.".to_owned();
        let failure = explain(&LocateError::Missing { servers: vec!["10.0.0.1:53".parse().unwrap()], record });
        assert_eq!(failure.error, "the DNS server 10.0.0.1 has no SRV record _ldap._tcp.dc._msdcs.d.example.");
        assert_eq!(failure.exit, Exit::No);
        assert!(failure.remedy.unwrap().contains("--server"));
    }
}
