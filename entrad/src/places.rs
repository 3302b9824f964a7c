//! Folders, sockets and the lock that a start needs, made while still root and safe against what a former worker may
//! have left in folders of its own: no link is followed, nothing but a socket is removed. FFI edge: flock.

use std::fs::{self, DirBuilder, File};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::account::Account;

/// umask that lets a bound socket have mode 0666: who may ask what is decided by peer credentials. A chmod by path
/// could be led astray in a folder that is not root's.
pub const SOCKET_MASK: u32 = 0o111;

/// How long a start waits for the lock. The broker of a worker that was killed keeps it until the helpers that it has
/// started are done, which is mostly a few hundredths of a second.
pub const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Where this daemon keeps things; `paths::*` on an installed host.
#[derive(Clone, Debug)]
pub struct Places {
    /// Sockets and the shared cache: `/run/entra`.
    pub run: PathBuf,
    /// Stores: `/var/lib/entra`.
    pub state: PathBuf,
}

impl Places {
    /// Where only the worker may enter.
    pub fn private(&self) -> PathBuf {
        self.run.join("private")
    }

    /// The machine's ticket.
    pub fn machine_ccache(&self) -> PathBuf {
        self.private().join("machine.ccache")
    }

    /// Lookups shared with every process.
    pub fn cache_map(&self) -> PathBuf {
        self.run.join("cache.map")
    }

    /// The krb5 configuration of the worker's own libraries.
    pub fn krb5_conf(&self) -> PathBuf {
        self.private().join("krb5.conf")
    }

    /// Makes the folders, owned by `owner` (or by whoever runs this, without one).
    ///
    /// # Errors
    /// With the path in the text.
    pub fn make(&self, owner: Option<&Account>) -> Result<()> {
        make_folder(&self.run, 0o755, owner)?;
        make_folder(&self.private(), 0o700, owner)?;
        make_folder(&self.state, 0o700, owner)
    }

    /// Makes sure that no second daemon uses these places. Keep what it gives: the lock goes with it. Waits for up to
    /// [`LOCK_WAIT`], for the broker of a daemon that was killed.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when another one runs.
    pub fn lock(&self) -> Result<File> {
        let folder = open_folder(&self.private())?;
        let end = Instant::now() + LOCK_WAIT;
        loop {
            // SAFETY: no pointers; the descriptor is open for the call.
            if unsafe { libc::flock(folder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
                return Ok(folder);
            }
            let error = Error::last_os_error();
            if error.kind() != ErrorKind::WouldBlock {
                return Err(with_path(&self.run, &error));
            }
            if Instant::now() >= end {
                let text = format!("another entrad uses {}: stop it first", self.run.display());
                return Err(Error::new(ErrorKind::WouldBlock, text));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Binds and listens on `name` in the run folder, after removing what a former daemon left; [`SOCKET_MASK`] has to
    /// be the umask. The peer that clients see is whoever calls this.
    ///
    /// # Errors
    /// With the path in the text; also where something else than a socket has that name.
    pub fn listen(&self, name: &str) -> Result<UnixListener> {
        let path = self.run.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.file_type().is_socket() => {
                fs::remove_file(&path).map_err(|error| with_path(&path, &error))?;
            }
            Ok(_) => {
                return Err(Error::other(format!("{} is no socket: remove it", path.display())));
            }
            Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| with_path(&path, &error))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

fn make_folder(path: &Path, mode: u32, owner: Option<&Account>) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(with_path(path, &error)),
    }
    let folder = open_folder(path)?;
    let meta = folder.metadata()?;
    if let Some(owner) = owner
        && (meta.uid(), meta.gid()) != (owner.uid, owner.gid)
    {
        fchown(&folder, Some(owner.uid), Some(owner.gid)).map_err(|error| with_path(path, &error))?;
    }
    folder.set_permissions(fs::Permissions::from_mode(mode)).map_err(|error| with_path(path, &error))
}

/// Opens a folder, not a link to one.
fn open_folder(path: &Path) -> Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    File::options().read(true).custom_flags(flags).open(path).map_err(|error| with_path(path, &error))
}

fn with_path(path: &Path, error: &Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "; start it as root, or name folders of your own by --run-dir and --state-dir",
        _ => "",
    };
    Error::new(error.kind(), format!("{}: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str) -> Places {
        let base = std::env::temp_dir().join(format!("entra-places-{name}-{}", std::process::id()));
        fs::create_dir(&base).unwrap();
        Places { run: base.join("run"), state: base.join("state") }
    }

    fn remove(places: &Places) {
        fs::remove_dir_all(places.run.parent().unwrap()).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn folders_and_sockets_have_their_modes_also_the_second_time() {
        let places = places("modes");
        for _ in 0..2 {
            places.make(None).unwrap();
            let _listener = places.listen("nss.sock").unwrap();
            assert_eq!(mode(&places.run), 0o755);
            assert_eq!((mode(&places.private()), mode(&places.state)), (0o700, 0o700));
        }
        remove(&places);
    }

    #[test]
    fn a_start_waits_for_what_is_left_of_a_daemon_that_was_killed() {
        let places = places("left");
        places.make(None).unwrap();
        let left = places.lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(LOCK_PAUSE * 3);
                drop(left);
            });
            places.lock().unwrap();
        });
        remove(&places);
    }

    #[test]
    fn a_second_daemon_is_refused_while_the_first_one_runs() {
        let places = places("lock");
        places.make(None).unwrap();
        let first = places.lock().unwrap();
        assert_eq!(places.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(first);
        places.lock().unwrap();
        remove(&places);
    }

    #[test]
    fn nothing_but_a_socket_is_removed_and_no_link_is_followed() {
        let places = places("links");
        places.make(None).unwrap();
        fs::write(places.run.join("pam.sock"), "precious").unwrap();
        assert!(places.listen("pam.sock").is_err());
        assert_eq!(fs::read(places.run.join("pam.sock")).unwrap(), b"precious");
        let elsewhere = places.run.parent().unwrap().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir(places.private()).unwrap();
        std::os::unix::fs::symlink(&elsewhere, places.private()).unwrap();
        assert!(places.make(None).is_err());
        assert_eq!(mode(&elsewhere), 0o755);
        remove(&places);
    }
}
