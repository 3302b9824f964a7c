//! Why a hop failed, and what to do about it.

use entra_core::kkdcp::{Anchors, ProxyError, ProxyUrl};
use entra_krb5::{Error, Kind};

use super::super::shares::REALM;
use crate::exit::{Exit, Failure};
use crate::output::span;

/// A failed hop, and why.
#[derive(Debug)]
pub(super) struct Cause {
    /// Which one.
    pub(super) hop: &'static str,
    /// The cause as one word, for programs.
    pub(super) word: &'static str,
    /// The cause in one sentence.
    error: String,
    remedy: String,
    exit: Exit,
}

impl Cause {
    /// A failure that was found elsewhere.
    pub(super) fn of(hop: &'static str, word: &'static str, failure: Failure) -> Self {
        let remedy = failure.remedy.unwrap_or_default();
        Self { hop, word, error: failure.error, remedy, exit: failure.exit }
    }

    /// For the output.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.exit, self.hop, self.error.as_str()).remedy(self.remedy.as_str())
    }
}

/// The failure of `hop`.
pub(super) fn cause(
    hop: &'static str,
    word: &'static str,
    error: impl Into<String>,
    remedy: impl Into<String>,
) -> Cause {
    Cause { hop, word, error: error.into(), remedy: remedy.into(), exit: Exit::No }
}

/// Set the clock.
const CLOCK: &str = "set the clock: `timedatectl set-ntp true`, with the domain controllers as time servers";
/// Make the trust.
const MAKE: &str = "`sudo entractl cloud-trust status` shows what the domain has, and the command that makes the trust";
/// Change the key.
const ROTATE: &str = "`sudo entractl cloud-trust status` shows the key's age and the command that changes it \
                      (-RotateServerKey); a change takes hours to reach every domain controller and the cloud";

/// Why the domain's KDC gave no ticket for the realm.
pub(super) fn of_referral(error: &Error, kdc: &str) -> Cause {
    let hop = "referral";
    match error.kind {
        Kind::UnknownServer | Kind::WrongRealm => {
            cause(hop, "no-trust", format!("{kdc} knows no trust with {REALM}"), MAKE)
        }
        Kind::ClockSkew => skew(hop, error, kdc),
        Kind::Unreachable | Kind::TimedOut => {
            let mut silent = cause(hop, "domain-kdc", error.message.clone(), "`entractl check connect`");
            silent.exit = Exit::NoDirectory;
            silent
        }
        Kind::EtypeNotSupported => cause(
            hop,
            "encryption-types",
            format!("{kdc} and this host have no encryption type in common for the trust: {}", error.message),
            "the trusted domain object has to allow AES (msDS-SupportedEncryptionTypes 24); `sudo entractl cloud-trust \
             status` shows it",
        ),
        _ if error.kdc_number() == Some(32) => expired(hop),
        _ => cause(hop, "refused", format!("{kdc} refuses: {}", error.message), MAKE),
    }
}

/// What the domain's KDC says of the host's name, where programs without a mapping ask for it.
pub(super) fn of_name(host: &str, realm: Option<&str>) -> Cause {
    let hop = "referral";
    match realm {
        Some(other) => cause(
            hop,
            "name-claimed",
            format!("the domain refers {host} to {other}: the top-level names of another trust claim it"),
            format!("`entractl cloud-trust configure` maps the host to {REALM}; or take the name from the other trust"),
        ),
        None => cause(
            hop,
            "name-unknown",
            format!("the domain refers {host} to nobody: the trust's top-level names lack its name"),
            "`entractl cloud-trust configure` maps the host; or make the trust with -TopLevelNames that hold the name",
        ),
    }
}

/// The domain itself has an account for the host.
pub(super) fn of_own_account(host: &str) -> Cause {
    cause(
        "referral",
        "name-own",
        format!("the domain itself has an account for cifs/{host}: the storage account is joined to the domain"),
        format!(
            "if it uses Entra Kerberos now, delete that account; `entractl cloud-trust configure` maps the host to {REALM}"
        ),
    )
}

/// The TGT is over.
pub(super) fn expired(hop: &'static str) -> Cause {
    cause(hop, "tgt-expired", "the ticket of the domain has expired", "`kinit`, or log in again")
}

