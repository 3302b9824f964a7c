//! The NSS module, a fake daemon and the program that asks glibc.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::directory::{Directory, User};
use crate::fake_daemon::{FakeDaemon, Reply};
use crate::folder::Folder;
use crate::modules;

/// A folder with the module (under its soname), a configuration with one domain, and room for `nss.sock`.
pub struct Stage {
    folder: Folder,
    driver: PathBuf,
    /// The module.
    pub module: PathBuf,
}

impl Stage {
    /// `driver` is the path of the program `nss-driver`, which cargo tells integration tests only.
    pub fn new(driver: &str) -> Self {
        let folder = Folder::new();
        let module = modules::place_nss(folder.path());
        // The host's own configuration, if it has one, must not decide what is in range here.
        std::fs::write(folder.path().join("entra.toml"), "[domains.\"aadds.contoso.com\"]\n").unwrap();
        Self { folder, driver: driver.into(), module }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a daemon that knows this directory.
    pub fn knowing(&self, directory: Directory) -> FakeDaemon {
        self.answering(move |body| directory.answer(body))
    }

    /// Starts a daemon that knows one user.
    pub fn knowing_user(&self, user: User) -> FakeDaemon {
        self.knowing(Directory { users: vec![user], groups: Vec::new() })
    }

    /// Starts a daemon that answers as `answer` does.
    pub fn answering(&self, answer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> FakeDaemon {
        FakeDaemon::answering(&self.path().join("nss.sock"), answer)
    }

    /// The driver with these words, not yet started.
    pub fn command<W: AsRef<str>>(&self, words: &[W]) -> Command {
        let mut command = Command::new(&self.driver);
        command
            .args(words.iter().map(AsRef::as_ref))
            .env("LD_LIBRARY_PATH", self.path())
            .env("ENTRA_RUN_DIR", self.path())
            .env("ENTRA_CONFIG_DIR", self.path());
        command
    }

    /// What the driver says to these words: its lines.
    pub fn run<W: AsRef<str>>(&self, words: &[W]) -> Vec<String> {
        child::output(&mut self.command(words)).lines().map(str::to_owned).collect()
    }

    /// What the driver says to one word.
    pub fn ask(&self, word: &str) -> String {
        self.run(&[word]).join("\n")
    }

    /// What the module's own entry says for `name`.
    pub fn direct(&self, name: &str) -> String {
        self.ask(&format!("direct={},{name}", self.module.display()))
    }
}
