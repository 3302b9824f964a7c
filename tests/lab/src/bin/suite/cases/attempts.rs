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
        // cron would mail it with every job.
        let words = ["pamtester", "-Itty=cron", "cron", USER, "acct_mgmt"];
        let job = node.run_with(&words, None, LIMIT)?;
        check::status("an account's check for a job", &job, 0)?;
        check::that(!format!("{}{}", job.stdout, job.stderr).contains("expires"), || job.describe())
    })
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
