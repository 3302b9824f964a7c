//! Changing a password: the protocol of RFC 3244 (2, version 1) with one server and one deadline. FFI edge.
//!
//! libkrb5's own `krb5_change_password` picks servers, retries and waits as it likes, and does not tell a change that
//! was refused from one whose answer was lost.

use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};
use std::ptr::null_mut;
use std::time::Instant;

use crate::ccache::Credentials;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::ffi;
use crate::password::Password;
use crate::transport::Connection;

/// The version whose user data is the new password alone; every server knows it.
const VERSION: u16 = 1;
/// Length, version and length of the AP message (RFC 3244 2).
const HEAD: usize = 6;
/// First byte of a KRB-ERROR: application tag 30 (RFC 4120 5.9.1).
const KRB_ERROR: u8 = 0x7e;
/// KRB5_KPASSWD_SUCCESS
const SUCCESS: u16 = 0;

/// KRB5_KPASSWD_HARDERROR
const HARD_ERROR: u16 = 2;

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAnswer {
    /// The password is the new one.
    Changed,
    /// It is still the old one.
    Refused {
        /// Result code (RFC 3244 2): 1 malformed, 2 hard error, 3 authentication, 4 policy, 5 access, 6 version,
        /// 7 the ticket is not an initial one.
        code: u16,
        /// The server's own words; AD's binary policy (MS-KILE 3.3.5.1) in words.
        words: String,
        /// Whether the server's key proves that it said so. An error in clear (KRB-ERROR) may be anybody's, who let the
        /// request pass.
        proven: bool,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The server has seen nothing: the password is still the old one.
    NotSent(Error),
    /// The new password was sent. Whether it counts is not known.
    Unanswered(Error),
}

/// Sends `new` to the kpasswd `server`, with an initial ticket for `kadmin/changepw` that the old password got.
///
/// # Errors
/// [`ChangeError`], which says what is known of the password then.
pub fn change_password(
    context: &Context,
    ticket: &mut Credentials<'_>,
    new: &Password,
    server: SocketAddr,
    deadline: Instant,
) -> Result<ChangeAnswer, ChangeError> {
    let (session, message, connection) = (|| {
        let mut session = Session::new(context);
        let ap_req = session.ap_req(ticket)?;
        let connection = Connection::open(server, deadline)?;
        let message = session.seal(connection.local()?, new)?;
        Ok((session, frame(&ap_req, &message)?, connection))
    })()
    .map_err(ChangeError::NotSent)?;
    let reply = connection.exchange(&message).map_err(ChangeError::Unanswered)?;
    session.read(&reply).map_err(ChangeError::Unanswered)
}

fn frame(ap_req: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let short = |length: usize| {
        u16::try_from(length).map_err(|_| Error::ours(Kind::Input, "a ticket too long for the kpasswd protocol"))
    };
    let mut message = Vec::with_capacity(HEAD + ap_req.len() + sealed.len());
    message.extend_from_slice(&short(HEAD + ap_req.len() + sealed.len())?.to_be_bytes());
    message.extend_from_slice(&VERSION.to_be_bytes());
    message.extend_from_slice(&short(ap_req.len())?.to_be_bytes());
    message.extend_from_slice(ap_req);
    message.extend_from_slice(sealed);
    Ok(message)
}

/// The AP exchange that the change runs in.
struct Session<'c> {
    context: &'c Context,
    auth: *mut ffi::AuthContext,
}

impl<'c> Session<'c> {
    fn new(context: &'c Context) -> Self {
        Self { context, auth: null_mut() }
    }

    fn ap_req(&mut self, ticket: &mut Credentials<'_>) -> Result<Vec<u8>, Error> {
        let context = self.context;
        let mut output = ffi::Data::EMPTY;
        // SAFETY: all are live; the authentication context is freed by Drop, the message by `take_data`.
        context.check(unsafe {
            ffi::krb5_mk_req_extended(
                context.raw(),
                &raw mut self.auth,
                ffi::AP_OPTS_USE_SUBKEY,
                null_mut(),
                &raw mut ticket.raw,
                &raw mut output,
            )
        })?;
        Ok(context.take_data(output))
    }

