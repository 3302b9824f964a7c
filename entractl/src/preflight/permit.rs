//! The groups of `--permit`: one that does not exist would lock everybody out.

use entra_core::Error;
use entra_core::directory::{Directory, Key};
use entra_core::types::NameForm;

use crate::exit::{Exit, Failure};

/// Looks every group up.
///
/// # Errors
/// Which one the domain does not have; status 4 when the directory does not answer.
pub(super) async fn check(directory: &dyn Directory, groups: &[String]) -> Result<(), Failure> {
    for group in groups {
        let found = match key(group) {
            Some(key) => directory.group(&key).await.map_err(|error| asked(&error))?,
            None => None,
        };
        if found.is_none() {
            return Err(Failure::no("permit", format!("the domain has no group `{group}`"))
                .remedy("give --permit the group's sAMAccountName, or its SID"));
        }
    }
    Ok(())
}

/// How a group is asked for; `None` where the text names nothing.
fn key(group: &str) -> Option<Key> {
    if let Ok(sid) = group.parse() {
        return Some(Key::Sid(sid));
    }
    NameForm::parse(group).map(|form| match form {
        NameForm::Short(account) | NameForm::DownLevel { account, .. } | NameForm::At { account, .. } => {
            Key::Sam(account)
        }
    })
}

fn asked(error: &Error) -> Failure {
    let exit = if matches!(error, Error::Offline(_)) { Exit::NoDirectory } else { Exit::No };
    Failure::new(exit, "permit", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_a_group() {
        let sam = |name: &str| Some(Key::Sam(name.into()));
        assert_eq!(key("Linux Admins"), sam("Linux Admins"));
        assert_eq!(key("AADDS\\ops"), sam("ops"));
        assert_eq!(key("ops@aadds.contoso.com"), sam("ops"));
        assert!(matches!(key("S-1-5-21-1-2-3-1200"), Some(Key::Sid(_))));
        assert_eq!(key(""), None);
    }
}
