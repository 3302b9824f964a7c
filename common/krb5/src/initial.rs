//! Initial tickets: the AS exchange (RFC 4120 3.1), with one KDC and one deadline. FFI edge.

use std::net::SocketAddr;
use std::ptr::null_mut;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ccache::{Ccache, Credentials};
use crate::context::{Context, c_string};
use crate::error::{Error, Kind};
use crate::ffi;
use crate::keytab::Keytab;
use crate::password::Password;
use crate::principal::Principal;
use crate::transport::Connection;

/// Most requests of one attempt: FAST negotiation, hints, proof, and one of several steps.
const MAX_REQUESTS: u32 = 6;
/// KDC_ERR_PREAUTH_REQUIRED
const PREAUTH_REQUIRED: u32 = 25;
/// KDC_ERR_PREAUTH_EXPIRED (RFC 6113): the cookie was too old, nothing was judged.
const PREAUTH_EXPIRED: u32 = 90;
/// KDC_ERR_MORE_PREAUTH_DATA_REQUIRED (RFC 6113)
const MORE_PREAUTH_DATA: u32 = 91;
/// KDC_ERR_WRONG_REALM: a referral.
const WRONG_REALM: u32 = 68;

/// What proves who is asking.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// A person's password.
    Password(&'a Password),
    /// A machine's key.
    Keytab(&'a Keytab<'a>),
}

/// FAST armor (RFC 6113): the exchange runs inside the machine's session with the KDC.
#[derive(Clone, Copy, Debug)]
pub struct Armor<'a> {
    /// Residual name of a ccache with a live TGT.
    pub ccache: &'a str,
    /// Fail with [`Kind::NoFast`] where the KDC does not offer FAST, instead of going on without.
    pub required: bool,
}

/// One attempt to get an initial ticket.
pub struct InitialRequest<'a> {
    /// Who is asking.
    pub client: &'a Principal<'a>,
    /// The proof.
    pub secret: Secret<'a>,
    /// The one KDC to ask.
    pub kdc: SocketAddr,
    /// Realm of the ticket; a referral to another one is refused.
    pub realm: &'a str,
    /// When all of it has to be over.
    pub deadline: Instant,
    /// FAST armor, where there is one.
    pub armor: Option<Armor<'a>>,
    /// Whether the KDC may answer with the account's canonical name (needed for enterprise names).
    pub canonicalize: bool,
    /// Another service than `krbtgt/REALM`, such as `kadmin/changepw`.
    pub service: Option<&'a str>,
    /// Gets the ticket and what libkrb5 learned about the KDC (that it offers FAST, for one).
    pub ccache: Option<&'a Ccache<'a>>,
}

/// Runs the exchange and gives the ticket. A wrong password costs exactly one request that carries proof of it: where
/// libkrb5 would go on to another mechanism after a refusal, this stops.
///
/// # Errors
/// The KDC's answer by [`Kind`]; [`Kind::TimedOut`] and [`Kind::Unreachable`] when there was none.
pub fn initial<'c>(context: &'c Context, request: &InitialRequest<'_>) -> Result<Credentials<'c>, Error> {
    run(context, request, None)
}

/// As [`initial`], for those who know another KDC: gives this one up where it does not take a connection or leaves the
/// first request unanswered for as long as `patience`. That request holds no proof yet (RFC 4120 3.1.1), so whoever is
/// asked next is the first who gets one.
///
/// # Errors
/// As [`initial`]; [`Kind::Silent`] where the KDC was given up, and has got nothing that was made with the secret.
pub fn initial_unless_silent<'c>(
    context: &'c Context,
    request: &InitialRequest<'_>,
    patience: Duration,
) -> Result<Credentials<'c>, Error> {
    run(context, request, Some(patience))
}

