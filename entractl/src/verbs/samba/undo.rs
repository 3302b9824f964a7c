//! What `samba configure` changed on the host, so that `--remove` undoes exactly that.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::smb_conf;
use crate::exit::Failure;
use crate::host::file::{self, Snapshot};

/// Version of the note; another one is refused.
const VERSION: u32 = 1;

/// The files. Tests put another folder in front.
pub(in crate::verbs) struct Places {
    /// smb.conf of every distribution that we know.
    pub smb_conf: PathBuf,
    /// What it includes.
    pub include: PathBuf,
    /// What was changed. The daemon takes it for the word that Samba shares the machine's password.
    pub note: PathBuf,
}

impl Places {
    /// On this host.
    pub fn installed() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same below `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            smb_conf: root.join("etc/samba/smb.conf"),
            include: root.join("etc/samba/entra.conf"),
            note: root.join("etc/entra/samba.json"),
        }
    }
}

/// The note of a `samba configure`.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::verbs) struct Note {
    version: u32,
    /// DNS name of the domain.
    pub domain: String,
    /// NetBIOS name of the domain.
    pub workgroup: String,
    before: Option<Snapshot>,
    after: Vec<u8>,
}

impl Note {
    /// The note of this host.
    ///
    /// # Errors
    /// When it is there and cannot be understood.
    pub fn load(places: &Places) -> Result<Option<Self>, Failure> {
        let wrong = |what: String| {
            Failure::no("samba", format!("{}: {what}", places.note.display()))
                .remedy("take the lines between `BEGIN entra` and `END entra` out of smb.conf, and remove the file")
        };
        let Some(saved) = Snapshot::take(&places.note).map_err(|error| wrong(error.to_string()))? else {
            return Ok(None);
        };
        let note: Self = serde_json::from_slice(&saved.bytes).map_err(|error| wrong(error.to_string()))?;
        if note.version != VERSION {
            return Err(wrong(format!("version {} is not known here", note.version)));
        }
        Ok(Some(note))
    }

    /// Writes note, include file and smb.conf, in this order.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(domain: &str, workgroup: &str, places: &Places, include: &str, smb_conf: &str) -> io::Result<Self> {
        let present = Snapshot::take(&places.smb_conf)?;
        let before = match Self::load(places) {
            // Configured before: what stood there without our lines is what is put back.
            Ok(Some(earlier)) => match (earlier.before, present) {
                (None, Some(now)) if now.bytes == earlier.after => None,
                (_, Some(now)) => Some(stripped(&now)),
                (before, None) => before,
            },
            _ => present,
        };
        let (domain, workgroup) = (domain.to_owned(), workgroup.to_owned());
        let note = Self { version: VERSION, domain, workgroup, before, after: smb_conf.as_bytes().to_vec() };
        file::replace(&places.note, &serde_json::to_vec(&note)?, 0o600)?;
        if let Some(folder) = places.include.parent() {
            file::make_folders(folder)?;
        }
        file::replace(&places.include, include.as_bytes(), 0o644)?;
        file::replace(&places.smb_conf, smb_conf.as_bytes(), 0o644)?;
        Ok(note)
    }

    /// Puts smb.conf back; where somebody changed it since, our lines alone are taken out.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn undo(&self, places: &Places) -> io::Result<()> {
        match Snapshot::take(&places.smb_conf)? {
            Some(now) if now.bytes == self.after => match &self.before {
                Some(before) => before.restore(&places.smb_conf)?,
                None => file::remove(&places.smb_conf)?,
            },
            Some(now) => stripped(&now).restore(&places.smb_conf)?,
            None => {}
        }
        file::remove(&places.include)?;
        file::remove(&places.note)
    }
}

fn stripped(now: &Snapshot) -> Snapshot {
    let text = String::from_utf8_lossy(&now.bytes);
    let bytes = smb_conf::without_include(&text).map_or_else(|| now.bytes.clone(), String::into_bytes);
    Snapshot { bytes, mode: now.mode, owner: now.owner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use std::fs;

    fn host(smb_conf: Option<&str>) -> (Folder, Places) {
        let folder = Folder::new();
        let places = Places::below(&folder.0);
        for path in [&places.smb_conf, &places.note] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        if let Some(text) = smb_conf {
            fs::write(&places.smb_conf, text).unwrap();
        }
        (folder, places)
    }

    fn configure(places: &Places) -> Note {
        let text = fs::read_to_string(&places.smb_conf).unwrap_or_default();
        let edited = smb_conf::with_include(&text, &places.include);
        Note::write("d.example", "D", places, "realm = D.EXAMPLE\n", &edited).unwrap()
    }

    #[test]
    fn removing_puts_back_what_stood_there() {
        for before in [Some("[global]\n a = 1\n\n[homes]\n"), Some(""), None] {
            let (_folder, places) = host(before);
            configure(&places);
            configure(&places).undo(&places).unwrap();
            assert_eq!(fs::read_to_string(&places.smb_conf).ok().as_deref(), before);
            assert!(!places.include.exists() && !places.note.exists());
        }
    }

    #[test]
    fn what_was_changed_since_stays() {
        let (_folder, places) = host(Some("[global]\n a = 1\n"));
        configure(&places);
        let text = fs::read_to_string(&places.smb_conf).unwrap();
        fs::write(&places.smb_conf, format!("{text}[share]\n path = /srv\n")).unwrap();
        let note = configure(&places);
        note.undo(&places).unwrap();
        assert_eq!(fs::read_to_string(&places.smb_conf).unwrap(), "[global]\n a = 1\n[share]\n path = /srv\n");
    }
}
