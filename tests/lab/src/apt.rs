//! Installing packages in a node. A node's network has no way out, so apt runs in the node's mount and PID namespaces
//! with the host's network. Downloaded archives are shared by all nodes, lists by those of one Debian release (an update
//! throws away the lists of others): the second install downloads nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::{Output, capture};
use crate::error::{Doing, Error, Result};
use crate::namespace::{Scope, enter};
use crate::place::{self, Lock};
use crate::process::Process;

const LIMIT: Duration = Duration::from_secs(900);

/// Mounts are private to this one call; the node itself never sees the host's resolver or the shared lists.
const SCRIPT: &str = r#"
set -e
mount --bind /run/lab/apt/archives /var/cache/apt/archives
. /etc/os-release
lists=/run/lab/apt/lists-$VERSION_CODENAME
mkdir -p "$lists/partial"
mount --bind "$lists" /var/lib/apt/lists
for file in resolv.conf hosts; do
    [ -e "/etc/$file" ] || : >"/etc/$file"
    mount --bind "/run/lab/apt/host/$file" "/etc/$file"
done
export DEBIAN_FRONTEND=noninteractive
ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt-get -q update
# Lists age: where a package is gone from the mirror, ask once for new ones.
case $1 in
install) apt-get -q -y --download-only "$@" || { apt-get -q update; apt-get -q -y --download-only "$@"; } ;;
esac
exec apt-get -q -y "$@"
"#;

/// Runs `work` while no other node has apt at the shared archives: for a test that calls apt itself.
///
/// # Errors
/// When the lock cannot be taken.
pub fn with_archives<T>(work: impl FnOnce() -> T) -> Result<T> {
    let _lock = Lock::take("apt")?;
    Ok(work())
}

/// Runs `apt-get WORDS` in the node.
///
/// # Errors
/// When it fails; the message has its output.
pub(crate) fn get(init: Process, words: &[&str]) -> Result<Output> {
    let _lock = Lock::take("apt")?;
    let shared = place::cache_dir().join("apt");
    for folder in ["archives/partial", "host"] {
        let path = shared.join(folder);
        fs::create_dir_all(&path).doing(|| format!("create {}", path.display()))?;
    }
    for name in ["resolv.conf", "hosts"] {
        let to = shared.join("host").join(name);
        let text = fs::read(Path::new("/etc").join(name)).unwrap_or_default();
        fs::write(&to, text).doing(|| format!("write {}", to.display()))?;
    }
    let mut all = vec!["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "apt-get"];
    all.extend(words);
    let output = capture(&mut enter(init, Scope::HostNetwork, &all), None, LIMIT)?;
    if output.ok() {
        Ok(output)
    } else {
        Err(Error::new(format!("apt-get {}: {}", words.join(" "), output.describe())))
    }
}
