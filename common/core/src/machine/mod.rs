//! The machine's own password: one owner, who gives it to the directory, the keytab and Samba, in an order in which
//! nothing is lost wherever it ends.
//!
//! | Step | Ended behind it, the next run |
//! |---|---|
//! | the new password is written into the journal, 0600 | finds that the directory has the old one, and sets the new one |
//! | the directory takes it (kpasswd, RFC 3244) | finds that the directory has it, and goes on |
//! | the keytab gets the new keys beside the last ones, by one rename | writes them again |
//! | Samba gets it, where it shares the password | tells it again |
//! | the journal is removed | has nothing to do |

mod journal;
mod private_file;
mod samba;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use entra_krb5::{
    Ccache, ChangeAnswer, ChangeError, Context, Credentials, InitialRequest, Keytab, Kind, NewKeys, Password,
    Principal, Profile, Secret, add_keys, change_password, initial, keytab_file, verify,
};
use zeroize::Zeroizing;

use self::journal::Journal;

/// The initial ticket's service that changes passwords (RFC 3244).
const CHANGE_SERVICE: &str = "kadmin/changepw";
/// Most key versions that a change may skip: a directory counts up by one, and once more where an answer was lost.
const KVNO_STEPS: u32 = 4;
/// Largest keytab that is read, in bytes.
const MOST: u64 = 1024 * 1024;

/// Where the machine's secrets are on this host. The caller holds the lock of those who change them.
#[derive(Clone, Debug)]
pub struct Places {
    /// The machine keytab.
    pub keytab: PathBuf,
    /// What is under way: holds the new password until everybody has it.
    pub journal: PathBuf,
    /// There where Samba shares the password (`entractl samba configure` writes it).
    pub samba: PathBuf,
}

impl Places {
    /// On an installed host, with the keytab that is in use.
    pub fn installed(keytab: &Path) -> Self {
        let at = |name: &str| Path::new("/etc/entra").join(name);
        Self { keytab: keytab.to_owned(), journal: at("rotation"), samba: at("samba.json") }
    }
}

/// The domain controller that everything is done with.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// Realm, upper case.
    pub realm: &'a str,
    /// Its KDC.
    pub kdc: SocketAddr,
    /// Its kpasswd server.
    pub kpasswd: SocketAddr,
}

/// A password that everybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Version of the new keys.
    pub kvno: u32,
    /// Whether Samba shares it.
    pub samba: bool,
    /// Whether a change that had been broken off was brought to its end.
    pub resumed: bool,
}

/// Why the password was not changed, or not everywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer in time: later.
    #[error("{0}")]
    Offline(String),
    /// The directory takes neither the old password nor the new one, or refuses a new one.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be read or written.
    #[error("{0}")]
    Host(String),
    /// The directory and the keytab have it; Samba does not. The next run tells it again.
    #[error("Samba was not told: {0}")]
    Samba(String),
}

/// What is known of the machine's keys without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `HOST$@REALM`
    pub principal: String,
    /// Newest key version.
    pub kvno: u32,
    /// When it was written.
    pub written: SystemTime,
    /// Whether a change was broken off: the next run brings it to its end.
    pub pending: bool,
}

/// The machine's newest keys.
///
/// # Errors
/// [`Error::Host`] where the keytab cannot be read or has none of the realm.
pub fn keys(places: &Places, realm: &str) -> Result<Keys, Error> {
    let entries = entra_krb5::list_keytab(&places.keytab).map_err(|error| Error::Host(error.message))?;
    let suffix = format!("$@{realm}");
    let machine = entries.into_iter().filter(|entry| entry.principal.ends_with(&suffix));
    let newest = machine.max_by_key(|entry| (entry.kvno, entry.written));
    let newest = newest.ok_or_else(|| Error::Host(format!("the keytab has no key of this machine in {realm}")))?;
    let pending = places.journal.exists();
    Ok(Keys { principal: newest.principal, kvno: newest.kvno, written: newest.written, pending })
}

/// Whether the keys are older than `age`, or a change was broken off.
///
/// # Errors
/// As [`keys`].
pub fn is_due(places: &Places, realm: &str, age: Duration) -> Result<bool, Error> {
    let keys = keys(places, realm)?;
    // Keys from the future say that the clock was wrong: they are new.
    Ok(keys.pending || keys.written.elapsed().is_ok_and(|past| past >= age))
}

