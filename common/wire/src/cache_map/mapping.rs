//! The map in this process: opened, checked, mapped, and never taken away from under a reader. FFI edge.
//!
//! Safe among threads, signal handlers and forks: nothing is waited for, and what a reader holds stays mapped for the
//! life of the process. Superseded maps are not unmapped but mapped over, in turn, [`SLOTS`] of them: a reader that was
//! stopped in the middle of one for so long reads other bytes, finds that they are not the map that it opened, and has
//! no answer. So neither a counter of readers is needed on the way to an answer, nor does a process that lives through
//! many maps grow.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

use super::layout::{MAX_SIZE, MIN_SIZE};
use super::limits::{Limits, Sources};
use super::memory::Memory;
use super::reader::View;
use crate::local;
use crate::local_names::Unknown;

/// Maps that one process keeps. Their memory is the daemon's, punched out a minute after they were superseded; what a
/// process pays is address space.
const SLOTS: usize = 8;
/// Address space that a slot takes at least, in bytes: the default of the largest map, so that one that grows fits
/// where a smaller one was.
const RESERVE: usize = 64 << 20;
/// Memory that superseded limits may take, in bytes: like the maps, they are never taken away from under a reader. Some
/// thousand changes of a usual `/etc/passwd`; a process that lives through more goes on without the map.
const MAX_LIMITS: usize = 16 << 20;

/// A mapped file.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    words: &'static [AtomicU32],
}

impl Memory for Mapped {
    #[inline]
    fn word(&self, at: u32) -> Option<u32> {
        self.words.word(at)
    }

    #[inline]
    fn acquire(&self, at: u32) -> Option<u32> {
        self.words.acquire(at)
    }

    #[inline]
    fn words(&self, at: u32, count: u32) -> impl Iterator<Item = u32> {
        self.words.words(at, count)
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::Acquire);
    }

    #[inline]
    fn copy<'b>(&self, at: u32, into: &'b mut [MaybeUninit<u8>]) -> Option<&'b mut [u8]> {
        let at = at as usize;
        if at & 3 != 0 || at.checked_add(into.len())? > size_of_val(self.words) {
            return None;
        }
        // SAFETY: `into.len()` bytes from `at` on lie in the mapping, by the line above, and `into` is the caller's own.
        // Published bytes never change, so there is no race with an honest writer; against any other, the copy is one
        // pass over memory of another process, which may give any bytes: they are judged in the copy only.
        unsafe {
            let from = self.words.as_ptr().cast::<u8>().add(at);
            ptr::copy_nonoverlapping(from, into.as_mut_ptr().cast::<u8>(), into.len());
        }
        Some(written(into))
    }
}

/// Where a map is, and what it must be to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    folder: CString,
    file: CString,
    sources: Sources,
}

impl Place {
    /// `cache.map` in `folder`, with the configuration that grants ids. `None` for a path that no system call takes.
    pub fn new(folder: &Path, config: &Path) -> Option<Self> {
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        let (passwd, group) = (local::passwd().to_owned(), local::group().to_owned());
        let sources = Sources { config: config.to_owned(), passwd, group };
        Some(Self { folder: text(folder)?, file: text(&folder.join("cache.map"))?, sources })
    }

    /// The same with other files of local accounts.
    #[must_use]
    pub fn with_local(self, passwd: PathBuf, group: PathBuf) -> Self {
        Self { sources: Sources { passwd, group, ..self.sources }, ..self }
    }
}

/// One process's view of the map at one place; a static of the module.
#[derive(Debug)]
pub struct SharedMap {
    slots: [Slot; SLOTS],
    /// Index of the slot that answers, counted from 1; 0: none yet.
    current: AtomicUsize,
    /// The process that is changing the slots; 0: none. A child of a fork in the middle of that is another process, and
    /// may go on.
    changing: AtomicU32,
    /// Bytes of all limits that there were.
    spent: AtomicUsize,
}

