//! Search filters (RFC 4515), built so that no name can change their meaning.

use std::fmt::Write;

/// A value as it stands in a filter: every byte that has a meaning there, or is not plain ASCII, as `\hh`.
pub(super) fn escape(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0..0x20 | 0x7f.. => {
                let _ = write!(text, "\\{byte:02x}");
            }
            plain => text.push(char::from(*plain)),
        }
    }
    text
}

/// `(attribute=value)`
pub(super) fn equals(attribute: &str, value: &[u8]) -> String {
    format!("({attribute}={})", escape(value))
}

/// Any of these filters.
pub(super) fn any_of(filters: impl IntoIterator<Item = String>) -> String {
    join('|', filters)
}

/// All of these filters.
pub(super) fn all_of(filters: impl IntoIterator<Item = String>) -> String {
    join('&', filters)
}

/// A filter as an administrator writes it, with or without the outer parentheses. `None` when it is no filter.
pub(super) fn configured(text: &str) -> Option<String> {
    let text = text.trim();
    let text = if text.starts_with('(') { text.to_owned() } else { format!("({text})") };
    ldap3::parse_filter(&text).is_ok().then_some(text)
}

/// Whether a text is a filter (RFC 4515), as the directory will be sent it.
pub fn is_filter(text: &str) -> bool {
    ldap3::parse_filter(text).is_ok()
}

fn join(operator: char, filters: impl IntoIterator<Item = String>) -> String {
    let mut filters: Vec<_> = filters.into_iter().collect();
    match filters.len() {
        1 => filters.remove(0),
        _ => format!("({operator}{})", filters.concat()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(equals("cn", b"para (1)*\\x"), "(cn=para \\281\\29\\2a\\5cx)");
        assert_eq!(equals("cn", "Jürgen O'Brien".as_bytes()), "(cn=J\\c3\\bcrgen O'Brien)");
        assert_eq!(equals("objectSid", &[1, 0, 255]), "(objectSid=\\01\\00\\ff)");
    }

    #[test]
    fn filters_are_joined() {
        let (a, b) = (|| "(a=1)".to_owned(), || "(b=2)".to_owned());
        assert_eq!(any_of([a(), b()]), "(|(a=1)(b=2))");
        assert_eq!(all_of([a()]), "(a=1)");
    }

    #[test]
    fn an_administrators_filter_is_checked() {
        assert_eq!(configured("department=IT").as_deref(), Some("(department=IT)"));
        assert_eq!(configured(" (&(a=1)(b=2)) ").as_deref(), Some("(&(a=1)(b=2))"));
        assert_eq!(configured("(&(a=1)"), None);
        assert_eq!(configured("(a=1))(b=2"), None);
    }

    proptest! {
        /// ldap3's own parser must see one comparison with exactly the bytes that were given.
        #[test]
        fn no_value_changes_the_filter(value in prop::collection::vec(any::<u8>(), 1..40)) {
            let parsed = ldap3::parse_filter(equals("cn", &value)).unwrap();
            let structure = ldap3::asn1::ASNTag::into_structure(parsed);
            prop_assert_eq!(structure.id, 3);
            let parts = structure.expect_constructed().unwrap();
            let bytes: Vec<_> = parts.into_iter().map(|part| part.expect_primitive().unwrap()).collect();
            prop_assert_eq!(bytes, vec![b"cn".to_vec(), value]);
        }
    }
}
