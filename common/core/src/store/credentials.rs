//! `credentials.db`: what an offline login is checked against. `cache flush` never touches it. Whoever loses it has to
//! log in online once more.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use super::sqlite;
use crate::Error;
use crate::types::Sid;

/// Version of the table below.
const VERSION: i32 = 1;
const TABLE: &str = "
    CREATE TABLE credential (
        sid BLOB PRIMARY KEY,
        domain TEXT NOT NULL,
        verifier TEXT NOT NULL,
        password_set INTEGER NOT NULL,
        proven INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        failed INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// What is kept of one account.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Argon2id of the password, as a PHC string: parameters, salt and hash.
    pub verifier: String,
    /// pwdLastSet of the account when the password was proven; 0 where it was not known.
    pub password_set: i64,
    /// When a KDC accepted the password last, in Unix seconds.
    pub proven: u64,
    /// Offline attempts since then that failed.
    pub failures: u32,
    /// When the last of them was, in Unix seconds.
    pub failed: u64,
}

/// Without the verifier: whoever has it may guess at leisure.
impl std::fmt::Debug for Credential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = out.debug_struct("Credential");
        shown.field("proven", &self.proven).field("failures", &self.failures).finish_non_exhaustive()
    }
}

/// The open file, mode 0600. What is written is on the disk when the call returns: a count of failures that a power cut
/// could reset would be none.
#[derive(Debug)]
pub struct CredentialStore(Mutex<Connection>);

impl CredentialStore {
    /// Opens or creates the file. A damaged one is removed and begun anew.
    ///
    /// # Errors
    /// [`Error::Config`] where a newer version wrote it; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        match connect(path) {
            Err(Error::StoreCorrupt(why)) => {
                log::warn!("{} is begun anew, so offline logins need an online one first: {why}", path.display());
                for suffix in ["", "-journal"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    match std::fs::remove_file(&name) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                        _ => {}
                    }
                }
                connect(path)
            }
            other => other,
        }
        .map(|connection| Self(Mutex::new(connection)))
    }

    /// What is kept of the account with this SID.
    ///
    /// # Errors
    /// [`Error::StoreCorrupt`], [`Error::Io`].
    pub fn get(&self, sid: &Sid) -> Result<Option<Credential>, Error> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT verifier, password_set, proven, failures, failed FROM credential WHERE sid = ?1")?;
        let row = statement.query_row([sid.to_bytes()], |row| {
            Ok(Credential {
                verifier: row.get(0)?,
                password_set: row.get(1)?,
                proven: row.get::<_, i64>(2)?.unsigned_abs(),
                failures: row.get(3)?,
                failed: row.get::<_, i64>(4)?.unsigned_abs(),
            })
        });
        Ok(row.optional()?)
    }

    /// Keeps `credential` for the account with this SID, in place of what was kept.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub fn put(&self, sid: &Sid, domain: &str, credential: &Credential) -> Result<(), Error> {
        self.lock().prepare_cached("INSERT OR REPLACE INTO credential VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            (
                sid.to_bytes(),
                domain,
                &credential.verifier,
                credential.password_set,
                signed(credential.proven),
                credential.failures,
                signed(credential.failed),
            ),
        )?;
        Ok(())
    }

    /// Notes how many attempts have failed in a row, and when the last one did.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub fn set_failures(&self, sid: &Sid, failures: u32, failed: u64) -> Result<(), Error> {
        self.lock().prepare_cached("UPDATE credential SET failures = ?2, failed = ?3 WHERE sid = ?1")?.execute((
            sid.to_bytes(),
            failures,
            signed(failed),
        ))?;
        Ok(())
    }

    /// Forgets the accounts of `domain` that were proven last before `before` (Unix seconds). Gives how many.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub fn purge(&self, domain: &str, before: u64) -> Result<u64, Error> {
        let gone = self
            .lock()
            .prepare_cached("DELETE FROM credential WHERE domain = ?1 AND proven < ?2")?
            .execute((domain, signed(before)))?;
        Ok(gone as u64)
    }

    /// Forgets the accounts of every domain that is not among `domains`: this host has left it. Gives how many.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub fn keep_only(&self, domains: &[&str]) -> Result<u64, Error> {
        let places = vec!["?"; domains.len()].join(", ");
        let statement = format!("DELETE FROM credential WHERE domain NOT IN ({places})");
        Ok(self.lock().execute(&statement, rusqlite::params_from_iter(domains))? as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = sqlite::open(path)?;
    // secure_delete: the verifier of a password that was changed does not stay in free pages.
    connection.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
    match sqlite::version(&connection)? {
        0 => connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLE} PRAGMA user_version = {VERSION}; COMMIT;"))?,
        VERSION => {}
        other => {
            return Err(Error::Config(format!(
                "{} was written by a newer entrad (version {other} of the file, this one knows {VERSION}): update, or \
                 remove the file, after which everybody has to log in online once",
                path.display()
            )));
        }
    }
    Ok(connection)
}

