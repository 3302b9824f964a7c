//! Whether a login would be let in, and why: the same judgement as a login's, without a password and without a login.

use entra_wire::pam::Code;

use crate::Error;
use crate::config::Access;
use crate::control::{Explanation, Reply, Source};

use super::Login;
use super::access::Rule;
use super::sentence::Refusal;

impl Login {
    /// Judges the account as [`Login::account`] does now.
    ///
    /// # Errors
    /// [`Error::Offline`] where neither the directory nor the store knows the user.
    pub async fn explain(&self, user: &str, service: Option<String>) -> Result<Reply, Error> {
        let found = match self.known_user(user).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Reply::NotFound),
            Err(_) => return Err(Error::Offline("the directory is not reachable".into())),
        };
        let verdict = self.permit(&found).await;
        let user = &found.value;
        let access = self.lookup.domain(&user.domain).map(|domain| &domain.config.access);
        let mut explanation = Explanation {
            user: user.name.clone(),
            domain: user.domain.clone(),
            service,
            permitted: verdict.is_ok(),
            reason: "permitted".into(),
            decided_by: String::new(),
            message: String::new(),
            flags: user.state.flags(self.lookup.now()),
            source: found.source,
        };
        match verdict {
            Ok(rule) => explanation.decided_by = permits(&rule, &user.domain),
            Err(refusal) => {
                explanation.decided_by = refuses(refusal, &user.domain, access, found.source);
                let outcome = refusal.outcome();
                // A password that has to be changed is asked for at the login itself.
                explanation.permitted = outcome.code == Code::MustChange;
                explanation.reason = outcome.reason;
                explanation.message = outcome.message;
            }
        }
        Ok(Reply::Explanation(Box::new(explanation)))
    }
}

fn permits(rule: &Rule, domain: &str) -> String {
    match rule {
        Rule::Default => format!("default = \"allow\" in [domains.\"{domain}\".access]: everybody may log in"),
        Rule::Group(group) => {
            format!("a member of the group \"{group}\", which permit in [domains.\"{domain}\".access] names")
        }
    }
}

fn refuses(refusal: Refusal, domain: &str, access: Option<&Access>, source: Source) -> String {
    let flag = |what: &str| match source {
        Source::Stale => format!("{what}, as the directory said when it was last reached"),
        Source::Directory | Source::Cache => what.to_owned(),
    };
    match refusal {
        Refusal::AccountDisabled => flag("the account is disabled (userAccountControl)"),
        Refusal::AccountExpired => flag("the account has expired (accountExpires)"),
        Refusal::AccountLocked => flag("the account is locked after wrong passwords (lockoutTime)"),
        Refusal::MustChange => flag("the password must be changed at the next login (pwdLastSet)"),
        Refusal::PasswordExpired => flag("the password has expired (maxPwdAge)"),
        Refusal::NotPermitted => {
            let groups: Vec<_> = access.map(|access| access.permit.as_slice()).unwrap_or_default().iter().collect();
            let named = if groups.is_empty() {
                "permit names no group".to_owned()
            } else {
                format!("a member of none of {groups:?}, which permit names")
            };
            format!("default = \"deny\" in [domains.\"{domain}\".access], and {named}")
        }
        Refusal::DirectoryUnreachable => "the directory is away, and the user's groups are not known".into(),
        other => other.outcome().reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_named_as_the_configuration_has_it() {
        let access = Access { permit: vec!["ops".into(), "S-1-5-21-1".into()], ..Access::default() };
        let text = refuses(Refusal::NotPermitted, "d.example", Some(&access), Source::Directory);
        assert_eq!(
            text,
            "default = \"deny\" in [domains.\"d.example\".access], and a member of none of [\"ops\", \"S-1-5-21-1\"], \
             which permit names"
        );
        let old = refuses(Refusal::AccountDisabled, "d.example", None, Source::Stale);
        assert!(old.contains("disabled") && old.contains("last reached"), "{old}");
        assert!(permits(&Rule::Group("ops".into()), "d.example").contains("group \"ops\""));
    }
}
