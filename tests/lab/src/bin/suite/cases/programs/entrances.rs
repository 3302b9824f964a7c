//! The ways into a host: Debian's programs with Debian's settings, each used as a person uses it.
//!
//! Whoever gets in says "in-as-NAME", NAME being who the host takes them for.

use std::time::Duration;

use entra_lab::{Node, Output, TIMED_OUT, Terminal, product};

use crate::check::{self, Verdict};

/// Somebody with a password.
#[derive(Clone, Copy)]
pub struct Person {
    /// Login name.
    pub name: &'static str,
    /// Their password.
    pub password: &'static str,
}

/// A program that lets people in.
pub struct Entrance {
    /// What it is called in a message.
    pub name: &'static str,
    enter: fn(&Node, &Person) -> Result<Output, String>,
    /// As whom one is in then: the user, or root.
    as_root: bool,
}

/// All of them that take a password, and sshd's with a key.
pub const ENTRANCES: [Entrance; 6] = [
    Entrance { name: "sshd with a password", enter: ssh_with_password, as_root: false },
    Entrance { name: "sshd with a key", enter: ssh_with_key, as_root: false },
    Entrance { name: "su on a terminal", enter: su, as_root: false },
    Entrance { name: "sudo", enter: sudo, as_root: true },
    Entrance { name: "login on a terminal", enter: login, as_root: false },
    Entrance { name: "any other service", enter: other_service, as_root: false },
];

/// Root's: by key, at the console without a password, and by su.
pub const FOR_ROOT: [Entrance; 3] = [
    Entrance { name: "sshd with a key", enter: ssh_with_key, as_root: true },
    Entrance { name: "login at the console", enter: login_without_password, as_root: true },
    Entrance { name: "su", enter: su_from_root, as_root: true },
];

/// Far beyond what any entrance takes, and below a chain of deadlines.
const LIMIT: Duration = Duration::from_secs(20);
const SERVICE: &str = "/etc/pam.d/lab-service";
const SUDOERS: &str = "/etc/sudoers.d/lab-programs";

impl Entrance {
    /// Goes in; an error where that fails. How long it took.
    pub fn admits(&self, node: &Node, person: &Person) -> Result<Duration, String> {
        let output = (self.enter)(node, person)?;
        let wanted = format!("in-as-{}", if self.as_root { "root" } else { person.name });
        let what = format!("{} of {}: {}", self.name, person.name, output.describe());
        check::that(output.stdout.lines().any(|line| line == wanted), || what)?;
        Ok(output.took)
    }

    /// Tries to go in, which must be refused within the limit; what was said.
    pub fn refuses(&self, node: &Node, person: &Person) -> Result<String, String> {
        let output = (self.enter)(node, person)?;
        let what = |outcome: &str| format!("{} {outcome} {}: {}", self.name, person.name, output.describe());
        check::that(!output.stdout.lines().any(|line| line.starts_with("in-as-")), || what("let in"))?;
        check::that(output.status != TIMED_OUT, || what("hung for"))?;
        Ok(format!("{}{}", output.stdout, output.stderr))
    }
}

/// Makes the entrances fit for these people: rules of sudo by a group and a user whose names have spaces, keys, and a
/// service of PAM as any package brings it along.
pub fn prepare(node: &Node, people: &[&Person]) -> Verdict {
    // Both ways of writing a group's name, and a user's.
    let rules = "%linux\\ admins ALL=(root) ALL\n\"%sales (emea)\" ALL=(nobody) ALL\njane\\ doe ALL=(root) ALL\n";
    node.put_file(SUDOERS, rules, 0o440)?;
    node.must(&["visudo", "--check", "--quiet", "--file", SUDOERS])?;
    let includes = ["auth", "account", "password", "session"].map(|group| format!("@include common-{group}\n"));
    node.put_file(SERVICE, includes.concat(), 0o644)?;
    for person in people {
        let script = r#"
home=$(getent passwd "$1" | cut -d : -f 6) && [ -d "$home" ] || exit 1
install -d -m 700 -o "$1" "$home/.ssh"
install -m 600 -o "$1" /root/.ssh/id_ed25519.pub "$home/.ssh/authorized_keys""#;
        check::text(&format!("key of {}", person.name), node.sh(script, &[person.name])?)?;
    }
    Ok(())
}

