//! The name of the computer account.

use crate::exit::Failure;

/// Longest name: the account is also a NetBIOS name (MS-ADTS 3.1.1.3.1.2.4 allows 20, NetBIOS 15).
const LONGEST: usize = 15;

/// The name of the account: the one asked for, or the first label of the host name. In upper case, as Windows does.
///
/// # Errors
/// When it could be no computer's name.
pub fn name(host_name: &str, asked: Option<&str>) -> Result<String, Failure> {
    let label = host_name.split('.').next().unwrap_or_default();
    let name = asked.unwrap_or(label);
    let wrong = |what: String| {
        let remedy = match asked {
            Some(_) => "give another --computer-name",
            None => "change the host name with `hostnamectl set-hostname`, or give a --computer-name",
        };
        Err(Failure::no("name", what).remedy(remedy))
    };
    let count = name.chars().count();
    if count > LONGEST {
        return wrong(format!("the computer name {name} has {count} characters, {LONGEST} are the most"));
    }
    if name.is_empty() || matches!(name.to_ascii_lowercase().as_str(), "localhost" | "(none)") {
        return wrong(format!("`{name}` names no host"));
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return wrong(format!("the computer name {name} has a `{bad}`: letters, digits and hyphens are allowed"));
    }
    if name.starts_with('-') || name.ends_with('-') || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong(format!("the computer name {name} begins or ends with a hyphen or has digits only"));
    }
    Ok(name.to_ascii_uppercase())
}

/// The fully qualified name of this host: the host name where it is one already, else its label in the domain.
pub fn fqdn(host_name: &str, domain: &str) -> String {
    let host_name = host_name.trim_end_matches('.');
    if host_name.contains('.') { host_name.to_lowercase() } else { format!("{host_name}.{domain}").to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name("web-1.example.com", None).unwrap(), "WEB-1");
        assert_eq!(name("a-very-long-host-name", Some("short")).unwrap(), "SHORT");
        assert_eq!(name("exactly-15-char", None).unwrap(), "EXACTLY-15-CHAR");
        let long = name("sixteen-char-abc", None).unwrap_err();
        assert!(long.error.contains("16 characters, 15 are the most"), "{}", long.error);
        assert!(long.remedy.unwrap().contains("--computer-name"));
        for wrong in ["", "localhost", "web_1", "123", "-a", "a-", "b\u{fc}ro"] {
            assert!(name(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn full_names() {
        assert_eq!(fqdn("Web", "d.example"), "web.d.example");
        assert_eq!(fqdn("web.corp.example.", "d.example"), "web.corp.example");
    }
}