/// Gives the machine a new password, or brings a change that was broken off to its end.
///
/// # Errors
/// [`Error`]. Whatever it is, the host can go on with the keytab that it has, and the next run takes up from there.
pub fn rotate(places: &Places, server: Server<'_>, deadline: Instant) -> Result<Rotated, Error> {
    let profile = Profile::new(server.realm, &[server.kdc])
        .ok_or_else(|| Error::Host(format!("{} is no name of a realm", server.realm)))?;
    let context = Context::new(&profile).map_err(|error| krb5(&error))?;
    let before = keys(places, server.realm)?;
    let (journal, resumed) = match Journal::load(&places.journal).map_err(Error::Host)? {
        Some(journal) if journal.principal == before.principal => (journal, true),
        // Of a join that is over: its password is nobody's.
        _ => (Journal::begin(&before.principal, before.kvno).map_err(Error::Host)?, false),
    };
    if !resumed {
        journal.save(&places.journal).map_err(Error::Host)?;
    }
    let run = Run { context: &context, places, server, deadline, journal: &journal, resumed };
    let known = if resumed { run.tried()? } else { None };
    let ticket = match known {
        Some(ticket) => ticket,
        None => run.set()?,
    };
    let kvno = run.write_keys(&ticket)?;
    let samba = places.samba.exists();
    if samba {
        samba::tell(&journal.password, deadline).map_err(Error::Samba)?;
    }
    Journal::remove(&places.journal).map_err(Error::Host)?;
    Ok(Rotated { kvno, samba, resumed })
}

struct Run<'a> {
    context: &'a Context,
    places: &'a Places,
    server: Server<'a>,
    deadline: Instant,
    journal: &'a Journal,
    /// Whether the change was begun by a run before this one.
    resumed: bool,
}

impl<'a> Run<'a> {
    /// A ticket by the new password; none where the directory does not have it.
    fn tried(&self) -> Result<Option<Credentials<'a>>, Error> {
        let password = self.password()?;
        match self.ticket(Secret::Password(&password), None) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(error) if error.kind == Kind::WrongPassword => Ok(None),
            Err(error) => Err(krb5(&error)),
        }
    }

    /// Has the directory take the new password, and gives a ticket by it.
    fn set(&self) -> Result<Credentials<'a>, Error> {
        let keytab = Keytab::file(self.context, &self.places.keytab).map_err(|error| krb5(&error))?;
        let ticket = self.ticket(Secret::Keytab(&keytab), Some(CHANGE_SERVICE));
        let mut ticket = ticket.map_err(|error| self.unsent(krb5(&error)))?;
        let password = self.password()?;
        let change = change_password(self.context, &mut ticket, &password, self.server.kpasswd, self.deadline);
        let words = match change {
            Ok(ChangeAnswer::Changed) => String::new(),
            Ok(ChangeAnswer::Refused { words, proven: true, .. }) => {
                return Err(self.forgotten(Error::Refused(format!("the domain takes no new password: {words}"))));
            }
            // An answer that anybody may have made up is settled by trying, as one that was lost.
            Ok(ChangeAnswer::Refused { words, .. }) => format!(": {words}"),
            Err(ChangeError::Unanswered(error)) => format!(": {}", error.message),
            Err(ChangeError::NotSent(error)) => return Err(self.unsent(krb5(&error))),
        };
        self.tried()?.ok_or_else(|| Error::Refused(format!("the domain does not know the new password{words}")))
    }

    /// The password was not sent now. A run before this one may have sent it, and that the KDC asked here does not know
    /// it proves nothing: another one has not told it yet, or somebody between lies. The journal stays then.
    fn unsent(&self, error: Error) -> Error {
        if self.resumed { error } else { self.forgotten(error) }
    }

    /// Nothing was changed: there is nothing to take up.
    fn forgotten(&self, error: Error) -> Error {
        match Journal::remove(&self.places.journal) {
            Ok(()) => error,
            Err(left) => Error::Host(format!("{error}; and {left}")),
        }
    }

    /// The keytab with the new keys beside the last ones, in one rename. Gives their version.
    fn write_keys(&self, ticket: &Credentials<'_>) -> Result<u32, Error> {
        let (path, realm) = (&self.places.keytab, self.server.realm);
        let wrong = |error: keytab_file::NotAKeytab| Error::Host(format!("{}: {error}", path.display()));
        let present = private_file::read(path, MOST).map_err(Error::Host)?;
        let own = keytab_file::of_realm(&present, realm).map_err(wrong)?;
        let mut names: Vec<String> = own.into_iter().map(|entry| entry.name).collect();
        names.sort();
        names.dedup();
        let (kvno, new) = self.proven(ticket, &names)?;
        let last = self.journal.kvno;
        let kept = keytab_file::without(&present, |entry| entry.realm == realm && entry.kvno != last).map_err(wrong)?;
        let both = keytab_file::merged(&kept, &new).map_err(wrong)?;
        private_file::replace(path, &both).map_err(Error::Host)?;
        Ok(kvno)
    }

    /// The new keys with the version that the directory gives them: told by a ticket that they open.
    fn proven(&self, ticket: &Credentials<'_>, names: &[String]) -> Result<(u32, Zeroizing<Vec<u8>>), Error> {
        let computer = self.computer();
        let machine = Principal::parse(self.context, &self.journal.principal).map_err(|error| krb5(&error))?;
        let password = self.password()?;
        let beside = self.places.journal.with_extension("keytab");
        let mut last = None;
        for kvno in (self.journal.kvno + 1..).take(KVNO_STEPS as usize) {
            private_file::remove(&beside).map_err(Error::Host)?;
            let keys = NewKeys { realm: self.server.realm, computer, names, kvno };
            let opened = add_keys(&keys, &password, &beside).and_then(|()| {
                let keytab = Keytab::file(self.context, &beside)?;
                verify(self.context, ticket, &keytab, &machine, self.server.kdc, self.deadline)
            });
            let bytes = private_file::read(&beside, MOST);
            private_file::remove(&beside).map_err(Error::Host)?;
            match opened {
                Ok(_) => return Ok((kvno, bytes.map_err(Error::Host)?)),
                // Another version, most likely.
                Err(error) if matches!(error.kind, Kind::Keytab | Kind::BadReply) => last = Some(error),
                Err(error) => return Err(krb5(&error)),
            }
        }
        let why = last.map(|error| error.message).unwrap_or_default();
        Err(Error::Refused(format!("the domain derives other keys from the new password than this host: {why}")))
    }

    fn ticket(&self, secret: Secret<'_>, service: Option<&str>) -> Result<Credentials<'a>, entra_krb5::Error> {
        let client = Principal::parse(self.context, &self.journal.principal)?;
        let ccache = Ccache::memory(self.context)?;
        let request = InitialRequest {
            client: &client,
            secret,
            kdc: self.server.kdc,
            realm: self.server.realm,
            deadline: self.deadline,
            armor: None,
            canonicalize: false,
            service,
            ccache: Some(&ccache),
        };
        initial(self.context, &request)
    }

    fn password(&self) -> Result<Password, Error> {
        let bytes = Zeroizing::new(self.journal.password.as_bytes().to_vec());
        Password::new(bytes).map_err(|error| Error::Host(error.message))
    }

    /// sAMAccountName without `$`.
    fn computer(&self) -> &str {
        self.journal.principal.split('$').next().unwrap_or_default()
    }
}

