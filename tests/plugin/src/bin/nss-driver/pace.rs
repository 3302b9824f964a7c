//! How long the module's own entries take, called in a loop: for measuring by hand, in a release build.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::hint::black_box;
use std::time::Instant;

type ByName<T> = unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type ById<T> = unsafe extern "C" fn(u32, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type Initgroups =
    unsafe extern "C" fn(*const c_char, u32, *mut c_long, *mut c_long, *mut *mut u32, c_long, *mut c_int) -> c_int;

const CALLS: u32 = 200_000;

/// A line for each entry: median of nine rounds, and the status of its last call.
pub fn of(module: &str, name: &str, uid: u32, group: &str, gid: u32) -> String {
    let module = Module::open(module);
    let (name, group, nobody) = (text(name), text(group), text("no-such-user"));
    let mut buffer = vec![0; 1 << 20];
    let (length, buffer) = (buffer.len(), buffer.as_mut_ptr());
    let mut code = 0;
    // SAFETY: the entries have these types (nss.h); the strings, records and the buffer live as long as
    // this function; the array of groups comes from malloc.
    unsafe {
        let mut user: libc::passwd = std::mem::zeroed();
        let mut record: libc::group = std::mem::zeroed();
        let (pwnam, pwuid): (ByName<libc::passwd>, ById<libc::passwd>) =
            (module.entry("getpwnam_r"), module.entry("getpwuid_r"));
        let (grnam, grgid): (ByName<libc::group>, ById<libc::group>) =
            (module.entry("getgrnam_r"), module.entry("getgrgid_r"));
        let initgroups: Initgroups = module.entry("initgroups_dyn");
        let mut room: c_long = 4096;
        let mut groups: *mut u32 = libc::malloc(4096 * 4).cast();
        let mut lines = Vec::new();
        lines.push(line("getpwnam", || pwnam(name.as_ptr(), &raw mut user, buffer, length, &raw mut code)));
        lines.push(line("getpwuid", || pwuid(uid, &raw mut user, buffer, length, &raw mut code)));
        lines.push(line("getgrnam", || grnam(group.as_ptr(), &raw mut record, buffer, length, &raw mut code)));
        lines.push(line("getgrgid", || grgid(gid, &raw mut record, buffer, length, &raw mut code)));
        lines.push(line("initgroups", || {
            let mut start = 1;
            *groups = 1;
            initgroups(name.as_ptr(), 1, &raw mut start, &raw mut room, &raw mut groups, -1, &raw mut code)
        }));
        lines.push(line("negative", || pwnam(nobody.as_ptr(), &raw mut user, buffer, length, &raw mut code)));
        lines.push(line("foreign uid", || pwuid(100_000, &raw mut user, buffer, length, &raw mut code)));
        libc::free(groups.cast());
        lines.join("\n")
    }
}

fn line(what: &str, mut call: impl FnMut() -> c_int) -> String {
    let mut rounds = [0.0; 9];
    let mut status = 0;
    for round in &mut rounds {
        let start = Instant::now();
        for _ in 0..CALLS {
            status = black_box(call());
        }
        *round = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
    }
    rounds.sort_by(f64::total_cmp);
    format!("{what}: {:.1} ns, at best {:.1} (status {status})", rounds[rounds.len() / 2], rounds[0])
}

struct Module(*mut c_void);

impl Module {
    fn open(path: &str) -> Self {
        let path = text(path);
        // SAFETY: a C string.
        let module = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!module.is_null(), "{path:?} cannot be loaded");
        Self(module)
    }

    /// The module's function of this name.
    ///
    /// # Safety
    /// `T` is its type.
    unsafe fn entry<T: Copy>(&self, name: &str) -> T {
        assert_eq!(size_of::<T>(), size_of::<*mut c_void>());
        let symbol = text(&format!("_nss_entra_{name}"));
        // SAFETY: an open module and a C string; a function's address has the size of T, which is its type.
        unsafe {
            let found = libc::dlsym(self.0, symbol.as_ptr());
            assert!(!found.is_null(), "{symbol:?} is missing");
            std::mem::transmute_copy(&found)
        }
    }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}
