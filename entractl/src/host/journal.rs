//! What join changed on the host, so that a failing join, an interrupted one and leave undo exactly that.
//!
//! It is written before each change and holds no secret: of the keytab it knows only whether there was one.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{self, Snapshot};
use super::{Paths, authselect, config, keytab, krb5_conf};
use crate::exit::Failure;
use crate::registration::Registered;

/// Version of the file; another one is refused.
const VERSION: u32 = 1;

/// How far a join came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It did not end: what stands here is to be undone.
    Joining,
    /// It ended well.
    Joined,
}

/// One file that was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    kind: Kind,
    before: Option<Snapshot>,
    after: Vec<u8>,
}

/// The files that join writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `/etc/krb5.conf`
    Krb5Conf,
    /// `/etc/krb5.conf.d/entra.conf`
    Krb5Snippet,
    /// `/etc/entra/entra.toml`
    Config,
}

impl Kind {
    fn path(self, paths: &Paths) -> &Path {
        match self {
            Self::Krb5Conf => &paths.krb5_conf,
            Self::Krb5Snippet => &paths.krb5_snippet,
            Self::Config => &paths.config,
        }
    }
}

/// What join changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    /// How far the join came.
    pub state: State,
    /// DNS name of the domain in lower case.
    pub domain: String,
    /// Realm.
    pub realm: String,
    /// Name of the computer account, without `$`.
    pub computer: String,
    /// Whether the creation of the account was begun.
    pub account_begun: bool,
    /// Permission bits of the keytab that was there before; `None` where there was none.
    pub keytab_mode: Option<u32>,
    /// Whether join enabled the service.
    pub service_enabled: bool,
    /// The profile of authselect that was in force before, with its features; `None` where join left it alone.
    #[serde(default)]
    pub authselect: Option<Vec<String>>,
    /// What is registered in the domain's DNS.
    #[serde(default)]
    pub dns: Option<Registered>,
    changes: Vec<Change>,
    folders: Vec<PathBuf>,
}

impl Journal {
    /// The journal of a join that begins now.
    pub fn begin(domain: &str, computer: &str, keytab_mode: Option<u32>) -> Self {
        Self {
            version: VERSION,
            state: State::Joining,
            domain: domain.into(),
            realm: domain.to_uppercase(),
            computer: computer.into(),
            account_begun: false,
            keytab_mode,
            service_enabled: false,
            authselect: None,
            dns: None,
            changes: Vec::new(),
            folders: Vec::new(),
        }
    }

    /// The journal of this host; `None` where join never ran or everything was undone.
    ///
    /// # Errors
    /// When it is there and cannot be understood.
    pub fn load(paths: &Paths, verb: &str) -> Result<Option<Self>, Failure> {
        let wrong = |what: String| {
            Failure::no(verb, format!("{}: {what}", paths.journal.display()))
                .remedy("it notes what join changed; undo that by hand, then remove the file")
        };
        let Some(saved) = Snapshot::take(&paths.journal).map_err(|error| wrong(error.to_string()))? else {
            return Ok(None);
        };
        let journal: Self = serde_json::from_slice(&saved.bytes).map_err(|error| wrong(error.to_string()))?;
        if journal.version != VERSION {
            return Err(wrong(format!("version {} is not known here", journal.version)));
        }
        Ok(Some(journal))
    }

