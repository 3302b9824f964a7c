//! The file of a map, allocated and mapped for writing. FFI edge.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicU32;

use entra_wire::cache_map::Memory;
use entra_wire::cache_map::layout::{HEADER, MAGIC, MIN_SIZE, SUPERSEDED, header};

use super::words::MemoryMut;

/// A file of zeros, mapped for writing. Unmapped when dropped; the file stays.
#[derive(Debug)]
pub(super) struct Region {
    file: File,
    words: &'static [AtomicU32],
}

impl Region {
    /// Makes the file at `path`, replacing what an earlier try left there, with all of its memory: a file that gets it
    /// page by page kills its writer (SIGBUS) when there is none left.
    ///
    /// # Errors
    /// As the system calls; `StorageFull` where there is no room.
    pub(super) fn create(path: &Path, size: u32) -> Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        // Whatever the umask is, everybody reads it.
        file.set_permissions(Permissions::from_mode(0o644))?;
        let made = allocate(&file, size).and_then(|()| map(&file, size));
        match made {
            Ok(words) => Ok(Self { file, words }),
            Err(error) => {
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Whether the file still stands at `path`, where readers look for it. True where that cannot be found out.
    pub(super) fn stands_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::symlink_metadata(path)) {
            (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
            (Ok(_), Err(error)) => error.kind() != std::io::ErrorKind::NotFound,
            (Err(_), _) => true,
        }
    }

    /// The file, when its words are no longer needed.
    pub(super) fn file(&self) -> Result<File> {
        self.file.try_clone()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; `words` is private and never leaves this value.
        unsafe { libc::munmap(self.words.as_ptr().cast_mut().cast(), size_of_val(self.words)) };
    }
}

impl Memory for Region {
    fn word(&self, at: u32) -> Option<u32> {
        self.words.word(at)
    }

    fn acquire(&self, at: u32) -> Option<u32> {
        self.words.acquire(at)
    }

    fn fence(&self) {
        self.words.fence();
    }
}

impl MemoryMut for Region {
    fn size(&self) -> u32 {
        self.words.size()
    }

    fn store(&self, at: u32, value: u32) {
        self.words.store(at, value);
    }

    fn release(&self, at: u32, value: u32) {
        self.words.release(at, value);
    }

    fn fence_stores(&self) {
        self.words.fence_stores();
    }
}

/// The map that an earlier daemon left at `path`, open for [`supersede`] and [`punch`]. `None` where there is none.
pub(super) fn earlier(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = file.ok()?;
    let meta = file.metadata().ok()?;
    let mut magic = [0; 8];
    file.read_exact_at(&mut magic, u64::from(header::MAGIC)).ok()?;
    let is_map = magic[..4] == MAGIC[0].to_ne_bytes() && magic[4..] == MAGIC[1].to_ne_bytes();
    (meta.is_file() && meta.len() >= u64::from(MIN_SIZE) && is_map).then_some(file)
}

/// Tells the readers of a file to look for another one.
pub(super) fn supersede(file: &File) -> Result<()> {
    file.write_all_at(&SUPERSEDED.to_ne_bytes(), u64::from(header::STATE))
}

/// Gives the memory of a file back, its header aside. Readers that still have it mapped see zeros; a file that became
/// shorter would kill them.
pub(super) fn punch(file: &File) -> Result<()> {
    let length = file.metadata()?.len().saturating_sub(u64::from(HEADER));
    let length = libc::off_t::try_from(length).map_err(Error::other)?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: no pointer is passed; the descriptor is open.
    let done = unsafe { libc::fallocate(file.as_raw_fd(), mode, libc::off_t::from(HEADER), length) };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

fn allocate(file: &File, size: u32) -> Result<()> {
    // SAFETY: no pointer is passed; the descriptor is open. The result is an errno and not -1.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, libc::off_t::from(size)) } {
        0 => Ok(()),
        code => Err(Error::from_raw_os_error(code)),
    }
}

fn map(file: &File, size: u32) -> Result<&'static [AtomicU32]> {
    // SAFETY: the kernel chooses addresses that nobody uses; the descriptor is open.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size as usize,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // SAFETY: `size` bytes from `base` on are mapped, page-aligned, allocated in the file (which nobody but this user
    // can change), and stay so until `Region` is dropped. Readers in other processes only load from them.
    Ok(unsafe { std::slice::from_raw_parts(base.cast(), size as usize / size_of::<u32>()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_punched_file_reads_as_zeros_and_keeps_its_header_and_size() {
        let path = std::env::temp_dir().join(format!("entra-region-{}", std::process::id()));
        let region = Region::create(&path, MIN_SIZE).unwrap();
        region.store(header::MAGIC, MAGIC[0]);
        region.store(header::MAGIC + 4, MAGIC[1]);
        region.store(HEADER, 7);
        let file = earlier(&path).unwrap();
        supersede(&file).unwrap();
        assert_eq!(region.word(header::STATE), Some(SUPERSEDED));
        punch(&file).unwrap();
        assert_eq!((region.word(header::MAGIC), region.word(HEADER)), (Some(MAGIC[0]), Some(0)));
        assert_eq!(file.metadata().unwrap().len(), u64::from(MIN_SIZE));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_map_is_left_alone() {
        let path = std::env::temp_dir().join(format!("entra-no-region-{}", std::process::id()));
        fs::write(&path, vec![7; 70_000]).unwrap();
        assert!(earlier(&path).is_none());
        fs::remove_file(&path).unwrap();
        assert!(earlier(&path).is_none());
    }
}
