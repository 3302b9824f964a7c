//! What a login needs of the host beside our own files: the right time tomorrow, a place for tickets, stores that can
//! be read.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use entra_core::Error;
use entra_core::config::Domain;
use entra_core::store::SliceStore;

use crate::exit::Failure;
use crate::host::Paths;
use crate::output::Step;

/// Programs that keep the time, as the kernel shows their names: 15 bytes at most (proc(5)).
const TIME_KEEPERS: [&str; 8] =
    ["chronyd", "ntpd", "ntpsec", "openntpd", "systemd-timesyn", "ptp4l", "phc2sys", "vmtoolsd"];
/// How every SQLite file begins (SQLite's "Database File Format" 1.3).
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// Anybody may write, and only the owner may remove (chmod(2)).
const STICKY: u32 = 0o1777;

/// Whether somebody keeps the clock right.
pub(super) fn time_keeper(processes: &Path) -> Step {
    let names = fs::read_dir(processes).into_iter().flatten().flatten().filter_map(|process| {
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    });
    match names.into_iter().find(|name| TIME_KEEPERS.contains(&name.as_str())) {
        Some(name) => Step::ok("clock", format!("{name} keeps the time")),
        None => Step::warn(
            "clock",
            "no program that keeps the time runs: Kerberos fails once the clock is off by 5 minutes",
            "`apt-get install chrony`, with the domain controllers as servers; a container has its host's clock",
        ),
    }
}

/// Whether users can write their tickets where the configuration puts them.
pub(super) fn ccache_folder(domain: &Domain, root: &Path) -> Option<Result<Step, Failure>> {
    let (kind, path) = domain.ccache.split_once(':')?;
    // What stands below a folder of the user's own is the user's.
    let folder = Path::new(path).parent().filter(|folder| !folder.to_string_lossy().contains('%'))?;
    if !matches!(kind, "FILE" | "DIR") {
        return None;
    }
    let shown = folder.display();
    let below = root.join(folder.strip_prefix("/").unwrap_or(folder));
    let fail = |what: String, remedy: String| Some(Err(Failure::no("pam", what).remedy(remedy)));
    match fs::metadata(&below) {
        Ok(meta) if meta.is_dir() && meta.mode() & STICKY == STICKY => {
            Some(Ok(Step::ok("pam", format!("users can write their tickets in {shown}"))))
        }
        Ok(meta) => fail(
            format!("users cannot write their tickets in {shown} (mode {:04o})", meta.mode() & 0o7777),
            format!("`chmod 1777 {shown}`, or another `ccache` in entra.toml"),
        ),
        Err(error) => fail(
            format!("there is no place for tickets: {shown}: {error}"),
            format!("`install -d -m 1777 {shown}`, or another `ccache` in entra.toml"),
        ),
    }
}

/// Whether the daemon's files can be read; nothing where only root could tell.
pub(super) fn stores(paths: &Paths) -> Vec<Result<Step, Failure>> {
    if crate::host::effective_uid() != 0 {
        return Vec::new();
    }
    vec![slices(&paths.slices), cache(&paths.slices.with_file_name("identity.db"))]
}

fn slices(path: &Path) -> Result<Step, Failure> {
    match SliceStore::copy_of(path) {
        Ok(_) => Ok(Step::ok("nss", format!("{} can be read: ids stay what they are", path.display()))),
        Err(error) => {
            let remedy = match error {
                Error::StoreCorrupt(_) => {
                    "stop entrad and restore it from a backup; without one move it away: ids are then given anew, and are \
                     the same where no two domains share a slice"
                }
                _ => "see its owner and mode: the folder is entra's, 0700",
            };
            Err(Failure::no("nss", format!("{}: {error}", path.display())).remedy(remedy))
        }
    }
}

fn cache(path: &PathBuf) -> Result<Step, Failure> {
    let mut head = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head));
    match read {
        Ok(16) if head != *SQLITE => Err(Failure::no("nss", format!("{} is damaged", path.display()))
            .remedy("`systemctl restart entrad`: it begins the file anew, and ids do not change")),
        _ => Ok(Step::ok("nss", format!("{} is no worse than empty", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::output::Mark;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn somebody_keeps_the_time_or_nobody() {
        let folder = Folder::new();
        let process = |pid: &str, name: &str| {
            fs::create_dir(folder.0.join(pid)).unwrap();
            fs::write(folder.0.join(pid).join("comm"), format!("{name}\n")).unwrap();
        };
        process("1", "systemd");
        assert_eq!(time_keeper(&folder.0).result, Mark::Warn);
        process("77", "systemd-timesyn");
        assert_eq!(time_keeper(&folder.0), Step::ok("clock", "systemd-timesyn keeps the time"));
    }

    #[test]
    fn a_folder_for_tickets_is_everybodys() {
        let folder = Folder::new();
        let text = "[domains.\"d.example\"]\n";
        let config = entra_core::config::parse(text).unwrap();
        let domain = Domain { ccache: "FILE:/tickets/krb5cc_%U".into(), ..config.domains[0].clone() };
        let judged = || ccache_folder(&domain, &folder.0).unwrap();
        assert!(judged().unwrap_err().error.contains("no place for tickets: /tickets"));
        fs::create_dir(folder.0.join("tickets")).unwrap();
        let mode = |mode| fs::set_permissions(folder.0.join("tickets"), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        assert!(judged().unwrap_err().error.contains("mode 0755"));
        mode(0o1777);
        assert!(judged().is_ok());
        let own = Domain { ccache: "FILE:/run/user/%U/krb5cc".into(), ..domain.clone() };
        assert!(ccache_folder(&own, &folder.0).is_none());
    }

    #[test]
    fn zeros_are_no_store() {
        let folder = Folder::new();
        let path = folder.0.join("x.db");
        assert!(slices(&path).is_ok() && cache(&path).is_ok(), "none yet is no damage");
        fs::write(&path, [0; 8192]).unwrap();
        assert!(cache(&path).unwrap_err().error.contains("is damaged"));
        assert!(slices(&path).unwrap_err().remedy.unwrap().contains("restore it from a backup"));
    }
}