/// A region of this process's memory.
#[derive(Debug)]
struct Slot {
    /// Set once, before the slot is first current.
    base: AtomicPtr<AtomicU32>,
    /// Address space from there on, in bytes; set once likewise.
    reserve: AtomicUsize,
    /// Bytes that can be read. Whatever value ever stood here can be read for ever: a smaller file leaves the tail of
    /// the one before it in place.
    length: AtomicUsize,
    /// Null: there is a file, but no answer of it can be judged.
    limits: AtomicPtr<Limits>,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            base: AtomicPtr::new(ptr::null_mut()),
            reserve: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
            limits: AtomicPtr::new(ptr::null_mut()),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }
    }

    fn is(&self, file: &Candidate) -> bool {
        self.device.load(Ordering::Relaxed) == file.device && self.inode.load(Ordering::Relaxed) == file.inode
    }

    fn has_room(&self, size: usize) -> bool {
        let reserve = self.reserve.load(Ordering::Relaxed);
        reserve == 0 || reserve >= size
    }

    /// Puts the file where the slot's last one was, or somewhere, the first time.
    fn fill(&self, file: &Candidate) -> Option<()> {
        let base = self.base.load(Ordering::Relaxed);
        if base.is_null() {
            let roomy = file.size.max(RESERVE);
            // Where address space is rationed, the file alone.
            let (base, reserve) = file
                .map(ptr::null_mut(), roomy)
                .map(|base| (base, roomy))
                .or_else(|| Some((file.map(ptr::null_mut(), file.size)?, file.size)))?;
            self.base.store(base, Ordering::Relaxed);
            self.reserve.store(reserve, Ordering::Relaxed);
        } else {
            file.map(base, file.size)?;
        }
        self.length.store(file.size, Ordering::Relaxed);
        self.device.store(file.device, Ordering::Relaxed);
        self.inode.store(file.inode, Ordering::Relaxed);
        Some(())
    }

    #[inline]
    fn memory(&self) -> Mapped {
        let (base, length) = (self.base.load(Ordering::Relaxed), self.length.load(Ordering::Relaxed));
        // SAFETY: a slot is read after it was current, so `base` was set; `length` bytes from there on are mapped for
        // reading, page-aligned, and stay so for the life of the process (see `length`). They are read as atomics and
        // by `Mapped::copy`, so another process may write them.
        Mapped { words: unsafe { std::slice::from_raw_parts(base, length / size_of::<u32>()) } }
    }

    #[inline]
    fn limits(&self) -> Option<&'static Limits> {
        // SAFETY: null, or set by `remember` to what `Box::leak` gave, which is never changed or freed.
        unsafe { self.limits.load(Ordering::Relaxed).as_ref() }
    }
}

impl SharedMap {
    /// Nothing is mapped.
    pub const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; SLOTS],
            current: AtomicUsize::new(0),
            changing: AtomicU32::new(0),
            spent: AtomicUsize::new(0),
        }
    }

    /// The mapped file, with what it cannot go beyond. No system call.
    #[inline]
    pub fn mapped(&self) -> Option<(Mapped, &'static Limits)> {
        let slot = self.current()?;
        Some((slot.memory(), slot.limits()?))
    }

    /// What `look` makes of a map that answers, within the limits of this host. `None`: there is none, and the daemon has
    /// to be asked; the way there is the moment to look for one at `place`. No system call while there is one.
    #[inline]
    pub fn read<T>(
        &self,
        place: Option<&Place>,
        look: impl FnOnce(&View<'_, Mapped>, &'static Limits) -> T,
    ) -> Option<T> {
        loop {
            if let Some((memory, limits)) = self.mapped()
                && let Some(view) = View::open(&memory, now())
            {
                return Some(look(&view, limits));
            }
            // Another one than before: each turn has a file of its own.
            if !place.is_some_and(|place| self.refresh(place)) {
                return None;
            }
        }
    }

    /// Maps the file at `place`, unless that is the mapped one already. For those who are about to ask the daemon: a
    /// few system calls more do not show there, and nobody else ever makes one.
    ///
    /// True where another file than before is mapped now.
    pub fn refresh(&self, place: &Place) -> bool {
        let own = std::process::id();
        let take = |holder| self.changing.compare_exchange(holder, own, Ordering::Acquire, Ordering::Relaxed);
        let taken = match take(0) {
            Ok(_) => true,
            // Another thread, or what this one was doing when a signal came: the daemon is asked then.
            Err(holder) if holder == own => false,
            // The parent's, from before the fork.
            Err(holder) => take(holder).is_ok(),
        };
        if !taken {
            return false;
        }
        let changed = self.change(place).is_some();
        self.changing.store(0, Ordering::Release);
        changed
    }

    fn change(&self, place: &Place) -> Option<()> {
        let file = Candidate::open(place)?;
        if self.current().is_some_and(|slot| slot.is(&file)) {
            return None;
        }
        // In turn, so that what is mapped over is what was superseded first.
        let current = self.current.load(Ordering::Acquire);
        let mut others = (current..current + SLOTS - 1).map(|at| at % SLOTS);
        let next = others.find(|at| self.slots[*at].has_room(file.size))?;
        let slot = &self.slots[next];
        // After the file was opened: they are not older than what the daemon knew when it made the map.
        let limits = match Limits::read(&place.sources) {
            Ok(limits) => self.remember(limits),
            Err(Unknown::TooLong) => ptr::null_mut(),
            // The next lookup tries again.
            Err(Unknown::Unreadable) => return None,
        };
        slot.fill(&file)?;
        slot.limits.store(limits, Ordering::Relaxed);
        self.current.store(next + 1, Ordering::Release);
        Some(())
    }

    /// The limits, for the life of the process; those of the current slot again where they are the same. Null where
    /// there have been too many.
    fn remember(&self, limits: Limits) -> *mut Limits {
        if let Some(slot) = self.current()
            && slot.limits() == Some(&limits)
        {
            return slot.limits.load(Ordering::Relaxed);
        }
        let size = limits.size();
        if self.spent.fetch_add(size, Ordering::Relaxed).saturating_add(size) > MAX_LIMITS {
            self.spent.store(MAX_LIMITS, Ordering::Relaxed);
            return ptr::null_mut();
        }
        Box::leak(Box::new(limits))
    }

    #[inline]
    fn current(&self) -> Option<&Slot> {
        self.slots.get(self.current.load(Ordering::Acquire).checked_sub(1)?)
    }
}

