//! `user`: what is known of a user, where it came from and how old it is.

use std::path::Path;

use entra_core::control::{Reply, Request, UserView};

use super::{ask, lookup_key, origin};
use crate::cli::{SourceChoice, User};
use crate::daemon;
use crate::exit::Failure;
use crate::output::{Answer, fields};

/// Asks.
pub(super) fn run(options: &User, socket: &Path) -> Result<Answer, Failure> {
    let key = &options.key;
    let key = lookup_key("user", key.name.as_deref(), key.uid, key.sid.as_deref())?;
    match ask("user", Request::User { key }, socket, options.source)? {
        Reply::User(user) => Ok(Answer::done(render(&user, options.source), &user)),
        _ => Err(daemon::unexpected("user")),
    }
}

/// A user for people. Whether it can log in offline is known to the daemon alone.
pub(super) fn render(user: &UserView, source: SourceChoice) -> String {
    let groups: Vec<_> = user
        .groups
        .iter()
        .map(|group| {
            group.name.as_ref().map_or_else(|| group.gid.to_string(), |name| format!("{name} ({})", group.gid))
        })
        .collect();
    let text = |value: &str| Some(value.to_owned());
    fields(&[
        ("user", text(&user.name)),
        ("domain", text(&user.domain)),
        ("sAMAccountName", text(&user.sam_account_name)),
        ("userPrincipalName", user.user_principal_name.clone()),
        ("SID", text(&user.sid)),
        ("former SIDs", (!user.former_sids.is_empty()).then(|| user.former_sids.join(", "))),
        ("DN", text(&user.dn)),
        ("uid", Some(user.uid.to_string())),
        ("gid", Some(user.gid.to_string())),
        ("gecos", text(&user.gecos)),
        ("home", text(&user.home)),
        ("shell", text(&user.shell)),
        ("account", Some(if user.flags.is_empty() { "in order".into() } else { user.flags.join(", ") })),
        ("groups", (!groups.is_empty()).then(|| groups.join(", "))),
        ("answer from", Some(origin(user.source, user.age_seconds))),
        (
            "offline login",
            (!source.direct).then(|| match user.offline_until.filter(|_| user.offline_ready) {
                Some(until) => format!("ready until {}", entra_core::auth::utc(until)),
                None => "not ready: needs an online login first".to_owned(),
            }),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::control::{GroupRef, Source};

    #[test]
    fn a_user_for_people() {
        let user = UserView {
            name: "alice".into(),
            domain: "aadds.contoso.com".into(),
            sam_account_name: "Alice".into(),
            user_principal_name: None,
            sid: "S-1-5-21-1-2-3-1103".into(),
            former_sids: Vec::new(),
            dn: "CN=Alice,OU=AADDC Users,DC=aadds,DC=contoso,DC=com".into(),
            uid: 674_001_103,
            gid: 674_000_513,
            gecos: "Alice".into(),
            home: "/home/alice".into(),
            shell: "/bin/bash".into(),
            flags: vec!["disabled".into(), "locked".into()],
            groups: vec![GroupRef { name: Some("ops".into()), gid: 7 }, GroupRef { name: None, gid: 8 }],
            source: Source::Stale,
            age_seconds: 3_700,
            offline_ready: false,
            offline_until: None,
        };
        let text = render(&user, SourceChoice { direct: false });
        for line in [
            "user:           alice",
            "uid:            674001103",
            "account:        disabled, locked",
            "groups:         ops (7), 8",
            "answer from:    the cache, past its life, 1 h 1 min old",
            "offline login:  not ready: needs an online login first",
        ] {
            assert!(text.lines().any(|seen| seen == line), "no line `{line}` in\n{text}");
        }
        assert!(!text.contains("userPrincipalName"));
        assert!(!render(&user, SourceChoice { direct: true }).contains("offline login"));
        let ready = UserView { offline_ready: true, offline_until: Some(1_763_633_700), ..user };
        let text = render(&ready, SourceChoice { direct: false });
        assert!(text.lines().any(|seen| seen == "offline login:  ready until 2025-11-20 10:15 UTC"), "{text}");
    }
}
