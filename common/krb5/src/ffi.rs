//! The part of `krb5.h` (MIT krb5 1.17 and later) and `profile.h` that this crate calls, by hand: functions and the
//! structures whose fields are read. Everything else is opaque.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// `krb5_error_code`: 0, an errno, or a com_err code.
pub type Code = i32;
/// `krb5_timestamp`: seconds since 1970 in 32 bits, read as unsigned until 2106.
pub type Timestamp = i32;
/// `krb5_cc_cursor`, `krb5_kt_cursor`.
pub type Cursor = *mut c_void;

macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )*};
}

opaque!(Context ProfileHandle Principal InitOptions InitCreds TicketCreds AuthContext Ccache Keytab Pac ApRepPart);

#[allow(clippy::struct_field_names)] // krb5.h calls it so
#[repr(C)]
pub struct Data {
    pub magic: i32,
    pub length: c_uint,
    pub data: *mut c_char,
}

impl Data {
    pub const EMPTY: Self = Self { magic: 0, length: 0, data: std::ptr::null_mut() };
}

#[repr(C)]
pub struct Keyblock {
    pub magic: i32,
    pub enctype: i32,
    pub length: c_uint,
    pub contents: *mut u8,
}

#[repr(C)]
pub struct Address {
    pub magic: i32,
    pub kind: i32,
    pub length: c_uint,
    pub contents: *mut u8,
}

#[repr(C)]
pub struct Times {
    pub authtime: Timestamp,
    pub starttime: Timestamp,
    pub endtime: Timestamp,
    pub renew_till: Timestamp,
}

#[repr(C)]
pub struct Authdata {
    pub magic: i32,
    pub ad_type: i32,
    pub length: c_uint,
    pub contents: *mut u8,
}

#[repr(C)]
pub struct Creds {
    pub magic: i32,
    pub client: *mut Principal,
    pub server: *mut Principal,
    pub keyblock: Keyblock,
    pub times: Times,
    pub is_skey: c_uint,
    pub ticket_flags: i32,
    pub addresses: *mut *mut Address,
    pub ticket: Data,
    pub second_ticket: Data,
    pub authdata: *mut *mut Authdata,
}

impl Creds {
    pub const EMPTY: Self = Self {
        magic: 0,
        client: std::ptr::null_mut(),
        server: std::ptr::null_mut(),
        keyblock: Keyblock { magic: 0, enctype: 0, length: 0, contents: std::ptr::null_mut() },
        times: Times { authtime: 0, starttime: 0, endtime: 0, renew_till: 0 },
        is_skey: 0,
        ticket_flags: 0,
        addresses: std::ptr::null_mut(),
        ticket: Data::EMPTY,
        second_ticket: Data::EMPTY,
        authdata: std::ptr::null_mut(),
    };
}

#[repr(C)]
pub struct EncData {
    pub magic: i32,
    pub enctype: i32,
    pub kvno: c_uint,
    pub ciphertext: Data,
}

#[repr(C)]
pub struct Transited {
    pub magic: i32,
    pub kind: u8,
    pub contents: Data,
}

#[repr(C)]
pub struct EncTicketPart {
    pub magic: i32,
    pub flags: i32,
    pub session: *mut Keyblock,
    pub client: *mut Principal,
    pub transited: Transited,
    pub times: Times,
    pub addresses: *mut *mut Address,
    pub authorization_data: *mut *mut Authdata,
}

#[repr(C)]
pub struct Ticket {
    pub magic: i32,
    pub server: *mut Principal,
    pub enc_part: EncData,
    pub enc_part2: *mut EncTicketPart,
}

#[repr(C)]
pub struct KeytabEntry {
    pub magic: i32,
    pub principal: *mut Principal,
    pub timestamp: Timestamp,
    pub vno: c_uint,
    pub key: Keyblock,
}

impl KeytabEntry {
    pub const EMPTY: Self = Self {
        magic: 0,
        principal: std::ptr::null_mut(),
        timestamp: 0,
        vno: 0,
        key: Keyblock { magic: 0, enctype: 0, length: 0, contents: std::ptr::null_mut() },
    };
}