impl Default for SharedMap {
    fn default() -> Self {
        Self::new()
    }
}

/// An open file that may be the map. The descriptor lives for a moment, within one call, and reads: what another thread
/// writes to a number that its process had closed never ends in it.
struct Candidate {
    descriptor: OwnedFd,
    size: usize,
    device: u64,
    inode: u64,
}

impl Candidate {
    /// Opens the file at `place`: a regular one of root or of the folder's owner, which nobody else can write, in a
    /// folder of which the same holds, and of a size that a map can have.
    fn open(place: &Place) -> Option<Self> {
        let folder = status(|into| {
            // SAFETY: a C string, and room for the answer.
            unsafe { libc::stat(place.folder.as_ptr(), into) }
        })?;
        // O_NONBLOCK: a fifo at this place makes nobody wait.
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        // SAFETY: a C string; the result is a descriptor of ours or -1.
        let descriptor = unsafe { libc::open(place.file.as_ptr(), flags) };
        if descriptor < 0 {
            return None;
        }
        // SAFETY: made by the call above, owned by nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let file = status(|into| {
            // SAFETY: an open descriptor, and room for the answer.
            unsafe { libc::fstat(descriptor.as_raw_fd(), into) }
        })?;
        let is_closed = |status: &libc::stat| status.st_mode & 0o022 == 0;
        let is_file = file.st_mode & libc::S_IFMT == libc::S_IFREG;
        let belongs = file.st_uid == 0 || file.st_uid == folder.st_uid;
        let size = usize::try_from(file.st_size).ok()?;
        let has_size = (MIN_SIZE as usize..=MAX_SIZE as usize).contains(&size) && size.is_multiple_of(4096);
        let is_sound = is_file && belongs && has_size && is_closed(&file) && is_closed(&folder);
        is_sound.then_some(Self { descriptor, size, device: file.st_dev, inode: file.st_ino })
    }

    /// Maps the file, at `base` where that is not null.
    fn map(&self, base: *mut AtomicU32, length: usize) -> Option<*mut AtomicU32> {
        let fixed = if base.is_null() { 0 } else { libc::MAP_FIXED };
        // SAFETY: an open descriptor. Without a base the kernel chooses free addresses; with one, `length` bytes from
        // there on are a slot's own region, of which readers believe nothing that they cannot check.
        let mapped = unsafe {
            libc::mmap(base.cast(), length, libc::PROT_READ, libc::MAP_SHARED | fixed, self.descriptor.as_raw_fd(), 0)
        };
        (mapped != libc::MAP_FAILED).then_some(mapped.cast())
    }
}

fn status(ask: impl FnOnce(*mut libc::stat) -> libc::c_int) -> Option<libc::stat> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: 0 means that the kernel filled it.
    (ask(status.as_mut_ptr()) == 0).then(|| unsafe { status.assume_init() })
}

/// Seconds of CLOCK_MONOTONIC, to a few milliseconds: what [`super::View::open`] wants. Never a system call where the kernel
/// has a vDSO: the coarse clock is read from memory alone.
#[inline]
pub fn now() -> u32 {
    seconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// Seconds since the machine was started, and of those the ones that it was not suspended: tick and beat of a map.
pub fn tick_and_beat() -> (u32, u32) {
    (seconds(libc::CLOCK_BOOTTIME), seconds(libc::CLOCK_MONOTONIC))
}

#[inline]
fn seconds(clock: libc::clockid_t) -> u32 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for the answer. The clocks exist on every kernel that there is; without an answer it stays 0.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u32::try_from(time.tv_sec).unwrap_or_default()
}

/// The bytes, all of which were written.
pub(super) fn written(bytes: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    // SAFETY: both callers have written every one of them; the layouts are the same.
    unsafe { &mut *(ptr::from_mut(bytes) as *mut [u8]) }
}