    /// The new password as a KRB-PRIV (RFC 4120 5.7.1), which wants this side's address.
    fn seal(&mut self, local: IpAddr, new: &Password) -> Result<Vec<u8>, Error> {
        let context = self.context;
        let (kind, mut bytes) = match local {
            IpAddr::V4(address) => (ffi::ADDRTYPE_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (ffi::ADDRTYPE_INET6, address.octets().to_vec()),
        };
        let mut address = ffi::Address { magic: 0, kind, length: bytes.len() as u32, contents: bytes.as_mut_ptr() };
        let plain = data_of(new.as_c_str().to_bytes());
        let mut output = ffi::Data::EMPTY;
        // SAFETY: all are live for the calls; libkrb5 copies the address and only reads the password; the message is
        // freed by `take_data`.
        unsafe {
            context.check(ffi::krb5_auth_con_setflags(context.raw(), self.auth, ffi::AUTH_CONTEXT_DO_SEQUENCE))?;
            context.check(ffi::krb5_auth_con_setaddrs(context.raw(), self.auth, &raw mut address, null_mut()))?;
            context.check(ffi::krb5_mk_priv(
                context.raw(),
                self.auth,
                &raw const plain,
                &raw mut output,
                null_mut(),
            ))?;
        }
        Ok(context.take_data(output))
    }

    fn read(&self, reply: &[u8]) -> Result<ChangeAnswer, Error> {
        if reply.first() == Some(&KRB_ERROR) {
            return self.read_error(reply);
        }
        let cut = || Error::ours(Kind::BadReply, "the kpasswd server's reply is cut off");
        let ap_length = reply.get(4..HEAD).map(|two| usize::from(two[0]) << 8 | usize::from(two[1])).ok_or_else(cut)?;
        let body = reply.get(HEAD..).ok_or_else(cut)?;
        let (ap_rep, sealed) = body.split_at_checked(ap_length).ok_or_else(cut)?;
        if ap_rep.is_empty() {
            return self.read_error(sealed);
        }
        self.result(&self.open(ap_rep, sealed)?)
    }

    /// The result inside the reply. It is sealed with the subkey that this side chose, whatever the server's AP-REP
    /// names (RFC 3244 2).
    fn open(&self, ap_rep: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let context = self.context;
        let (ap_rep, sealed) = (data_of(ap_rep), data_of(sealed));
        let (mut key, mut part, mut plain) = (null_mut(), null_mut(), ffi::Data::EMPTY);
        // SAFETY: all are live for the calls, which only read their inputs; key and part are ours and freed once, the
        // plain text by `take_data`.
        unsafe {
            context.check(ffi::krb5_auth_con_getsendsubkey(context.raw(), self.auth, &raw mut key))?;
            let outcome = context
                .check(ffi::krb5_rd_rep(context.raw(), self.auth, &raw const ap_rep, &raw mut part))
                .and_then(|()| context.check(ffi::krb5_auth_con_setrecvsubkey(context.raw(), self.auth, key)))
                .and_then(|()| {
                    context.check(ffi::krb5_rd_priv(
                        context.raw(),
                        self.auth,
                        &raw const sealed,
                        &raw mut plain,
                        null_mut(),
                    ))
                });
            if !part.is_null() {
                ffi::krb5_free_ap_rep_enc_part(context.raw(), part);
            }
            if !key.is_null() {
                ffi::krb5_free_keyblock(context.raw(), key);
            }
            outcome?;
        }
        Ok(context.take_data(plain))
    }

    /// A KRB-ERROR: the result is its e-data, where it has any.
    fn read_error(&self, message: &[u8]) -> Result<ChangeAnswer, Error> {
        let context = self.context;
        let input = data_of(message);
        let mut raw = null_mut();
        // SAFETY: the input is live and only read; the error is ours, read and then freed once.
        let (number, text, result) = unsafe {
            context.check(ffi::krb5_rd_error(context.raw(), &raw const input, &raw mut raw))?;
            let Some(error) = raw.as_ref() else {
                return Err(Error::ours(Kind::BadReply, "the kpasswd server's error cannot be read"));
            };
            let found = (error.error, bytes_of(&error.text), bytes_of(&error.e_data));
            ffi::krb5_free_error(context.raw(), raw);
            found
        };
        if let Ok(ChangeAnswer::Refused { code, words, .. }) = self.result(&result) {
            return Ok(ChangeAnswer::Refused { code, words, proven: false });
        }
        // Success in an error is none.
        let words = String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned();
        let known = context.check(Error::of_kdc(number, String::new()).code).err();
        let words = if words.is_empty() { known.map(|error| error.message).unwrap_or_default() } else { words };
        Ok(ChangeAnswer::Refused { code: HARD_ERROR, words, proven: false })
    }

    /// Result code and text (RFC 3244 2).
    fn result(&self, bytes: &[u8]) -> Result<ChangeAnswer, Error> {
        let Some((code, text)) = bytes.split_first_chunk::<2>() else {
            return Err(Error::ours(Kind::BadReply, "the kpasswd server's result is cut off"));
        };
        match u16::from_be_bytes(*code) {
            SUCCESS => Ok(ChangeAnswer::Changed),
            code => Ok(ChangeAnswer::Refused { code, words: self.words(text)?, proven: true }),
        }
    }

    fn words(&self, text: &[u8]) -> Result<String, Error> {
        let context = self.context;
        let input = data_of(text);
        let mut raw = null_mut();
        // SAFETY: the input is live and only read; the text is a C string of libkrb5's, copied and then freed once.
        unsafe {
            context.check(ffi::krb5_chpw_message(context.raw(), &raw const input, &raw mut raw))?;
            let words = CStr::from_ptr(raw).to_string_lossy().into_owned();
            ffi::krb5_free_string(context.raw(), raw);
            // One line: a terminal and a log show it.
            Ok(words.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.auth.is_null() {
            // SAFETY: ours, and freed once.
            unsafe { ffi::krb5_auth_con_free(self.context.raw(), self.auth) };
        }
    }
}

/// Bytes for libkrb5 to read. The result must not outlive them.
fn data_of(bytes: &[u8]) -> ffi::Data {
    ffi::Data { magic: 0, length: bytes.len() as u32, data: bytes.as_ptr().cast_mut().cast() }
}

/// # Safety
/// `data` describes readable bytes, or none.
unsafe fn bytes_of(data: &ffi::Data) -> Vec<u8> {
    if data.data.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data.data.cast::<u8>(), data.length as usize).to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &[u8]) -> Result<ChangeAnswer, Error> {
        let context = Context::without_realm().unwrap();
        Session::new(&context).read(reply)
    }

    fn result(bytes: &[u8]) -> Result<ChangeAnswer, Error> {
        let context = Context::without_realm().unwrap();
        Session::new(&context).result(bytes)
    }

    #[test]
    fn a_policy_of_ad_is_put_into_words() {
        // MS-KILE: zero, least length 7, history 24, complex, expires and least age in 100 ns (one day).
        let mut policy = vec![0, 4, 0, 0, 0, 0, 0, 7, 0, 0, 0, 24, 0, 0, 0, 1];
        policy.extend_from_slice(&0u64.to_be_bytes());
        policy.extend_from_slice(&864_000_000_000u64.to_be_bytes());
        let Ok(ChangeAnswer::Refused { code: 4, words, .. }) = result(&policy) else { panic!() };
        for part in ["at least 7 characters", "previous 24", "once a day"] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    #[test]
    fn plain_words_come_as_they_are_in_one_line() {
        let answer = result(b"\0\x04Too short.\nTry again.").unwrap();
        assert_eq!(answer, ChangeAnswer::Refused { code: 4, words: "Too short. Try again.".into(), proven: true });
        assert_eq!(result(b"\0\0Password changed"), Ok(ChangeAnswer::Changed));
    }

    #[test]
    fn garbage_is_never_a_change() {
        for reply in
            [&b""[..], b"\0", b"\0\x06\0\x01\0", b"\0\x06\0\x01\0\x09ab", b"\0\x08\0\x01\0\0\0\0", b"\x7e\x03abc"]
        {
            assert!(!matches!(read(reply), Ok(ChangeAnswer::Changed)), "{reply:?}");
        }
        assert!(result(b"\0").is_err());
    }
}
