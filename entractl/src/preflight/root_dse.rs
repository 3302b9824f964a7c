//! The rootDSE (MS-ADTS 3.1.1.3.2): what a domain controller tells everybody about itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry};

use super::block_on;
use crate::exit::{Exit, Failure};

/// Longest wait for all of it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootDse {
    /// defaultNamingContext: the domain's DN.
    pub base_dn: String,
    /// dnsHostName of the DC, in lower case.
    pub host: String,
    /// DC's time minus ours, in seconds; exact to the round trip and the DC's full second.
    pub ahead_seconds: i64,
}

/// Reads it without any credentials, which AD always permits.
///
/// # Errors
/// Status 4 when no answer comes; status 1 when the answer is no domain controller's.
pub fn read(addr: SocketAddr) -> Result<RootDse, Failure> {
    let away = |error: String| {
        Failure::new(Exit::NoDirectory, "connect", format!("LDAP on {addr} gives no rootDSE: {error}"))
            .remedy("see whether this is a domain controller: `ldapsearch -x -H ldap://HOST -s base -b '' currentTime`")
    };
    let asked = SystemTime::now();
    let attributes = block_on("connect", async {
        tokio::time::timeout(TIMEOUT, search(addr))
            .await
            .map_err(|_| away(format!("timed out after {} s", TIMEOUT.as_secs())))?
            .map_err(|error| away(error.to_string()))
    })?;
    let answered = SystemTime::now();
    understand(&attributes, middle(asked, answered)).map_err(away)
}

async fn search(addr: SocketAddr) -> ldap3::result::Result<HashMap<String, Vec<String>>> {
    const ATTRIBUTES: [&str; 3] = ["defaultNamingContext", "dnsHostName", "currentTime"];
    let settings = LdapConnSettings::new().set_conn_timeout(TIMEOUT);
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &format!("ldap://{addr}")).await?;
    tokio::spawn(async move {
        // An error of the connection is one of the search, too.
        let _ = connection.drive().await;
    });
    let (entries, _) = ldap.search("", Scope::Base, "(objectClass=*)", ATTRIBUTES.to_vec()).await?.success()?;
    let _ = ldap.unbind().await;
    Ok(entries.into_iter().next().map(|entry| SearchEntry::construct(entry).attrs).unwrap_or_default())
}

fn understand(attributes: &HashMap<String, Vec<String>>, ours: i64) -> Result<RootDse, String> {
    let value = |name: &str| {
        attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, values)| values.first())
            .ok_or_else(|| format!("it has no {name}"))
    };
    let time = value("currentTime")?;
    let theirs = generalized_time(time).ok_or_else(|| format!("currentTime is `{time}`"))?;
    Ok(RootDse {
        base_dn: value("defaultNamingContext")?.clone(),
        host: value("dnsHostName")?.to_lowercase(),
        ahead_seconds: theirs - ours,
    })
}

/// The middle of two times, in Unix seconds.
fn middle(first: SystemTime, second: SystemTime) -> i64 {
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(u128::midpoint(millis(first), millis(second)) / 1_000).unwrap_or(i64::MAX)
}

/// GeneralizedTime in UTC (`20261120101527.0Z`, X.680 46) in Unix seconds.
fn generalized_time(text: &str) -> Option<i64> {
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
        let seen = understand(&attributes, 1_795_169_727 - 400).unwrap();
        let expected = RootDse { base_dn: "DC=d,DC=example".into(), host: "dc1.d.example".into(), ahead_seconds: 400 };
        assert_eq!(seen, expected);
        attributes.remove("currentTime");
        assert_eq!(understand(&attributes, 0).unwrap_err(), "it has no currentTime");
    }
}
