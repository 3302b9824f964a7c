//! `ssh-keys`: the public keys of a user, as sshd's AuthorizedKeysCommand gives them (sshd_config(5)). Run by sshd at
//! every login by key, as whoever AuthorizedKeysCommandUser names.

use std::path::Path;
use std::time::Duration;

use entra_core::control::{Reply, Request, Source, SshKeys};
use entra_wire::{guard, local};

use crate::daemon;
use crate::exit::Failure;
use crate::output::Answer;

const VERB: &str = "ssh-keys";
/// Longest wait: above the longest `lookup_deadline`, which is 3 s, and half a second for the way.
const TIMEOUT: Duration = Duration::from_millis(3500);

/// Asks the daemon; a name that cannot be a domain user's costs no question, so a daemon that is down delays nobody
/// local.
pub(super) fn run(user: &str, socket: &Path) -> Result<Answer, Failure> {
    let none = SshKeys { user: user.to_owned(), keys: Vec::new(), source: Source::Cache, age_seconds: 0 };
    if !guard::name_may_be_ours(user.as_bytes()) || local::has_name(local::passwd(), user.as_bytes()) {
        return Ok(Answer::done("", &none));
    }
    match daemon::exchange(socket, VERB, &Request::SshKeys { user: user.to_owned() }, TIMEOUT)? {
        Reply::SshKeys(found) => Ok(Answer::done(found.keys.join("\n"), &found)),
        Reply::NotFound => Ok(Answer::done("", &none)),
        other => daemon::judge(VERB, other).and_then(|_| Err(daemon::unexpected(VERB))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn local_names_have_no_keys_of_a_directory_and_no_daemon_is_asked() {
        for name in ["root", "", "a:b", "27"] {
            let answer = run(name, Path::new("/nonexistent")).unwrap();
            assert_eq!((answer.text.as_str(), answer.exit), ("", Exit::Done), "{name:?}");
        }
        assert_eq!(run("nobody-knows", Path::new("/nonexistent")).unwrap_err().exit, Exit::NoDaemon);
    }
}
