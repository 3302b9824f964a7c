//! The RPM packages, as far as Debian shows them: what they install, and what their profile of authselect makes of logins.
//! RHEL's own rpm, authselect and SELinux are not here.

use std::fs;

use entra_lab::accounts::ALICE;
use entra_lab::client::LOCAL_USER;
use entra_lab::{Node, product};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("packages: RPMs change nothing by themselves, and join selects the profile by which people log in", rpms)];

/// Where the packages are copied to.
const FOLDER: &str = "/var/cache/lab-rpms";

fn rpms(world: &World) -> Verdict {
    let node = world.pristine()?;
    put_packages(world, &node)?;
    node.apt_install(&["rpm", "adcli", "libpam-pwquality"])?;
    node.put_file("/usr/bin/authselect", include_str!("../../../../../data/authselect.py"), 0o755)?;
    let prepare = node.sh(include_str!("../../../../../data/minimal-profile.sh"), &[])?;
    check::text("a host with a profile of local users", prepare)?;
    let files = "cat /etc/nsswitch.conf /etc/pam.d/*";
    let before = check::text("nsswitch.conf and PAM", node.sh(files, &[])?)?;
    let install = format!("rpm --force-debian --install --nodeps {FOLDER}/*.rpm && ldconfig");
    check::text("installation", node.sh(&install, &[])?)?;
    installed(&node)?;
    check::equal("nsswitch.conf and PAM", &check::text("them", node.sh(files, &[])?)?, &before)?;

    let joined = product::join(&node)?;
    check::status("entractl join", &joined, 0)?;
    check::holds("entractl join", &joined.stdout, "authselect has entra with-faillock with-mkhomedir in force now")?;
    product::start_daemon(&node)?;
    logins(&node)?;

    check::status("entractl leave", &product::leave(&node)?, 0)?;
    check::equal("nsswitch.conf and PAM after leave", &check::text("them", node.sh(files, &[])?)?, &before)?;
    product::stop_daemon(&node)?;
    without_modules(&node)
}

fn put_packages(world: &World, node: &Node) -> Verdict {
    let entries = fs::read_dir(world.packages()).map_err(|error| error.to_string())?;
    let paths = entries.flatten().map(|entry| entry.path());
    let found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rpm")).collect();
    if found.is_empty() {
        let folder = world.packages().display();
        return Err(check::skip(&format!("there are no RPMs in {folder}: `cargo xtask package rpm` makes them")));
    }
    for path in found {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        node.put_file(&format!("{FOLDER}/{name}"), content, 0o644)?;
    }
    Ok(())
}

/// Modes and owners that matter, nothing that a package has and the folder of another one lacks, and nothing that runs.
fn installed(node: &Node) -> Verdict {
    for (path, wanted) in [
        ("/usr/libexec/entra/krb5-helper", "700 root:root"),
        ("/var/lib/entra", "700 entra:entra"),
        ("/etc/entra/entra.toml", "644 root:root"),
        ("/usr/lib64/libnss_entra.so.2", "755 root:root"),
        ("/usr/lib64/security/pam_entra.so", "755 root:root"),
        ("/usr/lib64/krb5/plugins/libkrb5/entra.so", "755 root:root"),
        ("/usr/lib64/libentra.so.1", "755 root:root"),
    ] {
        let found = node.must(&["stat", "--format", "%a %U:%G", path])?;
        check::equal(path, &found.as_str(), &wanted)?;
    }
    check::text("rpm --verify", node.sh("rpm --verify --nodeps entrad libnss-entra libpam-entra libentra", &[])?)?;
    let running = node.sh("ps -eo comm= | grep -c '^entrad'", &[])?;
    check::equal("processes of a host that is not joined", &running.stdout.trim(), &"0")
}

fn logins(node: &Node) -> Verdict {
    // As RHEL has them where Debian's PAM looks.
    node.sh("ln -s /usr/lib64/security/pam_entra.so /usr/lib/x86_64-linux-gnu/security/", &[])?;
    let home =
        check::text("alice", product::ssh_as(node, &ALICE, "pwd; stat --format %a .; klist -s && echo ticket")?)?;
    check::equal("a first login", &home.as_str(), &"/home/alice\n700\nticket")?;
    let wrong = product::ssh(node, ALICE.sam, "Wrong-Pass-1", "true")?;
    check::status("a wrong password", &wrong, 255)?;
    local(node)?;
    check::status("a local user's wrong password", &product::ssh(node, LOCAL_USER.0, "Wrong-Pass-1", "true")?, 255)?;
    node.must(&["faillock", "--user", LOCAL_USER.0, "--reset"])?;
    check::status("check nss", &node.run(&["entractl", "check", "nss"])?, 0)
}

fn local(node: &Node) -> Verdict {
    check::text("a local user", product::ssh(node, LOCAL_USER.0, LOCAL_USER.1, "true")?).map(drop)
}

/// Whoever removes the packages and leaves the profile in force locks nobody of the host out.
fn without_modules(node: &Node) -> Verdict {
    node.must(&["authselect", "select", "entra", "with-faillock"])?;
    let packages = "entrad libnss-entra libpam-entra libentra libentra-devel";
    let removed = node.sh(&format!("rpm --force-debian --erase {packages}"), &[])?;
    check::status("removal", &removed, 0)?;
    check::holds("what the removal says", &removed.stderr, "profile \"entra\" is still selected")?;
    check::status("the module", &node.run(&["test", "-e", "/usr/lib64/security/pam_entra.so"])?, 1)?;
    local(node)
}
