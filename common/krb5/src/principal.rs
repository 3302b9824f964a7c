//! Principals (RFC 4120 6.2). FFI edge.

use std::ffi::CStr;
use std::fmt;
use std::ptr::null_mut;

use crate::context::{Context, c_string};
use crate::error::Error;
use crate::ffi;

/// A principal of one context.
pub struct Principal<'c> {
    context: &'c Context,
    raw: *mut ffi::Principal,
}

impl<'c> Principal<'c> {
    /// `primary[/instance]@REALM`, realm required.
    ///
    /// # Errors
    /// [`crate::Kind::Input`] for text that is no principal.
    pub fn parse(context: &'c Context, name: &str) -> Result<Self, Error> {
        Self::with_flags(context, name, ffi::PARSE_REQUIRE_REALM)
    }

    /// An enterprise name (RFC 6806 5): all of `name`, `@` included, is one component in the context's realm; the KDC
    /// finds the account by UPN or by `sAMAccountName@realm`.
    ///
    /// # Errors
    /// [`crate::Kind::Input`] for text that is no name.
    pub fn enterprise(context: &'c Context, name: &str) -> Result<Self, Error> {
        Self::with_flags(context, name, ffi::PARSE_ENTERPRISE)
    }

    /// The service `service` on `host`, in the realm that the context's `[domain_realm]` gives the host, else in that which
    /// the KDC refers to (RFC 4120 6.2.1, RFC 6806 8).
    ///
    /// # Errors
    /// [`crate::Kind::Input`] for a NUL inside.
    pub fn of_host(context: &'c Context, service: &str, host: &str) -> Result<Self, Error> {
        let (service, host) = (c_string(service)?, c_string(host)?);
        let mut raw = null_mut();
        // SAFETY: both names are C strings, `raw` is a place for the result, the context is live.
        context.check(unsafe {
            ffi::krb5_sname_to_principal(context.raw(), host.as_ptr(), service.as_ptr(), ffi::NT_SRV_HST, &raw mut raw)
        })?;
        Ok(Self { context, raw })
    }

    fn with_flags(context: &'c Context, name: &str, flags: i32) -> Result<Self, Error> {
        let name = c_string(name)?;
        let mut raw = null_mut();
        // SAFETY: `name` is a C string, `raw` a place for the result, the context is live.
        context.check(unsafe { ffi::krb5_parse_name_flags(context.raw(), name.as_ptr(), flags, &raw mut raw) })?;
        Ok(Self { context, raw })
    }

    /// Takes over a principal that libkrb5 allocated for us.
    pub(crate) fn from_raw(context: &'c Context, raw: *mut ffi::Principal) -> Self {
        Self { context, raw }
    }

    pub(crate) fn raw(&self) -> *mut ffi::Principal {
        self.raw
    }
}

impl Drop for Principal<'_> {
    fn drop(&mut self) {
        // SAFETY: the principal is ours and the context is live.
        unsafe { ffi::krb5_free_principal(self.context.raw(), self.raw) }
    }
}

impl fmt::Display for Principal<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the principal is live.
        let text = unsafe { unparse(self.context, self.raw) };
        out.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

/// The text form of a principal that libkrb5 owns.
///
/// # Safety
/// `raw` is a live principal.
pub(crate) unsafe fn unparse(context: &Context, raw: *const ffi::Principal) -> Result<String, Error> {
    let mut name = null_mut();
    // SAFETY: the caller's principal and the context are live; the name is copied and then freed once.
    unsafe {
        context.check(ffi::krb5_unparse_name(context.raw(), raw, &raw mut name))?;
        let text = CStr::from_ptr(name).to_string_lossy().into_owned();
        ffi::krb5_free_unparsed_name(context.raw(), name);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn an_enterprise_name_is_one_component() {
        let context = Context::new(&Profile::new("AADDS.EXAMPLE", &[]).unwrap()).unwrap();
        let principal = Principal::enterprise(&context, "alice@contoso.com").unwrap();
        assert_eq!(principal.to_string(), "alice\\@contoso.com@AADDS.EXAMPLE");
    }

    #[test]
    fn a_principal_without_realm_is_refused() {
        let context = Context::without_realm().unwrap();
        assert_eq!(Principal::parse(&context, "HOST$").err().map(|error| error.kind), Some(crate::Kind::Input));
        assert!(Principal::parse(&context, "a\0b@R").is_err());
        assert_eq!(Principal::parse(&context, "HOST$@R").unwrap().to_string(), "HOST$@R");
    }
}
