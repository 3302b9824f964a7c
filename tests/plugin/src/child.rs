//! A program run to its end, or ended at a deadline: a module that hangs fails its test instead of stopping all.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Far beyond what any scenario takes: only a hang gets there.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a program wrote to its standard output; fails the test where the program fails or does not end.
pub fn output(command: &mut Command) -> String {
    let (status, text) = finish(command, DEADLINE);
    assert!(status.success(), "{command:?} ended with {status}:\n{text}");
    text
}

/// How a program ended and what it wrote to its standard output; fails the test where it does not end in time.
pub fn finish(command: &mut Command, deadline: Duration) -> (ExitStatus, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| text)
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = String::from_utf8_lossy(&reader.join().unwrap().unwrap()).into_owned();
    (status, text)
}
