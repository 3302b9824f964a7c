//! The tests of the LDAP adapter that need a real domain controller (`common/core/tests`), run in a client's namespaces:
//! against the directory as it is, and behind the limits that Active Directory keeps and Samba does not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use entra_lab::dc;
use serde_json::Value;

use crate::Case;
use crate::check::{self, Verdict};
use crate::world::World;

pub const CASES: &[Case] = &[
    ("adapter: users, groups, members and pages", |world| run(world, "directory", None)),
    ("adapter: the same behind Active Directory's limits", |world| run(world, "directory", Some(dc::LIMITED_ADDRESS))),
    ("adapter: domain controllers that stop, vanish and come back", |world| run(world, "outage", None)),
];

/// Long enough for a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(180);

fn run(world: &World, test: &str, server: Option<&str>) -> Verdict {
    world.mend()?;
    // Any joined machine will do; the reference is one from the start.
    let node = world.reference()?;
    let program = std::fs::read(build(test)?).map_err(|error| format!("{test}: {error}"))?;
    let place = format!("/run/adapter/{test}");
    node.put_file(&place, program, 0o755)?;
    let computer = node.must(&["hostname", "-s"])?.to_uppercase();
    let mut words = vec![
        "env".to_owned(),
        "KRB5_CONFIG=/run/adapter/krb5.conf".into(),
        format!("ENTRA_LAB_DOMAIN={}", dc::DNS_DOMAIN),
        format!("ENTRA_LAB_DNS={}", dc::ADDRESS),
        "ENTRA_LAB_KEYTAB=/etc/krb5.keytab".into(),
        format!("ENTRA_LAB_PRINCIPAL={computer}$"),
        "ENTRA_LAB_LARGE_GROUP=big-5000".into(),
        "ENTRA_LAB_LARGE_GROUP_SIZE=5000".into(),
    ];
    words.extend(server.map(|server| format!("ENTRA_LAB_SERVER={server}")));
    words.extend([&place, "--ignored", "--test-threads=1"].map(str::to_owned));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    check::status(test, &node.run_with(&words, None, LIMIT)?, 0)
}

/// Builds a test program of the core; gives its path.
fn build(test: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["test", "--quiet", "--no-run", "--message-format=json", "--package=entra-core", "--test", test])
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == test;
        if ours { message["executable"].as_str().map(PathBuf::from) } else { None }
    });
    built.ok_or_else(|| format!("cargo built no test program \"{test}\""))
}
