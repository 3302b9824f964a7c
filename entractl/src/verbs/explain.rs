//! `explain`: would this login be let in, and which rule or flag decides.

use std::path::Path;

use entra_core::control::{Explanation, Reply, Request, RuleOutcome};

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, fields, printable, span, unix_now};

use super::origin;

/// Asks the daemon, after what the modules decide themselves.
pub(super) fn run(user: &str, service: Option<&str>, socket: &Path) -> Result<Answer, Failure> {
    if user == "root" || entra_wire::local::has_name(entra_wire::local::passwd(), user.as_bytes()) {
        let error = format!("{user} is a local user: pam_entra leaves it to the other modules, and hides a domain's");
        return Err(Failure::no("explain", error));
    }
    let request = Request::Explain { user: user.into(), service: service.map(str::to_owned) };
    match daemon::ask(socket, "explain", &request)? {
        Reply::Explanation(found) => {
            let answer = Answer::done(render(&found, unix_now()), &found);
            Ok(Answer { exit: if found.permitted { Exit::Done } else { Exit::No }, ..answer })
        }
        _ => Err(daemon::unexpected("explain")),
    }
}

fn render(found: &Explanation, now: u64) -> String {
    let verdict = match (found.permitted, found.reason.as_str()) {
        (true, "permitted") => "would be let in with the right password".to_owned(),
        (true, reason) => format!("would be let in after a change of the password ({reason})"),
        (false, reason) => format!("would be refused ({reason})"),
    };
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let age = |fetched: u64| now.saturating_sub(fetched);
    let mut out = fields(&[
        ("user", text(&found.user)),
        ("domain", text(&found.domain)),
        ("service", found.service.clone().or_else(|| Some("any (rules of single services are left out)".into()))),
        ("verdict", text(&verdict)),
        ("decided by", text(&found.decided_by)),
        ("account", Some(if found.flags.is_empty() { "in order".into() } else { found.flags.join(", ") })),
        ("is told", text(&found.message)),
        ("account from", Some(origin(found.source, age(found.fetched)))),
        ("groups", found.groups_fetched.map(|fetched| format!("named by the directory {} ago", span(age(fetched))))),
    ]);
    out.push_str("\nrules, in their order:");
    let widest = found.rules.iter().map(|check| check.rule.chars().count()).max().unwrap_or_default();
    for check in &found.rules {
        let line = format!("  {:11}  {:widest$}  {}", word(check.outcome), check.rule, check.detail);
        out.push('\n');
        out.push_str(&printable(line.trim_end()));
    }
    out
}

fn word(outcome: RuleOutcome) -> &'static str {
    match outcome {
        RuleOutcome::Passes => "passes",
        RuleOutcome::Allows => "ALLOWS",
        RuleOutcome::Refuses => "REFUSES",
        RuleOutcome::NotReached => "not reached",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::control::{RuleCheck, Source};

    fn check(rule: &str, outcome: RuleOutcome, detail: &str) -> RuleCheck {
        RuleCheck { rule: rule.into(), outcome, detail: detail.into() }
    }

    #[test]
    fn the_verdict_comes_with_its_reason() {
        let mut found = Explanation {
            user: "dave".into(),
            domain: "d.example".into(),
            service: Some("sshd".into()),
            permitted: false,
            reason: "account-disabled".into(),
            decided_by: "the account is disabled (userAccountControl)".into(),
            message: "Your account is disabled. Ask your administrator.".into(),
            flags: vec!["disabled".into()],
            source: Source::Stale,
            fetched: 1_000_000,
            groups_fetched: Some(1_000_060),
            rules: vec![
                check("userAccountControl", RuleOutcome::Refuses, "disabled\x1b[2J"),
                check("access.default", RuleOutcome::NotReached, ""),
            ],
        };
        let text = render(&found, 1_003_600);
        for line in [
            "verdict:      would be refused (account-disabled)",
            "decided by:   the account is disabled (userAccountControl)",
            "account from: the cache, past its life, 1 h old",
            "groups:       named by the directory 59 min ago",
            "  REFUSES      userAccountControl  disabled\u{fffd}[2J",
            "  not reached  access.default",
        ] {
            assert!(text.lines().any(|seen| seen == line), "no line `{line}` in\n{text}");
        }
        found.permitted = true;
        found.reason = "must-change-password".into();
        assert!(render(&found, 0).contains("after a change of the password"));
    }

    #[test]
    fn local_users_are_nobody_elses() {
        let failure = run("root", None, Path::new("/nonexistent")).unwrap_err();
        assert!(failure.error.contains("local user"), "{}", failure.error);
    }
}
