//! GSSAPI (RFC 2743, RFC 4121) as far as LDAP's SASL layer needs it: an initiator whose ticket comes from a named ccache
//! and a named KDC, and a context that wraps and unwraps with privacy, or is bound to the TLS channel that has it.
//!
//! The service ticket is got here, step by step and before a deadline, and handed to the library in a ccache of its own:
//! the library finds it there and asks nobody. It reads the process' krb5 profile (`KRB5_CONFIG`) all the same, which
//! should be one that names no KDC. Wrapping and unwrapping never block.

use std::ffi::{CString, c_int, c_void};
use std::net::SocketAddr;
use std::ptr;
use std::time::Instant;

use crate::ccache::Ccache;
use crate::error::Kind;
use crate::gss_ffi as ffi;
use crate::principal::Principal;
use crate::profile::Profile;
use crate::service::service_ticket;

/// Why a GSSAPI call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What the caller may do about it.
    pub kind: ErrorKind,
    /// The library's words for the major and the minor status.
    text: String,
}

/// The failures that callers tell apart; everything else is [`ErrorKind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The KDC knows no such service principal: try another name of the server.
    UnknownService,
    /// The ccache is missing, empty or expired: get a new ticket.
    NoTicket,
    /// No KDC answered: try another one.
    KdcUnreachable,
    /// Clocks differ by more than five minutes.
    ClockSkew,
    /// The peer's token was not from the principal asked for, or was changed on its way.
    BadPeer,
    /// Anything else, in the library's words.
    Other,
}

/// Where the ticket of a context comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Kerberos realm, upper case.
    pub realm: String,
    /// The one KDC to ask for the service ticket.
    pub kdc: SocketAddr,
    /// Residual name of the ccache with the ticket-granting ticket; it is only read.
    pub ccache: String,
    /// When to stop waiting for the KDC.
    pub deadline: Instant,
}

/// What guards the bytes that follow the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The context itself, with integrity and privacy.
    Seal,
    /// A channel that is secure already. The context is bound to it by these bytes, the `application-data` of RFC 5056
    /// 2.1: it is of no use to whoever ends the channel elsewhere. Neither integrity nor privacy is asked for, because
    /// AD refuses both inside TLS (MS-ADTS 5.1.1.1.2).
    Channel(Vec<u8>),
    /// Nothing: to find out whether a server refuses that.
    Nothing,
}

/// An initiator whose context is not complete yet.
#[derive(Debug)]
pub struct Initiator {
    protection: Protection,
    credential: Credential,
    target: Name,
    context: Handle,
}

/// What a step of the exchange gave.
#[derive(Debug)]
pub enum Step {
    /// Send the token and go on with the peer's answer.
    Continue(Initiator, Vec<u8>),
    /// The context is complete. A token that is not empty is still to be sent.
    Established(Context, Vec<u8>),
}

/// A complete context with mutual authentication and, unless a channel has them, integrity and privacy.
#[derive(Debug)]
pub struct Context {
    handle: Handle,
}

impl Initiator {
    /// Begins a context to `target`, a full Kerberos principal such as `ldap/dc1.x.com/x.com@X.COM`: gets the ticket and
    /// gives the first token. Blocks while the KDC is asked.
    ///
    /// # Errors
    /// By kind; [`ErrorKind::NoTicket`] when the source's ccache is missing or its ticket is over.
    pub fn start(source: &Source, target: &str, protection: Protection) -> Result<Step, Error> {
        let profile = Profile::new(&source.realm, &[source.kdc]).ok_or_else(|| Error {
            kind: ErrorKind::Other,
            text: format!("{:?} is no name of a Kerberos realm", source.realm),
        })?;
        let context = crate::Context::new(&profile)?;
        let given = Ccache::resolve(&context, &source.ccache)?;
        let own = Ccache::memory(&context)?;
        given.copy_to(&own)?;
        let service = Principal::parse(&context, target)?;
        own.store(&service_ticket(&context, &given, &service, source.kdc, source.deadline)?)?;
        // The first token holds all of the ticket that is needed: `own` may go after it.
        Self::with_ccache(&own.memory_name(), target, protection)?.step(&[])
    }

    fn with_ccache(ccache: &str, target: &str, protection: Protection) -> Result<Self, Error> {
        Ok(Self {
            protection,
            credential: Credential::from_ccache(ccache)?,
            target: Name::principal(target)?,
            context: Handle::none(),
        })
    }

