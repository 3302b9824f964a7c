//! One lookup each, printed as getent would.

use crate::ffi::{self, Reentrant};

/// How a caller's buffer grows.
#[derive(Clone, Copy)]
pub struct Buffer {
    /// Bytes of the first try.
    pub first: usize,
    /// Bytes that each next try has more; 0 doubles.
    pub step: usize,
}

/// Longest buffer that is tried: a module that says "too small" for ever fails its test here.
const LONGEST: usize = 64 << 20;

pub fn user_by_name(name: &str, buffer: Buffer) -> String {
    grown(&ffi::getpwnam(name), buffer, user)
}

pub fn user_by_uid(uid: u32, buffer: Buffer) -> String {
    grown(&ffi::getpwuid(uid), buffer, user)
}

pub fn group_by_name(name: &str, buffer: Buffer) -> String {
    grown(&ffi::getgrnam(name), buffer, group)
}

pub fn group_by_gid(gid: u32, buffer: Buffer) -> String {
    grown(&ffi::getgrgid(gid), buffer, group)
}

pub fn next_user(buffer: Buffer) -> String {
    grown(&ffi::getpwent(), buffer, user)
}

/// Names of the users above the local ones, in order, separated by spaces; then how it ended.
pub fn all_users(buffer: Buffer) -> String {
    ffi::setpwent();
    let text = enumeration(|| next_user(buffer));
    ffi::endpwent();
    text
}

/// The same for groups, each with its members.
pub fn all_groups(buffer: Buffer) -> String {
    ffi::setgrent();
    let text = enumeration(|| grown(&ffi::getgrent(), buffer, group));
    ffi::endgrent();
    text
}

/// The rest of an enumeration: what `next` gives until it says that something is missing. Local entries are left out.
pub fn enumeration(next: impl Fn() -> String) -> String {
    let mut lines = Vec::new();
    loop {
        let line = next();
        if line.starts_with("none") || line.starts_with("error") {
            lines.push(line);
            return lines.join("\n");
        }
        let id: u32 = line.split(':').nth(2).unwrap().parse().unwrap();
        if id >= 200_000 {
            lines.push(line);
        }
    }
}

pub fn group_list(name: &str, gid: u32, room: usize) -> String {
    let (result, count, ids) = ffi::getgrouplist(name, gid, room);
    format!("{result} {count} {ids:?}")
}

fn grown<T>(with: &impl Reentrant<T>, buffer: Buffer, show: impl Fn(&T, std::ops::Range<usize>) -> String) -> String {
    let mut size = buffer.first;
    loop {
        match ffi::call(with, size, &show) {
            Ok(Some(line)) => return line,
            Ok(None) => return "none".into(),
            Err(libc::ERANGE) if size < LONGEST => {
                size = if buffer.step == 0 { size * 2 } else { size + buffer.step };
            }
            Err(code) => return format!("error {}", name_of(code)),
        }
    }
}

/// The errno's name, where a test asks for it.
pub fn name_of(code: i32) -> String {
    match code {
        libc::ENOENT => "ENOENT".into(),
        libc::EAGAIN => "EAGAIN".into(),
        libc::ERANGE => "ERANGE".into(),
        other => other.to_string(),
    }
}

fn user(record: &libc::passwd, buffer: std::ops::Range<usize>) -> String {
    let text = |field| ffi::text(field, &buffer);
    format!(
        "{}:{}:{}:{}:{}:{}:{}",
        text(record.pw_name),
        text(record.pw_passwd),
        record.pw_uid,
        record.pw_gid,
        text(record.pw_gecos),
        text(record.pw_dir),
        text(record.pw_shell)
    )
}

fn group(record: &libc::group, buffer: std::ops::Range<usize>) -> String {
    let members = ffi::members(record.gr_mem, &buffer).join(",");
    format!(
        "{}:{}:{}:{members}",
        ffi::text(record.gr_name, &buffer),
        ffi::text(record.gr_passwd, &buffer),
        record.gr_gid
    )
}
