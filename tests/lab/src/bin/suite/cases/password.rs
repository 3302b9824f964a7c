//! Passwords that are changed, and those that have to be.

use std::time::Duration;

use entra_lab::{Node, Terminal, dc, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::{Planted, World};

pub const CASES: &[Case] = &[
    ("password: passwd proves the old one, gives the domain's words and changes it", passwd),
    ("password: must change, through su to a shell", through_su),
    ("password: must change, through login to a shell", through_login),
    ("password: must change, through sshd's keyboard-interactive to a shell with a ticket", through_sshd),
    ("password: must change, with the sshd of Debian as it comes", through_plain_sshd),
    ("password: a wrong password on an account that must change is wrong", wrong_must_change),
    ("password: a managed domain's users are told where to change it", elsewhere),
    ("password: with the cable out nothing is said to be changed", cut),
];

const CONFIG: &str = "/etc/entra/entra.toml";
const LIMIT: Duration = Duration::from_secs(60);
const OLD: &str = "Planted-Pass-1";
const NEW: &str = "Planted-Pass-2";
/// Of a planted user who must change the password.
const MUST_CHANGE: [(&str, &str); 1] = [("pwdLastSet", "0")];

fn passwd(world: &World) -> Verdict {
    let node = active_directory(world)?;
    // A password that is younger than the policy's least age may not be changed: the lab's has none.
    world.with_planted(&[Planted::user("planted", OLD)], |_| {
        let mut wrong = Terminal::start(&node, "su - planted -c passwd", LIMIT)?;
        answer(&mut wrong, &[("Current password: ", "not-it")])?;
        let screen = wrong.finish()?;
        check::holds("passwd with a wrong old password", &screen.stdout, "The password is wrong.")?;
        check::that(!screen.ok(), || "passwd took a wrong old password".into())?;

        let mut terminal = Terminal::start(&node, "su - planted -c passwd", LIMIT)?;
        answer(&mut terminal, &[("Current password: ", OLD), ("New password: ", "short"), ("Retype new", "short")])?;
        terminal.expect(&["The domain refuses the new password: "])?;
        answer(&mut terminal, &[("New password: ", NEW), ("Retype new", NEW)])?;
        let screen = terminal.finish()?;
        check::holds("passwd", &screen.stdout, "Your password has been changed.")?;
        check::holds("the domain's words", &screen.stdout, "at least 7 characters")?;
        check::status("passwd", &screen, 0)?;

        check::text("a login with the new one", product::ssh(&node, "planted", NEW, "true")?)?;
        check::that(!product::ssh(&node, "planted", OLD, "true")?.ok(), || "the old password still counts".into())
    })
}

fn through_su(world: &World) -> Verdict {
    let node = active_directory(world)?;
    world.with_planted(&[Planted::user("planted", OLD).with(&MUST_CHANGE)], |_| {
        let mut terminal = Terminal::start(&node, "su localuser -c 'su - planted'", LIMIT)?;
        answer(
            &mut terminal,
            &[("assword: ", OLD), ("Current password: ", OLD), ("New password: ", NEW), ("Retype new", NEW)],
        )?;
        terminal.expect(&["planted@client"])?;
        answer(&mut terminal, &[("$ ", "id -un; echo \"ccache $KRB5CCNAME\"; klist -s && echo a ticket; exit")])?;
        let screen = terminal.finish()?.stdout;
        check::holds("su", &screen, "Your password has been changed.")?;
        check::holds("the shell", &screen, "ccache FILE:/tmp/krb5cc_")?;
        check::holds("the shell", &screen, "a ticket")
    })
}

fn through_login(world: &World) -> Verdict {
    let node = active_directory(world)?;
    world.with_planted(&[Planted::user("planted", OLD).with(&MUST_CHANGE)], |_| {
        let mut terminal = Terminal::start(&node, "login planted", LIMIT)?;
        answer(
            &mut terminal,
            &[("assword: ", OLD), ("Current password: ", OLD), ("New password: ", NEW), ("Retype new", NEW)],
        )?;
        answer(&mut terminal, &[("$ ", "klist -s && echo a ticket of $(id -un); exit")])?;
        let screen = terminal.finish()?.stdout;
        check::holds("login", &screen, "Your password has been changed.")?;
        check::holds("the shell", &screen, "a ticket of planted")
    })
}

fn through_sshd(world: &World) -> Verdict {
    let node = active_directory(world)?;
    let config = "sed 's/^KbdInteractiveAuthentication no/KbdInteractiveAuthentication yes/' /etc/ssh/sshd_config \
                  > /etc/ssh/sshd_kbd && mkdir -p /run/sshd && /usr/sbin/sshd -f /etc/ssh/sshd_kbd -p 2222 \
                  -o PidFile=/run/lab/sshd-kbd.pid";
    check::status("a second sshd", &node.sh(config, &[])?, 0)?;
    let verdict = world.with_planted(&[Planted::user("planted", OLD).with(&MUST_CHANGE)], |_| {
        let command = "ssh -tt -p 2222 -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \
                       -oPreferredAuthentications=keyboard-interactive -oNumberOfPasswordPrompts=1 planted@localhost";
        let mut terminal = Terminal::start(&node, command, LIMIT)?;
        answer(
            &mut terminal,
            &[("assword: ", OLD), ("Current password: ", OLD), ("New password: ", NEW), ("Retype new", NEW)],
        )?;
        answer(&mut terminal, &[("$ ", "id -un; klist -s && echo a ticket; exit")])?;
        let screen = terminal.finish()?.stdout;
        check::holds("the shell", &screen, "a ticket")
    });
    node.sh("kill \"$(cat /run/lab/sshd-kbd.pid)\"", &[])?;
    verdict
}

fn through_plain_sshd(world: &World) -> Verdict {
    let node = active_directory(world)?;
    world.with_planted(&[Planted::user("planted", OLD).with(&MUST_CHANGE)], |_| {
        let command = "ssh -tt -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \
                       -oPreferredAuthentications=password -oNumberOfPasswordPrompts=1 planted@localhost";
        let mut terminal = Terminal::start(&node, command, LIMIT)?;
        // sshd runs passwd(1) in the session and then ends it.
        answer(
            &mut terminal,
            &[("assword: ", OLD), ("Current password: ", OLD), ("New password: ", NEW), ("Retype new", NEW)],
        )?;
        let screen = terminal.finish()?.stdout;
        check::holds("passwd in sshd's session", &screen, "Your password has been changed.")?;
        check::text("the next login", product::ssh(&node, "planted", NEW, "true")?).map(drop)
    })
}

fn wrong_must_change(world: &World) -> Verdict {
    let node = active_directory(world)?;
    world.with_planted(&[Planted::user("planted", OLD).with(&MUST_CHANGE)], |_| {
        let words = ["pamtester", "sshd", "planted", "authenticate", "acct_mgmt"];
        let output = node.run_with(&words, Some(b"not-it\n"), LIMIT)?;
        check::holds("pamtester", &format!("{}{}", output.stdout, output.stderr), "Authentication failure")
    })
}

fn elsewhere(world: &World) -> Verdict {
    let node = world.joined()?;
    world.with_planted(&[Planted::user("planted", OLD)], |_| {
        let terminal = Terminal::start(&node, "su - planted -c passwd", LIMIT)?;
        let screen = terminal.finish()?;
        check::holds("passwd", &screen.stdout, "https://myaccount.microsoft.com")?;
        check::that(!screen.ok(), || "passwd says that it changed something".into())
    })
}

fn cut(world: &World) -> Verdict {
    let node = active_directory(world)?;
    world.with_planted(&[Planted::user("planted", OLD)], |_| {
        let mut terminal = Terminal::start(&node, "su - planted -c passwd", LIMIT)?;
        answer(&mut terminal, &[("Current password: ", OLD), ("New password: ", NEW)])?;
        terminal.expect(&["Retype new"])?;
        world.lab.cut("dc")?;
        let typed = terminal.enter(NEW);
        let screen = terminal.finish();
        world.mend()?;
        typed?;
        let screen = screen?;
        check::that(!screen.ok(), || format!("passwd succeeded without the domain:\n{}", screen.stdout))?;
        check::that(!screen.stdout.contains("has been changed"), || screen.stdout.clone())?;
        check::that(screen.took < LIMIT, || "passwd had no end".into())
    })
}

/// A joined host whose domain takes passwords by kpasswd, as plain Active Directory does.
pub(super) fn active_directory(world: &World) -> Result<Node, String> {
    let node = world.freshly_joined()?;
    let plain = node.read_file(CONFIG)?;
    product::stop_daemon(&node)?;
    node.put_file(CONFIG, plain.replace("entra-ds", "active-directory"), 0o644)?;
    product::start_daemon(&node)?;
    check::text("status", node.run(&["getent", "passwd", &format!("alice@{}", dc::DNS_DOMAIN)])?)?;
    Ok(node)
}

/// Waits for each text and types the line beside it.
pub(super) fn answer(terminal: &mut Terminal, dialogue: &[(&str, &str)]) -> Verdict {
    for (text, line) in dialogue {
        terminal.expect(&[text])?;
        terminal.enter(line)?;
    }
    Ok(())
}
