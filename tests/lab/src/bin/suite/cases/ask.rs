//! Asking with `entractl`: through the daemon, and from the directory itself.

use entra_lab::accounts::{ALICE, Account, PEOPLE};
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("ask: --direct gives what the daemon gives, from the directory", same_answers),
    ("ask: --direct works with the daemon stopped, for root alone", without_the_daemon),
    ("ask: explain names the rule or flag that decides, as the login does", explained),
    ("ask: lists hold every user once, page by page", lists),
];

/// Fields that say where an answer came from, not what it is.
const ORIGIN: &str = "del(.source, .age_seconds, .offline_ready, .offline_until)";

fn same_answers(world: &World) -> Verdict {
    let node = world.joined()?;
    need_jq(&node)?;
    let mut compared = 0;
    for words in [
        vec!["user", ALICE.sam],
        vec!["user", "ivan.petrov@contoso.com"],
        vec!["user", "AADDS\\zoë"],
        vec!["user", "--uid", "674001103"],
        vec!["group", "linux admins"],
        vec!["group", "--gid", "674000513"],
        vec!["group", "sudo@aadds.contoso.com"],
    ] {
        let daemon = without_origin(&node, &words, &[])?;
        let direct = without_origin(&node, &words, &["--direct"])?;
        check::that(daemon.contains("S-1-5-21-"), || format!("{words:?} gives no account: {daemon}"))?;
        check::equal(&format!("{words:?} --direct"), &direct, &daemon)?;
        compared += 1;
    }
    check::equal("answers compared", &compared, &7)
}

fn without_the_daemon(world: &World) -> Verdict {
    let node = world.joined()?;
    product::stop_daemon(&node)?;
    let direct = node.run(&["entractl", "user", "--direct", ALICE.sam])?;
    let daemon = node.run(&["entractl", "user", ALICE.sam])?;
    let other = node.run(&["runuser", "-u", "localuser", "--", "entractl", "user", "--direct", ALICE.sam])?;
    let nobody = node.run(&["entractl", "user", "--direct", "no-such-user"])?;
    let left = check::text("ls /run", node.run(&["ls", "/run"])?)?;
    product::start_daemon(&node)?;
    check::status("user --direct", &direct, 0)?;
    check::holds("user --direct", &direct.stdout, "answer from:       the directory")?;
    check::holds("user --direct", &direct.stdout, &format!("uid:               {}", ALICE.uid()))?;
    check::status("user without a daemon", &daemon, 3)?;
    check::status("user --direct as localuser", &other, 5)?;
    check::status("user --direct of nobody", &nobody, 1)?;
    check::that(!left.contains("entractl-direct"), || format!("a folder with a ticket was left in /run:\n{left}"))?;
    world.lab.cut("dc")?;
    let away = node.run(&["entractl", "user", "--direct", ALICE.sam]);
    world.mend()?;
    check::status("user --direct with the directory away", &away?, 4)
}

fn explained(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    for (user, status, wanted) in [
        ("alice", 0, "decided by:   default = \"allow\""),
        ("dave", 1, "decided by:   the account is disabled"),
        ("erin", 1, "decided by:   the account has expired"),
        ("frank", 1, "decided by:   the account is locked"),
        ("grace", 0, "after a change of the password"),
        ("localuser", 1, "a local user"),
        ("no-such-user", 1, "no such entry"),
    ] {
        let output = node.run(&["entractl", "explain", user, "--service", "sshd"])?;
        check::status(&format!("explain {user}"), &output, status)?;
        check::holds(&format!("explain {user}"), &format!("{}{}", output.stdout, output.stderr), wanted)?;
    }
    // A rule: those in the group come in, others do not, and ssh sees it the same way.
    product::stop_daemon(&node)?;
    let config = node.read_file("/etc/entra/entra.toml")?;
    let rules = "\n[domains.\"aadds.contoso.com\".access]\ndefault = \"deny\"\npermit = [\"linux admins\"]\n";
    node.put_file("/etc/entra/entra.toml", format!("{config}{rules}"), 0o644)?;
    product::start_daemon(&node)?;
    let alice = node.run(&["entractl", "explain", "alice"])?;
    check::status("explain alice, a permitted group's member", &alice, 0)?;
    check::holds("explain alice", &alice.stdout, "a member of the group \"linux admins\"")?;
    let outsider = account("carol")?;
    let refused = node.run(&["entractl", "explain", outsider.sam])?;
    check::status("explain of somebody outside", &refused, 1)?;
    check::holds("explain of somebody outside", &refused.stdout, "default = \"deny\": no rule lets this user in")?;
    check::status("ssh of alice", &product::ssh_as(&node, &ALICE, "true")?, 0)?;
    check::status("ssh of somebody outside", &product::ssh_as(&node, outsider, "true")?, 255)
}

fn account(sam: &str) -> Result<&'static Account, String> {
    PEOPLE.iter().find(|account| account.sam == sam).ok_or_else(|| format!("no account {sam}"))
}

fn lists(world: &World) -> Verdict {
    let node = world.joined()?;
    need_jq(&node)?;
    let all = names(&node, &["users", "--direct"])?;
    for account in &PEOPLE {
        check::that(all.contains(&account.sam.to_lowercase()), || format!("{} is not listed", account.sam))?;
    }
    let mut once = all.clone();
    once.sort();
    once.dedup();
    check::equal("names listed more than once", &(all.len() - once.len()), &0)?;
    let few = names(&node, &["users", "--direct", "--search", "BULK000"])?;
    check::equal("users --search BULK000", &few.len(), &9)?;
    // Through the daemon: whoever was looked up.
    for name in &few {
        check::status("getent passwd", &node.run(&["getent", "passwd", name])?, 0)?;
    }
    let known = names(&node, &["users", "--search", "bulk000"])?;
    check::equal("users that the daemon knows", &known, &few)?;
    let page = check::text("users", node.run(&["entractl", "users", "--search", "bulk000", "--limit", "4"])?)?;
    let place = format!("more: --after 'aadds.contoso.com/{}'", few[3]);
    check::that(page.ends_with(&place), || format!("`{place}` does not end\n{page}"))?;
    let after = format!("aadds.contoso.com/{}", few[3]);
    let rest = names(&node, &["users", "--search", "bulk000", "--after", &after])?;
    check::equal("what stands behind the first page", &rest.as_slice(), &&few[4..])?;
    check::status("getent group", &node.run(&["getent", "group", "linux admins"])?, 0)?;
    check::equal("groups", &names(&node, &["groups", "--search", "linux"])?, &vec!["linux admins".to_owned()])
}

fn need_jq(node: &Node) -> Verdict {
    if node.outside_path("/usr/bin/jq").exists() {
        return Ok(());
    }
    Ok(node.apt_install(&["jq"]).map(drop)?)
}

fn without_origin(node: &Node, words: &[&str], more: &[&str]) -> Result<String, String> {
    let mut line = vec!["entractl", "--json"];
    line.extend(words);
    line.extend(more);
    let json = check::text(&line.join(" "), node.run(&line)?)?;
    let sorted = node.run_with(&["jq", "-S", ORIGIN], Some(json.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    check::text("jq", sorted)
}

fn names(node: &Node, words: &[&str]) -> Result<Vec<String>, String> {
    let mut line = vec!["entractl", "--json"];
    line.extend(words);
    let json = check::text(&line.join(" "), node.run(&line)?)?;
    let names = node.run_with(&["jq", "-r", ".[][]?.name?"], Some(json.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    Ok(check::text("jq", names)?.lines().map(str::to_owned).collect())
}
