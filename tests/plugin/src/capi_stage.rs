//! libentra, a fake daemon, and programs in C and Python that use the library as other people's do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::directory::Directory;
use crate::fake_daemon::{FakeDaemon, Reply};
use crate::folder::Folder;
use crate::modules;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c/capi-driver.c");

/// The repository's folder of the library: header, examples, symbol versions.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../common/capi")
}

/// A folder with the library (under its soname), a configuration with one domain, and room for `nss.sock`.
pub struct Stage {
    folder: Folder,
    /// The library.
    pub library: PathBuf,
    /// What the tests' own programs are compiled with besides.
    flags: &'static [&'static str],
}

impl Stage {
    /// Lays it out.
    pub fn new() -> Self {
        Self::with(modules::place_capi, &[])
    }

    /// The same with a library, and programs, in which ThreadSanitizer watches every access to memory.
    pub fn watched() -> Self {
        Self::with(modules::place_watched_capi, &["-fsanitize=thread"])
    }

    fn with(place: impl Fn(&Path) -> PathBuf, flags: &'static [&'static str]) -> Self {
        let folder = Folder::new();
        let library = place(folder.path());
        std::fs::write(folder.path().join("entra.toml"), "[domains.\"aadds.contoso.com\"]\n").unwrap();
        Self { folder, library, flags }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a daemon that knows this directory.
    pub fn knowing(&self, directory: Directory) -> FakeDaemon {
        self.answering(move |body| directory.answer(body))
    }

    /// Starts a daemon that answers as `answer` does.
    pub fn answering(&self, answer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> FakeDaemon {
        FakeDaemon::answering(&self.path().join("nss.sock"), answer)
    }

    /// `whois.c` of the examples, compiled as strictly as C goes, with these arguments.
    pub fn whois(&self, arguments: &[&str]) -> Command {
        let program = self.compiled(&sources().join("examples/whois.c"), "-std=c99");
        self.command(&program, arguments)
    }

    /// The tests' own program, with these scenes.
    pub fn driver(&self, scenes: &[&str]) -> Command {
        let program = self.compiled(Path::new(DRIVER), "-std=c11");
        self.command(&program, scenes)
    }

    /// `resolve.py` of the examples.
    pub fn resolve(&self) -> Command {
        let script = sources().join("examples/resolve.py");
        self.command(Path::new("python3"), &[script.to_str().unwrap()])
    }

    /// What a program of [`Stage::driver`] says: its lines.
    pub fn drive(&self, scenes: &[&str]) -> Vec<String> {
        child::output(&mut self.driver(scenes)).lines().map(str::to_owned).collect()
    }

    fn compiled(&self, source: &Path, standard: &str) -> PathBuf {
        let program = self.path().join(source.file_stem().unwrap());
        if !program.exists() {
            let mut compile = Command::new("cc");
            compile.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-o"]).arg(&program);
            compile
                .args(self.flags)
                .arg("-I")
                .arg(sources().join("include"))
                .arg(source)
                .arg(&self.library)
                .arg("-lpthread");
            child::output(&mut compile);
        }
        program
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LD_LIBRARY_PATH", self.path())
            .env("ENTRA_RUN_DIR", self.path())
            .env("ENTRA_CONFIG_DIR", self.path());
        command
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
