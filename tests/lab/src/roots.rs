//! Roots that are built once and kept on disk: a pristine Debian and, on top of it as overlay layers, what a kind of
//! node has in addition. Each carries the key of its recipe, so a changed recipe builds a new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::command::must;
use crate::error::{Doing, Error, Result};
use crate::namespace::{self, Boot};
use crate::node::Node;
use crate::place::{self, Lock, remove_tree, run_dir};
use crate::process::Process;
use crate::{apt, host};

/// The Debian release of every node that names no other one.
const RELEASE: &str = "bookworm";

const BASE_LIMIT: Duration = Duration::from_secs(1200);
/// A root of an older recipe that nobody used for so long is removed.
const UNUSED: Duration = Duration::from_secs(24 * 3600);
/// 50,000 users take three minutes on a quiet machine.
const SCRIPT_LIMIT: Duration = Duration::from_secs(1800);

/// Makes the base root fit for nodes without an init system.
const BASE_SCRIPT: &str = r#"
set -e
# Package scripts start no service: a node's services are started by the lab or by a test.
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
echo LANG=C.UTF-8 >"$1/etc/default/locale"
: >"$1/etc/resolv.conf"
"#;

/// A stack of read-only roots, topmost first, and the key of everything in it.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) layers: Vec<PathBuf>,
    key: String,
}

/// What a layer adds.
pub(crate) struct Layer<'a> {
    pub(crate) name: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) packages: &'a [&'a str],
    /// Files written before the script runs: path, content, mode.
    pub(crate) files: &'a [(&'a str, &'a str, u32)],
    /// Run by `sh -e` in the node once the packages are there.
    pub(crate) script: &'a str,
}

/// The pristine Debian root of most nodes, built where missing.
pub(crate) fn base() -> Result<Stack> {
    debian(&Debian { name: "base", release: RELEASE, packages: &[] })
}

/// A root made by mmdebstrap.
pub(crate) struct Debian<'a> {
    pub(crate) name: &'a str,
    pub(crate) release: &'a str,
    /// Installed at once, because the package lists that nodes share are those of [`RELEASE`].
    pub(crate) packages: &'a [&'a str],
}

/// The root that is described so, built where missing.
pub(crate) fn debian(wanted: &Debian<'_>) -> Result<Stack> {
    let options = host::apt_options()?;
    let sources = host::apt_sources(RELEASE);
    let texts: Vec<String> = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap_or_default().replace(RELEASE, wanted.release))
        .collect();
    let mut recipe = vec![wanted.release.to_owned(), BASE_SCRIPT.to_owned()];
    recipe.extend(wanted.packages.iter().copied().map(str::to_owned));
    recipe.extend(options.iter().cloned());
    recipe.extend(texts.iter().cloned());
    let key = place::recipe_key(&recipe.iter().map(String::as_str).collect::<Vec<_>>());
    let path = place::cache_dir().join(format!("{}-{key}", wanted.name));
    let _lock = Lock::take("roots")?;
    if !path.exists() {
        let start = announce(&format!("the Debian root {}", wanted.name));
        let new = place::cache_dir().join(format!("{}.new", wanted.name));
        remove_tree(&new)?;
        let lists = place::cache_dir().join("sources.new");
        remove_tree(&lists)?;
        fs::create_dir_all(&lists).doing(|| format!("create {}", lists.display()))?;
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io"]);
        for option in &options {
            command.arg(format!("--aptopt={option}"));
        }
        if !wanted.packages.is_empty() {
            command.arg(format!("--include={}", wanted.packages.join(",")));
        }
        command.arg(wanted.release).arg(&new);
        for (source, text) in sources.iter().zip(&texts) {
            let list = lists.join(source.file_name().unwrap_or(source.as_os_str()));
            fs::write(&list, text).doing(|| format!("write {}", list.display()))?;
            command.arg(list);
        }
        must(&mut command, BASE_LIMIT)?;
        remove_tree(&lists)?;
        must(Command::new("sh").args(["-c", BASE_SCRIPT, "sh"]).arg(&new), SCRIPT_LIMIT)?;
        finish(&new, &path, start)?;
        prune(&place::cache_dir(), wanted.name, &path)?;
    }
    touch(&path)?;
    Ok(Stack { layers: vec![path], key })
}

