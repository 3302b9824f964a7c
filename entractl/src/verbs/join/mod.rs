//! `join`: a preflight that changes nothing, then the changes, each of which can be undone; a failure undoes all.

mod act;
mod plan;

use std::path::Path;

use serde_json::json;

use crate::cli::{Join, Preset};
use crate::exit::Failure;
use crate::host::lock::Lock;
use crate::host::private::PrivateFolder;
use crate::host::{Paths, need_root};
use crate::interrupt::Interrupt;
use crate::output::{Answer, Output};
use crate::policy;

/// Where one join or leave at a time is ensured.
pub(super) const LOCK: &str = "/run/entractl.lock";

/// Where the administrator's ticket is while one of them runs.
pub(super) const FOLDER: &str = "/run/entractl";

/// Joins.
pub(super) fn run(options: &Join, socket: &Path, output: &mut Output<'_>) -> Result<Answer, Failure> {
    need_root("join")?;
    let _lock = Lock::take(Path::new(LOCK), "join")?;
    let paths = Paths::installed();
    let folder = private_folder("join")?;
    let plan = plan::make(options, &paths, &folder, output).map_err(|mut failure| {
        failure.more = Some(json!({ "joined": false }));
        failure
    })?;
    let interrupt = Interrupt::watch();
    act::run(&plan, &paths, socket, &interrupt, output)?;
    for step in policy::look("policy", &plan.domain, &plan.computer, &paths, &folder) {
        output.step(step);
    }
    let who = if options.permit.is_empty() {
        "everybody in the domain may log in; `--permit GROUP` at join, or the table access of the domain in \
         /etc/entra/entra.toml, narrows it"
            .to_owned()
    } else {
        format!("only members of {} may log in", options.permit.join(", "))
    };
    let text = format!("\njoined {} as {}$: {who}", plan.domain.name, plan.computer);
    let json = json!({
        "joined": true, "domain": plan.domain.name, "realm": plan.domain.realm(), "computer": plan.computer,
        "server": plan.host, "ou": plan.place.ou, "preset": preset_word(plan.place.preset), "permit": options.permit,
    });
    Ok(Answer::done(text, json))
}

/// The folder for the ticket; the caller holds the lock.
pub(super) fn private_folder(verb: &str) -> Result<PrivateFolder, Failure> {
    PrivateFolder::make(Path::new(FOLDER)).map_err(|error| Failure::no(verb, format!("{FOLDER}: {error}")))
}

/// The preset as the configuration says it.
fn preset_word(preset: Preset) -> &'static str {
    match preset {
        Preset::ActiveDirectory => "active-directory",
        Preset::EntraDs => "entra-ds",
    }
}