fn run<'c>(
    context: &'c Context,
    request: &InitialRequest<'_>,
    patience: Option<Duration>,
) -> Result<Credentials<'c>, Error> {
    let exchange = Exchange::start(context, request)?;
    let mut reply = Vec::new();
    for sent in 0..MAX_REQUESTS {
        let Some(message) = exchange.step(&mut reply, request.realm)? else {
            return exchange.credentials();
        };
        let soon = |patience: Option<Duration>| {
            patience.map_or(request.deadline, |patience| request.deadline.min(Instant::now() + patience))
        };
        // The second request may hold a proof, and has not left before the connection is there.
        let connecting = patience.filter(|_| sent <= 1);
        let opened = Connection::open(request.kdc, soon(connecting));
        let connection = opened.map_err(|error| silent_if(connecting.is_some(), error))?;
        let answering = patience.filter(|_| sent == 0);
        let answered = connection.until(soon(answering)).exchange(&message);
        reply = answered.map_err(|error| silent_if(answering.is_some(), error))?;
    }
    Err(Error::ours(Kind::BadReply, "the KDC kept asking for more"))
}

fn silent_if(may_be_left: bool, error: Error) -> Error {
    match error.kind {
        Kind::TimedOut | Kind::Unreachable if may_be_left => Error { kind: Kind::Silent, ..error },
        _ => error,
    }
}

struct Exchange<'c> {
    context: &'c Context,
    raw: *mut ffi::InitCreds,
    options: *mut ffi::InitOptions,
}

impl<'c> Exchange<'c> {
    fn start(context: &'c Context, request: &InitialRequest<'_>) -> Result<Self, Error> {
        let mut exchange = Self { context, raw: null_mut(), options: null_mut() };
        exchange.set_options(request)?;
        // SAFETY: context, principal and options are live; no prompter: nothing is ever asked; `raw` takes the result.
        context.check(unsafe {
            ffi::krb5_init_creds_init(
                context.raw(),
                request.client.raw(),
                null_mut(),
                null_mut(),
                0,
                exchange.options,
                &raw mut exchange.raw,
            )
        })?;
        exchange.set_secret(request.secret)?;
        if let Some(service) = request.service {
            let service = c_string(service)?;
            // SAFETY: context and exchange are live, `service` is a C string that libkrb5 copies.
            let code = unsafe { ffi::krb5_init_creds_set_service(context.raw(), exchange.raw, service.as_ptr()) };
            context.check(code)?;
        }
        Ok(exchange)
    }

    fn set_options(&mut self, request: &InitialRequest<'_>) -> Result<(), Error> {
        let context = self.context;
        // SAFETY: the context is live, `options` a place for the result; freed by Drop.
        context.check(unsafe { ffi::krb5_get_init_creds_opt_alloc(context.raw(), &raw mut self.options) })?;
        if request.canonicalize {
            // SAFETY: the options are live.
            unsafe { ffi::krb5_get_init_creds_opt_set_canonicalize(self.options, 1) };
        }
        if let Some(armor) = request.armor {
            let name = c_string(armor.ccache)?;
            // SAFETY: context and options are live; libkrb5 copies the name.
            context.check(unsafe {
                ffi::krb5_get_init_creds_opt_set_fast_ccache_name(context.raw(), self.options, name.as_ptr())
            })?;
            let flags = if armor.required { ffi::FAST_REQUIRED } else { 0 };
            // SAFETY: context and options are live.
            let code = unsafe { ffi::krb5_get_init_creds_opt_set_fast_flags(context.raw(), self.options, flags) };
            context.check(code)?;
        }
        if let Some(ccache) = request.ccache {
            // SAFETY: context, options and cache are live; the request, and with it the cache, outlives the exchange.
            context.check(unsafe {
                ffi::krb5_get_init_creds_opt_set_out_ccache(context.raw(), self.options, ccache.raw())
            })?;
        }
        Ok(())
    }

    fn set_secret(&self, secret: Secret<'_>) -> Result<(), Error> {
        let context = self.context;
        // SAFETY: context and exchange are live; libkrb5 copies the password (and zeroes its copy when freed) and
        // reads the keys that it needs out of the keytab, which lives as long as the request.
        context.check(unsafe {
            match secret {
                Secret::Password(password) => {
                    ffi::krb5_init_creds_set_password(context.raw(), self.raw, password.as_c_str().as_ptr())
                }
                Secret::Keytab(keytab) => ffi::krb5_init_creds_set_keytab(context.raw(), self.raw, keytab.raw()),
            }
        })
    }

