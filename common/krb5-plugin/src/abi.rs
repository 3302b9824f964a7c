//! The C interfaces of libkrb5 1.20 (`krb5/krb5.h`, `krb5/localauth_plugin.h`, `krb5/locate_plugin.h`): pointers become
//! borrows here and nowhere else. FFI edge.
//!
//! No function of libkrb5 is called, so that the plugin needs nothing that its host process does not have.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use crate::daemon::Host;
use crate::localauth::{self, LocalName, Verdict};
use crate::locator::{self, Service};

type Code = i32;

/// `KRB5_PLUGIN_NO_HANDLE`
const NO_HANDLE: Code = -1_765_328_135;
/// `KRB5_PLUGIN_VER_NOTSUPP`
const VER_NOTSUPP: Code = -1_750_600_192;
/// `KRB5_LNAME_NOTRANS`
const LNAME_NOTRANS: Code = -1_765_328_208;
/// `KRB5_NO_LOCALNAME`
const NO_LOCALNAME: Code = -1_765_328_227;

/// `krb5_data`
#[repr(C)]
struct Data {
    magic: i32,
    length: u32,
    bytes: *const c_char,
}

/// `krb5_principal_data`
#[repr(C)]
struct Principal {
    magic: i32,
    realm: Data,
    data: *const Data,
    length: i32,
    kind: i32,
}

/// `struct krb5_localauth_vtable_st`, minor version 1.
#[repr(C)]
struct LocalauthTable {
    name: *const c_char,
    an2ln_types: *const *const c_char,
    init: Option<unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> Code>,
    fini: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    userok: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *const Principal, *const c_char) -> Code>,
    an2ln: Option<An2ln>,
    free_string: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_char)>,
}

type An2ln = unsafe extern "C" fn(
    *mut c_void,
    *mut c_void,
    *const c_char,
    *const c_char,
    *const Principal,
    *mut *mut c_char,
) -> Code;

/// `krb5plugin_service_locate_ftable`
#[repr(C)]
struct LocateTable {
    minor_version: c_int,
    init: unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> Code,
    fini: unsafe extern "C" fn(*mut c_void),
    lookup:
        unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, c_int, Option<Callback>, *mut c_void) -> Code,
}

type Callback = unsafe extern "C" fn(*mut c_void, c_int, *mut libc::sockaddr) -> c_int;

/// What libkrb5 looks for in each object of its plugin folder.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // The name is the interface's.
static service_locator: LocateTable =
    LocateTable { minor_version: 0, init: locate_init, fini: locate_fini, lookup: locate_lookup };

/// What libkrb5 calls for `module = entra:…` in `[plugins] localauth`.
#[unsafe(no_mangle)]
unsafe extern "C" fn localauth_entra_initvt(
    _context: *mut c_void,
    major: c_int,
    _minor: c_int,
    table: *mut LocalauthTable,
) -> Code {
    if major != 1 || table.is_null() {
        return VER_NOTSUPP;
    }
    // SAFETY: for major version 1 the caller's table has at least the fields of minor version 1, zeroed.
    unsafe {
        (*table).name = c"entra".as_ptr();
        (*table).userok = Some(userok);
        (*table).an2ln = Some(an2ln);
        (*table).free_string = Some(free_string);
    }
    0
}

unsafe extern "C" fn userok(
    _context: *mut c_void,
    _data: *mut c_void,
    principal: *const Principal,
    account: *const c_char,
) -> Code {
    entry(NO_HANDLE, || {
        // SAFETY: libkrb5 gives a principal and a C string that live for the call.
        let (Some((name, realm)), Some(account)) = (unsafe { (one_component(principal), text(account)) }) else {
            return NO_HANDLE;
        };
        match localauth::may_be(&Host::installed(), name, realm, account) {
            Verdict::Ok => 0,
            Verdict::Refused => libc::EPERM,
            Verdict::NotOurs => NO_HANDLE,
        }
    })
}

