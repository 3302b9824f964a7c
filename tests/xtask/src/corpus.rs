//! The fuzzer's corpus: inputs that reach what no other one does, of all targets in one archive, because there are
//! thousands of them and nobody reads one. A run begins with them; `cargo xtask fuzz --keep` puts new ones in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{self, Outcome};

/// The archive: a folder for each target, a file for each input, named by what is in it (libFuzzer's way).
fn archive() -> PathBuf {
    run::root().join("tests/fuzz/corpus.tar.xz")
}

/// The corpus, laid out below a folder of the build's own.
pub struct Corpus(PathBuf);

impl Corpus {
    /// Unpacks it below `folder`, in the place of what an earlier run left there.
    ///
    /// # Errors
    /// When the archive is damaged, or the folder cannot be written.
    pub fn unpack(folder: &Path) -> Result<Self, String> {
        let place = folder.join("corpus");
        let describe = |error: std::io::Error| format!("{}: {error}", place.display());
        if place.exists() {
            fs::remove_dir_all(&place).map_err(describe)?;
        }
        fs::create_dir_all(&place).map_err(describe)?;
        run::run(Command::new("tar").arg("-xJf").arg(archive()).arg("-C").arg(&place))?;
        Ok(Self(place))
    }

    /// The folder of a target's inputs; it is made where the target is new.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn of(&self, target: &str) -> Result<PathBuf, String> {
        let place = self.0.join(target);
        fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        Ok(place)
    }

    /// Takes in those inputs of a run, which are in `work`, that reach what the others do not, and lets those go that the
    /// program as it is does not need any more.
    ///
    /// # Errors
    /// When the fuzzer cannot merge them; the corpus is as it was then.
    pub fn take(&self, fuzzer: &Path, target: &str, work: &Path) -> Outcome {
        let (known, fresh) = (self.of(target)?, self.of(&format!("{target}.new"))?);
        let mut merge = Command::new(fuzzer);
        merge.env("ENTRA_FUZZ_TARGET", target).env("ASAN_OPTIONS", "detect_odr_violation=0:detect_leaks=0");
        merge.args(["-merge=1", "-detect_leaks=0"]).arg(&fresh).arg(&known).arg(work);
        run::run(merge.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let describe = |error: std::io::Error| format!("{}: {error}", known.display());
        fs::remove_dir_all(&known).map_err(describe)?;
        fs::rename(&fresh, &known).map_err(describe)
    }

    /// Writes the archive anew: the same inputs give the same bytes.
    ///
    /// # Errors
    /// When it cannot be written; the old one is there then.
    pub fn pack(&self) -> Outcome {
        let (path, fresh) = (archive(), archive().with_extension("new"));
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=a=rX,u+w", "-cJf"]);
        run::run(tar.arg(&fresh).arg("-C").arg(&self.0).arg("."))?;
        fs::rename(&fresh, &path).map_err(|error| format!("{}: {error}", path.display()))
    }
}
