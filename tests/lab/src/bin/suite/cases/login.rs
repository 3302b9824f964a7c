//! Logins of domain users.

use entra_lab::accounts::{ALICE, Account, PEOPLE, State};
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("login: ssh with the domain password: home, groups, ticket", ssh),
    ("login: every fit account logs in, names of every kind", everybody),
    ("login: a wrong password is refused, the next right one is not", wrong_password),
    ("login: disabled, expired, locked and must-change accounts are refused", unfit),
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
        let down_level = format!("AADDS\\{}", account.sam);
        // The last form is the same for everybody.
        let forms = if account.sam == ALICE.sam { 3 } else { 2 };
        let names = [account.sam, account.upn, &down_level].into_iter().take(forms);
        for name in names.filter(|name| !name.contains(['\'', '('])) {
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

fn outcomes(world: &World) -> Verdict {
    each_outcome(&world.joined()?)
}

/// What PAM's callers on this node see of each account.
pub(super) fn each_outcome(node: &Node) -> Verdict {
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

/// What the directory counts as wrong passwords of an account.
fn bad_passwords(world: &World, name: &str) -> Result<u32, String> {
    let filter = format!("(sAMAccountName={name})");
    let text = world.dc()?.must(&["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "badPwdCount"])?;
    Ok(text.lines().find_map(|line| line.strip_prefix("badPwdCount: ")?.parse().ok()).unwrap_or(0))
}
