//! Service tickets: the TGS exchange (RFC 4120 3.3), with one KDC and one deadline, or carried by the caller. FFI edge.

use std::net::SocketAddr;
use std::ptr::null_mut;
use std::time::Instant;

use crate::ccache::{Ccache, Credentials};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::ffi;
use crate::principal::Principal;
use crate::transport;

/// Most requests: the ticket itself, and what libkrb5 asks again without canonicalization.
const MAX_REQUESTS: u32 = 4;

/// Gets a ticket for `service` with the TGT in `ccache` (whose owner is the client) from exactly this KDC.
///
/// # Errors
/// The KDC's answer by [`Kind`]; [`Kind::TimedOut`] and [`Kind::Unreachable`] when there was none.
pub fn service_ticket<'c>(
    context: &'c Context,
    ccache: &Ccache<'_>,
    service: &Principal<'_>,
    kdc: SocketAddr,
    deadline: Instant,
) -> Result<Credentials<'c>, Error> {
    ticket_with(context, ccache, service, 0, kdc, deadline)
}

/// As [`service_ticket`], where the caller carries each request itself: `carry` is given the realm whose KDC is to be asked
/// and the request, and gives the reply. So a ticket of another realm can be had: the caller finds that realm's KDC.
///
/// # Errors
/// The KDC's answer by [`Kind`]; what `carry` gave, such as [`Error::undelivered`].
pub fn service_ticket_by<'c>(
    context: &'c Context,
    ccache: &Ccache<'_>,
    service: &Principal<'_>,
    carry: impl FnMut(&str, &[u8]) -> Result<Vec<u8>, Error>,
) -> Result<Credentials<'c>, Error> {
    carried(context, ccache, service, 0, carry)
}

/// Gets a ticket for `service` with the TGT in `ccache`, in whatever realm the service is: libkrb5 finds the KDCs on the way
/// by the context's configuration, the host's among it ([`Context::before_host`]), and does the waiting. Call it in a
/// process that somebody ends. What was got on the way is kept in `ccache`.
///
/// # Errors
/// The KDC's answer by [`Kind`]; [`Kind::Unreachable`] where none of a realm's KDCs answered, also where libkrb5 lacks
/// the plugin (k5tls) or the authority for an `https:` one.
pub fn service_ticket_anywhere<'c>(
    context: &'c Context,
    ccache: &Ccache<'_>,
    service: &Principal<'_>,
) -> Result<Credentials<'c>, Error> {
    let exchange = Exchange::start(context, ccache, service, 0)?;
    // SAFETY: context and exchange are live.
    context.check(unsafe { ffi::krb5_tkt_creds_get(context.raw(), exchange.raw) })?;
    exchange.credentials()
}

/// As [`service_ticket`], with a session key of this encryption type and no other; 0 leaves it to libkrb5.
///
/// # Errors
/// As [`service_ticket`]; [`Kind::EtypeNotSupported`] where the KDC does not give such a key.
pub(crate) fn ticket_with<'c>(
    context: &'c Context,
    ccache: &Ccache<'_>,
    service: &Principal<'_>,
    enctype: i32,
    kdc: SocketAddr,
    deadline: Instant,
) -> Result<Credentials<'c>, Error> {
    // Whatever realm libkrb5 names, the request goes to the one KDC: a referral ends there with an error of its own.
    carried(context, ccache, service, enctype, |_, message| transport::exchange(kdc, message, deadline))
}

fn carried<'c>(
    context: &'c Context,
    ccache: &Ccache<'_>,
    service: &Principal<'_>,
    enctype: i32,
    mut carry: impl FnMut(&str, &[u8]) -> Result<Vec<u8>, Error>,
) -> Result<Credentials<'c>, Error> {
    let exchange = Exchange::start(context, ccache, service, enctype)?;
    let mut reply = Vec::new();
    for _ in 0..MAX_REQUESTS {
        let Some((realm, message)) = exchange.step(&mut reply)? else {
            return exchange.credentials();
        };
        reply = carry(&realm, &message)?;
    }
    Err(Error::ours(Kind::BadReply, "the KDC kept referring to other services"))
}

struct Exchange<'c> {
    context: &'c Context,
    raw: *mut ffi::TicketCreds,
}

impl<'c> Exchange<'c> {
    fn start(context: &'c Context, ccache: &Ccache<'_>, service: &Principal<'_>, enctype: i32) -> Result<Self, Error> {
        let client = ccache.owner()?;
        let mut wanted = ffi::Creds { client: client.raw(), server: service.raw(), ..ffi::Creds::EMPTY };
        wanted.keyblock.enctype = enctype;
        let mut raw = null_mut();
        // SAFETY: all are live for the call; libkrb5 copies `wanted`, whose principals stay ours.
        context.check(unsafe {
            ffi::krb5_tkt_creds_init(context.raw(), ccache.raw(), &raw mut wanted, 0, &raw mut raw)
        })?;
        Ok(Self { context, raw })
    }

    /// Takes the KDC's reply (empty at first) and gives the next request with the realm that it is for; `None` when the
    /// ticket is there.
    fn step(&self, reply: &mut [u8]) -> Result<Option<(String, Vec<u8>)>, Error> {
        let context = self.context;
        let mut input = ffi::Data { magic: 0, length: reply.len() as u32, data: reply.as_mut_ptr().cast() };
        let (mut output, mut realm) = (ffi::Data::EMPTY, ffi::Data::EMPTY);
        let mut flags = 0;
        // SAFETY: context and exchange are live; `input` is only read; the outputs are ours to free (`take_data`).
        let code = unsafe {
            ffi::krb5_tkt_creds_step(
                context.raw(),
                self.raw,
                &raw mut input,
                &raw mut output,
                &raw mut realm,
                &raw mut flags,
            )
        };
        let outcome = context.check(code);
        let message = context.take_data(output);
        let realm = context.take_data(realm);
        outcome?;
        Ok((flags & ffi::STEP_CONTINUE != 0).then(|| (String::from_utf8_lossy(&realm).into_owned(), message)))
    }

    fn credentials(&self) -> Result<Credentials<'c>, Error> {
        let mut credentials = Credentials::empty(self.context);
        // SAFETY: context and exchange are live; a success fills the credentials, which free themselves.
        let code = unsafe { ffi::krb5_tkt_creds_get_creds(self.context.raw(), self.raw, &raw mut credentials.raw) };
        self.context.check(code)?;
        Ok(credentials)
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        // SAFETY: the exchange is ours.
        unsafe { ffi::krb5_tkt_creds_free(self.context.raw(), self.raw) }
    }
}
