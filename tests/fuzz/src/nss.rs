//! The NSS module's entries, with a daemon or a map that says anything and a caller whose buffer has any size.
//!
//! First byte: which entry. Two bytes: size of the caller's buffer. The rest: what the daemon replies, or what is
//! replaced in the map.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{entries, local, map};

/// What all lookups of this process go by: the module reads its settings once.
struct Stage {
    map: File,
    reply: &'static Mutex<Vec<u8>>,
}

/// Replies of the daemon. There is no map that answers.
pub fn reply(data: &[u8]) {
    let Some((entry, size, bytes)) = taken_apart(data) else { return };
    let stage = stage();
    *lock(stage.reply) = bytes.to_vec();
    // Nobody's map: the daemon is asked.
    stage.map.write_all_at(&[0; 16], 0).unwrap();
    entries::call(entry, size);
}

/// Seeds of [`reply`].
pub fn replies() -> Vec<Vec<u8>> {
    let each = local::messages().into_iter().enumerate();
    each.map(|(number, message)| [&[number as u8, 0, 4][..], &message].concat()).collect()
}

/// A map with words replaced; the daemon has nothing to say.
pub fn map(data: &[u8]) {
    let Some((entry, size, bytes)) = taken_apart(data) else { return };
    let stage = stage();
    lock(stage.reply).clear();
    let sound = map::sound();
    let put = |at: usize, value: u32| stage.map.write_all_at(&value.to_ne_bytes(), at as u64 * 4).unwrap();
    (0..4).for_each(|at| put(at, sound[at]));
    let replaced: Vec<_> = map::replacements(bytes).collect();
    for (at, value) in &replaced {
        put(*at, *value);
    }
    entries::call(entry, size);
    for (at, _) in &replaced {
        put(*at, sound[*at]);
    }
}

/// Seeds of [`map`].
pub fn patches() -> Vec<Vec<u8>> {
    let each = map::patches().into_iter().enumerate();
    each.map(|(number, patch)| [&[number as u8, 0, 2][..], &patch].concat()).collect()
}

fn taken_apart(data: &[u8]) -> Option<(u8, usize, &[u8])> {
    let ([entry, low, high], bytes) = data.split_first_chunk()?;
    Some((*entry, usize::from(u16::from_le_bytes([*low, *high])), bytes))
}

/// One at a time: a process has one module.
fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: OnceLock<Mutex<Stage>> = OnceLock::new();
    let stage = STAGE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("entra-fuzz-nss-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("entra.toml"), "[domains.\"aadds.contoso.com\"]\n").unwrap();
        let path = folder.join("cache.map");
        let bytes: Vec<u8> = map::sound().iter().flat_map(|word| word.to_ne_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let map = File::options().write(true).open(&path).unwrap();
        entries::point_at(&folder);
        let listener = UnixListener::bind(folder.join("nss.sock")).unwrap();
        let reply: &'static Mutex<Vec<u8>> = Box::leak(Box::new(Mutex::new(Vec::new())));
        std::thread::spawn(move || serve(&listener, reply));
        Mutex::new(Stage { map, reply })
    });
    lock(stage)
}

fn serve(listener: &UnixListener, reply: &Mutex<Vec<u8>>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let body = lock(reply).clone();
        let frame = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
        let _ = stream.write_all(&frame);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
