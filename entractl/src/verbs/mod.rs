//! The verbs, one file each.

mod cache;
mod check;
mod cloud_trust;
mod config;
mod dns;
mod explain;
mod group;
mod idmap;
mod join;
mod keytab;
mod leave;
mod list;
mod quota;
mod samba;
mod sid;
mod ssh_keys;
mod status;
mod testjoin;
mod user;

use std::path::Path;

use entra_core::control::{LookupKey, Reply, Request, Source};

use crate::cli::{Cli, SourceChoice, Verb};
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Output, span};
use crate::{daemon, direct};

/// Does what the command line says. Steps go to `output` as they end.
///
/// # Errors
/// Why it was not done.
pub fn run(cli: &Cli, output: &mut Output<'_>) -> Result<Answer, Failure> {
    match &cli.verb {
        Verb::Join(options) => join::run(options, &cli.socket, output),
        Verb::Leave(options) => leave::run(options, &cli.socket, output),
        Verb::Testjoin => testjoin::run(output),
        Verb::Check(options) => Ok(check::run(options, &cli.socket, output)),
        Verb::Status => status::run(&cli.socket),
        Verb::User(options) => user::run(options, &cli.socket),
        Verb::Group(options) => group::run(options, &cli.socket),
        Verb::Sid { sid, source } => sid::run(sid, *source, &cli.socket),
        Verb::Users(options) => list::run(list::Kind::Users, options, &cli.socket, output),
        Verb::Groups(options) => list::run(list::Kind::Groups, options, &cli.socket, output),
        Verb::Explain { user, service } => explain::run(user, service.as_deref(), &cli.socket),
        Verb::SshKeys { user } => ssh_keys::run(user, &cli.socket),
        Verb::Cache { action } => cache::run(action, &cli.socket),
        Verb::Dns { action } => dns::run(action, output),
        Verb::Keytab { action } => keytab::run(action, output),
        Verb::Samba { action } => samba::run(action, &cli.socket, output),
        Verb::CloudTrust { action } => cloud_trust::run(action, output),
        Verb::Idmap { action } => idmap::run(action, &cli.socket),
        Verb::Quota { action } => quota::run(action, &cli.socket, output),
        Verb::Config { action } => config::run(action, &cli.socket),
    }
}

/// Asks the daemon, or the directory itself.
fn ask(verb: &str, request: Request, socket: &Path, source: SourceChoice) -> Result<Reply, Failure> {
    if source.direct { direct::ask(verb, request) } else { daemon::ask(socket, verb, &request) }
}

/// The one key that the command line gave.
fn lookup_key(verb: &str, name: Option<&str>, id: Option<u32>, sid: Option<&str>) -> Result<LookupKey, Failure> {
    match (name, id, sid) {
        (Some(name), None, None) => Ok(LookupKey::Name(name.to_owned())),
        (None, Some(id), None) => Ok(LookupKey::Id(id)),
        (None, None, Some(text)) => sid_text(verb, text).map(LookupKey::Sid),
        _ => Err(Failure::new(Exit::Usage, verb, "give a name, an id or a SID")),
    }
}

/// The SID in its usual spelling.
fn sid_text(verb: &str, text: &str) -> Result<String, Failure> {
    let sid: Result<entra_core::types::Sid, _> = text.parse();
    sid.map(|sid| sid.to_string()).map_err(|error| Failure::new(Exit::Usage, verb, error.to_string()))
}

/// Where an answer came from and how old it is, in words.
fn origin(source: Source, age_seconds: u64) -> String {
    match source {
        Source::Directory => "the directory, asked just now".into(),
        Source::Cache => format!("the cache, {} old", span(age_seconds)),
        Source::Stale => format!("the cache, past its life, {} old", span(age_seconds)),
    }
}
