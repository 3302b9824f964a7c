//! One row for every state of an account × group × password, with and without the domain: what PAM's caller is told, the
//! reason in the log, and the person's sentence.

use std::fmt::Write as _;
use std::time::Duration;

use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[("states: every account state, in every group, with and without the domain", table)];

const CONFIG: &str = "/etc/entra/entra.toml";
const OLD: &str = "Planted-Pass-1";
const LIMIT: Duration = Duration::from_secs(40);

/// An account, and what is done to it after its first login.
const ACCOUNTS: [(&str, &str); 8] = [
    ("st-fit", ""),
    ("st-off", "userAccountControl: 514"),
    ("st-past", "accountExpires: 132000000000000000"),
    // A lock lasts 30 minutes; set far ahead, it outlives the case.
    ("st-lock", "lockoutTime: 160000000000000000"),
    ("st-must", "pwdLastSet: 0"),
    // At no hour of the week: 21 bytes of zeros.
    ("st-hour", "logonHours:: AAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ("st-host", "userWorkstations: OTHERHOST"),
    ("st-card", "userAccountControl: 262656"),
];

/// What comes of one account in one situation: authentication with the right and the wrong password, the account group,
/// a change (to a password that the domain's policy refuses) with the right and the wrong old one.
struct Row {
    account: &'static str,
    auth: [&'static str; 2],
    entry: &'static str,
    change: [&'static str; 2],
}

const fn row(account: &'static str, auth: [&'static str; 2], entry: &'static str, change: [&'static str; 2]) -> Row {
    Row { account, auth, entry, change }
}

const DISABLED: &str = "account-disabled";
const EXPIRED: &str = "account-expired";
const LOCKED: &str = "account-locked";
const HOUR: &str = "outside-logon-hours";
const HOST: &str = "workstation-not-permitted";
const CARD: &str = "smartcard-required";
const WRONG: &str = "wrong-password";
const AWAY: &str = "directory-unreachable";

#[rustfmt::skip]
const ONLINE: [Row; 8] = [
    row("st-fit",  ["-", WRONG],                "-",                    ["password-policy", WRONG]),
    // This KDC looks at the password of a disabled or expired account first, and at that of a locked one never.
    row("st-off",  [DISABLED, WRONG],           DISABLED,               [DISABLED, WRONG]),
    row("st-past", [EXPIRED, WRONG],            EXPIRED,                [EXPIRED, WRONG]),
    row("st-lock", [LOCKED, LOCKED],            LOCKED,                 [LOCKED, LOCKED]),
    row("st-must", ["password-expired", WRONG], "must-change-password", ["password-policy", WRONG]),
    row("st-hour", [HOUR, WRONG],               HOUR,                   [HOUR, WRONG]),
    // This KDC is not told which computer asks.
    row("st-host", ["-", WRONG],                HOST,                   ["password-policy", WRONG]),
    // Where a smart card is demanded, this directory replaces the password by a random one.
    row("st-card", [WRONG, WRONG],              "-",                    [WRONG, WRONG]),
];

#[rustfmt::skip]
const OFFLINE: [Row; 8] = [
    row("st-fit",  ["offline", WRONG],   "-",      [AWAY, AWAY]),
    row("st-off",  [DISABLED, DISABLED], DISABLED, [AWAY, AWAY]),
    row("st-past", [EXPIRED, EXPIRED],   EXPIRED,  [AWAY, AWAY]),
    row("st-lock", [LOCKED, LOCKED],     LOCKED,   [AWAY, AWAY]),
    row("st-must", ["offline", WRONG],   "-",      [AWAY, AWAY]),
    row("st-hour", [HOUR, HOUR],         HOUR,     [AWAY, AWAY]),
    row("st-host", [HOST, HOST],         HOST,     [AWAY, AWAY]),
    row("st-card", [CARD, CARD],         "-",      [AWAY, AWAY]),
];

/// What pamtester prints, and a part of what the person reads, for each reason and operation.
fn expected(operation: &str, reason: &str) -> (&'static str, &'static str) {
    match (operation, reason) {
        ("authenticate", "-") => ("successfully authenticated", ""),
        ("authenticate", "offline") => ("successfully authenticated", "logged in offline"),
        // The account group stops it, which every application asks next.
        ("authenticate", "password-expired") => ("successfully authenticated", "has expired and must be changed"),
        ("acct_mgmt", "-") => ("account management done", ""),
        ("acct_mgmt", "must-change-password") => ("token is no longer valid", "You must change your password"),
        (_, WRONG) => ("Authentication failure", "The password is wrong."),
        ("chauthtok", DISABLED) => ("Permission denied", "Your account is disabled."),
        ("chauthtok", EXPIRED) => ("Permission denied", "Your account has expired."),
        (_, DISABLED) => ("User account has expired", "Your account is disabled."),
        (_, EXPIRED) => ("User account has expired", "Your account has expired."),
        (_, HOUR) => ("Permission denied", "Your account may not log in at this hour."),
        (_, HOST) => ("Permission denied", "Your account may not log in at this computer."),
        (_, CARD) => ("Permission denied", "Your account logs in with a smart card"),
        (_, LOCKED) => ("maximum number of retries", "Your account is locked"),
        (_, AWAY) => ("cannot retrieve authentication info", "The domain cannot be reached"),
        ("chauthtok", "password-policy") => ("Authentication token manipulation error", "refuses the new password"),
        _ => ("(not foreseen)", ""),
    }
}

fn table(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    product::stop_daemon(&node)?;
    node.put_file(CONFIG, node.read_file(CONFIG)?.replace("entra-ds", "active-directory"), 0o644)?;
    product::start_daemon(&node)?;
    world.with_planted(&ACCOUNTS.map(|(name, _)| Planted::user(name, OLD)), |_| {
        for (name, _) in ACCOUNTS {
            check::status(name, &pamtester(&node, name, "authenticate", &[OLD])?, 0)?;
        }
        let ready = "for name in \"$@\"; do for step in $(seq 200); do entractl user $name | grep -q 'ready until' && \
                     continue 2; sleep 0.1; done; exit 1; done";
        check::status("verifiers", &node.sh(ready, &ACCOUNTS.map(|(name, _)| name))?, 0)?;
        set_states(world)?;
        let mut wrong = String::new();
        judge(&node, "online", &ONLINE, &mut wrong)?;
        world.lab.cut("dc")?;
        let offline = judge(&node, "offline", &OFFLINE, &mut wrong);
        world.mend()?;
        offline?;
        check::that(wrong.is_empty(), || wrong)
    })
}

fn set_states(world: &World) -> Verdict {
    let mut ldif = String::new();
    for (name, change) in ACCOUNTS {
        if let Some((attribute, _)) = change.split_once(':') {
            // Writing to a String cannot fail.
            let _ = write!(
                ldif,
                "dn: CN=planted user {name},CN=Users,DC=aadds,DC=contoso,DC=com\nchangetype: modify\nreplace: \
                 {attribute}\n{change}\n\n"
            );
        }
    }
    let words = ["ldbmodify", "-H", "/var/lib/samba/private/sam.ldb"];
    check::status("ldbmodify", &world.dc()?.run_with(&words, Some(ldif.as_bytes()), LIMIT)?, 0)
}

fn judge(node: &Node, situation: &str, rows: &[Row], wrong: &mut String) -> Verdict {
    // All rows at once: PAM delays each refusal by two seconds.
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = rows.iter().map(|row| scope.spawn(|| judge_row(node, situation, row))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for verdict in verdicts {
        wrong.push_str(&verdict.map_err(|_| "a row's thread panicked")??);
    }
    Ok(())
}

/// What came out otherwise than the row says.
fn judge_row(node: &Node, situation: &str, row: &Row) -> Result<String, String> {
    let mut wrong = String::new();
    let mut cells = vec![("acct_mgmt", row.entry, vec![])];
    for (reason, password) in row.auth.iter().zip([OLD, "not-it"]) {
        cells.push(("authenticate", reason, vec![password]));
    }
    for (reason, password) in row.change.iter().zip([OLD, "not-it"]) {
        cells.push(("chauthtok", reason, vec![password, "short", "short", ""]));
    }
    for (operation, reason, typed) in cells {
        let output = pamtester(node, row.account, operation, &typed)?;
        let text = format!("{}{}", output.stdout, output.stderr);
        let logged = last_reason(&node.log("entrad")?, row.account);
        let (told, sentence) = expected(operation, reason);
        if logged != *reason || !text.contains(told) || !text.contains(sentence) {
            let typed = typed.first().unwrap_or(&"");
            let _ = writeln!(
                wrong,
                "{situation} {} {operation} {typed}: wanted {reason} with {told:?} and {sentence:?}, got {logged} with \
                 {text:?}",
                row.account
            );
        }
    }
    Ok(wrong)
}

fn pamtester(node: &Node, user: &str, operation: &str, typed: &[&str]) -> Result<entra_lab::Output, String> {
    let lines: String = typed.iter().flat_map(|line| [line, "\n"]).collect();
    Ok(node.run_with(&["pamtester", "sshd", user, operation], Some(lines.as_bytes()), LIMIT)?)
}

/// The reason in the newest record about this user.
fn last_reason(log: &str, user: &str) -> String {
    let line = log.lines().rev().find(|line| line.contains("audit: ") && line.contains(&format!(" user={user:?} ")));
    let reason = line.and_then(|line| line.rsplit_once(" reason=")).and_then(|(_, rest)| rest.split(' ').next());
    reason.unwrap_or_default().to_owned()
}