fn krb5(error: &entra_krb5::Error) -> Error {
    match error.kind {
        Kind::Unreachable | Kind::TimedOut | Kind::ClockSkew => Error::Offline(error.message.clone()),
        Kind::Keytab | Kind::Ccache | Kind::Input => Error::Host(error.message.clone()),
        _ => Error::Refused(format!("the domain does not accept this machine: {}", error.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_due_by_age_or_where_a_change_was_broken_off() {
        let folder = std::env::temp_dir().join(format!("entra-machine-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let places = Places {
            keytab: folder.join("keytab"),
            journal: folder.join("rotation"),
            samba: folder.join("samba.json"),
        };
        assert!(is_due(&places, "D.EXAMPLE", Duration::ZERO).is_err(), "there is no keytab");
        let password = Password::new(Zeroizing::new(b"password".to_vec())).unwrap();
        let names = ["WEB1$".to_owned(), "host/web1.d.example".to_owned()];
        let new = NewKeys { realm: "D.EXAMPLE", computer: "WEB1", names: &names, kvno: 7 };
        add_keys(&new, &password, &places.keytab).unwrap();
        let seen = keys(&places, "D.EXAMPLE").unwrap();
        assert_eq!((seen.principal.as_str(), seen.kvno, seen.pending), ("WEB1$@D.EXAMPLE", 7, false));
        assert!(keys(&places, "OTHER").is_err());
        let hour = Duration::from_secs(3600);
        assert_eq!(is_due(&places, "D.EXAMPLE", hour), Ok(false));
        assert_eq!(is_due(&places, "D.EXAMPLE", Duration::ZERO), Ok(true));
        Journal::begin("WEB1$@D.EXAMPLE", 7).unwrap().save(&places.journal).unwrap();
        assert_eq!(is_due(&places, "D.EXAMPLE", hour), Ok(true));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
