//! Samba's copy of the machine's password.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where distributions install Samba's `net`.
const PROGRAM: &str = "/usr/bin/net";
/// How often the end of the program is looked for.
const POLL: Duration = Duration::from_millis(10);

/// Gives Samba the password (`net changesecretpw -i -f`, from standard input). Its secrets.tdb keeps the one before.
///
/// # Errors
/// In one sentence.
pub(super) fn tell(password: &str, deadline: Instant) -> Result<(), String> {
    if !Path::new(PROGRAM).exists() {
        return Err(format!("{PROGRAM} is not installed; `entractl samba configure --remove` forgets Samba"));
    }
    let mut child = Command::new(PROGRAM)
        .args(["changesecretpw", "-i", "-f"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{PROGRAM}: {error}"))?;
    // Far shorter than a pipe holds: it does not wait for the reader.
    let given =
        child.stdin.take().map(|mut input| input.write_all(password.as_bytes()).and_then(|()| input.write_all(b"\n")));
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() && matches!(given, Some(Ok(()))) => return Ok(()),
            Ok(Some(_)) => return Err("`net changesecretpw` failed: `entractl samba configure` sets it up anew".into()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("`net changesecretpw` did not end in time".into());
            }
            Err(error) => return Err(format!("{PROGRAM}: {error}")),
        }
    }
}
