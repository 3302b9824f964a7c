//! Logins by pamtester, with the right password and with wrong ones.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use entra_chaos::{Answer, Kind, Tally};

use crate::truth;

/// Pause after a login.
const PACE: Duration = Duration::from_millis(200);

/// Logs in until `stop` is there.
pub fn until(service: &str, right: &Path, wrong: &Path, stop: &Path) -> Result<Tally, String> {
    let people = truth::lines(right, |words| match words {
        [name, password] => Some(((*name).to_owned(), (*password).to_owned())),
        _ => None,
    })?;
    let others = truth::lines(wrong, |words| words.first().map(|name| (*name).to_owned()))?;
    let (ended, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let goes_on = || !ended.load(Ordering::Relaxed);
    let count = |kind, name: &str, password: &str| {
        let begun = Instant::now();
        let answer = login(service, name, password, kind);
        let took = begun.elapsed();
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(kind, name, &answer, took);
        thread::sleep(PACE);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for (name, password) in people.iter().cycle().take_while(|_| goes_on()) {
                count(Kind::Login, name, password);
            }
        });
        scope.spawn(|| {
            for name in others.iter().cycle().take_while(|_| goes_on()) {
                count(Kind::Guess, name, "not-it");
            }
        });
        while !stop.exists() {
            thread::sleep(Duration::from_millis(20));
        }
        ended.store(true, Ordering::Relaxed);
    });
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn login(service: &str, name: &str, password: &str, kind: Kind) -> Answer {
    let text = match pamtester(service, name, password) {
        Ok(text) => text,
        Err(error) => return Answer::Wrong(format!("pamtester: {error}")),
    };
    let result = text.lines().rev().find_map(|line| line.split("pamtester: ").nth(1)).unwrap_or("nothing");
    // pam_strerror's words: success, PAM_AUTH_ERR, PAM_MAXTRIES; PAM_AUTHINFO_UNAVAIL and, where a part of ours broke,
    // PAM_SYSTEM_ERR.
    match (kind, result) {
        (Kind::Login, "successfully authenticated")
        | (Kind::Guess, "Authentication failure" | "Have exhausted maximum number of retries for service") => {
            Answer::Right
        }
        (_, "Authentication service cannot retrieve authentication info" | "System error") => {
            Answer::Unavailable(result.into())
        }
        _ => Answer::Wrong(format!("{result:?} in {text:?}")),
    }
}

fn pamtester(service: &str, name: &str, password: &str) -> std::io::Result<String> {
    let mut command = Command::new("pamtester");
    command.args([service, name, "authenticate"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended already: its own words count.
        let _ = writeln!(stdin, "{password}");
    }
    let output = child.wait_with_output()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
