//! Running another program with a deadline, an empty environment and nothing on its standard input.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for systemctl: a start of the daemon has 30 s of its own.
pub const SERVICE_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes kept of each output.
const MAX_OUTPUT: u64 = 256 * 1024;
/// How often the end of the program is looked for.
const POLL: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Exit status 0.
    pub success: bool,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// Runs `command` with the environment `PATH`, `LC_ALL=C` and what the caller set, in a process group of its own, so
/// that Ctrl-C reaches this process alone, which then undoes what was done.
///
/// # Errors
/// When it cannot be started, `timeout` passes or `cancelled` says so; the program is killed then.
pub fn run(command: &mut Command, timeout: Duration, cancelled: &dyn Fn() -> bool) -> Result<Done, String> {
    talk(command, None, MAX_OUTPUT, timeout, cancelled)
}

/// As [`run`], with `input` on its standard input, and up to `most` bytes of each output kept.
///
/// # Errors
/// As [`run`].
pub fn exchange(command: &mut Command, input: Vec<u8>, most: u64, timeout: Duration) -> Result<Done, String> {
    talk(command, Some(input), most, timeout, &|| false)
}

fn talk(
    command: &mut Command,
    input: Option<Vec<u8>>,
    most: u64,
    timeout: Duration,
    cancelled: &dyn Fn() -> bool,
) -> Result<Done, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let own: Vec<_> = command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .envs(own)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
    let collect = |pipe| collect(pipe, most);
    let output = child.stdout.take().map(|pipe| collect(Box::new(pipe)));
    let errors = child.stderr.take().map(|pipe| collect(Box::new(pipe)));
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // A program that ends before it has read all of it says so by its exit status.
        thread::spawn(move || drop(pipe.write_all(&input)));
    }
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("{name}: {error}"))? {
            break status;
        }
        if cancelled() {
            end(&mut child);
            return Err("interrupted".into());
        }
        if Instant::now() >= deadline {
            end(&mut child);
            return Err(format!("{name} did not end in {} s", timeout.as_secs()));
        }
        thread::sleep(POLL);
    };
    let text = |reader: Option<thread::JoinHandle<String>>| reader.and_then(|it| it.join().ok()).unwrap_or_default();
    Ok(Done { success: status.success(), output: text(output), errors: text(errors) })
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn collect(mut pipe: Box<dyn Read + Send>, most: u64) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = (&mut pipe).take(most).read_to_end(&mut bytes);
        // The rest is read and dropped: a full pipe would stop the program.
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_environment_is_clean_and_outputs_are_apart() {
        let done =
            run(shell("env | cut -d= -f1 | sort | tr '\\n' ' '; echo no >&2; exit 3").env("ONE", "1"), LONG, &|| false);
        let done = done.unwrap();
        assert!(!done.success);
        let names: Vec<_> =
            done.output.split(' ').filter(|name| !matches!(*name, "PWD" | "_" | "SHLVL" | "")).collect();
        assert_eq!(names, ["LC_ALL", "ONE", "PATH"]);
        assert_eq!(done.errors, "no\n");
    }

    #[test]
    fn input_goes_in_and_long_output_comes_out() {
        let input = vec![b'x'; 600_000];
        let done = exchange(&mut Command::new("cat"), input.clone(), 1 << 20, LONG).unwrap();
        assert_eq!(done.output.as_bytes(), input);
        assert!(exchange(&mut shell("exit 0"), input, 1 << 20, LONG).unwrap().success, "nobody has to read it");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let error = run(&mut shell("exec sleep 100"), Duration::from_millis(50), &|| false).unwrap_err();
        assert!(error.contains("did not end"), "{error}");
        assert_eq!(run(&mut shell("exec sleep 100"), LONG, &|| true).unwrap_err(), "interrupted");
    }

    #[test]
    fn much_output_does_not_stop_a_program() {
        let done = run(&mut shell("head -c 1000000 /dev/zero >&2; echo end"), LONG, &|| false).unwrap();
        assert_eq!((done.output.as_str(), done.errors.len() as u64), ("end\n", MAX_OUTPUT));
    }
}
