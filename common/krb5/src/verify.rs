//! Proves the KDC with the machine's own key, and reads the PAC that only the real KDC can have signed. FFI edge.
//!
//! A password that a KDC accepts proves nothing while the KDC itself may be false. So a ticket for this machine is
//! asked for and opened with the keytab: a false KDC does not have that key. Replaying a ticket that the real KDC once
//! issued does not help it either: our authenticator is made with the session key of this very exchange, and the key
//! inside the old ticket is another one.

use std::ffi::c_void;
use std::net::SocketAddr;
use std::ptr::{null, null_mut};
use std::time::Instant;

use crate::ccache::{Ccache, Credentials};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::ffi;
use crate::keytab::Keytab;
use crate::pac::{self, AccountSid};
use crate::principal::{Principal, unparse};
use crate::service::service_ticket;

/// What the machine's ticket says of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Client of the ticket, as the KDC wrote it.
    pub client: String,
    /// SID of the account, from the PAC's logon information; `None` where the KDC issues none (it is not AD).
    pub sid: Option<AccountSid>,
}

/// Verifies the KDC that issued `tgt`: gets a ticket for `machine` (`HOST$@REALM`) with it, from the same KDC, and
/// opens that with `keytab`; then checks the PAC's signature and reads it.
///
/// # Errors
/// Of the TGS exchange as [`service_ticket`]; [`Kind::WrongPassword`] is never among them: a ticket that the keytab
/// does not open is [`Kind::BadReply`], a key version that it lacks [`Kind::Keytab`].
pub fn verify(
    context: &Context,
    tgt: &Credentials<'_>,
    keytab: &Keytab<'_>,
    machine: &Principal<'_>,
    kdc: SocketAddr,
    deadline: Instant,
) -> Result<Verified, Error> {
    let ccache = Ccache::memory(context)?;
    let client = Principal::parse(context, &tgt.client()?)?;
    ccache.initialize(&client)?;
    ccache.store(tgt)?;
    let mut ticket = service_ticket(context, &ccache, machine, kdc, deadline).map_err(not_a_password)?;
    let request = ApRequest::make(context, &mut ticket)?;
    let opened = OpenedTicket::read(context, &request, machine, keytab).map_err(not_a_password)?;
    opened.verified(keytab)
}

/// BAD_INTEGRITY means "wrong password" in an AS exchange; here the keys are the KDC's and the machine's.
fn not_a_password(error: Error) -> Error {
    if error.kind == Kind::WrongPassword { Error { kind: Kind::BadReply, ..error } } else { error }
}

/// A KRB_AP_REQ that we send to ourselves.
struct ApRequest<'c> {
    context: &'c Context,
    auth: *mut ffi::AuthContext,
    message: ffi::Data,
}

impl<'c> ApRequest<'c> {
    fn make(context: &'c Context, ticket: &mut Credentials<'_>) -> Result<Self, Error> {
        let mut request = Self { context, auth: null_mut(), message: ffi::Data::EMPTY };
        // SAFETY: all are live; the results are freed by Drop.
        context.check(unsafe {
            ffi::krb5_mk_req_extended(
                context.raw(),
                &raw mut request.auth,
                0,
                null_mut(),
                &raw mut ticket.raw,
                &raw mut request.message,
            )
        })?;
        Ok(request)
    }
}

impl Drop for ApRequest<'_> {
    fn drop(&mut self) {
        // SAFETY: both are ours or empty.
        unsafe {
            ffi::krb5_free_data_contents(self.context.raw(), &raw mut self.message);
            if !self.auth.is_null() {
                ffi::krb5_auth_con_free(self.context.raw(), self.auth);
            }
        }
    }
}

/// The machine's ticket, decrypted.
struct OpenedTicket<'c> {
    context: &'c Context,
    auth: *mut ffi::AuthContext,
    raw: *mut ffi::Ticket,
}

impl<'c> OpenedTicket<'c> {
    fn read(
        context: &'c Context,
        request: &ApRequest<'_>,
        machine: &Principal<'_>,
        keytab: &Keytab<'_>,
    ) -> Result<Self, Error> {
        let mut ticket = Self { context, auth: null_mut(), raw: null_mut() };
        // SAFETY: the context is live, `auth` a place for the result; freed by Drop.
        context.check(unsafe { ffi::krb5_auth_con_init(context.raw(), &raw mut ticket.auth) })?;
        // No DO_TIME: the request never left this process, so there is nothing to replay and no replay cache to fill.
        // SAFETY: both are live.
        context.check(unsafe { ffi::krb5_auth_con_setflags(context.raw(), ticket.auth, 0) })?;
        // SAFETY: all are live; the ticket is freed by Drop.
        context.check(unsafe {
            ffi::krb5_rd_req(
                context.raw(),
                &raw mut ticket.auth,
                &raw const request.message,
                machine.raw(),
                keytab.raw(),
                null_mut(),
                &raw mut ticket.raw,
            )
        })?;
        Ok(ticket)
    }