impl Stack {
    /// This stack with a layer on top, built where missing.
    pub(crate) fn with(&self, layer: &Layer<'_>) -> Result<Self> {
        let mut recipe = vec![self.key.as_str(), layer.hostname, layer.script];
        recipe.extend(layer.packages);
        recipe.extend(layer.files.iter().flat_map(|(path, content, _)| [*path, *content]));
        let key = place::recipe_key(&recipe);
        let path = place::cache_dir().join(format!("{}-{key}", layer.name));
        // One per layer: a lab that needs others does not wait for a large one.
        let _lock = Lock::take(&format!("roots-{}", layer.name))?;
        if !path.exists() {
            let start = announce(&format!("the layer {}", layer.name));
            let dir = run_dir(".build").join(layer.name);
            // What an interrupted build left.
            if let Some(init) = Process::recorded(&dir.join("init.pid")) {
                init.kill()?;
            }
            remove_tree(&dir)?;
            fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
            let what = Boot { dir: &dir, lowers: &self.layers, hostname: layer.hostname, cgroup: None };
            let init = namespace::boot(&what)?;
            let built = fill(init, layer);
            init.kill()?;
            built?;
            let new = place::cache_dir().join(format!("{}.new", layer.name));
            remove_tree(&new)?;
            // Built in memory, kept on disk. "-a" brings the overlay's own marks (devices, attributes) along.
            must(Command::new("cp").arg("-a").arg(dir.join("upper")).arg(&new), SCRIPT_LIMIT)?;
            remove_tree(&dir)?;
            // Fails while another layer is built, as it should.
            let _ = fs::remove_dir(run_dir(".build"));
            finish(&new, &path, start)?;
            prune(&place::cache_dir(), layer.name, &path)?;
        }
        touch(&path)?;
        let mut layers = vec![path];
        layers.extend(self.layers.iter().cloned());
        Ok(Self { layers, key })
    }
}

fn fill(init: Process, layer: &Layer<'_>) -> Result<()> {
    if !layer.packages.is_empty() {
        let mut words = vec!["install", "--no-install-recommends"];
        words.extend(layer.packages);
        apt::get(init, &words)?;
    }
    let node = Node::new(layer.name, init);
    for (path, content, mode) in layer.files {
        node.put_file(path, content, *mode)?;
    }
    let output = node.run_with(&["sh", "-ec", layer.script], None, SCRIPT_LIMIT)?;
    if output.ok() { Ok(()) } else { Err(Error::new(format!("the layer {}: {}", layer.name, output.describe()))) }
}

/// Removes what older recipes of the same layer left on disk, unless it was used within a day: another workspace may
/// have another recipe, and a lab may be up on it.
pub(crate) fn prune(dir: &Path, name: &str, keep: &Path) -> Result<()> {
    let entries = fs::read_dir(dir).doing(|| format!("read {}", dir.display()))?;
    let prefix = format!("{name}-");
    for entry in entries.flatten() {
        let path = entry.path();
        let is_older = entry.file_name().to_string_lossy().starts_with(&prefix)
            && path != keep
            && entry
                .metadata()
                .and_then(|data| data.modified())
                .is_ok_and(|when| when.elapsed().is_ok_and(|age| age > UNUSED));
        if is_older {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Marks a root as used now, by its folder's time.
pub(crate) fn touch(path: &Path) -> Result<()> {
    let now = fs::FileTimes::new().set_modified(SystemTime::now());
    fs::File::open(path).and_then(|folder| folder.set_times(now)).doing(|| format!("touch {}", path.display()))
}

pub(crate) fn announce(what: &str) -> Instant {
    eprintln!("lab: building {what}");
    Instant::now()
}

pub(crate) fn finish(new: &Path, path: &Path, start: Instant) -> Result<()> {
    fs::rename(new, path).doing(|| format!("rename {} to {}", new.display(), path.display()))?;
    eprintln!("lab: done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_and_unused_roots_of_the_same_layer_go() {
        let dir = std::env::temp_dir().join(format!("entra-lab-prune-{}", std::process::id()));
        let old = fs::FileTimes::new().set_modified(SystemTime::now() - 2 * UNUSED);
        for name in ["client-new", "client-old", "client-used", "samba-old"] {
            fs::create_dir_all(dir.join(name)).unwrap();
            fs::File::open(dir.join(name)).unwrap().set_times(old).unwrap();
        }
        touch(&dir.join("client-used")).unwrap();
        prune(&dir, "client", &dir.join("client-new")).unwrap();
        let mut left: Vec<String> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(left, ["client-new", "client-used", "samba-old"]);
    }
}