    /// Takes the peer's token and gives the next one.
    ///
    /// # Errors
    /// By kind; a context that would come without mutual authentication, or where it is to seal without integrity or
    /// privacy, is refused.
    pub fn step(mut self, token: &[u8]) -> Result<Step, Error> {
        const SEALING: u32 = ffi::FLAG_CONF | ffi::FLAG_INTEG;
        let (wanted, needed, channel) = match &self.protection {
            Protection::Seal => (ffi::FLAG_REPLAY | SEALING, SEALING, None),
            Protection::Channel(data) => (0, 0, Some(data.as_slice())),
            Protection::Nothing => (0, 0, None),
        };
        let (wanted, needed) = (wanted | ffi::FLAG_MUTUAL | ffi::FLAG_SEQUENCE, needed | ffi::FLAG_MUTUAL);
        let mut bindings = channel.map(|data| ffi::ChannelBindings {
            initiator_address_type: 0,
            initiator_address: borrowed(&[]),
            acceptor_address_type: 0,
            acceptor_address: borrowed(&[]),
            application_data: borrowed(data),
        });
        let mut input = borrowed(token);
        let mut output = Output::empty();
        let mut mech = ffi::oid(ffi::MECH_KRB5);
        let (mut minor, mut flags) = (0, 0);
        // SAFETY: credential, name and context are live handles of this library, owned by `self`; `input`, `mech`, the
        // bindings with their data and the out-parameters are valid for the call; null is allowed for the bindings, the
        // actual mechanism and the time.
        let major = unsafe {
            ffi::gss_init_sec_context(
                &raw mut minor,
                self.credential.0,
                &raw mut self.context.0,
                self.target.0,
                &raw mut mech,
                wanted,
                0,
                bindings.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
                &raw mut input,
                ptr::null_mut(),
                &raw mut output.0,
                &raw mut flags,
                ptr::null_mut(),
            )
        };
        check(major, minor)?;
        let token = output.to_vec();
        if major & ffi::CONTINUE_NEEDED != 0 {
            return Ok(Step::Continue(self, token));
        }
        if flags & needed != needed {
            let text = format!("the context lacks mutual authentication, integrity or privacy (flags {flags:#x})");
            return Err(Error { kind: ErrorKind::BadPeer, text });
        }
        Ok(Step::Established(Context { handle: self.context }, token))
    }
}

impl Context {
    /// Wraps `plain`, with privacy or (for SASL's negotiation, RFC 4752 3.1) with integrity alone.
    ///
    /// # Errors
    /// When the context has expired, or privacy was asked for and not applied.
    pub fn wrap(&mut self, plain: &[u8], privacy: bool) -> Result<Vec<u8>, Error> {
        let mut input = borrowed(plain);
        let mut output = Output::empty();
        let (mut minor, mut sealed): (_, c_int) = (0, 0);
        // SAFETY: the handle is a live context; the buffers and out-parameters are valid for the call.
        let major = unsafe {
            ffi::gss_wrap(
                &raw mut minor,
                self.handle.0,
                c_int::from(privacy),
                0,
                &raw mut input,
                &raw mut sealed,
                &raw mut output.0,
            )
        };
        check(major, minor)?;
        if privacy && sealed == 0 {
            return Err(Error { kind: ErrorKind::Other, text: "the mechanism did not seal".into() });
        }
        Ok(output.to_vec())
    }

    /// Takes a wrapped token apart. Gives the plain bytes, and whether they were sealed (not only signed).
    ///
    /// # Errors
    /// [`ErrorKind::BadPeer`] when the token is damaged, replayed or out of sequence.
    pub fn unwrap(&mut self, wrapped: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        let mut input = borrowed(wrapped);
        let mut output = Output::empty();
        let (mut minor, mut sealed): (_, c_int) = (0, 0);
        // SAFETY: the handle is a live context; the buffers and out-parameters are valid for the call; a null output
        // for the quality of protection is allowed.
        let major = unsafe {
            ffi::gss_unwrap(
                &raw mut minor,
                self.handle.0,
                &raw mut input,
                &raw mut output.0,
                &raw mut sealed,
                ptr::null_mut(),
            )
        };
        check(major, minor)?;
        // On a stream nothing may be lost, repeated or swapped: the supplementary bits that say so are errors here.
        if major != ffi::COMPLETE {
            return Err(Error { kind: ErrorKind::BadPeer, text: format!("token out of sequence (status {major:#x})") });
        }
        Ok((output.to_vec(), sealed != 0))
    }