    fn verified(&self, keytab: &Keytab<'_>) -> Result<Verified, Error> {
        // SAFETY: `krb5_rd_req` succeeded: the ticket and its decrypted part are live as long as `self`.
        let (ticket, inner) = unsafe {
            let ticket = self.raw.as_ref();
            (ticket, ticket.and_then(|ticket| ticket.enc_part2.as_ref()))
        };
        let (Some(ticket), Some(inner)) = (ticket, inner) else {
            return Err(Error::ours(Kind::Other, "libkrb5 gave no decrypted ticket"));
        };
        // SAFETY: the ticket's client is live.
        let client = unsafe { unparse(self.context, inner.client) }?;
        let mut sid = None;
        if let Some(bytes) = self.pac_of(inner)? {
            let pac = Pac::parse(self.context, &bytes)?;
            pac.verify(ticket, inner, keytab)?;
            if let Some(info) = pac.logon_info() {
                sid = Some(pac::account_sid(&info).map_err(|error| Error::ours(Kind::BadReply, error.to_string()))?);
            }
        }
        Ok(Verified { client, sid })
    }

    /// The PAC's bytes, from within AD-IF-RELEVANT (MS-KILE 3.3.5.3.2); `None` where the ticket has none.
    fn pac_of(&self, inner: &ffi::EncTicketPart) -> Result<Option<Vec<u8>>, Error> {
        if inner.authorization_data.is_null() {
            return Ok(None);
        }
        let mut found = null_mut();
        // SAFETY: the authorization data is a live null-terminated list; the result is ours to free.
        self.context.check(unsafe {
            ffi::krb5_find_authdata(
                self.context.raw(),
                inner.authorization_data,
                null(),
                ffi::AUTHDATA_WIN2K_PAC,
                &raw mut found,
            )
        })?;
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: `found` is a null-terminated list of live entries; it is freed once, after the copy.
        unsafe {
            let first = (*found).as_ref();
            let bytes = first
                .filter(|first| !first.contents.is_null())
                .map(|first| std::slice::from_raw_parts(first.contents, first.length as usize).to_vec());
            ffi::krb5_free_authdata(self.context.raw(), found);
            Ok(bytes)
        }
    }
}

impl Drop for OpenedTicket<'_> {
    fn drop(&mut self) {
        // SAFETY: both are ours or null.
        unsafe {
            if !self.raw.is_null() {
                ffi::krb5_free_ticket(self.context.raw(), self.raw);
            }
            if !self.auth.is_null() {
                ffi::krb5_auth_con_free(self.context.raw(), self.auth);
            }
        }
    }
}

struct Pac<'c> {
    context: &'c Context,
    raw: *mut ffi::Pac,
}

impl<'c> Pac<'c> {
    fn parse(context: &'c Context, bytes: &[u8]) -> Result<Self, Error> {
        let mut raw = null_mut();
        // SAFETY: the bytes are readable for their length and copied by libkrb5; `raw` takes the result.
        context.check(unsafe {
            ffi::krb5_pac_parse(context.raw(), bytes.as_ptr().cast::<c_void>(), bytes.len(), &raw mut raw)
        })?;
        Ok(Self { context, raw })
    }

    /// Checks the server signature with the key that opened the ticket, and that the PAC was made for this client at
    /// this time (MS-PAC 2.7, 2.8.1).
    fn verify(&self, ticket: &ffi::Ticket, inner: &ffi::EncTicketPart, keytab: &Keytab<'_>) -> Result<(), Error> {
        let mut entry = ffi::KeytabEntry::EMPTY;
        // SAFETY: all are live; on success the entry is ours and freed once, after the key was used.
        unsafe {
            self.context.check(ffi::krb5_kt_get_entry(
                self.context.raw(),
                keytab.raw(),
                ticket.server,
                ticket.enc_part.kvno,
                ticket.enc_part.enctype,
                &raw mut entry,
            ))?;
            let code = ffi::krb5_pac_verify(
                self.context.raw(),
                self.raw,
                inner.times.authtime,
                inner.client,
                &raw const entry.key,
                null(),
            );
            let outcome = self.context.check(code).map_err(not_a_password);
            ffi::krb5_free_keytab_entry_contents(self.context.raw(), &raw mut entry);
            outcome
        }
    }

    /// The buffer of type 1 (MS-PAC 2.4), where the PAC has one.
    fn logon_info(&self) -> Option<Vec<u8>> {
        let mut data = ffi::Data::EMPTY;
        // SAFETY: context and PAC are live; a success fills `data`, which is ours to free (`take_data`).
        let code =
            unsafe { ffi::krb5_pac_get_buffer(self.context.raw(), self.raw, ffi::PAC_LOGON_INFO, &raw mut data) };
        (code == 0).then(|| self.context.take_data(data))
    }
}

impl Drop for Pac<'_> {
    fn drop(&mut self) {
        // SAFETY: the PAC is ours.
        unsafe { ffi::krb5_pac_free(self.context.raw(), self.raw) }
    }
}
