//! The exported functions: C's pointers become borrows here and nowhere else. FFI edge; `entra.h` says what each does.
//!
//! # Safety
//!
//! Every function relies on what `entra.h` asks of its caller: a text is a C string or null; what a pointer leads to may
//! be read, or written where it is not const, for the length that stands beside it, and nobody else writes it meanwhile.
//! A null pointer where something must stand is ENTRA_INVALID.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use entra_wire::identity::Subject;
use entra_wire::nss::Request;

use crate::c_types::{Group, Health, Id, Mapping, User};
use crate::host;
use crate::identity::{self, Account};
use crate::records::{self, By};
use crate::room::{self, Room};
use crate::sid::Sid;
use crate::status::{self, Failure, entry};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

#[unsafe(no_mangle)]
extern "C" fn entra_version() -> *const c_char {
    VERSION.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn entra_strerror(status: c_int) -> *const c_char {
    status::words(status).as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_parse(text: *const c_char, sid: *mut Sid) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let parsed = Sid::parse(unsafe { name(text) }?).ok_or(Failure::Invalid)?;
        // SAFETY: as above.
        unsafe { give(sid, parsed) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_from_bytes(bytes: *const c_void, length: usize, sid: *mut Sid) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let bytes = unsafe { slice(bytes.cast::<u8>(), length) }?;
        let read = Sid::from_bytes(bytes).ok_or(Failure::Invalid)?;
        // SAFETY: as above.
        unsafe { give(sid, read) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_length(sid: *const Sid) -> usize {
    // SAFETY: see the head of this file.
    unsafe { sid.as_ref() }.and_then(Sid::bytes).map_or(0, <[u8]>::len)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_format(sid: *const Sid, text: *mut c_char, size: usize, needed: *mut usize) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let formatted = unsafe { sid.as_ref() }.and_then(Sid::text).ok_or(Failure::Invalid)?;
        // SAFETY: as above.
        let mut room = unsafe { Room::new(text.cast(), size, needed, formatted.len() + 1) }?;
        room.string(formatted.as_bytes());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_to_id(sid: *const Sid, id: *mut Id) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let sid = unsafe { sid.as_ref() }.and_then(Sid::bytes).ok_or(Failure::Invalid)?;
        let found = identity::one(Subject::Sid(sid), id_of)?;
        // SAFETY: as above.
        unsafe { give(id, found) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sids_to_ids(sids: *const Sid, count: usize, mappings: *mut Mapping) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let sids = unsafe { slice(sids, count) }?;
        if mappings.is_null() && count > 0 {
            return Err(Failure::Invalid);
        }
        let subjects: Vec<_> = sids.iter().map(|sid| sid.bytes().map(Subject::Sid)).collect();
        let mut unavailable = false;
        identity::many(&subjects, |at, found| {
            let mapping = match found {
                Ok(account) => Mapping { status: status::OK, kind: account.kind as u32, id: account.id },
                Err(failure) => Mapping { status: failure.code(), kind: 0, id: 0 },
            };
            unavailable |= mapping.status == Failure::Unavailable.code();
            // SAFETY: as above: there are `count` of them, and `at` is the index of a subject.
            unsafe { mappings.add(at).write(mapping) };
        });
        if unavailable { Err(Failure::Unavailable) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_uid_to_sid(uid: u32, sid: *mut Sid) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_sid(Subject::Uid(uid), sid) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_gid_to_sid(gid: u32, sid: *mut Sid) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_sid(Subject::Gid(gid), sid) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_name_to_sid(text: *const c_char, kind: u32, sid: *mut Sid, id: *mut Id) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let text = unsafe { name(text) }?;
        let all = [Subject::User(text), Subject::Group(text)];
        let subjects = match kind {
            0 => &all[..],
            1 => &all[..1],
            2 => &all[1..],
            _ => return Err(Failure::Invalid),
        };
        let mut found = Err(Failure::NotFound);
        for subject in subjects {
            found = identity::one(*subject, |account| (Sid::from_bytes(account.sid), id_of(account)));
            // A group is only meant where there is no such user: not where nobody can tell.
            if found != Err(Failure::NotFound) {
                break;
            }
        }
        let (found_sid, found_id) = found?;
        if !id.is_null() {
            // SAFETY: as above.
            unsafe { id.write(found_id) };
        }
        // SAFETY: as above.
        unsafe { give(sid, found_sid.ok_or(Failure::Unavailable)?) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_sid_to_name(
    sid: *const Sid,
    id: *mut Id,
    text: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let sid = unsafe { sid.as_ref() }.and_then(Sid::bytes).ok_or(Failure::Invalid)?;
        let (found, account_name) =
            identity::one(Subject::Sid(sid), |account| (id_of(account), account.name.to_vec()))?;
        // SAFETY: as above.
        let mut room = unsafe { Room::new(text.cast(), size, needed, account_name.len() + 1) }?;
        room.string(&account_name);
        if !id.is_null() {
            // SAFETY: as above.
            unsafe { id.write(found) };
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_user_by_name(
    text: *const c_char,
    user: *mut User,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_user(By::Name(name(text)?), user, buffer, size, needed) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_user_by_uid(
    uid: u32,
    user: *mut User,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_user(By::Id(uid), user, buffer, size, needed) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_group_by_name(
    text: *const c_char,
    group: *mut Group,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_group(By::Name(name(text)?), group, buffer, size, needed) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_group_by_gid(
    gid: u32,
    group: *mut Group,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> c_int {
    // SAFETY: see the head of this file.
    entry(|| unsafe { give_group(By::Id(gid), group, buffer, size, needed) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_groups_of_user(
    text: *const c_char,
    gids: *mut u32,
    count: usize,
    needed: *mut usize,
) -> c_int {
    entry(|| {
        // SAFETY: see the head of this file.
        let found = records::groups_of(unsafe { name(text) }?)?;
        // SAFETY: as above; gids are counted, not bytes.
        let mut room = unsafe { Room::new(gids.cast(), count.saturating_mul(4), null_mut(), 0) };
        if !needed.is_null() {
            // SAFETY: as above.
            unsafe { needed.write(found.len()) };
        }
        match &mut room {
            Ok(room) if found.len() <= count => room.numbers(&found),
            _ => return Err(Failure::Range),
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn entra_health(health: *mut Health) -> c_int {
    entry(|| {
        let cache = u32::from(host::in_map(|_, _| ()).is_some());
        let mut body = Vec::new();
        let answer = host::ask(&Request::Health, &mut body).and_then(|mut reader| {
            let counts = (reader.u32()?, reader.u32()?);
            reader.end()?;
            Ok(counts)
        });
        let (domains, online) = answer.unwrap_or_default();
        // SAFETY: see the head of this file.
        unsafe { give(health, Health { daemon: u32::from(answer.is_ok()), cache, domains, online }) }?;
        answer.map(drop)
    })
}

fn id_of(account: &Account<'_>) -> Id {
    Id { kind: account.kind as u32, id: account.id }
}

/// # Safety
/// As for every function here.
unsafe fn give_sid(subject: Subject<'_>, sid: *mut Sid) -> Result<(), Failure> {
    let found = identity::one(subject, |account| Sid::from_bytes(account.sid))?;
    // SAFETY: the caller's promise.
    unsafe { give(sid, found.ok_or(Failure::Unavailable)?) }
}

/// # Safety
/// As for every function here.
unsafe fn give_user(
    by: By<'_>,
    user: *mut User,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> Result<(), Failure> {
    let found = records::user(by)?;
    // SAFETY: the caller's promise.
    let mut room = unsafe { Room::new(buffer, size, needed, room::of_strings(&found.texts)) }?;
    let [name, gecos, home, shell] = found.texts.each_ref().map(|text| room.string(text));
    // SAFETY: as above.
    unsafe { give(user, User { name, gecos, home, shell, uid: found.uid, gid: found.gid }) }
}

/// # Safety
/// As for every function here.
unsafe fn give_group(
    by: By<'_>,
    group: *mut Group,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> Result<(), Failure> {
    let found = records::group(by)?;
    let wanted = room::of_array(&found.members) + found.name.len() + 1;
    // SAFETY: the caller's promise.
    let mut room = unsafe { Room::new(buffer, size, needed, wanted) }?;
    let (members, name) = (room.strings(&found.members), room.string(&found.name));
    let given = Group { name, members, member_count: found.members.len(), gid: found.gid, reserved: 0 };
    // SAFETY: as above.
    unsafe { give(group, given) }
}

/// A text's bytes.
///
/// # Safety
/// Null or a C string that outlives the borrow.
unsafe fn name<'a>(text: *const c_char) -> Result<&'a [u8], Failure> {
    // SAFETY: the caller's promise.
    if text.is_null() { Err(Failure::Invalid) } else { Ok(unsafe { CStr::from_ptr(text) }.to_bytes()) }
}

/// # Safety
/// `first` is null or the first of `count` elements that outlive the borrow.
unsafe fn slice<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    // No slice is longer than isize::MAX bytes; neither is any memory.
    if first.is_null() || count > isize::MAX.cast_unsigned() / size_of::<T>() {
        return Err(Failure::Invalid);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// # Safety
/// `place` is null or may be written.
unsafe fn give<T>(place: *mut T, value: T) -> Result<(), Failure> {
    if place.is_null() {
        return Err(Failure::Invalid);
    }
    // SAFETY: the caller's promise.
    unsafe { place.write(value) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_packages() {
        // SAFETY: the function gives a C string that is never freed.
        let version = unsafe { CStr::from_ptr(entra_version()) };
        assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn null_pointers_are_not_followed() {
        // SAFETY: null pointers are what the functions say they take.
        let codes = unsafe {
            [
                entra_sid_parse(null_mut(), null_mut()),
                entra_sid_parse(c"S-1-1-0".as_ptr(), null_mut()),
                entra_sid_from_bytes(null_mut(), 28, null_mut()),
                entra_sid_format(null_mut(), null_mut(), 0, null_mut()),
                entra_sid_to_id(null_mut(), null_mut()),
                entra_sids_to_ids(null_mut(), 1, null_mut()),
                entra_sid_to_name(null_mut(), null_mut(), null_mut(), 0, null_mut()),
                entra_name_to_sid(null_mut(), 0, null_mut(), null_mut()),
                entra_name_to_sid(c"alice".as_ptr(), 3, null_mut(), null_mut()),
                entra_user_by_name(null_mut(), null_mut(), null_mut(), 0, null_mut()),
                entra_group_by_name(null_mut(), null_mut(), null_mut(), 0, null_mut()),
                entra_groups_of_user(null_mut(), null_mut(), 0, null_mut()),
            ]
        };
        assert_eq!(codes, [Failure::Invalid.code(); 12]);
        // SAFETY: as above.
        assert_eq!(unsafe { (entra_sid_length(null_mut()), entra_sids_to_ids(null_mut(), 0, null_mut())) }, (0, 0));
    }
}