/// `krb5_error`: a KRB-ERROR message (RFC 4120 5.9.1).
#[repr(C)]
pub struct KrbError {
    pub magic: i32,
    pub ctime: Timestamp,
    pub cusec: i32,
    pub susec: i32,
    pub stime: Timestamp,
    pub error: u32,
    pub client: *mut Principal,
    pub server: *mut Principal,
    pub text: Data,
    pub e_data: Data,
}

pub const INIT_CONTEXT_SECURE: i32 = 0x1;
pub const PARSE_REQUIRE_REALM: c_int = 0x2;
pub const PARSE_ENTERPRISE: c_int = 0x4;
pub const NT_SRV_HST: i32 = 3;
pub const STEP_CONTINUE: c_uint = 0x1;
pub const FAST_REQUIRED: i32 = 0x1;
pub const AP_OPTS_USE_SUBKEY: i32 = 0x1;
pub const AUTH_CONTEXT_DO_SEQUENCE: i32 = 0x4;
pub const ADDRTYPE_INET: i32 = 2;
pub const ADDRTYPE_INET6: i32 = 24;
pub const AUTHDATA_WIN2K_PAC: i32 = 128;
pub const PAC_LOGON_INFO: u32 = 1;

unsafe extern "C" {
    pub fn profile_init_path(path: *const c_char, profile: *mut *mut ProfileHandle) -> std::ffi::c_long;
    pub fn profile_release(profile: *mut ProfileHandle);

    pub fn krb5_init_context_profile(profile: *mut ProfileHandle, flags: i32, context: *mut *mut Context) -> Code;
    pub fn krb5_free_context(context: *mut Context);
    pub fn krb5_get_error_message(context: *mut Context, code: Code) -> *const c_char;
    pub fn krb5_free_error_message(context: *mut Context, text: *const c_char);
    pub fn krb5_free_data_contents(context: *mut Context, data: *mut Data);

    pub fn krb5_parse_name_flags(
        context: *mut Context,
        name: *const c_char,
        flags: c_int,
        principal: *mut *mut Principal,
    ) -> Code;
    pub fn krb5_sname_to_principal(
        context: *mut Context,
        host: *const c_char,
        service: *const c_char,
        kind: i32,
        principal: *mut *mut Principal,
    ) -> Code;
    pub fn krb5_unparse_name(context: *mut Context, principal: *const Principal, name: *mut *mut c_char) -> Code;
    pub fn krb5_free_unparsed_name(context: *mut Context, name: *mut c_char);
    pub fn krb5_free_principal(context: *mut Context, principal: *mut Principal);

    pub fn krb5_get_init_creds_opt_alloc(context: *mut Context, options: *mut *mut InitOptions) -> Code;
    pub fn krb5_get_init_creds_opt_free(context: *mut Context, options: *mut InitOptions);
    pub fn krb5_get_init_creds_opt_set_canonicalize(options: *mut InitOptions, on: c_int);
    pub fn krb5_get_init_creds_opt_set_fast_ccache_name(
        context: *mut Context,
        options: *mut InitOptions,
        name: *const c_char,
    ) -> Code;
    pub fn krb5_get_init_creds_opt_set_fast_flags(context: *mut Context, options: *mut InitOptions, flags: i32)
    -> Code;
    pub fn krb5_get_init_creds_opt_set_out_ccache(
        context: *mut Context,
        options: *mut InitOptions,
        ccache: *mut Ccache,
    ) -> Code;

    pub fn krb5_init_creds_init(
        context: *mut Context,
        client: *mut Principal,
        prompter: *mut c_void,
        data: *mut c_void,
        start_time: i32,
        options: *mut InitOptions,
        exchange: *mut *mut InitCreds,
    ) -> Code;
    pub fn krb5_init_creds_free(context: *mut Context, exchange: *mut InitCreds);
    pub fn krb5_init_creds_set_password(
        context: *mut Context,
        exchange: *mut InitCreds,
        password: *const c_char,
    ) -> Code;
    pub fn krb5_init_creds_set_keytab(context: *mut Context, exchange: *mut InitCreds, keytab: *mut Keytab) -> Code;
    pub fn krb5_init_creds_set_service(context: *mut Context, exchange: *mut InitCreds, service: *const c_char)
    -> Code;
    pub fn krb5_init_creds_step(
        context: *mut Context,
        exchange: *mut InitCreds,
        input: *mut Data,
        output: *mut Data,
        realm: *mut Data,
        flags: *mut c_uint,
    ) -> Code;
    pub fn krb5_init_creds_get_creds(context: *mut Context, exchange: *mut InitCreds, creds: *mut Creds) -> Code;
    pub fn krb5_init_creds_get_error(
        context: *mut Context,
        exchange: *mut InitCreds,
        error: *mut *mut KrbError,
    ) -> Code;
    pub fn krb5_free_error(context: *mut Context, error: *mut KrbError);

    pub fn krb5_tkt_creds_init(
        context: *mut Context,
        ccache: *mut Ccache,
        creds: *mut Creds,
        options: i32,
        exchange: *mut *mut TicketCreds,
    ) -> Code;
    pub fn krb5_tkt_creds_free(context: *mut Context, exchange: *mut TicketCreds);
    pub fn krb5_tkt_creds_step(
        context: *mut Context,
        exchange: *mut TicketCreds,
        input: *mut Data,
        output: *mut Data,
        realm: *mut Data,
        flags: *mut c_uint,
    ) -> Code;
    pub fn krb5_tkt_creds_get(context: *mut Context, exchange: *mut TicketCreds) -> Code;
    pub fn krb5_tkt_creds_get_creds(context: *mut Context, exchange: *mut TicketCreds, creds: *mut Creds) -> Code;
    pub fn krb5_get_renewed_creds(
        context: *mut Context,
        creds: *mut Creds,
        client: *mut Principal,
        ccache: *mut Ccache,
        service: *const c_char,
    ) -> Code;
    pub fn krb5_free_cred_contents(context: *mut Context, creds: *mut Creds);

    pub fn krb5_cc_resolve(context: *mut Context, name: *const c_char, ccache: *mut *mut Ccache) -> Code;
    pub fn krb5_cc_new_unique(
        context: *mut Context,
        kind: *const c_char,
        hint: *const c_char,
        ccache: *mut *mut Ccache,
    ) -> Code;
    pub fn krb5_cc_initialize(context: *mut Context, ccache: *mut Ccache, principal: *mut Principal) -> Code;
    pub fn krb5_cc_store_cred(context: *mut Context, ccache: *mut Ccache, creds: *mut Creds) -> Code;
    pub fn krb5_cc_copy_creds(context: *mut Context, from: *mut Ccache, to: *mut Ccache) -> Code;
    pub fn krb5_cc_get_name(context: *mut Context, ccache: *mut Ccache) -> *const c_char;
    pub fn krb5_cc_get_principal(context: *mut Context, ccache: *mut Ccache, principal: *mut *mut Principal) -> Code;
    pub fn krb5_cc_start_seq_get(context: *mut Context, ccache: *mut Ccache, cursor: *mut Cursor) -> Code;
    pub fn krb5_cc_next_cred(
        context: *mut Context,
        ccache: *mut Ccache,
        cursor: *mut Cursor,
        creds: *mut Creds,
    ) -> Code;
    pub fn krb5_cc_end_seq_get(context: *mut Context, ccache: *mut Ccache, cursor: *mut Cursor) -> Code;
    pub fn krb5_cc_close(context: *mut Context, ccache: *mut Ccache) -> Code;
    pub fn krb5_cc_destroy(context: *mut Context, ccache: *mut Ccache) -> Code;

    pub fn krb5_kt_resolve(context: *mut Context, name: *const c_char, keytab: *mut *mut Keytab) -> Code;
    pub fn krb5_kt_add_entry(context: *mut Context, keytab: *mut Keytab, entry: *mut KeytabEntry) -> Code;
    pub fn krb5_c_string_to_key(
        context: *mut Context,
        enctype: i32,
        text: *const Data,
        salt: *const Data,
        key: *mut Keyblock,
    ) -> Code;
    pub fn krb5_free_keyblock_contents(context: *mut Context, key: *mut Keyblock);
    pub fn krb5_kt_close(context: *mut Context, keytab: *mut Keytab) -> Code;
    pub fn krb5_kt_get_entry(
        context: *mut Context,
        keytab: *mut Keytab,
        principal: *const Principal,
        kvno: c_uint,
        enctype: i32,
        entry: *mut KeytabEntry,
    ) -> Code;
    pub fn krb5_kt_start_seq_get(context: *mut Context, keytab: *mut Keytab, cursor: *mut Cursor) -> Code;
    pub fn krb5_kt_next_entry(
        context: *mut Context,
        keytab: *mut Keytab,
        entry: *mut KeytabEntry,
        cursor: *mut Cursor,
    ) -> Code;
    pub fn krb5_kt_end_seq_get(context: *mut Context, keytab: *mut Keytab, cursor: *mut Cursor) -> Code;
    pub fn krb5_free_keytab_entry_contents(context: *mut Context, entry: *mut KeytabEntry) -> Code;
    pub fn krb5_enctype_to_name(enctype: i32, shortest: c_uint, buffer: *mut c_char, length: usize) -> Code;

    pub fn krb5_auth_con_init(context: *mut Context, auth: *mut *mut AuthContext) -> Code;
    pub fn krb5_auth_con_free(context: *mut Context, auth: *mut AuthContext) -> Code;
    pub fn krb5_auth_con_setflags(context: *mut Context, auth: *mut AuthContext, flags: i32) -> Code;
    pub fn krb5_mk_req_extended(
        context: *mut Context,
        auth: *mut *mut AuthContext,
        options: i32,
        application: *mut Data,
        creds: *mut Creds,
        output: *mut Data,
    ) -> Code;
    pub fn krb5_auth_con_setaddrs(
        context: *mut Context,
        auth: *mut AuthContext,
        local: *mut Address,
        remote: *mut Address,
    ) -> Code;
    pub fn krb5_auth_con_getsendsubkey(context: *mut Context, auth: *mut AuthContext, key: *mut *mut Keyblock) -> Code;
    pub fn krb5_auth_con_setrecvsubkey(context: *mut Context, auth: *mut AuthContext, key: *mut Keyblock) -> Code;
    pub fn krb5_free_keyblock(context: *mut Context, key: *mut Keyblock);
    pub fn krb5_mk_priv(
        context: *mut Context,
        auth: *mut AuthContext,
        plain: *const Data,
        output: *mut Data,
        replay: *mut c_void,
    ) -> Code;
    pub fn krb5_rd_priv(
        context: *mut Context,
        auth: *mut AuthContext,
        input: *const Data,
        plain: *mut Data,
        replay: *mut c_void,
    ) -> Code;
    pub fn krb5_rd_rep(
        context: *mut Context,
        auth: *mut AuthContext,
        input: *const Data,
        part: *mut *mut ApRepPart,
    ) -> Code;
    pub fn krb5_free_ap_rep_enc_part(context: *mut Context, part: *mut ApRepPart);
    pub fn krb5_rd_error(context: *mut Context, input: *const Data, error: *mut *mut KrbError) -> Code;
    pub fn krb5_chpw_message(context: *mut Context, server: *const Data, text: *mut *mut c_char) -> Code;
    pub fn krb5_free_string(context: *mut Context, text: *mut c_char);
    pub fn krb5_rd_req(
        context: *mut Context,
        auth: *mut *mut AuthContext,
        input: *const Data,
        server: *const Principal,
        keytab: *mut Keytab,
        options: *mut i32,
        ticket: *mut *mut Ticket,
    ) -> Code;
    pub fn krb5_free_ticket(context: *mut Context, ticket: *mut Ticket);

    pub fn krb5_find_authdata(
        context: *mut Context,
        ticket: *const *mut Authdata,
        request: *const *mut Authdata,
        kind: i32,
        found: *mut *mut *mut Authdata,
    ) -> Code;
    pub fn krb5_free_authdata(context: *mut Context, authdata: *mut *mut Authdata);
    pub fn krb5_pac_parse(context: *mut Context, bytes: *const c_void, length: usize, pac: *mut *mut Pac) -> Code;
    pub fn krb5_pac_free(context: *mut Context, pac: *mut Pac);
    pub fn krb5_pac_verify(
        context: *mut Context,
        pac: *const Pac,
        authtime: Timestamp,
        principal: *const Principal,
        server_key: *const Keyblock,
        krbtgt_key: *const Keyblock,
    ) -> Code;
    pub fn krb5_pac_get_buffer(context: *mut Context, pac: *mut Pac, kind: u32, data: *mut Data) -> Code;
}
