//! The krb5 configuration that our contexts run under, as text in the format of krb5.conf(5).
//!
//! The host's own krb5.conf is not read: a login must go to the KDC that the daemon chose, and nowhere else. A ticket for
//! a service of another realm alone needs it: that file says where such a realm's KDCs are ([`Profile::to_text_before`]).

use std::fmt::Write as _;
use std::net::SocketAddr;

/// AES alone: Entra Domain Services can switch RC4 off, and nothing of ours needs it.
const ENCTYPES: &str = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha384-192 \
                        aes128-cts-hmac-sha256-128";

/// What RC4-HMAC is called.
const RC4: &str = "arcfour-hmac";

/// A krb5 configuration for one realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    realm: String,
    kdcs: Vec<SocketAddr>,
    rc4: bool,
}

impl Profile {
    /// A profile for `realm` (upper case) that knows exactly these KDCs. `None` where the realm's name could not stand
    /// in the file: it has to be 1 to 255 characters of letters, digits, `.`, `-` and `_`.
    pub fn new(realm: &str, kdcs: &[SocketAddr]) -> Option<Self> {
        is_realm(realm).then(|| Self { realm: realm.to_owned(), kdcs: kdcs.to_vec(), rc4: false })
    }

    /// The same with RC4 beside AES: to find out whether a KDC gives tickets with it. Tickets got so are for nobody's use.
    #[must_use]
    pub fn permitting_rc4(self) -> Self {
        Self { rc4: true, ..self }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The text of the configuration, fit for a file that `KRB5_CONFIG` names.
    pub fn to_text(&self) -> String {
        let realm = &self.realm;
        let (enctypes, rc4) = if self.rc4 { (format!("{ENCTYPES} {RC4}"), true) } else { (ENCTYPES.to_owned(), false) };
        // plugin_base_dir: none of the preauthentication plugins serves AD passwords, and SPAKE or PKINIT must not
        // change what one login attempt costs. dns_canonicalize_hostname, rdns: names come from SRV records.
        let mut text = format!(
            "[libdefaults]\n\
             default_realm = {realm}\n\
             dns_lookup_kdc = false\n\
             dns_lookup_realm = false\n\
             dns_canonicalize_hostname = false\n\
             rdns = false\n\
             udp_preference_limit = 1\n\
             allow_rc4 = {rc4}\n\
             permitted_enctypes = {enctypes}\n\
             default_tkt_enctypes = {ENCTYPES}\n\
             default_tgs_enctypes = {enctypes}\n\
             forwardable = true\n\
             renew_lifetime = 7d\n\
             plugin_base_dir = /nonexistent\n\
             \n\
             [realms]\n\
             {realm} = {{\n"
        );
        for kdc in &self.kdcs {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "kdc = {kdc}");
        }
        let domain = realm.to_lowercase();
        let _ = write!(text, "}}\n\n[domain_realm]\n.{domain} = {realm}\n{domain} = {realm}\n");
        text
    }

    /// The text for a context that reads the host's krb5.conf behind it. Our realm's section is final (`*`, krb5.conf(5)):
    /// the host's file adds no KDC to it. Other realms, and the plugins that reach them, are the host's.
    pub fn to_text_before(&self) -> String {
        let realm = &self.realm;
        let mut text = format!(
            "[libdefaults]\n\
             default_realm = {realm}\n\
             dns_canonicalize_hostname = false\n\
             rdns = false\n\
             udp_preference_limit = 1\n\
             allow_rc4 = false\n\
             permitted_enctypes = {ENCTYPES}\n\
             default_tgs_enctypes = {ENCTYPES}\n\
             \n\
             [realms]\n\
             {realm}* = {{\n"
        );
        for kdc in &self.kdcs {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "kdc = {kdc}");
        }
        let domain = realm.to_lowercase();
        let _ = write!(text, "}}\n\n[domain_realm]\n.{domain} = {realm}\n{domain} = {realm}\n");
        text
    }
}

/// Whether `realm` is a realm's name that our profile can hold: 1 to 255 letters, digits, `.`, `-`, `_`.
pub fn is_realm(realm: &str) -> bool {
    (1..=255).contains(&realm.len())
        && realm.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_cannot_bring_lines_of_its_own() {
        for wrong in ["", "A B", "A\nkdc = 192.0.2.1", "A]", "A=B", "Ä"] {
            assert_eq!(Profile::new(wrong, &[]), None, "{wrong:?}");
        }
        assert!(Profile::new("AADDS.CONTOSO.COM", &[]).is_some());
    }

    #[test]
    fn addresses_of_both_families_carry_their_port() {
        let kdcs = ["192.0.2.1:88".parse().unwrap(), "[2001:db8::1]:8888".parse().unwrap()];
        let text = Profile::new("A.EXAMPLE", &kdcs).unwrap().to_text();
        assert!(text.contains("\nkdc = 192.0.2.1:88\nkdc = [2001:db8::1]:8888\n"), "{text}");
    }
}