/// Why the proxy cannot be reached, or gives no Kerberos message.
pub(super) fn of_proxy(hop: &'static str, error: &ProxyError, url: &ProxyUrl, anchors: Option<&Anchors>) -> Cause {
    let host = &url.host;
    let files: Vec<_> = anchors.iter().flat_map(|it| &it.files).map(|file| file.display().to_string()).collect();
    let files = files.join(", ");
    let said = format!("{host}: {error}");
    match error {
        ProxyError::Name(_) => cause(hop, "proxy-name", error.to_string(), "`getent hosts` has to find it: see to DNS"),
        ProxyError::Connection(_) => {
            cause(hop, "proxy-down", said, format!("open TCP {} from this host to {host}", url.port))
        }
        ProxyError::NoTrust { .. } => {
            cause(hop, "anchor", said, "`apt-get install ca-certificates`, or see to http_anchors in the krb5 settings")
        }
        ProxyError::UnknownAuthority => cause(
            hop,
            "anchor",
            format!("{said} (looked in {files})"),
            "if a proxy of your network breaks TLS open, add its authority (/usr/local/share/ca-certificates, then \
             `update-ca-certificates`) or except this host there",
        ),
        ProxyError::Expired => {
            cause(hop, "expired", said, "compare this host's clock; else the proxy needs a new certificate")
        }
        ProxyError::NotYetValid => cause(hop, "not-yet-valid", said, CLOCK),
        ProxyError::OtherHost(_) => {
            cause(hop, "other-host", said, "see what answers there: `getent hosts` and `kdc =` in the krb5 settings")
        }
        ProxyError::Tls(_) => cause(hop, "tls", said, "see what answers there: is it the KDC proxy's port?"),
        ProxyError::Http(404, _) => cause(
            hop,
            "tenant",
            format!("{host} has no KDC proxy at {}: there is no such tenant", url.path),
            "`entractl cloud-trust configure --tenant ID` with the id of the Entra admin center, Overview",
        ),
        ProxyError::Http(500..=599, _) => cause(
            hop,
            "cloud-kdc",
            format!("{host} answers, and the KDC behind it does not (HTTP {})", http(error)),
            "nothing of this host's: try later, and see Azure's service health",
        ),
        ProxyError::Http(..) => {
            let what = format!("{host} refuses the request: HTTP {}", http(error));
            cause(hop, "http", what, "see whether something between this host and the proxy answers in its place")
        }
        ProxyError::NoMessage(_) => {
            cause(hop, "no-message", said, "see whether something between this host and the proxy answers in its place")
        }
        ProxyError::TimedOut if hop == "proxy-http" => cause(
            hop,
            "cloud-kdc",
            format!("{host} takes the request and does not answer in time: the KDC behind it is silent"),
            "nothing of this host's: try later, or with a longer --timeout",
        ),
        ProxyError::TimedOut => cause(
            hop,
            "proxy-down",
            format!("{host} does not answer in time"),
            format!("open TCP {} from this host to {host}, or try a longer --timeout", url.port),
        ),
    }
}

/// Why the cloud's KDC gave no ticket for the account.
pub(super) fn of_ticket(error: &Error, host: &str) -> Cause {
    let hop = "ticket";
    let says = &error.message;
    match (error.kind, error.kdc_number()) {
        (Kind::UnknownServer, _) => cause(
            hop,
            "account",
            format!("Entra ID knows no service cifs/{host}"),
            "see whether the account exists, and has Microsoft Entra Kerberos as its identity source (portal: File shares)",
        ),
        (Kind::ClockSkew, _) => skew(hop, error, "Entra ID's KDC"),
        // KRB_AP_ERR_BAD_INTEGRITY, _MODIFIED, _BADKEYVER, _NOKEY; KRB_ERR_GENERIC, by which MIT's KDC says them all
        (_, Some(31 | 41 | 44 | 45)) => cause(
            hop,
            "key",
            format!("Entra ID cannot open the domain's referral: the trust's key is out of step ({says})"),
            ROTATE,
        ),
        (_, Some(60)) => cause(
            hop,
            "key",
            format!("Entra ID cannot use the domain's referral: most often the trust's key is out of step ({says})"),
            ROTATE,
        ),
        (Kind::UnknownPrincipal, _) => cause(
            hop,
            "user",
            format!("Entra ID does not know this user: {says}"),
            "the user has to be synchronized from the domain to Entra ID (a hybrid user)",
        ),
        (Kind::Policy, _) => cause(
            hop,
            "policy",
            format!("Entra ID's policy forbids it: {says}"),
            "except the storage account's application from Conditional Access policies that want more than a password",
        ),
        _ => cause(
            hop,
            "refused",
            format!("Entra ID gives no ticket: {says}"),
            "`entractl check` and Entra ID's sign-in log",
        ),
    }
}

fn skew(hop: &'static str, error: &Error, kdc: &str) -> Cause {
    let off = error.ahead.map_or_else(String::new, |ahead| {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        format!(": this host is {} {side} it", span(ahead.unsigned_abs()))
    });
    cause(hop, "clock", format!("{kdc} refuses this host's clock{off}"), CLOCK)
}

fn http(error: &ProxyError) -> String {
    match error {
        ProxyError::Http(status, words) => format!("{status} {words}").trim_end().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_the_proxy_has_its_cause_and_remedy() {
        let url = ProxyUrl::parse("https://login.example/t/kerberos").unwrap();
        for (hop, error, word, remedy) in [
            ("proxy-tls", ProxyError::Name("x".into()), "proxy-name", "DNS"),
            ("proxy-tls", ProxyError::Connection("x".into()), "proxy-down", "open TCP 443"),
            ("proxy-tls", ProxyError::UnknownAuthority, "anchor", "update-ca-certificates"),
            ("proxy-tls", ProxyError::Expired, "expired", "clock"),
            ("proxy-tls", ProxyError::OtherHost("a".into()), "other-host", "getent hosts"),
            ("proxy-tls", ProxyError::TimedOut, "proxy-down", "open TCP 443"),
            ("proxy-http", ProxyError::Http(404, "x".into()), "tenant", "configure --tenant"),
            ("proxy-http", ProxyError::Http(503, "x".into()), "cloud-kdc", "service health"),
            ("proxy-http", ProxyError::Http(407, "x".into()), "http", "between"),
            ("proxy-http", ProxyError::TimedOut, "cloud-kdc", "--timeout"),
        ] {
            let cause = of_proxy(hop, &error, &url, None);
            assert_eq!((cause.word, cause.hop), (word, hop), "{error}");
            assert!(cause.remedy.contains(remedy), "{error}");
        }
    }
}
