//! Where a module that answers lookups finds the socket, the shared cache and the configuration. FFI edge: AT_SECURE and
//! the process's user.
//!
//! As installed, unless the caller names other folders (`ENTRA_RUN_DIR`, `ENTRA_CONFIG_DIR`: tests, containers). That
//! is honoured only where it gains nobody anything: the process did not change its rights when it was started
//! (AT_SECURE is 0), and the folder belongs to root or to the process's own user, who then must own the daemon too.
//!
//! `ENTRA_NSS_OFF` turns it off for a process. The daemon sets it for itself and its helpers, which must never
//! resolve through themselves (the daemon also refuses such peers).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::cache_map::Place;
use crate::client::Trust;
use crate::paths;

/// Where this process finds the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The socket of lookups.
    pub socket: PathBuf,
    /// Whom the daemon must belong to.
    pub trust: Trust,
    /// The configuration that grants id ranges.
    pub config: PathBuf,
    /// The shared cache.
    pub map: Option<Place>,
    /// This process gets no answers.
    pub off: bool,
}

impl Settings {
    /// The settings of this process, read at its first lookup. No lock, which a fork in the middle of another thread's
    /// call would leave taken.
    #[inline]
    pub fn current() -> &'static Self {
        static KNOWN: AtomicPtr<Settings> = AtomicPtr::new(ptr::null_mut());
        let known = KNOWN.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: not null means that it was made by `Box::leak` below, and is never changed or freed.
            return unsafe { &*known };
        }
        // Two threads at their first lookup read the same; one of them keeps its copy for itself.
        let read = ptr::from_mut(Box::leak(Box::new(Self::read())));
        let _ = KNOWN.compare_exchange(ptr::null_mut(), read, Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: leaked right above, and never changed.
        unsafe { &*read }
    }

    fn read() -> Self {
        if started_with_other_rights() {
            return Self::installed();
        }
        Self::from_variables(|name| std::env::var_os(name).map(PathBuf::from), own_uid())
    }

    fn installed() -> Self {
        let map = Place::new(Path::new(paths::RUN_DIR), Path::new(paths::CONFIG));
        Self { socket: paths::NSS_SOCKET.into(), trust: Trust::Root, config: paths::CONFIG.into(), map, off: false }
    }

    fn from_variables(variable: impl Fn(&str) -> Option<PathBuf>, uid: u32) -> Self {
        let mut settings = Self::installed();
        settings.off = variable("ENTRA_NSS_OFF").is_some();
        let mut run = PathBuf::from(paths::RUN_DIR);
        if let Some((folder, owner)) = variable("ENTRA_RUN_DIR").and_then(|folder| believable(folder, uid)) {
            settings.socket = folder.join("nss.sock");
            settings.trust = Trust::RootOr(owner);
            run = folder;
        }
        if let Some((folder, _)) = variable("ENTRA_CONFIG_DIR").and_then(|folder| believable(folder, uid)) {
            settings.config = folder.join("entra.toml");
        }
        settings.map = Place::new(&run, &settings.config);
        settings
    }
}

/// The folder with its owner, where that is root or `uid`.
fn believable(folder: PathBuf, uid: u32) -> Option<(PathBuf, u32)> {
    let owner = owner_of_folder(&folder)?;
    (owner == 0 || owner == uid).then_some((folder, owner))
}

fn owner_of_folder(folder: &Path) -> Option<u32> {
    let meta = std::fs::metadata(folder).ok()?;
    (folder.is_absolute() && meta.is_dir()).then(|| meta.uid())
}

/// Whether the kernel says that this program runs with rights that its caller lacks (setuid, file capabilities).
fn started_with_other_rights() -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

fn own_uid() -> u32 {
    // SAFETY: no pointer is passed, and it cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &Path, uid: u32) -> Settings {
        Settings::from_variables(|asked| (asked == name).then(|| value.to_owned()), uid)
    }

    #[test]
    fn without_variables_the_installed_places_count() {
        assert_eq!(Settings::from_variables(|_| None, 1000), Settings::installed());
    }

    #[test]
    fn a_folder_of_the_caller_is_believed_and_names_the_owner() {
        let folder = std::env::temp_dir().join(format!("entra-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let settings = with("ENTRA_RUN_DIR", &folder, own_uid());
        assert_eq!(settings.socket, folder.join("nss.sock"));
        assert_eq!(settings.trust, Trust::RootOr(own_uid()));
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_believed() {
        let owner = owner_of_folder(Path::new("/proc/self")).unwrap();
        let believed = believable("/proc/self".into(), owner.wrapping_add(1));
        assert_eq!(believed.is_some(), owner == 0);
        assert_eq!(with("ENTRA_RUN_DIR", Path::new("/nonexistent"), 1000), Settings::installed());
        assert_eq!(with("ENTRA_RUN_DIR", Path::new("."), own_uid()), Settings::installed());
    }

    #[test]
    fn a_process_can_be_left_out() {
        assert!(with("ENTRA_NSS_OFF", Path::new("1"), 1000).off);
    }
}