unsafe extern "C" fn an2ln(
    _context: *mut c_void,
    _data: *mut c_void,
    _kind: *const c_char,
    _residual: *const c_char,
    principal: *const Principal,
    out: *mut *mut c_char,
) -> Code {
    entry(LNAME_NOTRANS, || {
        // SAFETY: libkrb5 gives a principal that lives for the call.
        let Some((name, realm)) = (unsafe { one_component(principal) }) else { return LNAME_NOTRANS };
        match localauth::local_name(&Host::installed(), name, realm) {
            LocalName::Is(name) => match CString::new(name) {
                Ok(name) if !out.is_null() => {
                    // SAFETY: a place for the result, checked above; `free_string` takes it back.
                    unsafe { *out = name.into_raw() };
                    0
                }
                _ => LNAME_NOTRANS,
            },
            LocalName::None => NO_LOCALNAME,
            LocalName::NotOurs => LNAME_NOTRANS,
        }
    })
}

unsafe extern "C" fn free_string(_context: *mut c_void, _data: *mut c_void, name: *mut c_char) {
    if !name.is_null() {
        // SAFETY: libkrb5 gives back what `an2ln` gave, once.
        drop(unsafe { CString::from_raw(name) });
    }
}

unsafe extern "C" fn locate_init(_context: *mut c_void, blob: *mut *mut c_void) -> Code {
    if !blob.is_null() {
        // SAFETY: a place for data of ours, of which there is none.
        unsafe { *blob = null_mut() };
    }
    0
}

unsafe extern "C" fn locate_fini(_blob: *mut c_void) {}

unsafe extern "C" fn locate_lookup(
    _blob: *mut c_void,
    service: c_int,
    realm: *const c_char,
    socket_type: c_int,
    family: c_int,
    callback: Option<Callback>,
    callback_data: *mut c_void,
) -> Code {
    entry(NO_HANDLE, || {
        let service = match service {
            // locate_service_kdc and locate_service_primary_kdc.
            1 | 2 => Service::Kdc,
            // locate_service_kpasswd
            5 => Service::Kpasswd,
            _ => return NO_HANDLE,
        };
        // SAFETY: the realm is a C string that lives for the call.
        let (Some(realm), Some(callback)) = (unsafe { text(realm) }, callback) else { return NO_HANDLE };
        let Some(address) = locator::locate(realm, service) else { return NO_HANDLE };
        let own_family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        if family != libc::AF_UNSPEC && family != own_family {
            return NO_HANDLE;
        }
        // What the callback gives back says whether it wants more, and there is no more.
        // SAFETY: the address is as long as its family says and lives for the call; libkrb5 copies it.
        unsafe {
            match address {
                SocketAddr::V4(v4) => {
                    let mut raw: libc::sockaddr_in = std::mem::zeroed();
                    raw.sin_family = libc::AF_INET as libc::sa_family_t;
                    raw.sin_port = v4.port().to_be();
                    raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                    callback(callback_data, socket_type, (&raw mut raw).cast());
                }
                SocketAddr::V6(v6) => {
                    let mut raw: libc::sockaddr_in6 = std::mem::zeroed();
                    raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                    raw.sin6_port = v6.port().to_be();
                    raw.sin6_addr.s6_addr = v6.ip().octets();
                    raw.sin6_scope_id = v6.scope_id();
                    callback(callback_data, socket_type, (&raw mut raw).cast());
                }
            }
        }
        0
    })
}

/// Runs an entry's body: no panic leaves it, and a process that does without us gets `otherwise`.
fn entry(otherwise: Code, body: impl FnOnce() -> Code) -> Code {
    catch_unwind(AssertUnwindSafe(|| if crate::is_off() { otherwise } else { body() })).unwrap_or(otherwise)
}

/// The name and the realm of a principal with one component; `None` for `host/…` and others, and for what is no text.
///
/// # Safety
/// `principal` is null, or a `krb5_principal` that lives as long as `'p`.
unsafe fn one_component<'p>(principal: *const Principal) -> Option<(&'p str, &'p str)> {
    // SAFETY: the caller's promise.
    let principal = unsafe { principal.as_ref() }?;
    if principal.length != 1 {
        return None;
    }
    // SAFETY: `data` has `length` elements, which is one, and each has the bytes that it says.
    unsafe { Some((bytes(principal.data.as_ref()?)?, bytes(&principal.realm)?)) }
}

/// # Safety
/// `data` has `length` bytes that live as long as `'p`.
unsafe fn bytes<'p>(data: &Data) -> Option<&'p str> {
    if data.bytes.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(data.bytes.cast::<u8>(), data.length as usize) };
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !text.contains('\0'))
}

/// # Safety
/// `text` is null, or a C string that lives as long as `'p`.
unsafe fn text<'p>(text: *const c_char) -> Option<&'p str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}