    /// The integrity code of `message`, which travels beside it (RFC 2744 5.15).
    ///
    /// # Errors
    /// When the context has expired.
    pub fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut input = borrowed(message);
        let mut output = Output::empty();
        let mut minor = 0;
        // SAFETY: the handle is a live context; the buffers and out-parameters are valid for the call.
        let major = unsafe { ffi::gss_get_mic(&raw mut minor, self.handle.0, 0, &raw mut input, &raw mut output.0) };
        check(major, minor)?;
        Ok(output.to_vec())
    }

    /// Most plain bytes whose sealed form has at most `max_wrapped` bytes.
    ///
    /// # Errors
    /// When the context has expired.
    pub fn wrap_size_limit(&mut self, max_wrapped: u32) -> Result<u32, Error> {
        let (mut minor, mut limit) = (0, 0);
        // SAFETY: the handle is a live context; the out-parameters are valid for the call.
        let major =
            unsafe { ffi::gss_wrap_size_limit(&raw mut minor, self.handle.0, 1, 0, max_wrapped, &raw mut limit) };
        check(major, minor)?;
        Ok(limit)
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        let kind = match error.kind {
            Kind::UnknownServer => ErrorKind::UnknownService,
            Kind::Ccache => ErrorKind::NoTicket,
            // KRB5KRB_AP_ERR_TKT_EXPIRED, KRB5KDC_ERR_TGT_REVOKED, KRB5_FCC_NOFILE
            _ if matches!(error.code, -1_765_328_352 | -1_765_328_364 | -1_765_328_189) => ErrorKind::NoTicket,
            Kind::Unreachable | Kind::TimedOut => ErrorKind::KdcUnreachable,
            Kind::ClockSkew => ErrorKind::ClockSkew,
            Kind::BadReply => ErrorKind::BadPeer,
            _ => ErrorKind::Other,
        };
        Self { kind, text: error.message }
    }
}

#[derive(Debug)]
struct Credential(ffi::Credential);

#[derive(Debug)]
struct Name(ffi::Name);

#[derive(Debug)]
struct Handle(ffi::ContextHandle);

/// A buffer that the library filled.
struct Output(ffi::Buffer);

// SAFETY: MIT's handles hold no thread-local state and may be used from any thread, by one thread at a time; every
// call that changes one takes `&mut self` or `self`.
unsafe impl Send for Credential {}
// SAFETY: as for `Credential`.
unsafe impl Send for Name {}
// SAFETY: as for `Credential`.
unsafe impl Send for Handle {}

