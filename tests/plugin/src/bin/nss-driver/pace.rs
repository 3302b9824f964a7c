//! The module's own entries, called in a loop: for measuring by hand, in a release build, and for counting instructions.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::hint::black_box;
use std::time::Instant;

type ByName<T> = unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type ById<T> = unsafe extern "C" fn(u32, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type Initgroups =
    unsafe extern "C" fn(*const c_char, u32, *mut c_long, *mut c_long, *mut *mut u32, c_long, *mut c_int) -> c_int;

const CALLS: u32 = 200_000;

/// What the module's entries are asked for.
pub struct Asked<'a> {
    pub name: &'a str,
    pub uid: u32,
    pub group: &'a str,
    pub gid: u32,
}

/// A line for each entry: median of nine rounds, and the status of its last call.
pub fn of(module: &str, asked: &Asked<'_>) -> String {
    let mut lines = Vec::new();
    each(module, asked, &mut |what, call| lines.push(line(what, call)));
    lines.join("\n")
}

/// Calls one entry so many times; gives the status of its last call.
pub fn calls(entry: &str, count: u32, module: &str, asked: &Asked<'_>) -> String {
    let mut status = None;
    each(module, asked, &mut |what, call| {
        if what == entry {
            status = (0..count).map(|_| black_box(call())).last();
        }
    });
    status.expect("such an entry").to_string()
}

/// Gives each entry, by what it is called here, to `with`.
fn each(module: &str, asked: &Asked<'_>, with: &mut dyn FnMut(&str, &mut dyn FnMut() -> c_int)) {
    let module = Module::open(module);
    let (name, group, nobody) = (text(asked.name), text(asked.group), text("no-such-user"));
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
        with("getpwnam", &mut || pwnam(name.as_ptr(), &raw mut user, buffer, length, &raw mut code));
        with("getpwuid", &mut || pwuid(asked.uid, &raw mut user, buffer, length, &raw mut code));
        with("getgrnam", &mut || grnam(group.as_ptr(), &raw mut record, buffer, length, &raw mut code));
        with("getgrgid", &mut || grgid(asked.gid, &raw mut record, buffer, length, &raw mut code));
        with("initgroups", &mut || {
            let mut start = 1;
            *groups = 1;
            initgroups(name.as_ptr(), 1, &raw mut start, &raw mut room, &raw mut groups, -1, &raw mut code)
        });
        with("negative", &mut || pwnam(nobody.as_ptr(), &raw mut user, buffer, length, &raw mut code));
        with("foreign uid", &mut || pwuid(100_000, &raw mut user, buffer, length, &raw mut code));
        libc::free(groups.cast());
    }
}

fn line(what: &str, call: &mut dyn FnMut() -> c_int) -> String {
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
