//! Filters by unit, group and attribute, and enumeration: what the configuration leaves out is gone at once, also from what was
//! cached before.

use std::time::Duration;

use entra_lab::accounts::ALICE;
use entra_lab::{Node, product};

use super::parity;
use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("filters: by unit, group and attribute, and enumerate, count at once, cached or not", filters)];

const CONFIG: &str = "/etc/entra/entra.toml";
/// `getent` found nothing.
const NOT_FOUND: i32 = 2;

fn filters(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    let plain = node.read_file(CONFIG)?;
    let before = cached(&node)?;
    check::that(before.contains("user0101"), || format!("members before any filter: {before}"))?;
    check::equal("domain users that getent lists unasked", &lines(&node, "passwd")?.1, &0)?;

    restart_with(&node, &plain, "user_bases = [\"OU=Bulk,DC=aadds,DC=contoso,DC=com\"]")?;
    gone(&node, "passwd", &["alice", "alice@contoso.com", "AADDS\\alice", "674001103", "user0101"])?;
    there(&node, "passwd", &["bulk0001"])?;
    there(&node, "group", &["team-010", "linux admins"])?;
    check::equal("members when users are elsewhere", &members(&node, "team-010")?.as_str(), &"")?;
    check::status("id alice", &node.run(&["id", "alice"])?, 1)?;
    let login = product::ssh_as(&node, &ALICE, "true")?;
    check::that(!login.ok(), || "a user outside of user_bases logged in".into())?;

    restart_with(&node, &plain, "user_filter = \"(!(sAMAccountName=user0101))\"")?;
    gone(&node, "passwd", &["user0101", "user0101@contoso.com"])?;
    there(&node, "passwd", &["alice", "user0102", "bulk0001"])?;
    let after = members(&node, "team-010")?;
    check::equal("members when one is filtered out", &after, &before.replace("user0101,", ""))?;

    let group = "CN=Linux Admins,OU=AADDC Users,DC=aadds,DC=contoso,DC=com";
    restart_with(&node, &plain, &format!("user_filter = \"(memberOf={group})\""))?;
    there(&node, "passwd", &["alice", "bob@contoso.com"])?;
    gone(&node, "passwd", &["carol", "user0102", "bulk0001"])?;

    restart_with(&node, &plain, "group_bases = [\"CN=Users,DC=aadds,DC=contoso,DC=com\"]")?;
    gone(&node, "group", &["team-010", "linux admins", "674001124"])?;
    there(&node, "group", &["domain admins", "domain users"])?;
    let groups = check::text("id -Gn many", node.run(&["id", "-Gn", "many"])?)?;
    check::equal("groups of many when its teams are elsewhere", &groups.as_str(), &"domain users")?;

    restart_with(&node, &plain, "group_filter = \"(!(cn=team-0*))\"")?;
    gone(&node, "group", &["team-010", "team-099"])?;
    there(&node, "group", &["team-100", "linux admins"])?;
    let groups = check::text("id -Gn many", node.run(&["id", "-Gn", "many"])?)?;
    check::equal("teams of many that are left", &groups.matches("team-").count(), &51)?;

    // Everything is back without the filters; and enumeration lists all of it.
    restart_with(&node, &plain, "enumerate = true")?;
    check::equal("members without filters", &cached(&node)?, &before)?;
    let listing = parity::listing(world)?;
    let (local, domain) = lines(&node, "passwd")?;
    check::equal("domain users that getent lists", &domain, &listing.users.len())?;
    check::that(local > 0, || "getent lists no local user".into())?;
    check::equal("domain groups that getent lists", &lines(&node, "group")?.1, &listing.groups.len())
}

/// Asks for what the filters will hide, so that it is cached in memory and, once the daemon has ended, on disk.
fn cached(node: &Node) -> Result<String, String> {
    there(node, "passwd", &["alice", "674001103", "user0101", "bulk0001"])?;
    there(node, "group", &["linux admins", "674001124"])?;
    check::status("id many", &node.run(&["id", "many"])?, 0)?;
    members(node, "team-010")
}

fn restart_with(node: &Node, plain: &str, option: &str) -> Verdict {
    let header = "[domains.\"aadds.contoso.com\"]\n";
    check::holds(CONFIG, plain, header)?;
    product::stop_daemon(node)?;
    node.put_file(CONFIG, plain.replacen(header, &format!("{header}{option}\n"), 1), 0o644)?;
    Ok(product::start_daemon(node)?)
}

fn gone(node: &Node, database: &str, keys: &[&str]) -> Verdict {
    keys.iter().try_for_each(|key| {
        let output = node.run(&["getent", database, key])?;
        check::status(&format!("getent {database} '{key}', which is filtered out"), &output, NOT_FOUND)
    })
}

fn there(node: &Node, database: &str, keys: &[&str]) -> Verdict {
    keys.iter().try_for_each(|key| {
        let output = node.run(&["getent", database, key])?;
        check::status(&format!("getent {database} '{key}', which no filter touches"), &output, 0)
    })
}

fn members(node: &Node, group: &str) -> Result<String, String> {
    let line = check::text(&format!("getent group {group}"), node.run(&["getent", "group", group])?)?;
    let mut names: Vec<&str> = line.rsplit(':').next().unwrap_or_default().split(',').collect();
    names.sort_unstable();
    Ok(names.join(","))
}

/// Lines of a whole database: how many have a local id, how many one of the domain.
fn lines(node: &Node, database: &str) -> Result<(usize, usize), String> {
    let output = node.run_with(&["getent", database], None, Duration::from_secs(120))?;
    let text = check::text(&format!("getent {database}"), output)?;
    let ids = text.lines().filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok());
    let (domain, local): (Vec<u32>, Vec<u32>) = ids.partition(|id| *id >= entra_lab::dc::FIRST_ID);
    Ok((local.len(), domain.len()))
}
