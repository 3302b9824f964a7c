//! An installation asks nothing: `entractl join` knows the realm, and the packages bring nobody else's questions.

use std::time::Duration;

use entra_lab::{Node, Terminal};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[("packages: an installation asks nothing, with a terminal and without", silent)];

/// apt as a person or a script without any setting runs it, on the lists and archives that all nodes share: nothing is
/// said of debconf's frontend, and what apt recommends is installed.
const APT: &str = r#"
set -e
mount --bind /run/lab/apt/archives /var/cache/apt/archives
. /etc/os-release
mount --bind "/run/lab/apt/lists-$VERSION_CODENAME" /var/lib/apt/lists
unset DEBIAN_FRONTEND DEBCONF_FRONTEND
exec apt-get --yes install /var/cache/lab-packages/*.deb"#;

fn silent(world: &World) -> Verdict {
    let node = world.installed()?;
    node.put_file("/tmp/install", APT, 0o755)?;
    for terminal in [true, false] {
        // The package files stay in the node, and their dependencies in the archives. krb5-user goes as well: it is there
        // for other cases, and a fresh Debian has it not.
        world.purge(&node)?;
        node.apt_purge(&["--autoremove", "krb5-user", "krb5-config", "adcli"])?;
        let shown = entra_lab::with_archives(|| if terminal { at_a_terminal(&node) } else { without_one(&node) })??;
        for trace in ["Configuring ", "Package configuration", "Default Kerberos"] {
            check::that(!shown.contains(trace), || format!("a question ({trace:?}):\n{shown}"))?;
        }
        check::holds("the installation", &shown, "Setting up entrad")?;
        let asked = node.sh("debconf-show krb5-config | grep .", &[])?;
        check::that(!asked.ok(), || format!("krb5-config came along: {}", asked.stdout))?;
    }
    Ok(())
}

/// Whoever is asked does not answer: the installation would wait until the limit.
fn at_a_terminal(node: &Node) -> Result<String, String> {
    let terminal = Terminal::start(node, "TERM=vt100 unshare --mount sh /tmp/install", Duration::from_secs(60))?;
    let output = terminal.finish()?;
    check::status("apt-get at a terminal", &output, 0)?;
    Ok(output.stdout)
}

fn without_one(node: &Node) -> Result<String, String> {
    let words = ["setsid", "--wait", "unshare", "--mount", "sh", "-c", ". /tmp/install </dev/null"];
    let output = node.run(&words)?;
    check::status("apt-get without a terminal", &output, 0)?;
    Ok(format!("{}{}", output.stdout, output.stderr))
}
