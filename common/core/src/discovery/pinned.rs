//! Servers that the configuration names instead of DNS.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::LDAP_PORT;

/// A pinned server: `dc1.contoso.com`, `10.0.0.4`, `dc1.contoso.com:3389`, `10.0.0.4:389`, `fd00::4`, `[fd00::4]:389`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// Its addresses are asked of DNS.
    Host {
        /// DNS name in lower case, without a trailing dot.
        host: String,
        /// Port of LDAP.
        port: u16,
    },
    /// Its name is asked of its rootDSE.
    Address(SocketAddr),
}

/// Text that names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no server: expected a host name or an address, such as dc1.contoso.com, 10.0.0.4 or [fd00::4]:389"
)]
pub struct PinnedError(String);

impl FromStr for Pinned {
    type Err = PinnedError;

    fn from_str(text: &str) -> Result<Self, PinnedError> {
        let wrong = || PinnedError(text.chars().take(80).collect());
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() == 0 { Err(wrong()) } else { Ok(Self::Address(addr)) };
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Address(SocketAddr::new(ip, LDAP_PORT)));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
            None => (text, LDAP_PORT),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // Digits and dots alone were meant as an address and are none.
        let mistyped = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if host.len() > 253 || mistyped || !host.split('.').all(label) {
            return Err(wrong());
        }
        Ok(Self::Host { host: host.to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let host = |host: &str, port| Ok(Pinned::Host { host: host.into(), port });
        assert_eq!("DC1.contoso.com".parse(), host("dc1.contoso.com", 389));
        assert_eq!("dc1.contoso.com.".parse(), host("dc1.contoso.com", 389));
        assert_eq!("dc1:3389".parse(), host("dc1", 3389));
        for (text, addr) in [
            ("10.0.0.4", "10.0.0.4:389"),
            ("10.0.0.4:636", "10.0.0.4:636"),
            ("fd00::4", "[fd00::4]:389"),
            ("[fd00::4]", "[fd00::4]:389"),
            ("[fd00::4]:3268", "[fd00::4]:3268"),
        ] {
            assert_eq!(text.parse(), Ok(Pinned::Address(addr.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", ":389", "dc1:", "dc1:0", "dc1:99999", "10.0.0", "1.2.3.4.5", "a b", "ldap://dc1", "dc..x", "[::1"]
        {
            assert!(text.parse::<Pinned>().is_err(), "{text}");
        }
    }
}
