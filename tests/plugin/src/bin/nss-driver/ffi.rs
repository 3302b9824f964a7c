//! glibc's calls that the scenarios need, each behind a safe function. FFI edge of a test program.

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::io::Error;

unsafe extern "C" {
    /// glibc, nss/nsswitch.c: sets the sources of a database for this process.
    fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
}

/// Has glibc ask these sources, in this order, for users and groups.
pub fn configure(sources: &str) {
    let sources = c_string(sources);
    for database in [c"passwd", c"group"] {
        // SAFETY: both are C strings, which glibc copies.
        let done = unsafe { __nss_configure_lookup(database.as_ptr(), sources.as_ptr()) };
        assert_eq!(done, 0, "{database:?}: {}", Error::last_os_error());
    }
}

/// A call that fills a struct and a buffer, and says where the result is.
pub trait Reentrant<T>: Fn(*mut T, *mut c_char, usize, *mut *mut T) -> c_int {}
impl<T, F: Fn(*mut T, *mut c_char, usize, *mut *mut T) -> c_int> Reentrant<T> for F {}

/// `getpwnam_r`
pub fn getpwnam(name: &str) -> impl Reentrant<libc::passwd> {
    let name = c_string(name);
    // SAFETY: the name is a C string; the other pointers are what `Reentrant` is called with.
    move |record, buffer, length, result| unsafe { libc::getpwnam_r(name.as_ptr(), record, buffer, length, result) }
}

/// `getpwuid_r`
pub fn getpwuid(uid: u32) -> impl Reentrant<libc::passwd> {
    // SAFETY: the pointers are what `Reentrant` is called with.
    move |record, buffer, length, result| unsafe { libc::getpwuid_r(uid, record, buffer, length, result) }
}

/// `getgrnam_r`
pub fn getgrnam(name: &str) -> impl Reentrant<libc::group> {
    let name = c_string(name);
    // SAFETY: the name is a C string; the other pointers are what `Reentrant` is called with.
    move |record, buffer, length, result| unsafe { libc::getgrnam_r(name.as_ptr(), record, buffer, length, result) }
}

/// `getgrgid_r`
pub fn getgrgid(gid: u32) -> impl Reentrant<libc::group> {
    // SAFETY: the pointers are what `Reentrant` is called with.
    move |record, buffer, length, result| unsafe { libc::getgrgid_r(gid, record, buffer, length, result) }
}

/// `getpwent_r`
pub fn getpwent() -> impl Reentrant<libc::passwd> {
    // SAFETY: the pointers are what `Reentrant` is called with.
    |record, buffer, length, result| unsafe { libc::getpwent_r(record, buffer, length, result) }
}

/// `getgrent_r`
pub fn getgrent() -> impl Reentrant<libc::group> {
    // SAFETY: the pointers are what `Reentrant` is called with.
    |record, buffer, length, result| unsafe { libc::getgrent_r(record, buffer, length, result) }
}

/// `setpwent`, `endpwent`, `setgrent`, `endgrent`
pub fn setpwent() {
    // SAFETY: no pointer is passed.
    unsafe { libc::setpwent() }
}

/// See [`setpwent`].
pub fn endpwent() {
    // SAFETY: no pointer is passed.
    unsafe { libc::endpwent() }
}

/// See [`setpwent`].
pub fn setgrent() {
    // SAFETY: no pointer is passed.
    unsafe { libc::setgrent() }
}

/// See [`setpwent`].
pub fn endgrent() {
    // SAFETY: no pointer is passed.
    unsafe { libc::endgrent() }
}

/// Calls with a buffer of `size` bytes; `show` reads the record while the buffer lives. `Err` is the call's own code.
pub fn call<T, R>(
    with: &impl Reentrant<T>,
    size: usize,
    show: impl FnOnce(&T, std::ops::Range<usize>) -> R,
) -> Result<Option<R>, c_int> {
    let mut buffer = vec![0x55_u8; size];
    let range = buffer.as_ptr() as usize..buffer.as_ptr() as usize + size;
    let mut record = std::mem::MaybeUninit::<T>::zeroed();
    let mut result = std::ptr::null_mut();
    match with(record.as_mut_ptr(), buffer.as_mut_ptr().cast(), size, &raw mut result) {
        0 if result.is_null() => Ok(None),
        // SAFETY: the call says that it filled the record.
        0 => Ok(Some(show(unsafe { record.assume_init_ref() }, range))),
        code => Err(code),
    }
}

/// A field of a record as text. Fails where it does not lie in the buffer.
pub fn text(field: *const c_char, within: &std::ops::Range<usize>) -> String {
    assert!(within.contains(&(field as usize)), "a field does not point into the buffer");
    // SAFETY: it lies in the buffer, which ends fields with NUL (a missing one would show as a wrong text).
    unsafe { CStr::from_ptr(field) }.to_string_lossy().into_owned()
}

