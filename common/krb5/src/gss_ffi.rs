//! The few declarations of MIT's `libgssapi_krb5` that [`crate::gss`] calls. Layouts and constants are those of
//! `gssapi/gssapi.h` and `gssapi/gssapi_ext.h` (RFC 2744; the credential store is MIT's extension).

use std::ffi::{c_char, c_int, c_void};

pub(crate) type Status = u32;
pub(crate) type Name = *mut c_void;
pub(crate) type Credential = *mut c_void;
pub(crate) type ContextHandle = *mut c_void;

/// `gss_buffer_desc`
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) length: usize,
    pub(crate) value: *mut c_void,
}

/// `gss_OID_desc`
#[repr(C)]
pub(crate) struct Oid {
    pub(crate) length: u32,
    pub(crate) elements: *mut c_void,
}

/// `gss_OID_set_desc`
#[repr(C)]
pub(crate) struct OidSet {
    pub(crate) count: usize,
    pub(crate) elements: *mut Oid,
}

/// `gss_key_value_element_desc`
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: *const c_char,
    pub(crate) value: *const c_char,
}

/// `gss_key_value_set_desc`
#[repr(C)]
pub(crate) struct KeyValueSet {
    pub(crate) count: u32,
    pub(crate) elements: *mut KeyValue,
}

/// `gss_channel_bindings_struct`
#[repr(C)]
pub(crate) struct ChannelBindings {
    pub(crate) initiator_address_type: u32,
    pub(crate) initiator_address: Buffer,
    pub(crate) acceptor_address_type: u32,
    pub(crate) acceptor_address: Buffer,
    pub(crate) application_data: Buffer,
}

pub(crate) const COMPLETE: Status = 0;
pub(crate) const CONTINUE_NEEDED: Status = 1;
/// Calling errors (bits 24–31) and routine errors (bits 16–23): `GSS_ERROR`.
pub(crate) const ERROR_MASK: Status = 0xffff_0000;

pub(crate) const FLAG_MUTUAL: u32 = 2;
pub(crate) const FLAG_REPLAY: u32 = 4;
pub(crate) const FLAG_SEQUENCE: u32 = 8;
pub(crate) const FLAG_CONF: u32 = 16;
pub(crate) const FLAG_INTEG: u32 = 32;

pub(crate) const INITIATE: c_int = 1;
pub(crate) const GSS_CODE: c_int = 1;
pub(crate) const MECH_CODE: c_int = 2;
pub(crate) const INDEFINITE: u32 = u32::MAX;

/// 1.2.840.113554.1.2.2: the krb5 mechanism.
pub(crate) const MECH_KRB5: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.113554.1.2.2.1: GSS_KRB5_NT_PRINCIPAL_NAME.
pub(crate) const NT_PRINCIPAL: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

/// An OID over static bytes. The library declares OIDs without const but never writes to them.
pub(crate) fn oid(bytes: &'static [u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast_mut().cast() }
}

#[link(name = "gssapi_krb5")]
unsafe extern "C" {
    pub(crate) fn gss_acquire_cred_from(
        minor: *mut Status,
        desired_name: Name,
        time_req: u32,
        desired_mechs: *mut OidSet,
        cred_usage: c_int,
        cred_store: *const KeyValueSet,
        output_cred: *mut Credential,
        actual_mechs: *mut *mut OidSet,
        time_rec: *mut u32,
    ) -> Status;
    pub(crate) fn gss_release_cred(minor: *mut Status, cred: *mut Credential) -> Status;
    pub(crate) fn gss_import_name(minor: *mut Status, text: *mut Buffer, kind: *mut Oid, name: *mut Name) -> Status;
    pub(crate) fn gss_release_name(minor: *mut Status, name: *mut Name) -> Status;
    pub(crate) fn gss_init_sec_context(
        minor: *mut Status,
        cred: Credential,
        context: *mut ContextHandle,
        target: Name,
        mech: *mut Oid,
        req_flags: u32,
        time_req: u32,
        bindings: *mut ChannelBindings,
        input: *mut Buffer,
        actual_mech: *mut *mut Oid,
        output: *mut Buffer,
        ret_flags: *mut u32,
        time_rec: *mut u32,
    ) -> Status;
    pub(crate) fn gss_delete_sec_context(minor: *mut Status, context: *mut ContextHandle, out: *mut Buffer) -> Status;
    pub(crate) fn gss_wrap(
        minor: *mut Status,
        context: ContextHandle,
        conf_req: c_int,
        qop: u32,
        input: *mut Buffer,
        conf_state: *mut c_int,
        output: *mut Buffer,
    ) -> Status;
    pub(crate) fn gss_unwrap(
        minor: *mut Status,
        context: ContextHandle,
        input: *mut Buffer,
        output: *mut Buffer,
        conf_state: *mut c_int,
        qop_state: *mut u32,
    ) -> Status;
    pub(crate) fn gss_get_mic(
        minor: *mut Status,
        context: ContextHandle,
        protection: u32,
        message: *mut Buffer,
        mic: *mut Buffer,
    ) -> Status;
    pub(crate) fn gss_wrap_size_limit(
        minor: *mut Status,
        context: ContextHandle,
        conf_req: c_int,
        qop: u32,
        output_size: u32,
        max_input_size: *mut u32,
    ) -> Status;
    pub(crate) fn gss_display_status(
        minor: *mut Status,
        value: Status,
        kind: c_int,
        mech: *mut Oid,
        message_context: *mut u32,
        text: *mut Buffer,
    ) -> Status;
    pub(crate) fn gss_release_buffer(minor: *mut Status, buffer: *mut Buffer) -> Status;
}
