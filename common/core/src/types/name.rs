//! The forms in which a person names an account.

/// A name as typed, taken apart. Letter case is kept: comparing is [`fold`]'s work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// `alice`: a sAMAccountName of any domain.
    Short(String),
    /// `AADDS\alice`: a sAMAccountName of the domain with that NetBIOS (or DNS) name.
    DownLevel {
        /// NetBIOS or DNS name of the domain.
        domain: String,
        /// sAMAccountName.
        account: String,
    },
    /// `alice@contoso.com`: a UPN, or a sAMAccountName before the DNS or NetBIOS name of a domain.
    At {
        /// What stands before the last `@`.
        account: String,
        /// What stands behind it.
        suffix: String,
    },
}

impl NameForm {
    /// Takes a name apart: a backslash names the domain before it, else the last `@` names the suffix behind it.
    /// `None` where an empty part would be left.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((domain, account)) = name.split_once('\\') {
            return (!domain.is_empty() && !account.is_empty())
                .then(|| Self::DownLevel { domain: domain.to_owned(), account: account.to_owned() });
        }
        if let Some((account, suffix)) = name.rsplit_once('@') {
            return (!suffix.is_empty() && !account.is_empty())
                .then(|| Self::At { account: account.to_owned(), suffix: suffix.to_owned() });
        }
        (!name.is_empty()).then(|| Self::Short(name.to_owned()))
    }
}

/// The form in which names are compared and shown: Unicode lower case, as SSSD does for AD.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(NameForm::parse("alice"), Some(NameForm::Short("alice".into())));
        assert_eq!(
            NameForm::parse("AADDS\\alice"),
            Some(NameForm::DownLevel { domain: "AADDS".into(), account: "alice".into() })
        );
        assert_eq!(
            NameForm::parse("a@b@contoso.com"),
            Some(NameForm::At { account: "a@b".into(), suffix: "contoso.com".into() })
        );
        for empty in ["", "@", "\\", "a@", "@b", "A\\", "\\b"] {
            assert_eq!(NameForm::parse(empty), None, "{empty}");
        }
        assert_eq!(fold("ÜNAL"), "ünal");
    }
}
