//! NFSv4's names and ids, by the library that rpc.idmapd, nfsidmap and rpc.svcgssd ask, set up as the guide says.

use std::path::Path;
use std::process::Command;

use entra_lab::Node;
use entra_lab::accounts::ALICE;
use entra_lab::dc::FIRST_ID;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[("nfs: libnfsidmap knows the domain's users and groups, as the guide sets it up", names)];

/// The guide, whose settings are tried.
const GUIDE: &str = include_str!("../../../../../../docs/guides/nfs.md");
/// Where the program that asks stands.
const PROGRAM: &str = "/usr/local/bin/nfs-names";
const CONFIGURATION: &str = "/etc/idmapd.conf";

fn names(world: &World) -> Verdict {
    let node = world.joined()?;
    if !node.outside_path("/usr/lib/x86_64-linux-gnu/libnfsidmap.so.1").exists() {
        check::text("apt-get install libnfsidmap1", node.apt_install(&["libnfsidmap1"])?)?;
    }
    let settings = GUIDE.split("```\n").nth(1).ok_or("the guide has no settings")?;
    node.put_file(CONFIGURATION, settings, 0o644)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nfs-names.c");
    let mut compile = Command::new("cc");
    compile.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(node.outside_path(PROGRAM)).arg(source);
    let status = compile.status().map_err(|error| format!("cc: {error}"))?;
    check::that(status.success(), || format!("nfs-names.c does not compile: {status}"))?;
    let verdict = asked(&node);
    std::fs::remove_file(node.outside_path(CONFIGURATION)).map_err(|error| error.to_string())?;
    verdict
}

fn asked(node: &Node) -> Verdict {
    let (alice, users) = (ALICE.uid().to_string(), (FIRST_ID + 513).to_string());
    let admins = node.must(&["getent", "group", "linux admins"])?;
    let admins = admins.split(':').nth(2).unwrap_or_default();
    let (uid, gid) = (format!("uid {alice}"), format!("gid {users}"));
    let both = format!("{alice} {users}");
    let wanted = [
        ("user alice@aadds.contoso.com", alice.as_str()),
        ("user ALICE@aadds.contoso.com", &alice),
        ("group domain users@aadds.contoso.com", &users),
        ("group linux admins@aadds.contoso.com", admins),
        (&uid, "alice@aadds.contoso.com"),
        (&gid, "domain users@aadds.contoso.com"),
        // The ticket of sec=krb5.
        ("principal alice@AADDS.CONTOSO.COM", &both),
        ("principal alice@OTHER.EXAMPLE", "nobody"),
        ("user alice@other.example", "nobody"),
        ("user nosuch@aadds.contoso.com", "nobody"),
        ("uid 674199999", "nobody"),
    ];
    let lines = |with: &dyn Fn(&str, &str) -> String| {
        wanted.iter().map(|(question, answer)| with(question, answer)).collect::<Vec<_>>().concat()
    };
    let questions = lines(&|question, _| format!("{question}\n"));
    let answers = node.run_with(&[PROGRAM, CONFIGURATION], Some(questions.as_bytes()), entra_lab::DEFAULT_LIMIT)?;
    let expected = lines(&|question, answer| format!("{question} -> {answer}\n"));
    check::equal("what libnfsidmap says", &check::text("libnfsidmap", answers)?.trim_end(), &expected.trim_end())
}
