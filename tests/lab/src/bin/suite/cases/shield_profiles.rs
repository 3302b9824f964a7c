//! The daemon's profiles for AppArmor and SELinux: they are read by the tools that a host has. The kernel of the nodes may
//! have neither; bin/confined has AppArmor's in force.

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("shield: AppArmor reads the daemon's profiles, and a host's own rules with them", apparmor),
    ("shield: the SELinux module compiles, and refuses nothing yet", selinux),
];

fn apparmor(world: &World) -> Verdict {
    let node = world.installed()?;
    node.apt_install(&["apparmor"])?;
    let path = "/etc/apparmor.d/usr.sbin.entrad";
    let parse = |path: &str| {
        let kernel = "--kernel-features=/etc/apparmor.d/abi/3.0";
        node.run(&["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--quiet", kernel, path])
    };
    check::status("apparmor_parser", &parse(path)?, 0)?;
    let names = check::text("names", node.run(&["apparmor_parser", "--names", path])?)?;
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    check::equal("profiles", &names, &vec!["entrad", "entrad//helper", "entrad//worker"])?;
    let text = node.read_file(path)?;
    let profiles: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("profile ")).collect();
    check::that(!profiles.iter().any(|line| line.contains("complain")), || format!("not enforced: {profiles:?}"))?;
    // A host's own rules are read with each.
    for local in ["", "-worker", "-helper"] {
        let local = format!("/etc/apparmor.d/local/usr.sbin.entrad{local}");
        node.put_file(&local, "no rule\n", 0o644)?;
        check::that(!parse(path)?.ok(), || format!("apparmor_parser does not read {local}"))?;
        node.must(&["rm", &local])?;
    }
    Ok(())
}

fn selinux(world: &World) -> Verdict {
    let node = world.installed()?;
    // The interfaces without what that package brings along, most of it Python.
    node.apt_install(&["checkpolicy", "semodule-utils", "m4", "make", "gawk"])?;
    node.apt_install(&["--download-only", "selinux-policy-dev"])?;
    let unpack = "dpkg-deb -x \"$(ls /run/lab/apt/archives/selinux-policy-dev_*.deb | tail -n 1)\" /";
    check::status("the interfaces", &node.sh(unpack, &[])?, 0)?;
    let build = "cp -r /usr/share/doc/entrad/selinux /tmp/selinux && cd /tmp/selinux && \
                 make -f /usr/share/selinux/devel/Makefile entrad.pp";
    check::status("the module", &node.sh(build, &[])?, 0)?;
    check::that(node.outside_path("/tmp/selinux/entrad.pp").exists(), || "no module was made".into())?;
    let text = node.read_file("/tmp/selinux/entrad.te")?;
    check::that(text.lines().any(|line| line == "permissive entrad_t;"), || "the module enforces".into())
}
