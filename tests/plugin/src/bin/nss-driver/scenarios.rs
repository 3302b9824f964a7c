//! What applications do to themselves around a lookup.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ffi;
use crate::lookups::{self, Buffer, user_by_name, user_by_uid};

const BUFFER: Buffer = Buffer { first: 1024, step: 0 };

/// Says how many lookups were right.
pub fn threads(threads: usize, count: usize, name: &str) -> String {
    let wanted = user_by_name(name, BUFFER);
    let uid = wanted.split(':').nth(2).and_then(|uid| uid.parse().ok()).expect("the user exists");
    let right = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let once = || (user_by_name(name, BUFFER) == wanted) && (user_by_uid(uid, BUFFER) == wanted);
                    (0..count).filter(|_| once()).count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    format!("{right} of {}", threads * count)
}

/// Says how many children of a process with busy threads got the right answer.
pub fn fork_among_threads(name: &str) -> String {
    const CHILDREN: usize = 50;
    let wanted = user_by_name(name, BUFFER);
    let stop = AtomicBool::new(false);
    let right = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    user_by_name(name, BUFFER);
                }
            });
        }
        let right = (0..CHILDREN).filter(|_| child(|| user_by_name(name, BUFFER) == wanted)).count();
        stop.store(true, Ordering::Relaxed);
        right
    });
    format!("{right} of {CHILDREN}")
}

fn child(check: impl FnOnce() -> bool) -> bool {
    match ffi::fork() {
        None => ffi::exit_now(i32::from(!check())),
        Some(pid) => ffi::wait(pid) == 0,
    }
}

/// What the child still gets, then what the parent still gets, of an enumeration whose first user was taken.
pub fn fork_in_enumeration() -> String {
    let next = || lookups::next_user(BUFFER);
    // Up to and with the directory's first user.
    while next().split(':').nth(2).is_some_and(|uid| uid.parse::<u32>().unwrap() < 200_000) {}
    match ffi::fork() {
        None => {
            println!("child\n{}", lookups::enumeration(next));
            ffi::exit_now(0);
        }
        Some(pid) => {
            ffi::wait(pid);
            format!("parent\n{}", lookups::enumeration(next))
        }
    }
}

/// The lookup; the open descriptors before and after it; and which of 0 to 2 was a socket in between.
pub fn closed_descriptors(name: &str) -> String {
    // What is said at the end needs a way out.
    let kept = std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned().unwrap();
    for fd in 0..=2 {
        ffi::close(fd);
    }
    let before = open_descriptors();
    let stop = AtomicBool::new(false);
    let (line, taken) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut taken = [false; 3];
            let mut last: [PathBuf; 3] = Default::default();
            while !stop.load(Ordering::Relaxed) {
                for fd in 0..3 {
                    // Opens nothing itself.
                    let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
                    // The same socket twice: one that is on its way to a higher descriptor, not yet connected, is gone
                    // by then.
                    taken[fd] |= target.to_string_lossy().starts_with("socket:") && target == last[fd];
                    last[fd] = target;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            taken
        });
        let line = user_by_name(name, BUFFER);
        stop.store(true, Ordering::Relaxed);
        (line, watcher.join().unwrap())
    });
    let after = open_descriptors();
    let text = format!("{line}\nbefore {before:?}\nafter {after:?}\ntaken {taken:?}\n");
    std::io::Write::write_all(&mut std::fs::File::from(kept), text.as_bytes()).unwrap();
    std::process::exit(0);
}

/// Without the one that lists them.
fn open_descriptors() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            let is_lister = target.to_string_lossy().contains("/fd");
            (!is_lister).then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}

/// A lookup before, so that glibc has loaded the module, and one after.
pub fn chroot(folder: &str, name: &str) -> String {
    let before = user_by_name(name, BUFFER);
    if !ffi::become_able_to_chroot() {
        return "not allowed to chroot".into();
    }
    ffi::chroot(folder).unwrap();
    format!("{before}\n{}", user_by_name(name, BUFFER))
}

/// Says how many lookups were right.
pub fn signals(name: &str, count: usize, micros: i64) -> String {
    let wanted = user_by_name(name, BUFFER);
    ffi::storm_of_signals(micros);
    let right = (0..count).filter(|_| user_by_name(name, BUFFER) == wanted).count();
    format!("{right} of {count}")
}

/// The module's own words.
pub fn direct(module: &str, name: &str) -> String {
    let (status, code, errno) = ffi::module_getpwnam(module, name);
    format!("status {status} errnop {} errno {errno}", lookups::name_of(code))
}

/// Answers every connection with the bytes of a file, until it is ended.
pub fn serve(socket: &str, file: &str) -> String {
    let bytes = std::fs::read(file).unwrap();
    for stream in std::os::unix::net::UnixListener::bind(socket).unwrap().incoming() {
        let mut stream = stream.unwrap();
        // The request first: closing over unread bytes would reset the connection.
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        let _ = std::io::Write::write_all(&mut stream, &bytes);
    }
    String::new()
}

/// A block that nobody can free any more.
pub fn lose_memory() -> String {
    std::mem::forget(vec![name_length(); 100]);
    "lost".into()
}

/// Not a constant, so that the block is really made.
fn name_length() -> usize {
    std::env::args().next().map_or(0, |name| name.len())
}

/// A descriptor that nobody closes.
pub fn leave_a_descriptor() -> String {
    std::mem::forget(std::fs::File::open("/dev/null").unwrap());
    "left".into()
}

/// Whether lookups that were done once need no system call any more. glibc is asked, without `files` before us: that
/// reads its file each time.
pub fn quiet(count: usize, words: &[&str]) -> String {
    ffi::configure("entra");
    let ask = |word: &str| {
        let (verb, argument) = word.split_once('=').unwrap();
        match verb {
            "pwnam" => user_by_name(argument, BUFFER),
            "pwuid" => user_by_uid(argument.parse().unwrap(), BUFFER),
            "grnam" => lookups::group_by_name(argument, BUFFER),
            "grgid" => lookups::group_by_gid(argument.parse().unwrap(), BUFFER),
            "groups" => lookups::group_list(argument, 1, 1000),
            _ => panic!("{word}: no lookup"),
        }
    };
    let Some(pid) = ffi::fork() else {
        // The second time shows whatever only the first one does, such as allocating.
        let wanted: Vec<_> = words.iter().map(|word| ask(word)).collect();
        let again: Vec<_> = words.iter().map(|word| ask(word)).collect();
        ffi::forbid_system_calls();
        let same =
            wanted == again && (0..count).all(|_| words.iter().zip(&wanted).all(|(word, line)| ask(word) == *line));
        ffi::end_quietly(i32::from(!same));
    };
    match ffi::wait_for_end(pid) {
        Ok(0) => "quiet".into(),
        Ok(_) => "other answers".into(),
        Err(signal) => format!("ended by signal {signal}"),
    }
}
