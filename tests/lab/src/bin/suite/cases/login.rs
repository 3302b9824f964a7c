//! Logins of domain users.

use std::time::Duration;

use entra_lab::accounts::{ALICE, Account, PEOPLE, State};
use entra_lab::{Node, Output, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("login: ssh with the domain password: home, groups, ticket", ssh),
    ("login: every fit account logs in, names of every kind", everybody),
    ("login: a wrong password is refused, the next right one is not", wrong_password),
    ("login: disabled, expired, locked and must-change accounts are refused", unfit),
    ("login: su, sudo and login let a domain user in", other_services),
    ("login: cron runs a domain user's job", cron),
    ("login: the outcome of each account, as PAM's callers see it", outcomes),
];

fn ssh(world: &World) -> Verdict {
    let node = world.joined()?;
    let script = "id -un; id -u; pwd; stat -c '%a %U' .; echo \"$KRB5CCNAME\"; klist";
    let text = check::text("ssh alice", product::ssh_as(&node, &ALICE, script)?)?;
    let lines: Vec<&str> = text.lines().take(4).collect();
    check::equal("who and where", &lines, &vec!["alice", "674001103", "/home/alice", "700 alice"])?;
    check::holds("the session's ccache", &text, "FILE:/tmp/krb5cc_674001103")?;
    check::holds("klist", &text, "krbtgt/AADDS.CONTOSO.COM@AADDS.CONTOSO.COM")?;
    // The ticket is good for something: the directory takes it.
    let search = "ldapsearch -LLL -Q -Y GSSAPI -N -H ldap://dc1.aadds.contoso.com -b DC=aadds,DC=contoso,DC=com \
                  '(sAMAccountName=alice)' objectSid";
    let found = check::text("ldapsearch", product::ssh_as(&node, &ALICE, search)?)?;
    check::holds("her own entry, read with her own ticket", &found, "dn: CN=Alice Example")
}

fn everybody(world: &World) -> Verdict {
    let node = world.joined()?;
    let mut wrong = Vec::new();
    for account in PEOPLE.iter().filter(|account| account.state == State::Fit) {
        // ssh(1) itself refuses names with quotes and parentheses; pamtester asks for those in another case.
        for name in [account.sam, account.upn].into_iter().filter(|name| !name.contains(['\'', '('])) {
            let output = product::ssh(&node, name, account.password, "id -un; pwd")?;
            let canonical = account.sam.to_lowercase();
            if output.stdout != format!("{canonical}\n/home/{canonical}\n") {
                wrong.push(format!("{name}: {}", output.describe()));
            }
        }
    }
    check::that(wrong.is_empty(), || wrong.join("\n"))
}

fn wrong_password(world: &World) -> Verdict {
    let node = world.joined()?;
    let refused = product::ssh(&node, "bob", "not-his-password", "true")?;
    check::that(!refused.ok(), || "a wrong password was let in".into())?;
    check::holds("what ssh says", &refused.stderr, "Permission denied")?;
    let attempts = bad_passwords(world, "bob")?;
    check::equal("wrong passwords that the directory counted for one attempt", &attempts, &1)?;
    let bob = PEOPLE.iter().find(|account| account.sam == "bob").ok_or("no bob")?;
    check::text("the right password", product::ssh_as(&node, bob, "true")?).map(drop)
}

fn unfit(world: &World) -> Verdict {
    let node = world.joined()?;
    for account in PEOPLE.iter().filter(|account| account.state != State::Fit) {
        let output = product::ssh_as(&node, account, "true")?;
        check::that(!output.ok(), || format!("{} ({:?}) was let in", account.sam, account.state))?;
        // They own files: they resolve all the same.
        check::status(account.sam, &node.run(&["getent", "passwd", account.sam])?, 0)?;
    }
    Ok(())
}

fn other_services(world: &World) -> Verdict {
    let node = world.joined()?;
    node.put_file("/etc/sudoers.d/suite", "%linux\\ admins ALL=(ALL) ALL\n", 0o440)?;
    // A terminal for those that insist on one; the password goes in once it is asked for.
    let through_su = typed(&node, "su localuser -c 'su - alice -c id'", ALICE.password)?;
    check::holds("su", &through_su.stdout, "uid=674001103(alice)")?;
    let sudo = format!("su - alice -c \"echo '{}' | sudo -S -p '' id -u\"", ALICE.password);
    check::equal("sudo", &check::text("sudo", node.sh(&sudo, &[])?)?.as_str(), &"0")?;
    let wrong = "su - alice -c \"echo not-hers | sudo -S -p '' id -u\"";
    check::that(!node.sh(wrong, &[])?.ok(), || "sudo took a wrong password".into())?;
    let login = typed(&node, "login alice", &format!("{}\nid -un\nexit", ALICE.password))?;
    check::holds("login", &login.stdout, "alice")?;
    check::that(!login.stdout.contains("incorrect"), || format!("login: {}", login.describe()))
}

fn cron(world: &World) -> Verdict {
    let node = world.joined()?;
    // Her home has to be there: cron's jobs run in it.
    check::text("ssh alice", product::ssh_as(&node, &ALICE, "rm -f cron-ran")?)?;
    let job = b"* * * * * id -un >cron-ran\n";
    let output = node.run_with(&["crontab", "-u", "alice", "-"], Some(job), entra_lab::DEFAULT_LIMIT)?;
    check::status("crontab", &output, 0)?;
    // cron wakes on the full minute.
    let script = "for step in $(seq 140); do [ -s /home/alice/cron-ran ] && exit; sleep 0.5; done; exit 1";
    let waited = node.run_with(&["sh", "-c", script], None, Duration::from_secs(90))?;
    node.must(&["crontab", "-u", "alice", "-r"])?;
    check::status("the job's trace", &waited, 0)?;
    check::equal("who ran it", &node.read_file("/home/alice/cron-ran")?.as_str(), &"alice\n")
}

fn outcomes(world: &World) -> Verdict {
    let node = world.joined()?;
    let wanted = |account: &Account| match account.state {
        State::Fit => "successfully authenticated",
        State::Disabled | State::Expired => "expired",
        State::Locked => "maximum",
        State::MustChange => "token",
    };
    let mut wrong = Vec::new();
    for account in &PEOPLE {
        let words = ["pamtester", "-v", "sshd", account.sam, "authenticate", "acct_mgmt"];
        let output =
            node.run_with(&words, Some(format!("{}\n", account.password).as_bytes()), entra_lab::DEFAULT_LIMIT)?;
        let text = format!("{}{}", output.stdout, output.stderr).to_lowercase();
        if !text.contains(wanted(account)) || output.ok() != (account.state == State::Fit) {
            wrong.push(format!("{} ({:?}): {}", account.sam, account.state, output.describe()));
        }
    }
    check::that(wrong.is_empty(), || wrong.join("\n"))
}

/// Runs a shell command on a terminal of its own and types `text` after a moment.
fn typed(node: &Node, command: &str, text: &str) -> Result<Output, String> {
    let script = r#"(sleep 1; printf '%s\n' "$2" | while read -r line; do echo "$line"; sleep 1; done) | script -qec "$1" /dev/null"#;
    Ok(node.sh(script, &[command, text])?)
}

/// What the directory counts as wrong passwords of an account.
fn bad_passwords(world: &World, name: &str) -> Result<u32, String> {
    let filter = format!("(sAMAccountName={name})");
    let text = world.dc()?.must(&["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "badPwdCount"])?;
    Ok(text.lines().find_map(|line| line.strip_prefix("badPwdCount: ")?.parse().ok()).unwrap_or(0))
}
