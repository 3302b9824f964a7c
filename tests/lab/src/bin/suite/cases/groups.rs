//! Groups: their members, their names, and the directory's limits.

use std::collections::BTreeSet;
use std::time::Duration;

use entra_lab::{Node, dc, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("groups: members and gid, by every form of the name", members),
    ("groups: a user in 150 groups has them all", many),
    ("groups: five levels of nesting count for the user", nested),
    ("groups: a name that is local or reserved is shown with its domain, also by gid", reserved),
    ("groups: 5,000 members through a directory that gives 1,500 at a time", limited),
];

fn members(world: &World) -> Verdict {
    let node = world.joined()?;
    let wanted: BTreeSet<String> = ["alice", "zoë", "backslash"].map(str::to_owned).into();
    for form in ["sales (emea)", "Sales (EMEA)", "AADDS\\sales (emea)", "sales (emea)@aadds.contoso.com"] {
        let (name, _, found) = group(&node, form)?;
        check::equal(form, &(name.as_str(), found), &("sales (emea)", wanted.clone()))?;
    }
    let (_, gid, _) = group(&node, "linux admins")?;
    let (name, ..) = group(&node, &gid)?;
    check::equal("by gid", &name.as_str(), &"linux admins")?;
    let (_, _, big) = group(&node, "big-1600")?;
    check::equal("members of big-1600", &big.len(), &1600)?;
    let (_, _, empty) = group(&node, "empty")?;
    check::equal("members of empty", &empty.len(), &0)
}

fn many(world: &World) -> Verdict {
    let node = world.joined()?;
    let text = check::text("id -Gn many", node.run(&["id", "-Gn", "many"])?)?;
    let missing: Vec<String> =
        (1..=150).map(|number| format!("team-{number:03}")).filter(|name| !text.contains(name.as_str())).collect();
    check::equal("groups that id does not show", &missing, &Vec::new())
}

fn nested(world: &World) -> Verdict {
    let node = world.joined()?;
    let text = check::text("id -Gn nested", node.run(&["id", "-Gn", "nested"])?)?;
    for level in 1..=5 {
        check::holds("id -Gn nested", &text, &format!("nest-{level}"))?;
    }
    Ok(())
}

fn reserved(world: &World) -> Verdict {
    let node = world.joined()?;
    let local = check::text("getent group sudo", node.run(&["getent", "group", "sudo"])?)?;
    check::equal("the local group sudo", &local.as_str(), &"sudo:x:27:localuser")?;
    let groups = check::text("id -Gn alice", node.run(&["id", "-Gn", "alice"])?)?;
    check::that(!groups.split_whitespace().any(|name| name == "sudo"), || {
        format!("a domain group named sudo passes for the local one: {groups}")
    })?;
    for name in ["sudo@aadds.contoso.com", "docker@aadds.contoso.com"] {
        let (shown, gid, _) = group(&node, name)?;
        check::equal("its name", &shown.as_str(), &name)?;
        let (shown, ..) = group(&node, &gid)?;
        check::equal("its name by gid", &shown.as_str(), &name)?;
    }
    Ok(())
}

fn limited(world: &World) -> Verdict {
    let node = world.installed()?;
    let joined = product::join_with(&node, &["--server", dc::LIMITED_HOST], entra_lab::accounts::JOINER.password)?;
    check::status("join through the limiting proxy", &joined, 0)?;
    product::start_daemon(&node)?;
    let (_, _, found) = group(&node, "big-5000")?;
    let (_, _, wanted) = group(&world.reference()?, "big-5000")?;
    check::equal("members of big-5000", &found.len(), &5000)?;
    check::that(found == wanted, || "the members differ from those that SSSD gives".into())?;
    let log = world.dc()?.log("limiting-proxy")?;
    check::holds("the proxy's log", &log, "bound: CLIENT2$")
}

/// Name, gid and members of a group.
fn group(node: &Node, name: &str) -> Result<(String, String, BTreeSet<String>), String> {
    let output = node.run_with(&["getent", "group", name], None, Duration::from_secs(120))?;
    let line = check::text(&format!("{}: getent group '{name}'", node.name()), output)?;
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return Err(format!("no line of a group: {line}")) };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Ok((name.to_owned(), gid.to_owned(), members))
}
