//! What one try of a password costs in the directory, and what is said of one that expires.

use std::time::Duration;

use entra_lab::{Node, Terminal, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("attempts: through sshd, su and login one wrong password counts once, and a right one forgets it", counted),
    ("attempts: who has a password that expires soon is told when and where to change it, and no job is", expiring),
];

const CONFIG: &str = "/etc/entra/entra.toml";
const LIMIT: Duration = Duration::from_secs(40);
const USER: &str = "counted";
const PASSWORD: &str = "Planted-Pass-1";
const WRONG: &str = "not-the-password";
/// A fine-grained password policy.
const PSO: &str = "lab-expiring";

fn counted(world: &World) -> Verdict {
    let node = world.joined()?;
    world.with_planted(&[Planted::user(USER, PASSWORD)], |_| {
        for (program, enter) in [("sshd", ssh as Enter), ("su", su), ("login", login)] {
            check::that(!enter(&node, WRONG)?, || format!("{program} let a wrong password in"))?;
            check::equal(&format!("wrong passwords after one through {program}"), &bad_passwords(world)?, &1)?;
            check::that(enter(&node, PASSWORD)?, || format!("{program} refused the right password"))?;
            check::equal(&format!("wrong passwords after a right one through {program}"), &bad_passwords(world)?, &0)?;
        }
        Ok(())
    })
}

fn expiring(world: &World) -> Verdict {
    let node = world.freshly_joined()?;
    // The lab's passwords last 90 days.
    world.with_planted(&[Planted::user(USER, PASSWORD)], |_| {
        check::that(!screen_of_su(&node, PASSWORD)?.contains("expires"), || "a warning 90 days before".into())?;
        product::stop_daemon(&node)?;
        let config = node.read_file(CONFIG)?;
        node.put_file(CONFIG, format!("{config}\npassword_warning = \"120d\"\n"), 0o644)?;
        product::start_daemon(&node)?;
        let screen = screen_of_su(&node, PASSWORD)?;
        let days = screen.split_once("Your password expires in ").and_then(|(_, rest)| rest.split_once(" days ("));
        let days = days.and_then(|(days, _)| days.parse::<u32>().ok());
        check::that(days == Some(90), || format!("a minute less than 90 days: {screen}"))?;
        check::holds("what su says", &screen, "https://myaccount.microsoft.com")?;
        check::holds("what su does", &screen, "in-as-counted")?;
        by_policy_of_their_own(world, &node)?;
        // cron would mail it with every job.
        let words = ["pamtester", "-Itty=cron", "cron", USER, "acct_mgmt"];
        let job = node.run_with(&words, None, LIMIT)?;
        check::status("an account's check for a job", &job, 0)?;
        check::that(!format!("{}{}", job.stdout, job.stderr).contains("expires"), || job.describe())
    })
}

/// A fine-grained policy makes the password of its user alone expire sooner.
fn by_policy_of_their_own(world: &World, node: &Node) -> Verdict {
    let dc = world.dc()?;
    let pso = |words: &[&str]| dc.run(&[&["samba-tool", "domain", "passwordsettings", "pso"], words].concat());
    // What a case that was interrupted left behind.
    pso(&["delete", PSO])?;
    let limits = ["--max-pwd-age=20", "--min-pwd-age=0", "--min-pwd-length=7", "--complexity=off"];
    check::status("a policy", &pso(&[&["create", PSO, "1"][..], &limits].concat())?, 0)?;
    let screen = pso(&["apply", PSO, USER]).map(drop).map_err(String::from).and_then(|()| screen_of_su(node, PASSWORD));
    pso(&["delete", PSO])?;
    check::holds("what su says under a policy of their own", &screen?, "Your password expires in 20 days (")
}

/// Whether one gets in with a password.
type Enter = fn(&Node, &str) -> Result<bool, String>;

fn ssh(node: &Node, password: &str) -> Result<bool, String> {
    Ok(product::ssh(node, USER, password, "true")?.ok())
}

fn su(node: &Node, password: &str) -> Result<bool, String> {
    Ok(screen_of_su(node, password)?.lines().any(|line| line == "in-as-counted"))
}

fn screen_of_su(node: &Node, password: &str) -> Result<String, String> {
    let mut terminal = Terminal::start(node, "su localuser -c \"su - counted -c 'echo in-as-\\$(id -un)'\"", LIMIT)?;
    terminal.expect(&["Password: "])?;
    terminal.enter(password)?;
    Ok(terminal.finish()?.stdout)
}

fn login(node: &Node, password: &str) -> Result<bool, String> {
    let mut terminal = Terminal::start(node, &format!("login {USER}"), LIMIT)?;
    terminal.expect(&["Password: "])?;
    terminal.enter(password)?;
    if terminal.expect(&["counted@", "Login incorrect"])? == 1 {
        // It asks for another name and has no second try of its own.
        terminal.hang_up()?;
        return Ok(false);
    }
    terminal.enter("exit")?;
    terminal.finish()?;
    Ok(true)
}

/// What the directory counts as the user's wrong passwords in a row.
fn bad_passwords(world: &World) -> Result<u32, String> {
    let filter = format!("(sAMAccountName={USER})");
    let text = world.dc()?.must(&["ldbsearch", "-H", "/var/lib/samba/private/sam.ldb", &filter, "badPwdCount"])?;
    Ok(text.lines().find_map(|line| line.strip_prefix("badPwdCount: ")?.parse().ok()).unwrap_or(0))
}
