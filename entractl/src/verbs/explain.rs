//! `explain`: would this login be let in, and which rule or flag decides.

use std::path::Path;

use entra_core::control::{Explanation, Reply, Request};

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::output::{Answer, fields};

/// Asks the daemon, after what the modules decide themselves.
pub(super) fn run(user: &str, service: Option<&str>, socket: &Path) -> Result<Answer, Failure> {
    if user == "root" || entra_wire::local::has_name(entra_wire::local::passwd(), user.as_bytes()) {
        let error = format!("{user} is a local user: pam_entra leaves it to the other modules, and hides a domain's");
        return Err(Failure::no("explain", error));
    }
    let request = Request::Explain { user: user.into(), service: service.map(str::to_owned) };
    match daemon::ask(socket, "explain", &request)? {
        Reply::Explanation(found) => {
            let answer = Answer::done(render(&found), &found);
            Ok(Answer { exit: if found.permitted { Exit::Done } else { Exit::No }, ..answer })
        }
        _ => Err(daemon::unexpected("explain")),
    }
}

fn render(found: &Explanation) -> String {
    let verdict = match (found.permitted, found.reason.as_str()) {
        (true, "permitted") => "would be let in with the right password".to_owned(),
        (true, reason) => format!("would be let in after a change of the password ({reason})"),
        (false, reason) => format!("would be refused ({reason})"),
    };
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    fields(&[
        ("user", text(&found.user)),
        ("domain", text(&found.domain)),
        ("service", found.service.clone()),
        ("verdict", text(&verdict)),
        ("decided by", text(&found.decided_by)),
        ("account", Some(if found.flags.is_empty() { "in order".into() } else { found.flags.join(", ") })),
        ("is told", text(&found.message)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::control::Source;

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
            source: Source::Directory,
        };
        let text = render(&found);
        assert!(text.contains("verdict:    would be refused (account-disabled)\n"), "{text}");
        assert!(text.contains("decided by: the account is disabled"), "{text}");
        found.permitted = true;
        found.reason = "must-change-password".into();
        assert!(render(&found).contains("after a change of the password"));
    }

    #[test]
    fn local_users_are_nobody_elses() {
        let failure = run("root", None, Path::new("/nonexistent")).unwrap_err();
        assert!(failure.error.contains("local user"), "{}", failure.error);
    }
}
