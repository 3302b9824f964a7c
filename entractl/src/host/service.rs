//! The daemon as a service of the host, where systemd runs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process;

/// Whether systemd is the init of this host (sd_booted(3)).
pub fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether the unit is enabled.
pub fn is_enabled() -> bool {
    systemctl(&["is-enabled", "--quiet", "entrad.service"]).is_ok()
}

/// Enables the unit and starts it with the configuration as it is now.
///
/// # Errors
/// What systemctl said.
pub fn start() -> Result<(), String> {
    systemctl(&["enable", "entrad.service"])?;
    systemctl(&["restart", "entrad.service"])
}

/// Restarts the unit if it runs: its configuration is another one now.
///
/// # Errors
/// What systemctl said.
pub fn restart_if_running() -> Result<(), String> {
    systemctl(&["try-restart", "entrad.service"])
}

/// Starts another program's unit anew.
///
/// # Errors
/// What systemctl said.
pub fn restart(unit: &str) -> Result<(), String> {
    systemctl(&["restart", unit])
}

/// Stops the unit, and disables it where `disable` says so.
///
/// # Errors
/// What systemctl said.
pub fn stop(disable: bool) -> Result<(), String> {
    if disable {
        systemctl(&["disable", "entrad.service"])?;
    }
    systemctl(&["stop", "entrad.service"])
}

fn systemctl(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("/usr/bin/systemctl");
    command.args(arguments).stdin(Stdio::null());
    let done = process::run(&mut command, process::SERVICE_TIMEOUT, &|| false)?;
    if done.success {
        return Ok(());
    }
    let said = done.errors.trim();
    Err(if said.is_empty() { format!("systemctl {} failed", arguments.join(" ")) } else { said.to_owned() })
}
