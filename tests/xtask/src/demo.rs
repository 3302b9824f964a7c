//! The main job, shown from nothing: a bare Debian client joins a real directory with our packages, resolves its users,
//! logs them in, and goes on resolving when the domain controller is cut off.

use std::io::{Write, stdout};
use std::process::Command;
use std::time::Instant;

use entra_lab::accounts::{ALICE, JOINER};
use entra_lab::{Lab, Node, Options, Output, product};

use crate::run::{self, Outcome};

/// The demo's lab has a name of its own: one that a developer has up stays as it is.
const NAME: &str = "demo";

/// Does it.
pub fn run() -> Outcome {
    let start = Instant::now();
    entra_lab::down(NAME)?;
    step("Packages, built from this source", || run::run(Command::new(run::own_program()?).args(["package", "deb"])))?;
    let lab = step("A directory and a bare Debian client, each in namespaces of this machine", || {
        Ok(Lab::up(&Options { name: NAME.into(), ..Options::default() })?)
    })?;
    let shown = show(&lab);
    if shown.is_err()
        && let Ok(log) = lab.node("client").and_then(|client| client.log("entrad"))
    {
        eprintln!("--- the daemon's log\n{log}");
    }
    step("Taking everything down", || Ok(lab.down()?))?;
    shown?;
    println!("\nShown in {:.1} s.", start.elapsed().as_secs_f64());
    Ok(())
}

fn show(lab: &Lab) -> Outcome {
    let client = lab.node("client")?;
    step("apt-get install ./target/packages/*.deb on the client", || {
        Ok(product::install(&client, &product::packages_dir()).map(drop)?)
    })?;
    let typed = format!("echo '{}' | {}", JOINER.password, product::JOIN.join(" "));
    let joined = step("Joining the domain", || Ok(product::join(&client)?))?;
    expect(&typed, &joined, 0, "")?;
    println!("\nclient1# entrad --foreground &");
    product::start_daemon(&client)?;

    banner("Names: every form of a name is the same user");
    for name in ["alice", "alice@contoso.com", "AADDS\\alice"] {
        ask(&client, &["getent", "passwd", name], "alice:*:674001103:")?;
    }
    ask(&client, &["id", "alice"], "uid=674001103(alice)")?;
    ask(&client, &["id", "many"], "team-150")?;

    banner("Logins by sshd, with Debian's own sshd_config");
    let command = "id -un; pwd; klist";
    login("right password", &product::ssh_as(&client, &ALICE, command)?, 0, "krbtgt/AADDS.CONTOSO.COM", command)?;
    let wrong = product::ssh(&client, "alice", "not-her-password", command)?;
    login("wrong password", &wrong, 255, "", command)?;
    ask(&client, &["entractl", "status"], "aadds.contoso.com")?;

    banner("The domain controller's cable is out");
    lab.cut("dc")?;
    ask(&client, &["getent", "passwd", "alice"], "alice:*:674001103:")?;
    ask(&client, &["getent", "passwd", "alice@contoso.com"], "alice:*:674001103:")?;
    ask(&client, &["getent", "passwd", "AADDS\\alice"], "alice:*:674001103:")?;
    ask(&client, &["id", "alice"], "uid=674001103(alice)")?;
    ask(&client, &["id", "many"], "team-150")?;
    lab.mend("dc")?;
    Ok(())
}

/// Runs a command on the client, shows both, and insists on success and on a part of its output.
fn ask(client: &Node, words: &[&str], part: &str) -> Outcome {
    let output = client.run(words)?;
    expect(&words.join(" "), &output, 0, part)
}

/// Shows a login through sshpass as one would type it.
fn login(which: &str, output: &Output, status: i32, part: &str, command: &str) -> Outcome {
    expect(&format!("ssh alice@localhost '{command}'    # {which}"), output, status, part)
}

fn expect(typed: &str, output: &Output, status: i32, part: &str) -> Outcome {
    println!("\nclient1# {typed}");
    for stream in [&output.stdout, &output.stderr] {
        print!("{stream}");
        if !stream.is_empty() && !stream.ends_with('\n') {
            println!();
        }
    }
    let shown = output.status == status && output.stdout.contains(part);
    if shown {
        Ok(())
    } else {
        Err(format!("expected status {status} and \"{part}\" from `{typed}`, got {}", output.describe()))
    }
}

fn banner(text: &str) {
    println!("\n== {text}");
}

fn step<T>(what: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    println!("\n== {what} …");
    // A long step is announced before it begins, also into a pipe.
    let _ = stdout().flush();
    let start = Instant::now();
    let done = work()?;
    println!("== done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}
