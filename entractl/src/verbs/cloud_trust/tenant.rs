//! The tenant's id: a GUID in its plain spelling (RFC 9562 4), and every way in which it comes out wrong.

use std::fmt;

use crate::exit::{Exit, Failure};

/// Length of each group of digits.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Digits and the dashes between them.
const LENGTH: usize = 36;

/// A tenant's id, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant(String);

impl Tenant {
    /// Takes the id as it was typed.
    ///
    /// # Errors
    /// Status 2, with what exactly is wrong and where the id is to be found.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        match wrong(text) {
            None => Ok(Self(text.to_ascii_lowercase())),
            Some(what) => Err(Failure::new(Exit::Usage, "tenant", what).remedy(remedy(text))),
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is wrong with it, the most telling fault first; `None` where nothing is.
fn wrong(text: &str) -> Option<String> {
    let shown = text.escape_default();
    if text.is_empty() {
        return Some("the tenant id is empty".into());
    }
    if text.trim() != text {
        return Some("the tenant id has white space around it".into());
    }
    if text.contains(['{', '}', '(', ')']) {
        return Some(format!("the tenant id stands without braces: not {shown}"));
    }
    if is_domain(text) {
        return Some(format!("{shown} looks like a domain name: the tenant's id is wanted"));
    }
    let digit = |c: char| c.is_ascii_hexdigit();
    if let Some((at, other)) = text.chars().enumerate().find(|(_, c)| !digit(*c) && *c != '-') {
        let other = other.escape_debug();
        return Some(format!("the tenant id has '{other}' at place {}: only 0-9, a-f and dashes stand there", at + 1));
    }
    if !text.contains('-') {
        let what = format!("the tenant id has no dashes in its {} digits: groups of 8-4-4-4-12 are wanted", text.len());
        return Some(if text.len() == 32 { format!("{what}, so {}", dashed(text)) } else { what });
    }
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let shape = groups.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
    if text.len() != LENGTH {
        let count = text.len();
        return Some(format!("the tenant id has {count} characters, not 36: groups of {shape}, not 8-4-4-4-12"));
    }
    if groups != GROUPS {
        return Some(format!("the tenant id has groups of {shape} digits, not 8-4-4-4-12"));
    }
    text.bytes().all(|byte| matches!(byte, b'0' | b'-')).then(|| "a tenant id of zeros is no tenant's".into())
}

/// Labels with a dot between them. A GUID has none.
fn is_domain(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

/// 32 digits with the dashes put in.
fn dashed(digits: &str) -> String {
    let mut rest = digits;
    let groups: Vec<&str> = GROUPS
        .iter()
        .map(|length| {
            let (group, behind) = rest.split_at((*length).min(rest.len()));
            rest = behind;
            group
        })
        .collect();
    groups.join("-")
}

fn remedy(text: &str) -> String {
    let portal = "the Entra admin center shows it under Overview, Tenant ID";
    if is_domain(text) {
        let url = format!("https://login.microsoftonline.com/{text}/.well-known/openid-configuration");
        return format!("{portal}; `curl -s {url}` names it in its issuer");
    }
    portal.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn fault(text: &str) -> String {
        let failure = Tenant::parse(text).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.remedy.unwrap().contains("Tenant ID"), "{text}");
        failure.error
    }

    #[test]
    fn an_id_is_taken_in_any_case() {
        assert_eq!(Tenant::parse(GOOD).unwrap().to_string(), GOOD);
        assert_eq!(Tenant::parse(&GOOD.to_uppercase()).unwrap().to_string(), GOOD);
    }

    #[test]
    fn each_fault_is_named() {
        assert!(fault("").contains("empty"));
        assert!(fault(&format!(" {GOOD}")).contains("white space"));
        assert!(fault(&format!("{{{GOOD}}}")).contains("without braces"));
        assert!(fault(&GOOD[..35]).contains("has 35 characters, not 36: groups of 8-4-4-4-11"));
        assert!(fault("72f988bf-86f1-41af-91ab2-d7cd011db47").contains("groups of 8-4-4-5-11 digits"));
        assert!(fault("72f988bf-86f1-41ag-91ab-2d7cd011db47").contains("'g' at place 18"));
        assert!(fault("72f988bf-86f1-41ä-91ab-2d7cd011db477").contains("'ä' at place 17"));
        assert!(fault("00000000-0000-0000-0000-000000000000").contains("zeros"));
        assert!(fault("common").contains("'o' at place 2"));
        assert!(fault("7\ny").contains("'\\n' at place 2"));
    }

    #[test]
    fn missing_dashes_are_put_in() {
        let bare = GOOD.replace('-', "");
        assert!(fault(&bare).contains(&format!("so {GOOD}")));
        assert!(fault(&bare[1..]).contains("no dashes in its 31 digits"));
    }

    #[test]
    fn a_domain_name_is_told_how_to_find_the_id() {
        let failure = Tenant::parse("contoso.onmicrosoft.com").unwrap_err();
        assert!(failure.error.contains("looks like a domain name"));
        assert!(failure.remedy.unwrap().contains("contoso.onmicrosoft.com/.well-known/openid-configuration"));
    }
}
