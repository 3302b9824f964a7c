//! Questions to the daemon: one connection each, one deadline for all of a call's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use entra_wire::client::Trust;
use entra_wire::guard::{id_may_be_ours, name_may_be_ours};
use entra_wire::nss::{Passwd, Request};
use entra_wire::protocol::Status;
use entra_wire::question;
use entra_wire::stated::Stated;
use entra_wire::{local, paths};

/// Longest wait of one call: the daemon's own deadline (3 s), and half a second for the way.
const PATIENCE: Duration = Duration::from_millis(3500);

/// Where the daemon and the files are that decide what is ours.
pub(crate) struct Host {
    socket: PathBuf,
    trust: Trust,
    /// Grants id ranges, and names the domains.
    pub(crate) config: PathBuf,
    /// Local users.
    pub(crate) passwd: PathBuf,
    deadline: Instant,
}

/// A user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Canonical name, as NSS shows it.
    pub(crate) name: String,
    /// Mapped from the SID.
    pub(crate) uid: u32,
}

impl Host {
    /// This host, as installed; the patience begins now.
    pub(crate) fn installed() -> Self {
        Self {
            socket: paths::NSS_SOCKET.into(),
            trust: Trust::Root,
            config: paths::CONFIG.into(),
            passwd: local::passwd().into(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// The user whom the directory would give a ticket of this name. `None`: nobody, or nobody can tell.
    pub(crate) fn user_of_principal(&self, name: &str, realm: &str) -> Option<User> {
        self.ask(&Request::PasswdByPrincipal { name: name.as_bytes(), realm: realm.as_bytes() })
    }

    /// The user of this name, in any form. `None`: nobody, or nobody can tell.
    pub(crate) fn user(&self, name: &str) -> Option<User> {
        self.ask(&Request::PasswdByName(name.as_bytes()))
    }

    /// Whether a name stands in `/etc/passwd`; yes where that cannot be read.
    pub(crate) fn is_local(&self, name: &str) -> bool {
        name == "root" || local::has_name(&self.passwd, name.as_bytes())
    }

    fn ask(&self, request: &Request<'_>) -> Option<User> {
        let mut body = Vec::new();
        let asked = question::ask(request, &self.socket, self.trust, self.deadline, &mut body);
        let (status, mut payload) = asked.ok()?;
        if status != Status::Ok {
            return None;
        }
        let user = Passwd::read(&mut payload).ok()?;
        payload.end().ok()?;
        self.believe(&user)
    }

    /// Whatever the daemon says: no name of this host's own, no id that the configuration does not grant.
    fn believe(&self, user: &Passwd<'_>) -> Option<User> {
        let name = std::str::from_utf8(user.name).ok()?;
        let granted = id_may_be_ours(user.uid, &Stated::of_config(&self.config).ranges);
        let sound = granted && name_may_be_ours(user.name) && !self.is_local(name);
        sound.then(|| User { name: name.to_owned(), uid: user.uid })
    }
}

#[cfg(test)]
impl Host {
    /// A host of the tests: a daemon of this process's user, and files of their own.
    pub(crate) fn of_test(socket: &std::path::Path, config: &std::path::Path, passwd: &std::path::Path) -> Self {
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
        Self {
            socket: socket.into(),
            trust: Trust::RootOr(owner),
            config: config.into(),
            passwd: passwd.into(),
            deadline: Instant::now() + PATIENCE,
        }
    }
}
