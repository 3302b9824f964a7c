//! The policy follows the configuration: what the worker is let do changes with root's file, and with nothing else.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use entra_core::config::{self, Config, Domain};

use super::validate::{Policy, Realm};
use crate::privileges;

impl Policy {
    /// What `config`, which stands at `path`, lets through.
    pub fn of(config: &Config, path: PathBuf, passwd: PathBuf, group: PathBuf) -> Self {
        let mut policy = Self { realms: Vec::new(), config: path, passwd, group, keeps_passwords: false };
        policy.take(config);
        policy
    }

    fn take(&mut self, config: &Config) {
        let realm = |domain: &Domain| Realm { name: domain.realm(), keytab_max_age: domain.keytab_max_age };
        self.realms = config.domains.iter().map(realm).collect();
        self.keeps_passwords = config.domains.iter().any(|domain| domain.offline_keep_password);
    }
}

/// Which version of the configuration a policy was made from.
/// `None` at first: the file may have changed since the start read it.
#[derive(Debug, Default)]
pub(super) struct Follower {
    known: Option<Version>,
}

/// Device, inode, time of the last change and size.
type Version = (u64, u64, (i64, i64), u64);

impl Follower {
    /// Looks whether the file is another one now, and has `policy` follow. One that is refused, is gone or is not root's
    /// changes nothing: the daemon would not start with it either, and goes on with what it has.
    pub(super) fn look(&mut self, policy: &mut Policy) {
        let Ok(meta) = std::fs::metadata(&policy.config) else { return };
        let now = Some(version(&meta));
        if now == self.known {
            return;
        }
        self.known = now;
        // This process is root; in tests it is whoever runs them, and the file is theirs.
        if privileges::is_root() && meta.uid() != 0 {
            return;
        }
        match config::load(&policy.config) {
            Ok(config) => policy.take(&config),
            Err(error) => log::debug!("the broker keeps to the configuration before: {error}"),
        }
    }
}

fn version(meta: &Metadata) -> Version {
    (meta.dev(), meta.ino(), (meta.ctime(), meta.ctime_nsec()), meta.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realms_are_those_of_the_file_as_it_is() {
        let path = std::env::temp_dir().join(format!("entra-follow-{}.toml", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let none = || PathBuf::from("/nonexistent");
        let mut policy = Policy::of(&config::load(&path).unwrap(), path.clone(), none(), none());
        let mut follower = Follower::default();
        let mut after = |text: &str| {
            std::fs::write(&path, text).unwrap();
            follower.look(&mut policy);
            (policy.realms.iter().map(|realm| realm.name.clone()).collect::<Vec<_>>(), policy.keeps_passwords)
        };
        assert_eq!(after("[domains.\"a.example\"]\n"), (vec!["A.EXAMPLE".to_owned()], false));
        assert_eq!(
            after("[domains.\"b.example\"]\noffline_keep_password = true\n"),
            (vec!["B.EXAMPLE".to_owned()], true)
        );
        assert_eq!(
            after("[domains.broken\n").0,
            ["B.EXAMPLE"],
            "a file that is refused took rights away, or gave some"
        );
        assert_eq!(after("# none\n"), (vec![], false), "the realm of a domain that was left");
        std::fs::remove_file(&path).unwrap();
    }
}