/// The members of a group. Fails where the array is not aligned or does not lie in the buffer.
pub fn members(array: *const *mut c_char, within: &std::ops::Range<usize>) -> Vec<String> {
    assert!(within.contains(&(array as usize)), "gr_mem does not point into the buffer");
    assert!(array.is_aligned(), "gr_mem is not aligned");
    let mut members = Vec::new();
    // SAFETY: an aligned array in the buffer, which ends with a null pointer.
    while let Some(member) = unsafe { array.add(members.len()).read().as_ref() } {
        members.push(text(member, within));
    }
    members
}

/// `getgrouplist`: its result, the count it leaves, and the ids that it wrote.
pub fn getgrouplist(name: &str, gid: u32, room: usize) -> (c_int, c_int, Vec<u32>) {
    let name = c_string(name);
    let mut ids = vec![0; room];
    let mut count = room as c_int;
    // SAFETY: the name is a C string; the array has room for `count` ids.
    let result = unsafe { libc::getgrouplist(name.as_ptr(), gid, ids.as_mut_ptr(), &raw mut count) };
    ids.truncate(usize::try_from(count).unwrap());
    (result, count, ids)
}

/// Closes a descriptor.
pub fn close(fd: c_int) {
    // SAFETY: no pointer is passed; the scenario knows what it closes.
    unsafe { libc::close(fd) };
}

/// Forks: none in the child, which ends with its parent at the latest.
pub fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child of these scenarios calls what any C program calls after fork, which is what is tested.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", Error::last_os_error()),
        0 => {
            // SAFETY: no pointer is passed.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            None
        }
        pid => Some(pid),
    }
}

/// Ends the process at once, without the duties of an exit.
pub fn exit_now(status: c_int) -> ! {
    // SAFETY: no pointer is passed.
    unsafe { libc::_exit(status) }
}

/// Waits for a child: its exit status.
pub fn wait(pid: libc::pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: the status is a local int.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child was ended by a signal: {status:#x}");
    libc::WEXITSTATUS(status)
}

/// Goes into a user namespace of its own where it is not root; says whether that worked.
pub fn become_able_to_chroot() -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::geteuid() == 0 || libc::unshare(libc::CLONE_NEWUSER) == 0 }
}

/// `chroot`
pub fn chroot(folder: &str) -> Result<(), Error> {
    let folder = c_string(folder);
    // SAFETY: both are C strings.
    if unsafe { libc::chroot(folder.as_ptr()) } == 0 && unsafe { libc::chdir(c"/".as_ptr()) } == 0 {
        Ok(())
    } else {
        Err(Error::last_os_error())
    }
}

/// Has a signal arrive every `micros` microseconds, its handler doing nothing, system calls not restarted.
pub fn storm_of_signals(micros: c_long) {
    extern "C" fn ignore(_: c_int) {}
    let interval = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: a zeroed sigaction is valid (no SA_RESTART); the handler touches nothing; the pointers are to locals.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
        assert_eq!(setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()), 0);
    }
}

unsafe extern "C" {
    fn setitimer(which: c_int, new: *const libc::itimerval, old: *mut libc::itimerval) -> c_int;
}

/// Calls `_nss_entra_getpwnam_r` of the module at `path`: its status, what it wrote to errnop (or 77), and errno, which
/// was 78 before.
pub fn module_getpwnam(path: &str, name: &str) -> (c_int, c_int, c_int) {
    type Entry = unsafe extern "C" fn(*const c_char, *mut libc::passwd, *mut c_char, usize, *mut c_int) -> c_int;
    let (path, name) = (c_string(path), c_string(name));
    let mut buffer = [0; 1024];
    let mut code = 77;
    // SAFETY: the entry has this type (nss.h); every pointer is to a local; errno is this thread's.
    unsafe {
        let module = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!module.is_null(), "{path:?} cannot be loaded");
        let entry = libc::dlsym(module, c"_nss_entra_getpwnam_r".as_ptr());
        assert!(!entry.is_null(), "{path:?} has no _nss_entra_getpwnam_r");
        let entry = std::mem::transmute::<*mut libc::c_void, Entry>(entry);
        let mut record: libc::passwd = std::mem::zeroed();
        *libc::__errno_location() = 78;
        let status = entry(name.as_ptr(), &raw mut record, buffer.as_mut_ptr(), buffer.len(), &raw mut code);
        (status, code, *libc::__errno_location())
    }
}

/// From here on, any system call but `write` and [`end_quietly`] ends this thread's process with SIGKILL.
pub fn forbid_system_calls() {
    // SAFETY: no pointer is passed.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    assert_eq!(done, 0, "{}", Error::last_os_error());
}

/// The exit that is left after [`forbid_system_calls`].
pub fn end_quietly(status: c_int) -> ! {
    loop {
        // SAFETY: no pointer is passed; this thread is the only one.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
}

/// Waits for a child: its exit status, or the signal that ended it.
pub fn wait_for_end(pid: libc::pid_t) -> Result<c_int, c_int> {
    let mut status = 0;
    // SAFETY: the status is a local int.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFEXITED(status) { Ok(libc::WEXITSTATUS(status)) } else { Err(libc::WTERMSIG(status)) }
}

/// AT_SECURE of this process.
pub fn started_with_other_rights() -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap()
}
