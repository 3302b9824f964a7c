//! `group`: what is known of a group, and its members.

use std::path::Path;

use entra_core::control::{GroupView, Reply, Request};

use super::{ask, lookup_key, origin};
use crate::cli::Group;
use crate::daemon;
use crate::exit::Failure;
use crate::output::{Answer, fields};

/// Asks.
pub(super) fn run(options: &Group, socket: &Path) -> Result<Answer, Failure> {
    let key = &options.key;
    let key = lookup_key("group", key.name.as_deref(), key.gid, key.sid.as_deref())?;
    match ask("group", Request::Group { key }, socket, options.source)? {
        Reply::Group(group) => Ok(Answer::done(render(&group), &group)),
        _ => Err(daemon::unexpected("group")),
    }
}

/// A group for people.
pub(super) fn render(group: &GroupView) -> String {
    let members = group.members.as_ref().map(|members| match members.len() {
        0 => "none".to_owned(),
        count => format!("{count}: {}", members.join(", ")),
    });
    let text = |value: &str| Some(value.to_owned());
    fields(&[
        ("group", text(&group.name)),
        ("domain", text(&group.domain)),
        ("sAMAccountName", text(&group.sam_account_name)),
        ("SID", text(&group.sid)),
        ("former SIDs", (!group.former_sids.is_empty()).then(|| group.former_sids.join(", "))),
        ("DN", text(&group.dn)),
        ("gid", Some(group.gid.to_string())),
        ("members", Some(members.unwrap_or_else(|| "not asked for yet".into()))),
        ("answer from", Some(origin(group.source, group.age_seconds))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::control::Source;

    #[test]
    fn no_members_and_unknown_members_are_told_apart() {
        let mut group = GroupView {
            name: "ops".into(),
            domain: "aadds.contoso.com".into(),
            sam_account_name: "Ops".into(),
            sid: "S-1-5-21-1-2-3-1200".into(),
            former_sids: Vec::new(),
            dn: "CN=Ops,DC=aadds,DC=contoso,DC=com".into(),
            gid: 674_001_200,
            members: None,
            source: Source::Directory,
            age_seconds: 0,
        };
        assert!(render(&group).contains("members:        not asked for yet\n"));
        group.members = Some(vec![]);
        assert!(render(&group).contains("members:        none\n"));
        group.members = Some(vec!["alice".into(), "bob".into()]);
        assert!(render(&group).contains("members:        2: alice, bob\n"));
        assert!(render(&group).ends_with("answer from:    the directory, asked just now"));
    }
}
