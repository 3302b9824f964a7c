//! The URL of a KDC proxy (krb5.conf(5), `kdc`).

use std::fmt;

/// Port of HTTPS.
const HTTPS: u16 = 443;

/// `https://HOST[:PORT]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl {
    /// The host's name, in lower case, which the certificate has to be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path, with its slash.
    pub path: String,
}

impl ProxyUrl {
    /// Reads a value of `kdc`. `None` for anything but an HTTPS URL whose parts can stand in a request.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).map(|_| &text[8..])?;
        let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
            None => (place, HTTPS),
        };
        let is_host = (1..=253).contains(&host.len())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        // A space or a line end would make the request another one.
        let is_path = path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic());
        (is_host && is_path).then(|| Self { host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "https://{}:{}{}", self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_krb5_conf_says_is_read() {
        let url = ProxyUrl::parse("https://Login.example:8443/tenant/kerberos").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("login.example", 8443));
        assert_eq!(url.to_string(), "https://login.example:8443/tenant/kerberos");
        assert_eq!(ProxyUrl::parse("HTTPS://login.example").unwrap().to_string(), "https://login.example:443/");
    }

    #[test]
    fn what_would_make_another_request_is_refused() {
        for wrong in [
            "http://a/b",
            "kdc.example:88",
            "https://",
            "https://a:0/b",
            "https://a:99999/b",
            "https://a b/c",
            "https://a/b c",
            "https://a/b\r\nX: y",
            "https://[::1]/x",
            "https",
            "https:/ä",
        ] {
            assert_eq!(ProxyUrl::parse(wrong), None, "{wrong:?}");
        }
    }
}
