//! Every file of a tree, once, without following a symbolic link and without leaving the file system.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::target::{Key, Seen};

/// A file that could not be looked at, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missed(pub PathBuf, pub String);

/// Walks the trees and hands each file to `visit`; what cannot be looked at to `miss`.
///
/// # Errors
/// What `visit` said, which ends the walk.
pub(super) fn all(
    trees: &[PathBuf],
    visit: &mut dyn FnMut(Key, &Path, Seen) -> Result<(), String>,
    miss: &mut dyn FnMut(Missed),
) -> Result<(), String> {
    let mut devices = Vec::new();
    let mut linked = HashSet::new();
    for tree in trees {
        let seen = match open(CWD, &path_of(tree)).and_then(Seen::of) {
            Ok(seen) => seen,
            Err(error) => {
                miss(Missed(tree.clone(), error.to_string()));
                continue;
            }
        };
        let (device, mount) = (seen.device, seen.mount);
        // Trees of one file system share their inodes.
        let number = devices.iter().position(|known| *known == device).unwrap_or(devices.len());
        devices.push(device);
        below(tree.clone(), seen, &mut Walk { number, device, mount, linked: &mut linked, visit, miss })?;
    }
    Ok(())
}

struct Walk<'a> {
    number: usize,
    device: (u32, u32),
    mount: Option<u64>,
    linked: &'a mut HashSet<((u32, u32), u64)>,
    visit: &'a mut dyn FnMut(Key, &Path, Seen) -> Result<(), String>,
    miss: &'a mut dyn FnMut(Missed),
}

impl Walk<'_> {
    /// Whether a file is of another file system than its tree.
    fn leaves(&self, seen: &Seen) -> bool {
        if self.mount.is_some() { seen.mount != self.mount } else { seen.device != self.device }
    }
}

/// One file, and what is below it. A folder is visited after what it holds.
fn below(top: PathBuf, seen: Seen, walk: &mut Walk<'_>) -> Result<(), String> {
    // A stack of its own: trees are deeper than threads' stacks.
    let mut open_folders: Vec<(PathBuf, Seen, Vec<CString>)> = Vec::new();
    let mut next = Some((top, seen));
    loop {
        if let Some((path, seen)) = next.take() {
            if walk.leaves(&seen) {
                (walk.miss)(Missed(path, "another file system: name it too, if its files are to change".into()));
            } else if (seen.links > 1 || seen.kind == FileType::Directory)
                && !walk.linked.insert((seen.device, seen.inode))
            {
                // Another name of a file that was visited, or a tree inside of another one.
            } else if seen.kind == FileType::Directory {
                match names(&seen) {
                    Ok(names) => open_folders.push((path, seen, names)),
                    Err(error) => (walk.miss)(Missed(path, error.to_string())),
                }
            } else {
                visit(walk, &path, seen)?;
            }
        }
        let Some((folder, seen, names)) = open_folders.last_mut() else { return Ok(()) };
        if let Some(name) = names.pop() {
            let path = folder.join(std::ffi::OsStr::from_bytes(name.as_bytes()));
            match open(seen.fd(), &name).and_then(Seen::of) {
                Ok(inner) => next = Some((path, inner)),
                // Gone meanwhile: nobody's any more.
                Err(Errno::NOENT) => {}
                Err(error) => (walk.miss)(Missed(path, error.to_string())),
            }
        } else if let Some((path, seen, _)) = open_folders.pop() {
            visit(walk, &path, seen)?;
        }
    }
}

fn visit(walk: &mut Walk<'_>, path: &Path, seen: Seen) -> Result<(), String> {
    let key = Key(walk.number, seen.inode, seen.born.0, seen.born.1);
    (walk.visit)(key, path, seen)
}

fn open(folder: impl std::os::fd::AsFd, name: &std::ffi::CStr) -> Result<std::os::fd::OwnedFd, Errno> {
    openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn names(folder: &Seen) -> Result<Vec<CString>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entries = Dir::new(openat(folder.fd(), c".", flags, Mode::empty())?)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let mut names = names
        .filter(|name| !matches!(name, Ok(name) if name.as_c_str() == c"." || name.as_c_str() == c".."))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable_by(|one, two| two.cmp(one));
    Ok(names)
}

fn path_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
