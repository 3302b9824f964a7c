//! Whether a login would be let in, and why: the same judgement as a login's, without a password and without a login.

use entra_wire::pam::Code;

use crate::Error;
use crate::control::{Explanation, Reply, RuleCheck, RuleOutcome, Source};
use crate::lookup::{Freshness, Query};

use super::Login;
use super::judgement::{Check, Said};

impl Login {
    /// Judges the account as [`Login::account`] does now.
    ///
    /// # Errors
    /// Those of a lookup: [`Error::Offline`] where the directory is away and the store does not know the user,
    /// [`Error::Ambiguous`] for a name that several domains have.
    pub async fn explain(&self, user: &str, service: Option<String>) -> Result<Reply, Error> {
        let Some(found) = self.lookup.user(Query::name(user), Freshness::Fresh).await? else {
            return Ok(Reply::NotFound);
        };
        let judgement = self.judge(&found, service.as_deref()).await;
        let user = &found.value;
        let mut explanation = Explanation {
            user: user.name.clone(),
            domain: user.domain.clone(),
            service,
            permitted: true,
            reason: "permitted".into(),
            decided_by: judgement
                .decisive()
                .map(|check| decided_by(check, &user.domain, found.source))
                .unwrap_or_default(),
            message: String::new(),
            flags: user.state.flags(self.lookup.now()),
            source: found.source,
            fetched: found.fetched,
            groups_fetched: judgement.groups_fetched,
            rules: judgement.checks.iter().map(shown).collect(),
        };
        if let Err(refusal) = judgement.verdict() {
            let outcome = refusal.outcome();
            // A password that has to be changed is asked for at the login itself.
            explanation.permitted = outcome.code == Code::MustChange;
            explanation.reason = outcome.reason;
            explanation.message = outcome.message;
        }
        Ok(Reply::Explanation(Box::new(explanation)))
    }
}

/// The decisive check in one sentence.
fn decided_by(check: &Check, domain: &str, source: Source) -> String {
    if check.rule.starts_with("access") {
        return format!("{} ({} in [domains.\"{domain}\"])", check.detail, check.rule);
    }
    let age = if source == Source::Stale { ", as the directory said when it was last reached" } else { "" };
    format!("{} ({}){age}", check.detail, check.rule)
}

fn shown(check: &Check) -> RuleCheck {
    let outcome = match check.said {
        Said::Passes => RuleOutcome::Passes,
        Said::Allows => RuleOutcome::Allows,
        Said::Refuses(_) => RuleOutcome::Refuses,
        Said::NotReached => RuleOutcome::NotReached,
    };
    RuleCheck { rule: check.rule.clone(), outcome, detail: check.detail.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::sentence::Refusal;

    #[test]
    fn the_rule_is_named_as_the_configuration_has_it() {
        let rule = Check::new("access.default", Said::Refuses(Refusal::NotPermitted), "default = \"deny\": no rule");
        assert_eq!(
            decided_by(&rule, "d.example", Source::Stale),
            "default = \"deny\": no rule (access.default in [domains.\"d.example\"])"
        );
        let flag = Check::new("userAccountControl", Said::Refuses(Refusal::AccountDisabled), "the account is disabled");
        assert_eq!(decided_by(&flag, "d.example", Source::Directory), "the account is disabled (userAccountControl)");
        assert!(decided_by(&flag, "d.example", Source::Stale).ends_with("when it was last reached"));
    }
}