    /// Writes the journal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&mut self, paths: &Paths) -> io::Result<()> {
        if let Some(folder) = paths.journal.parent() {
            self.make_folders(folder)?;
        }
        let text = serde_json::to_vec(self)?;
        file::replace(&paths.journal, &text, 0o600)
    }

    /// Writes a file of the host and notes how to undo that, in this order: note, then write.
    ///
    /// # Errors
    /// When the journal or the file cannot be written.
    pub fn write(&mut self, paths: &Paths, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let path = kind.path(paths);
        if let Some(folder) = path.parent() {
            self.make_folders(folder)?;
        }
        self.changes.push(Change { kind, before: Snapshot::take(path)?, after: bytes.to_vec() });
        self.save(paths)?;
        file::replace(path, bytes, 0o644)
    }

    /// Undoes everything on this host, and forgets the journal where that succeeded. Gives what could not be undone.
    pub fn undo(&self, paths: &Paths) -> Vec<String> {
        // First: nobody is to be asked for what is taken away.
        let mut left: Vec<String> = authselect::undo(paths, self.authselect.as_deref()).err().into_iter().collect();
        left.extend(self.undo_files(paths));
        left.extend(self.undo_keytab(paths).err());
        if left.is_empty() {
            left.extend(self.forget(paths).err().map(|error| format!("{}: {error}", paths.journal.display())));
        }
        left
    }

    /// Undoes every file but the keytab, the last change first. Where somebody changed a file since, only what join
    /// put in is taken out. Gives what could not be undone; goes on after each.
    pub fn undo_files(&self, paths: &Paths) -> Vec<String> {
        let mut left = Vec::new();
        for change in self.changes.iter().rev() {
            let path = change.kind.path(paths);
            if let Err(error) = self.undo_change(change, path) {
                left.push(format!("{}: {error}", path.display()));
            }
        }
        left
    }

    /// Takes the realm's keys out of the keytab, and removes it where join made it and nothing else is in it.
    ///
    /// # Errors
    /// When the file cannot be understood or written.
    pub fn undo_keytab(&self, paths: &Paths) -> Result<(), String> {
        let name = paths.keytab.display();
        let saved = Snapshot::take(&paths.keytab).map_err(|error| format!("{name}: {error}"))?;
        let Some(saved) = saved else { return Ok(()) };
        let kept = keytab::without_realm(&saved.bytes, &self.realm).map_err(|error| format!("{name}: {error}"))?;
        let done = if kept.len() <= 2 && self.keytab_mode.is_none() {
            file::remove(&paths.keytab)
        } else {
            let mode = self.keytab_mode.unwrap_or(saved.mode);
            Snapshot { bytes: kept.to_vec(), mode, owner: saved.owner }.restore(&paths.keytab)
        };
        done.map_err(|error| format!("{name}: {error}"))
    }

    /// Removes the journal and the folders that join made and that are empty now.
    ///
    /// # Errors
    /// When the journal cannot be removed.
    pub fn forget(&self, paths: &Paths) -> io::Result<()> {
        file::remove(&paths.journal)?;
        for folder in self.folders.iter().rev() {
            // Somebody else's files keep it.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(())
    }

    fn make_folders(&mut self, folder: &Path) -> io::Result<()> {
        self.folders.extend(file::make_folders(folder)?);
        Ok(())
    }

    fn undo_change(&self, change: &Change, path: &Path) -> io::Result<()> {
        let Some(now) = Snapshot::take(path)? else { return Ok(()) };
        match &change.before {
            Some(before) if now.bytes == change.after || now.bytes == before.bytes => return before.restore(path),
            None if now.bytes == change.after => return file::remove(path),
            _ => {}
        }
        let edited = match change.kind {
            Kind::Krb5Conf => krb5_conf::without_include(&now.bytes).unwrap_or_else(|| now.into_bytes()),
            // The file is ours by name: what was in it before join counts, not what was changed since.
            Kind::Krb5Snippet => change.before.as_ref().map(|before| before.bytes.clone()).unwrap_or_default(),
            Kind::Config => {
                let text = String::from_utf8(now.into_bytes()).map_err(|_| ErrorKind::InvalidData)?;
                let edited = config::remove_domain(&text, &self.domain);
                edited.map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?.into_bytes()
            }
        };
        if edited.is_empty() && change.before.is_none() {
            file::remove(path)
        } else {
            file::replace(path, &edited, 0o644)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::Folder;
    use super::super::keytab::tests::record;
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const DOMAIN: &str = "aadds.contoso.com";

    /// Every file and folder below `root`, with mode and content.
    fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            if path.is_dir() {
                found.extend(tree(&path));
                found.insert(path, (mode, Vec::new()));
            } else {
                found.insert(path.clone(), (mode, fs::read(&path).unwrap()));
            }
        }
        found
    }

    fn mode_of(path: &Path) -> Option<u32> {
        Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
    }

    fn join(paths: &Paths) -> Journal {
        let mut journal = Journal::begin(DOMAIN, "HOST", mode_of(&paths.keytab));
        journal.save(paths).unwrap();
        let snippet = krb5_conf::snippet(DOMAIN, &journal.realm, &[]);
        journal.write(paths, Kind::Krb5Snippet, snippet.as_bytes()).unwrap();
        let krb5 = fs::read(&paths.krb5_conf).unwrap_or_default();
        if let Some(edited) = krb5_conf::with_include(&krb5) {
            journal.write(paths, Kind::Krb5Conf, &edited).unwrap();
        }
        let keytab = fs::read(&paths.keytab).unwrap_or_else(|_| vec![5, 2]);
        fs::write(&paths.keytab, [keytab, record("HOST$", &journal.realm, 2, 18)].concat()).unwrap();
        fs::set_permissions(&paths.keytab, fs::Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(&paths.config).unwrap_or_default();
        let new = config::NewDomain { name: DOMAIN, preset: "entra-ds", server: None, permit: &[] };
        journal.write(paths, Kind::Config, config::add_domain(&text, new).unwrap().as_bytes()).unwrap();
        journal.state = State::Joined;
        journal.save(paths).unwrap();
        journal
    }

    fn leave(paths: &Paths) {
        let journal = Journal::load(paths, "leave").unwrap().unwrap();
        assert_eq!(journal.undo(paths), Vec::<String>::new());
    }

    fn host(files: &[(&str, &[u8], u32)]) -> (Folder, Paths) {
        let folder = Folder::new();
        fs::create_dir(folder.0.join("etc")).unwrap();
        for (name, bytes, mode) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let paths = Paths::below(&folder.0);
        (folder, paths)
    }

    #[test]
    fn a_bare_host_is_bare_again() {
        let (folder, paths) = host(&[]);
        let before = tree(&folder.0);
        join(&paths);
        assert_eq!(fs::metadata(&paths.journal).unwrap().permissions().mode() & 0o777, 0o600);
        leave(&paths);
        assert_eq!(tree(&folder.0), before);
    }

    #[test]
    fn a_furnished_host_gets_every_byte_and_mode_back() {
        let keytab = [&[5, 2][..], &record("nfs/a.example", "EXAMPLE", 1, 23)].concat();
        let (folder, paths) = host(&[
            ("etc/krb5.conf", b"[libdefaults]\n default_realm = \xe9\n", 0o640),
            ("etc/krb5.conf.d/entra.conf", b"# somebody's\n", 0o600),
            ("etc/krb5.keytab", &keytab, 0o640),
            ("etc/entra/entra.toml", b"cache_ttl='1m' # odd   \n\n\n[domains.'other.example']", 0o644),
        ]);
        let before = tree(&folder.0);
        join(&paths);
        assert_ne!(tree(&folder.0), before);
        leave(&paths);
        assert_eq!(tree(&folder.0), before);
    }

    #[test]
    fn an_interrupted_join_is_undone_from_its_journal() {
        let (folder, paths) = host(&[("etc/krb5.conf", b"[libdefaults]\n", 0o644)]);
        let before = tree(&folder.0);
        let mut journal = Journal::begin(DOMAIN, "HOST", None);
        journal.save(&paths).unwrap();
        journal.write(&paths, Kind::Krb5Snippet, b"x").unwrap();
        // Noted and not written any more.
        let edited = krb5_conf::with_include(b"[libdefaults]\n").unwrap();
        journal.write(&paths, Kind::Krb5Conf, &edited).unwrap();
        fs::write(&paths.krb5_conf, "[libdefaults]\n").unwrap();
        drop(journal);
        assert_eq!(Journal::load(&paths, "join").unwrap().unwrap().state, State::Joining);
        leave(&paths);
        assert_eq!(tree(&folder.0), before);
    }

    #[test]
    fn what_was_changed_since_stays() {
        let (_folder, paths) = host(&[("etc/krb5.conf", b"[libdefaults]\n", 0o644)]);
        join(&paths);
        let mut krb5 = fs::read(&paths.krb5_conf).unwrap();
        krb5.extend(b"[logging]\n");
        fs::write(&paths.krb5_conf, krb5).unwrap();
        let mut text = fs::read_to_string(&paths.config).unwrap();
        text.insert_str(0, "log_level = \"debug\"\n");
        fs::write(&paths.config, text).unwrap();
        leave(&paths);
        assert_eq!(fs::read(&paths.krb5_conf).unwrap(), b"[libdefaults]\n[logging]\n");
        assert_eq!(fs::read_to_string(&paths.config).unwrap(), "log_level = \"debug\"\n");
        assert!(!paths.krb5_snippet.exists() && !paths.keytab.exists() && !paths.journal.exists());
    }

    #[test]
    fn a_journal_of_another_version_is_refused() {
        let (_folder, paths) = host(&[("etc/entra/join.json", b"{\"version\":9}", 0o600)]);
        assert!(Journal::load(&paths, "join").is_err());
    }
}