/// Takes away what [`prepare`] put there.
pub fn clear(node: &Node, people: &[&Person]) -> Verdict {
    node.must(&["rm", "-f", SUDOERS, SERVICE])?;
    for person in people {
        node.sh(r#"rm -f "$(getent passwd "$1" | cut -d : -f 6)/.ssh/authorized_keys""#, &[person.name])?;
    }
    Ok(())
}

/// Gives each of these users a crontab whose job says who it runs as.
pub fn write_crontabs(node: &Node, users: &[&str]) -> Verdict {
    for user in users {
        let job = format!("@reboot id -un >{0}.new && mv {0}.new {0}\n", trace(user));
        let output = node.run_with(&["crontab", "-u", user, "-"], Some(job.as_bytes()), LIMIT)?;
        check::status(&format!("crontab of {user}"), &output, 0)?;
    }
    Ok(())
}

/// Takes the crontabs away, also of users that nobody knows any more.
pub fn remove_crontabs(node: &Node, users: &[&str]) -> Verdict {
    for user in users {
        node.must(&["rm", "-f", &format!("/var/spool/cron/crontabs/{user}"), &trace(user)])?;
    }
    Ok(())
}

/// Starts cron as at boot, so that the jobs run now and not at the next full minute; how long until these users' have
/// run.
pub fn cron_runs(node: &Node, users: &[&str]) -> Result<Duration, String> {
    node.stop("cron")?;
    let traces: Vec<String> = users.iter().map(|user| trace(user)).collect();
    // Debian's cron remembers there that it has done the jobs of this boot.
    node.must(&["sh", "-c", &format!("rm -f /run/crond.reboot {}", trace("*"))])?;
    node.start("cron", &["/usr/sbin/cron", "-f"])?;
    let script = r#"for step in $(seq 500); do
        for trace; do [ -s "$trace" ] || { sleep 0.02; continue 2; }; done
        exit 0
    done; exit 1"#;
    let mut words = vec!["sh", "-c", script, "sh"];
    words.extend(traces.iter().map(String::as_str));
    let output = node.run_with(&words, None, LIMIT)?;
    check::status(&format!("cron's jobs of {}", users.join(", ")), &output, 0)?;
    for (user, trace) in users.iter().zip(&traces) {
        check::equal(&format!("whom the job of {user} runs as"), &node.read_file(trace)?.trim(), user)?;
    }
    Ok(output.took)
}

/// Whether the job of a user ran since the last start of cron.
pub fn job_ran(node: &Node, user: &str) -> bool {
    node.outside_path(&trace(user)).exists()
}

fn trace(user: &str) -> String {
    format!("/var/tmp/job-of-{user}")
}

/// What is run once in; on a terminal the line itself, as it is echoed, says something else.
const SAY: &str = "echo in-as-$(id -un)";

fn ssh_with_password(node: &Node, person: &Person) -> Result<Output, String> {
    Ok(product::ssh(node, person.name, person.password, SAY)?)
}

fn ssh_with_key(node: &Node, person: &Person) -> Result<Output, String> {
    let options =
        ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-oBatchMode=yes"];
    let mut words = vec!["ssh"];
    words.extend(options);
    words.extend(["-l", person.name, "localhost", SAY]);
    Ok(node.run_with(&words, None, LIMIT)?)
}

/// From an unprivileged user: root is not asked for a password.
fn su(node: &Node, person: &Person) -> Result<Output, String> {
    // The terminal's own shell leaves the dollar alone.
    let inner = format!("su - '{}' -c '{SAY}'", person.name).replace('$', "\\$");
    let mut terminal = Terminal::start(node, &format!("su localuser -c \"{inner}\""), LIMIT)?;
    // su ends without a question where the user is unknown.
    if terminal.expect(&["Password: "]).is_ok() {
        terminal.enter(person.password)?;
    }
    Ok(terminal.finish()?)
}

fn su_from_root(node: &Node, person: &Person) -> Result<Output, String> {
    Ok(node.run_with(&["su", "-", person.name, "-c", SAY], None, LIMIT)?)
}

fn sudo(node: &Node, person: &Person) -> Result<Output, String> {
    let command = format!("sudo -S -k -p '' sh -c '{SAY}'");
    let words = ["su", "-", person.name, "-c", &command];
    Ok(node.run_with(&words, Some(format!("{}\n", person.password).as_bytes()), LIMIT)?)
}

fn login(node: &Node, person: &Person) -> Result<Output, String> {
    let mut terminal = Terminal::start(node, &format!("login '{}'", person.name), LIMIT)?;
    terminal.expect(&["Password: "])?;
    terminal.enter(person.password)?;
    at_the_shell(terminal, "$ ")
}

fn login_without_password(node: &Node, person: &Person) -> Result<Output, String> {
    let terminal = Terminal::start(node, &format!("login -f '{}'", person.name), LIMIT)?;
    at_the_shell(terminal, "# ")
}

fn at_the_shell(mut terminal: Terminal, prompt: &str) -> Result<Output, String> {
    if terminal.expect(&[prompt, "Login incorrect"])? == 1 {
        return Ok(terminal.hang_up()?);
    }
    terminal.enter(SAY)?;
    terminal.enter("exit")?;
    Ok(terminal.finish()?)
}

fn other_service(node: &Node, person: &Person) -> Result<Output, String> {
    let script = r#"
pamtester lab-service "$1" authenticate acct_mgmt setcred open_session close_session 2>&1 && echo "in-as-$1""#;
    let words = ["sh", "-c", script, "sh", person.name];
    Ok(node.run_with(&words, Some(format!("{}\n", person.password).as_bytes()), LIMIT)?)
}
