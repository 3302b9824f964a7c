//! What the directory holds, from files that were made without the product, and answers judged by it.

use std::fs;
use std::path::Path;

use entra_chaos::Answer;

use crate::ffi::{self, Found};

/// A user that was looked up before.
pub struct Known {
    pub name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// A user that was not.
pub struct Fresh {
    pub name: String,
    pub uid: u32,
}

/// Reads `name uid gid gid,gid,…`.
pub fn known(path: &Path) -> Result<Vec<Known>, String> {
    lines(path, |words| {
        let [name, uid, gid, groups] = words else { return None };
        let groups = groups.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Known { name: (*name).into(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, groups })
    })
}

/// Reads `name uid`.
pub fn fresh(path: &Path) -> Result<Vec<Fresh>, String> {
    lines(path, |words| {
        let [name, uid] = words else { return None };
        Some(Fresh { name: (*name).into(), uid: uid.parse().ok()? })
    })
}

/// Reads lines of words; none may be empty or odd.
pub fn lines<T>(path: &Path, parse: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        parse(&words).ok_or_else(|| format!("{}: what is {line:?}?", path.display()))
    };
    let found: Vec<T> = text.lines().map(read).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(found) }
}

impl Known {
    /// Asks by name.
    pub fn by_name(&self) -> Answer {
        judge(ffi::user(&self.name), &self.name, self.uid, Some(self.gid))
    }

    /// Asks by uid.
    pub fn by_id(&self) -> Answer {
        judge(ffi::user_by_id(self.uid), &self.name, self.uid, Some(self.gid))
    }

    /// Asks for the groups.
    pub fn groups(&self) -> Answer {
        let found = ffi::groups(&self.name, self.gid);
        if found == self.groups {
            Answer::Right
        } else if found == [self.gid] {
            // How getgrouplist says that it does not know.
            Answer::Unavailable("the primary group alone".into())
        } else {
            Answer::Wrong(format!("groups {found:?} and not {:?}", self.groups))
        }
    }

    /// The uid, for a process of its own.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

/// Judges what was found of an existing user.
pub fn judge(found: Found, name: &str, uid: u32, gid: Option<u32>) -> Answer {
    match found {
        Found::User(n, u, g) if n == name && u == uid && gid.is_none_or(|gid| gid == g) => Answer::Right,
        Found::User(n, u, g) => Answer::Wrong(format!("{n} {u} {g} and not {name} {uid} {gid:?}")),
        Found::Absent => Answer::Wrong("NOTFOUND for an existing user".into()),
        Found::Error(code) => unavailable(code),
    }
}

/// Judges what was found of somebody who does not exist.
pub fn judge_nobody(found: Found) -> Answer {
    match found {
        Found::Absent => Answer::Right,
        Found::User(name, uid, _) => Answer::Wrong(format!("{name} {uid}, who does not exist")),
        Found::Error(code) => unavailable(code),
    }
}

/// The contract ("NSS answers") knows two ways to say "not now".
fn unavailable(code: i32) -> Answer {
    match code {
        libc::ENOENT => Answer::Unavailable("no daemon (ENOENT)".into()),
        libc::EAGAIN => Answer::Unavailable("try again (EAGAIN)".into()),
        other => Answer::Wrong(format!("errno {other}")),
    }
}