/// SQLite's integers are signed.
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn in_folder(work: impl FnOnce(&Path)) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("entra-credentials-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        work(&folder.join("credentials.db"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    fn alice() -> Sid {
        "S-1-5-21-1-2-3-1103".parse().unwrap()
    }

    fn credential(proven: u64) -> Credential {
        Credential { verifier: "$argon2id$…".into(), password_set: 7, proven, failures: 0, failed: 0 }
    }

    #[test]
    fn failures_survive_a_restart_and_nobody_else_may_read() {
        in_folder(|path| {
            let store = CredentialStore::open(path).unwrap();
            assert_eq!(store.get(&alice()).unwrap(), None);
            store.put(&alice(), "a.example", &credential(100)).unwrap();
            store.set_failures(&alice(), 3, 150).unwrap();
            drop(store);
            let found = CredentialStore::open(path).unwrap().get(&alice()).unwrap().unwrap();
            assert_eq!(found, Credential { failures: 3, failed: 150, ..credential(100) });
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        });
    }

    #[test]
    fn only_what_is_too_old_in_its_domain_is_purged() {
        in_folder(|path| {
            let store = CredentialStore::open(path).unwrap();
            let bob = "S-1-5-21-1-2-3-1104".parse().unwrap();
            store.put(&alice(), "a.example", &credential(100)).unwrap();
            store.put(&bob, "b.example", &credential(100)).unwrap();
            assert_eq!(store.purge("a.example", 100).unwrap(), 0);
            assert_eq!(store.purge("a.example", 101).unwrap(), 1);
            assert!(store.get(&alice()).unwrap().is_none() && store.get(&bob).unwrap().is_some());
        });
    }

    #[test]
    fn what_belongs_to_a_domain_that_was_left_goes() {
        in_folder(|path| {
            let store = CredentialStore::open(path).unwrap();
            let bob = "S-1-5-21-1-2-3-1104".parse().unwrap();
            store.put(&alice(), "a.example", &credential(100)).unwrap();
            store.put(&bob, "b.example", &credential(100)).unwrap();
            assert_eq!(store.keep_only(&["a.example", "b.example"]).unwrap(), 0);
            assert_eq!(store.keep_only(&["b.example", "c.example"]).unwrap(), 1);
            assert!(store.get(&alice()).unwrap().is_none() && store.get(&bob).unwrap().is_some());
            assert_eq!(store.keep_only(&[]).unwrap(), 1);
        });
    }

    #[test]
    fn a_damaged_file_is_begun_anew_and_one_of_the_future_is_left_alone() {
        in_folder(|path| {
            std::fs::write(path, "no database").unwrap();
            CredentialStore::open(path).unwrap().put(&alice(), "a.example", &credential(1)).unwrap();
            let connection = Connection::open(path).unwrap();
            connection.execute_batch("PRAGMA user_version = 99").unwrap();
            drop(connection);
            let error = CredentialStore::open(path).unwrap_err();
            assert!(matches!(&error, Error::Config(text) if text.contains("newer")), "{error}");
        });
    }
}
