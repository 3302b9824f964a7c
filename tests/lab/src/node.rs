//! A running node, and what tests do with it: run programs, put files, start services, install packages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::apt;
use crate::command::{Output, TIMED_OUT, capture};
use crate::error::{Doing, Error, Result};
use crate::namespace::{Scope, enter, outside_path};
use crate::process::Process;

/// How long [`Node::run`] lets a program run.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// A machine of the lab.
#[derive(Debug, Clone)]
pub struct Node {
    name: String,
    init: Process,
}

impl Node {
    pub(crate) fn new(name: &str, init: Process) -> Self {
        Self { name: name.to_owned(), init }
    }

    /// The lab's name for it (`dc`, `client`, …), which is not its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// PID of the node's init as the host sees it, for tools that enter namespaces themselves.
    pub fn host_pid(&self) -> u32 {
        self.init.pid
    }

    /// Runs a program as root in the node, in `/`, with a small fixed environment, at most for [`DEFAULT_LIMIT`].
    ///
    /// # Errors
    /// When the program cannot be started. Its own failure stands in the output.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        self.run_with(words, None, DEFAULT_LIMIT)
    }

    /// Like [`Node::run`], with bytes for its standard input and a limit: then everything in its process group is
    /// killed and the status is [`TIMED_OUT`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run_with(&self, words: &[&str], input: Option<&[u8]>, limit: Duration) -> Result<Output> {
        let seconds = format!("{:.3}", limit.as_secs_f64());
        let mut all = vec!["timeout", "--signal=KILL", &seconds];
        all.extend(words);
        // The inner limit does the work; the outer one is for a node that does not answer at all.
        let outer = limit + Duration::from_secs(5);
        let mut output = capture(&mut enter(self.init, Scope::Node, &all), input, outer)?;
        if output.status == 137 && output.took >= limit {
            output.status = TIMED_OUT;
        }
        Ok(output)
    }

    /// Runs a shell script (`sh -c`) in the node, with positional arguments.
    ///
    /// # Errors
    /// When the shell cannot be started.
    pub fn sh(&self, script: &str, arguments: &[&str]) -> Result<Output> {
        let mut words = vec!["sh", "-c", script, "sh"];
        words.extend(arguments);
        self.run(&words)
    }

    /// Runs a program that must succeed; gives its standard output without the line end.
    ///
    /// # Errors
    /// When it fails; the message has the command and its output.
    pub fn must(&self, words: &[&str]) -> Result<String> {
        let output = self.run(words)?;
        if output.ok() {
            output.text()
        } else {
            Err(Error::new(format!("{}: {}: {}", self.name, words.join(" "), output.describe())))
        }
    }

    /// A command for the caller's own terminal: all of the node's namespaces, nothing captured, no limit.
    pub fn interactive(&self, words: &[&str]) -> Command {
        enter(self.init, Scope::Node, words)
    }

    /// Writes a file in the node, folders made as needed, with the given mode (owner root).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_file(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let outside = self.outside_path(path);
        let what = || format!("write {path} in {}", self.name);
        if let Some(parent) = outside.parent() {
            fs::create_dir_all(parent).doing(what)?;
        }
        fs::write(&outside, content).doing(what)?;
        fs::set_permissions(&outside, fs::Permissions::from_mode(mode)).doing(what)
    }

    /// Reads a file of the node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.outside_path(path)).doing(|| format!("read {path} in {}", self.name))
    }

    /// A path of the node as the host reaches it, while the node runs. Absolute symbolic links are not followed inside
    /// the node.
    pub fn outside_path(&self, path: &str) -> PathBuf {
        outside_path(self.init, path)
    }

    /// Starts a service in the background under a name of the caller's; its output goes to
    /// `/var/log/lab-NAME.log` in the node.
    ///
    /// # Errors
    /// When the node's shell fails. A program that ends at once is not noticed here: see [`Node::is_running`].
    pub fn start(&self, service: &str, words: &[&str]) -> Result<()> {
        if self.is_running(service)? {
            return Err(Error::new(format!("{service} runs in {} already", self.name)));
        }
        // setsid keeps the PID: a background child of a shell without job control leads no group.
        let script =
            r#"name=$1; shift; setsid "$@" </dev/null >>"/var/log/lab-$name.log" 2>&1 & echo $! >"/run/lab/$name.pid""#;
        let mut all = vec![service];
        all.extend(words);
        let output = self.sh(script, &all)?;
        output.text().map(drop)
    }

    /// Whether a service that [`Node::start`] started runs.
    ///
    /// # Errors
    /// When the node's shell cannot be run.
    pub fn is_running(&self, service: &str) -> Result<bool> {
        let script = r#"[ -s "/run/lab/$1.pid" ] && read -r pid <"/run/lab/$1.pid" && kill -0 "$pid" 2>/dev/null"#;
        Ok(self.sh(script, &[service])?.ok())
    }

    /// Ends a service by its PID: TERM, and KILL after five seconds. One that does not run is fine.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self, service: &str) -> Result<()> {
        let script = r#"
file=/run/lab/$1.pid
[ -s "$file" ] && read -r pid <"$file" || exit 0
kill "$pid" 2>/dev/null
for step in $(seq 250); do kill -0 "$pid" 2>/dev/null || { rm -f "$file"; exit 0; }; sleep 0.02; done
kill -9 "$pid" 2>/dev/null
for step in $(seq 50); do kill -0 "$pid" 2>/dev/null || { rm -f "$file"; exit 0; }; sleep 0.02; done
echo "process $pid does not end" >&2; exit 1"#;
        self.sh(script, &[service])?.text().map(drop)
    }

    /// What a service wrote.
    ///
    /// # Errors
    /// When it was never started.
    pub fn log(&self, service: &str) -> Result<String> {
        self.read_file(&format!("/var/log/lab-{service}.log"))
    }

    /// Installs packages as `apt-get install` does for a user: names from the archive, or package files of the host,
    /// which are copied in.
    ///
    /// # Errors
    /// When a file cannot be copied or apt fails.
    pub fn apt_install(&self, packages: &[&str]) -> Result<Output> {
        let mut words = vec!["install".to_owned()];
        for package in packages {
            if Path::new(package).extension().is_some_and(|ending| ending == "deb") {
                words.push(self.copy_package(Path::new(package))?);
            } else {
                words.push((*package).to_owned());
            }
        }
        apt::get(self.init, &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Removes packages with their configuration.
    ///
    /// # Errors
    /// When apt fails.
    pub fn apt_purge(&self, packages: &[&str]) -> Result<Output> {
        let mut words = vec!["purge"];
        words.extend(packages);
        apt::get(self.init, &words)
    }

    fn copy_package(&self, from: &Path) -> Result<String> {
        let name = from.file_name().ok_or_else(|| Error::new(format!("{} is no file", from.display())))?;
        let inside = format!("/var/cache/lab-packages/{}", name.to_string_lossy());
        let content = fs::read(from).doing(|| format!("read {}", from.display()))?;
        self.put_file(&inside, content, 0o644)?;
        Ok(inside)
    }
}
