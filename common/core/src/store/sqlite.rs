//! What both databases share: files that nobody else may read, bounded waits, and errors named by what follows.

use std::fmt::Write;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::Error;

/// Longest wait for another process that holds the database.
const BUSY: Duration = Duration::from_secs(1);

/// Opens a database for reading and writing, created with mode 0600 where it is missing.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::Io(format!("{} cannot be opened: {error}", path.display())))?;
    // A file that was there before keeps its mode: one copied back by hand may be too open.
    file.set_permissions(Permissions::from_mode(0o600))?;
    drop(file);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// Opens an existing database for reading; nothing is created beside it.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// The same of one that nobody writes now: no log of changes is looked for, and none is made (SQLite, "URI Filenames",
/// `immutable`).
pub(super) fn open_immutable(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => name.push(char::from(*byte)),
            other => {
                let _ = write!(name, "%{other:02x}");
            }
        }
    }
    prepare(Connection::open_with_flags(name + "?immutable=1", flags)?)
}

/// A database that ends with the connection.
pub(super) fn in_memory() -> Result<Connection, Error> {
    prepare(Connection::open_in_memory()?)
}

fn prepare(connection: Connection) -> Result<Connection, Error> {
    connection.busy_timeout(BUSY)?;
    // Whatever a damaged file holds as schema runs no function of ours.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

/// The version in the database's header; 0 in a new one.
pub(super) fn version(connection: &Connection) -> Result<i32, Error> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// `SQLite`'s errors, by what the caller does next.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sql;
        let damaged_value = matches!(
            error,
            Sql::FromSqlConversionFailure(..)
                | Sql::InvalidColumnType(..)
                | Sql::IntegralValueOutOfRange(..)
                | Sql::Utf8Error(..)
        );
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::StoreCorrupt(error.to_string()),
            Some(ErrorCode::DiskFull) => {
                Self::Io(format!("the disk is full ({error}): free space where the store lies"))
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Io(format!("another process holds the store for over {} s ({error})", BUSY.as_secs()))
            }
            _ if damaged_value => Self::StoreCorrupt(error.to_string()),
            _ => Self::Io(format!("the store: {error}")),
        }
    }
}
