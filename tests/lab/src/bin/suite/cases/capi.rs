//! `libentra.so.1` on a joined host: its example in C beside `getent`, with the daemon and without.

use std::path::Path;
use std::process::Command;

use entra_lab::accounts::PEOPLE;
use entra_lab::{Node, dc};

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] =
    &[("libentra: SIDs and names are who getent says, also while entrad is down for a moment", whois)];

/// The example, once [`compile`] has put it there.
pub const PROGRAM: &str = "/usr/local/bin/whois-of-libentra";

fn whois(world: &World) -> Verdict {
    let node = world.joined()?;
    compile(&node)?;
    let sids: Vec<String> = PEOPLE.iter().map(|account| format!("{}-{}", dc::DOMAIN_SID, account.rid)).collect();
    let mut words = vec![PROGRAM];
    words.extend(sids.iter().map(String::as_str));
    let wanted: Vec<String> = PEOPLE
        .iter()
        .zip(&sids)
        .map(|(account, sid)| format!("{sid} user {} {}", account.sam.to_lowercase(), account.uid()))
        .collect();
    let said = check::text("whois SID…", node.run(&words)?)?;
    check::equal("the users behind their SIDs", &said.trim_end(), &wanted.join("\n").as_str())?;
    // The answers of the daemon are in the shared cache from then on.
    node.must(&["pkill", "-STOP", "-x", "entrad"])?;
    let stopped = node.run(&words);
    node.must(&["pkill", "-CONT", "-x", "entrad"])?;
    check::equal("the same from the shared cache", &check::text("whois SID…", stopped?)?, &said)?;

    let group = format!("{}-513 group domain users {}\n", dc::DOMAIN_SID, dc::FIRST_ID + 513);
    let said = check::text("whois 'Domain Users'", node.run(&[PROGRAM, "Domain Users"])?)?;
    check::that(said.to_lowercase().starts_with(&group.to_lowercase()), || format!("wanted {group}, got {said}"))?;
    for nobody in ["S-1-5-32-544", "S-1-5-21-9-9-9-1103", "root", "nobody-knows"] {
        check::status(nobody, &node.run(&[PROGRAM, nobody])?, 1)?;
    }
    Ok(())
}

/// As somebody would who has libentra-dev, with the library of the package.
pub fn compile(node: &Node) -> Verdict {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../common/capi");
    let library = node.must(&["sh", "-c", "ls /usr/lib/*/libentra.so.1"])?;
    let mut compile = Command::new("cc");
    compile.arg("-o").arg(node.outside_path(PROGRAM)).arg("-I").arg(sources.join("include"));
    compile.arg(sources.join("examples/whois.c")).arg(node.outside_path(library.trim()));
    let status = compile.status().map_err(|error| format!("cc: {error}"))?;
    check::that(status.success(), || format!("whois.c does not compile: {status}"))
}
