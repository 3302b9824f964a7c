//! The rootDSE (MS-ADTS 3.1.1.3.2): what a domain controller tells everybody about itself, without a bind. Proves
//! nothing; it serves diagnosis, and the search for a reason when Kerberos does not work yet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry};

use crate::Error;

/// What is read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootDse {
    /// defaultNamingContext: the domain's DN.
    pub base_dn: String,
    /// dnsHostName of the DC, in lower case.
    pub host: String,
    /// currentTime in Unix seconds: the DC's clock, which shows full seconds.
    pub current_time: i64,
}

/// Reads the rootDSE of the server at `addr`.
///
/// # Errors
/// [`Error::Offline`] when no answer comes before `timeout`; [`Error::Protocol`] when it is no domain controller's.
pub async fn root_dse(addr: SocketAddr, timeout: Duration) -> Result<RootDse, Error> {
    let attributes = tokio::time::timeout(timeout, search(addr, timeout))
        .await
        .map_err(|_| Error::Offline(format!("{addr} gave no rootDSE in {:.1} s", timeout.as_secs_f32())))?
        .map_err(|error| Error::Offline(format!("{addr} gave no rootDSE: {error}")))?;
    understand(&attributes).map_err(|error| Error::Protocol(format!("the rootDSE of {addr}: {error}")))
}

async fn search(addr: SocketAddr, timeout: Duration) -> ldap3::result::Result<HashMap<String, Vec<String>>> {
    const ATTRIBUTES: [&str; 3] = ["defaultNamingContext", "dnsHostName", "currentTime"];
    let settings = LdapConnSettings::new().set_conn_timeout(timeout);
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &format!("ldap://{addr}")).await?;
    // A message that ldap3 cannot parse makes it panic: the task ends, and the search fails.
    tokio::spawn(connection.drive());
    let (entries, _) = ldap.search("", Scope::Base, "(objectClass=*)", ATTRIBUTES.to_vec()).await?.success()?;
    let _ = ldap.unbind().await;
    Ok(entries.into_iter().next().map(|entry| SearchEntry::construct(entry).attrs).unwrap_or_default())
}

fn understand(attributes: &HashMap<String, Vec<String>>) -> Result<RootDse, String> {
    let value = |name: &str| {
        attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, values)| values.first())
            .ok_or_else(|| format!("it has no {name}: not Active Directory?"))
    };
    let time = value("currentTime")?;
    let current_time = generalized_time(time).ok_or_else(|| format!("currentTime is `{time}`"))?;
    let base_dn = value("defaultNamingContext")?.clone();
    Ok(RootDse { base_dn, host: value("dnsHostName")?.to_lowercase(), current_time })
}

/// GeneralizedTime in UTC (`20261120101527.0Z`, X.680 46) in Unix seconds.
pub(super) fn generalized_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(14)?;
    let utc = rest.strip_suffix('Z')?;
    let fraction = utc.is_empty() || utc.strip_prefix('.').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    if !fraction || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01 in the Gregorian calendar, with years that begin in March so that a leap day comes last.
    let years = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        years * 365 + years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400) + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(generalized_time("19700101000000.0Z"), Some(0));
        assert_eq!(generalized_time("20000229235959.0Z"), Some(951_868_799));
        assert_eq!(generalized_time("20261120101527Z"), Some(1_795_169_727));
        for wrong in
            ["", "20261120101527", "2026112010152", "20261320101527.0Z", "20261120101527.xZ", "2026112010152\u{e4}Z"]
        {
            assert_eq!(generalized_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn attributes_in_any_case_and_missing_ones() {
        let mut attributes: HashMap<_, _> = [
            ("DefaultNamingContext", "DC=d,DC=example"),
            ("dNSHostName", "DC1.d.example"),
            ("currentTime", "20261120101527.0Z"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
        .collect();
        let seen = understand(&attributes).unwrap();
        let expected =
            RootDse { base_dn: "DC=d,DC=example".into(), host: "dc1.d.example".into(), current_time: 1_795_169_727 };
        assert_eq!(seen, expected);
        attributes.remove("currentTime");
        assert!(understand(&attributes).unwrap_err().contains("it has no currentTime"));
    }
}