impl Credential {
    fn from_ccache(ccache: &str) -> Result<Self, Error> {
        let value = c_string(ccache)?;
        let mut element = ffi::KeyValue { key: c"ccache".as_ptr(), value: value.as_ptr() };
        let store = ffi::KeyValueSet { count: 1, elements: &raw mut element };
        let mut mech = ffi::oid(ffi::MECH_KRB5);
        let mut mechs = ffi::OidSet { count: 1, elements: &raw mut mech };
        let mut credential = Self(ptr::null_mut());
        let mut minor = 0;
        // SAFETY: the store, its strings and the set of mechanisms outlive the call; null outputs are allowed.
        let major = unsafe {
            ffi::gss_acquire_cred_from(
                &raw mut minor,
                ptr::null_mut(),
                ffi::INDEFINITE,
                &raw mut mechs,
                ffi::INITIATE,
                &raw const store,
                &raw mut credential.0,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check(major, minor).map_err(|error| Error { kind: ErrorKind::NoTicket, text: format!("{ccache}: {error}") })?;
        Ok(credential)
    }
}

impl Name {
    fn principal(principal: &str) -> Result<Self, Error> {
        let mut text = borrowed(principal.as_bytes());
        let mut kind = ffi::oid(ffi::NT_PRINCIPAL);
        let mut name = Self(ptr::null_mut());
        let mut minor = 0;
        // SAFETY: the text and the OID outlive the call, which copies them.
        let major = unsafe { ffi::gss_import_name(&raw mut minor, &raw mut text, &raw mut kind, &raw mut name.0) };
        check(major, minor)?;
        Ok(name)
    }
}

impl Handle {
    fn none() -> Self {
        Self(ptr::null_mut())
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is owned, and null is allowed.
        unsafe { ffi::gss_release_cred(&raw mut minor, &raw mut self.0) };
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is owned, and null is allowed.
        unsafe { ffi::gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is owned, null is allowed, and so is asking for no token.
        unsafe { ffi::gss_delete_sec_context(&raw mut minor, &raw mut self.0, ptr::null_mut()) };
    }
}

impl Output {
    fn empty() -> Self {
        Self(ffi::Buffer { length: 0, value: ptr::null_mut() })
    }

    fn to_vec(&self) -> Vec<u8> {
        if self.0.value.is_null() {
            return Vec::new();
        }
        // SAFETY: the library set `value` and `length` together, and the buffer lives until `drop`.
        unsafe { std::slice::from_raw_parts(self.0.value.cast::<u8>(), self.0.length) }.to_vec()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer was filled by the library, or is empty, which is allowed.
        unsafe { ffi::gss_release_buffer(&raw mut minor, &raw mut self.0) };
    }
}

/// A buffer that the library reads; it is declared without const but not written to (RFC 2744, 5.x "read").
fn borrowed(bytes: &[u8]) -> ffi::Buffer {
    ffi::Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast::<c_void>() }
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error { kind: ErrorKind::Other, text: "a name holds a NUL byte".into() })
}

fn check(major: ffi::Status, minor: ffi::Status) -> Result<(), Error> {
    if major & ffi::ERROR_MASK == 0 {
        return Ok(());
    }
    let routine = display(major, ffi::GSS_CODE);
    let mechanism = display(minor, ffi::MECH_CODE);
    let text = if mechanism.is_empty() { routine } else { format!("{mechanism} ({routine})") };
    Err(Error { kind: kind(major, minor), text })
}

/// Sorts by the routine error (RFC 2744 3.9.1) and by libkrb5's codes (`krb5.h`), which the krb5 mechanism passes on.
fn kind(major: ffi::Status, minor: ffi::Status) -> ErrorKind {
    const BAD_SIG: u32 = 6;
    const NO_CRED: u32 = 7;
    const DEFECTIVE_TOKEN: u32 = 9;
    const CREDENTIALS_EXPIRED: u32 = 11;
    match minor as i32 {
        // KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN, KRB5KDC_ERR_SERVER_NOMATCH
        -1_765_328_377 | -1_765_328_358 => return ErrorKind::UnknownService,
        // KRB5_REALM_UNKNOWN, KRB5_KDC_UNREACH, KRB5_REALM_CANT_RESOLVE
        -1_765_328_230 | -1_765_328_228 | -1_765_328_164 => return ErrorKind::KdcUnreachable,
        // KRB5KRB_AP_ERR_SKEW
        -1_765_328_347 => return ErrorKind::ClockSkew,
        // KRB5KRB_AP_ERR_TKT_EXPIRED, KRB5_CC_NOTFOUND, KRB5_FCC_NOFILE, KRB5KDC_ERR_TGT_REVOKED
        -1_765_328_352 | -1_765_328_243 | -1_765_328_189 | -1_765_328_364 => return ErrorKind::NoTicket,
        // KRB5KRB_AP_ERR_MODIFIED
        -1_765_328_343 => return ErrorKind::BadPeer,
        _ => {}
    }
    match (major >> 16) & 0xff {
        NO_CRED | CREDENTIALS_EXPIRED => ErrorKind::NoTicket,
        BAD_SIG | DEFECTIVE_TOKEN => ErrorKind::BadPeer,
        _ => ErrorKind::Other,
    }
}

fn display(status: ffi::Status, kind: c_int) -> String {
    let mut text = Output::empty();
    let mut mech = ffi::oid(ffi::MECH_KRB5);
    let (mut minor, mut more) = (0, 0);
    // SAFETY: the OID and the out-parameters are valid for the call. Only the first message is asked for: the krb5
    // mechanism has no others.
    let major =
        unsafe { ffi::gss_display_status(&raw mut minor, status, kind, &raw mut mech, &raw mut more, &raw mut text.0) };
    if major & ffi::ERROR_MASK != 0 {
        return format!("status {status:#x}");
    }
    String::from_utf8_lossy(&text.to_vec()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ccache: &str) -> Source {
        let kdc = SocketAddr::from(([127, 0, 0, 1], 9));
        Source { realm: "EXAMPLE.COM".into(), kdc, ccache: ccache.into(), deadline: Instant::now() }
    }

    #[test]
    fn a_missing_ccache_is_no_ticket() {
        let error =
            Initiator::start(&source("FILE:/nonexistent/ccache"), "ldap/dc.example.com@EXAMPLE.COM", Protection::Seal)
                .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoTicket);
        assert!(error.to_string().contains("/nonexistent/ccache"), "{error}");
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert_eq!(
            Initiator::start(&source("FILE:/a\0b"), "ldap/x@Y", Protection::Seal).unwrap_err().kind,
            ErrorKind::Other
        );
    }

    #[test]
    fn errors_are_sorted() {
        assert_eq!(kind(13 << 16, -1_765_328_377_i32 as u32), ErrorKind::UnknownService);
        assert_eq!(kind(13 << 16, -1_765_328_228_i32 as u32), ErrorKind::KdcUnreachable);
        assert_eq!(kind(11 << 16, 0), ErrorKind::NoTicket);
        assert_eq!(kind(6 << 16, 0), ErrorKind::BadPeer);
        assert_eq!(kind(13 << 16, 0), ErrorKind::Other);
    }
}