    /// Takes the KDC's reply (empty at first) and gives the next request; `None` when the ticket is there.
    fn step(&self, reply: &mut [u8], realm: &str) -> Result<Option<Vec<u8>>, Error> {
        let context = self.context;
        let mut input = ffi::Data { magic: 0, length: reply.len() as u32, data: reply.as_mut_ptr().cast() };
        let (mut output, mut target) = (ffi::Data::EMPTY, ffi::Data::EMPTY);
        let mut flags = 0;
        // SAFETY: context and exchange are live; `input` is only read; the outputs are ours to free (`take_data`).
        let code = unsafe {
            ffi::krb5_init_creds_step(
                context.raw(),
                self.raw,
                &raw mut input,
                &raw mut output,
                &raw mut target,
                &raw mut flags,
            )
        };
        let outcome = context.check(code);
        let (message, target) = (context.take_data(output), context.take_data(target));
        outcome.map_err(|error| self.with_skew(error))?;
        if flags & ffi::STEP_CONTINUE == 0 {
            return Ok(None);
        }
        self.refuse_further_tries()?;
        if target != realm.as_bytes() {
            let other = String::from_utf8_lossy(&target).into_owned();
            return Err(Error::ours(Kind::WrongRealm, format!("the account belongs to the realm {other}")));
        }
        Ok(Some(message))
    }

    /// Says of a clock skew how large it is, where the KDC told its time.
    fn with_skew(&self, error: Error) -> Error {
        if error.kind != Kind::ClockSkew {
            return error;
        }
        let mut said = null_mut();
        // SAFETY: context and exchange are live; a non-null result is ours, read and then freed once.
        let kdc_time = unsafe {
            let code = ffi::krb5_init_creds_get_error(self.context.raw(), self.raw, &raw mut said);
            let time = said.as_ref().filter(|_| code == 0).map(|said| i64::from(said.stime.cast_unsigned()));
            if !said.is_null() {
                ffi::krb5_free_error(self.context.raw(), said);
            }
            time
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        Error { ahead: kdc_time.map(|kdc_time| now - kdc_time), ..error }
    }

    /// libkrb5 wants to send another request. That is right after a question of the KDC, and wrong after a refusal.
    fn refuse_further_tries(&self) -> Result<(), Error> {
        let context = self.context;
        let mut error = null_mut();
        // SAFETY: context and exchange are live; a non-null result is ours, read and then freed once.
        let (number, words) = unsafe {
            context.check(ffi::krb5_init_creds_get_error(context.raw(), self.raw, &raw mut error))?;
            let Some(found) = error.as_ref() else { return Ok(()) };
            let number = found.error;
            let words = text_of(&found.text);
            ffi::krb5_free_error(context.raw(), error);
            (number, words)
        };
        match number {
            PREAUTH_REQUIRED | PREAUTH_EXPIRED | MORE_PREAUTH_DATA | WRONG_REALM => Ok(()),
            _ => {
                let refusal = context.check(Error::of_kdc(number, String::new()).code);
                Err(self.with_skew(refusal.err().unwrap_or_else(|| Error::of_kdc(number, words))))
            }
        }
    }

    fn credentials(&self) -> Result<Credentials<'c>, Error> {
        let mut credentials = Credentials::empty(self.context);
        // SAFETY: context and exchange are live; a success fills the credentials, which free themselves.
        let code = unsafe { ffi::krb5_init_creds_get_creds(self.context.raw(), self.raw, &raw mut credentials.raw) };
        self.context.check(code)?;
        Ok(credentials)
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        // SAFETY: both are ours or null, which libkrb5 accepts; the exchange goes first, it may look at the options.
        unsafe {
            if !self.raw.is_null() {
                ffi::krb5_init_creds_free(self.context.raw(), self.raw);
            }
            if !self.options.is_null() {
                ffi::krb5_get_init_creds_opt_free(self.context.raw(), self.options);
            }
        }
    }
}

/// # Safety
/// `data` describes readable bytes, or none.
unsafe fn text_of(data: &ffi::Data) -> String {
    if data.data.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(data.data.cast::<u8>(), data.length as usize) };
    String::from_utf8_lossy(bytes).into_owned()
}
