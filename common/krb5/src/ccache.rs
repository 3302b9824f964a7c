//! Credential caches and credentials. FFI edge.

use std::ffi::CStr;
use std::ptr::{null, null_mut};
use std::time::{Duration, SystemTime};

use crate::context::{Context, c_string};
use crate::error::{Error, Kind};
use crate::ffi;
use crate::principal::{Principal, unparse};

/// Most credentials that are looked at in one cache.
const MAX_CREDENTIALS: usize = 4096;

/// An opened credential cache. Dropping it closes a FILE cache and destroys one of our own MEMORY caches.
pub struct Ccache<'c> {
    context: &'c Context,
    raw: *mut ffi::Ccache,
    destroy: bool,
}

impl<'c> Ccache<'c> {
    /// The cache with this residual name, such as `FILE:/tmp/krb5cc_1000`; it need not exist yet.
    ///
    /// # Errors
    /// [`Kind::Ccache`] for an unknown type, [`Kind::Input`] for a NUL inside.
    pub fn resolve(context: &'c Context, name: &str) -> Result<Self, Error> {
        let name = c_string(name)?;
        let mut raw = null_mut();
        // SAFETY: `name` is a C string, `raw` a place for the result, the context is live.
        context.check(unsafe { ffi::krb5_cc_resolve(context.raw(), name.as_ptr(), &raw mut raw) })?;
        Ok(Self { context, raw, destroy: false })
    }

    /// A new cache in this process's memory, gone when dropped.
    ///
    /// # Errors
    /// When memory is missing.
    pub fn memory(context: &'c Context) -> Result<Self, Error> {
        let mut raw = null_mut();
        // SAFETY: the type is a C string, `raw` a place for the result, the context is live.
        context.check(unsafe { ffi::krb5_cc_new_unique(context.raw(), c"MEMORY".as_ptr(), null(), &raw mut raw) })?;
        Ok(Self { context, raw, destroy: true })
    }

    /// The residual name of a cache of [`Ccache::memory`], by which the rest of the process finds it.
    pub fn memory_name(&self) -> String {
        // SAFETY: cache and context are live; the name is a C string that belongs to the cache.
        let name = unsafe { CStr::from_ptr(ffi::krb5_cc_get_name(self.context.raw(), self.raw)) };
        format!("MEMORY:{}", name.to_string_lossy())
    }

    /// Empties the cache and names its owner. A FILE cache is removed and made anew with mode 0600 and `O_EXCL`.
    ///
    /// # Errors
    /// [`Kind::Ccache`] or an errno in libkrb5's words when it cannot be written.
    pub fn initialize(&self, owner: &Principal<'_>) -> Result<(), Error> {
        // SAFETY: cache, principal and context are live.
        self.context.check(unsafe { ffi::krb5_cc_initialize(self.context.raw(), self.raw, owner.raw()) })
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// As [`Ccache::initialize`].
    pub fn store(&self, credentials: &Credentials<'_>) -> Result<(), Error> {
        // SAFETY: cache, credentials and context are live; libkrb5 only reads the credentials.
        self.context.check(unsafe {
            ffi::krb5_cc_store_cred(self.context.raw(), self.raw, (&raw const credentials.raw).cast_mut())
        })
    }

    /// Copies everything, libkrb5's notes about the KDC included, into `to`, which is emptied first.
    ///
    /// # Errors
    /// As [`Ccache::initialize`].
    pub fn copy_to(&self, to: &Ccache<'_>) -> Result<(), Error> {
        to.initialize(&self.owner()?)?;
        // SAFETY: both caches and the context are live.
        self.context.check(unsafe { ffi::krb5_cc_copy_creds(self.context.raw(), self.raw, to.raw) })
    }

    /// The principal whose cache this is.
    ///
    /// # Errors
    /// [`Kind::Ccache`] where the cache does not exist or is damaged.
    pub fn owner(&self) -> Result<Principal<'c>, Error> {
        let mut raw = null_mut();
        // SAFETY: cache and context are live; on success the principal is ours.
        self.context.check(unsafe { ffi::krb5_cc_get_principal(self.context.raw(), self.raw, &raw mut raw) })?;
        Ok(Principal::from_raw(self.context, raw))
    }

    /// When the ticket-granting ticket of `realm` ends; `None` where the cache holds none.
    ///
    /// # Errors
    /// As [`Ccache::owner`].
    pub fn tgt_end(&self, realm: &str) -> Result<Option<SystemTime>, Error> {
        Ok(self.tgt(realm)?.map(|tgt| tgt.end()))
    }

    /// The ticket-granting ticket of `realm`, the one that ends last; `None` where the cache holds none.
    ///
    /// # Errors
    /// As [`Ccache::owner`].
    pub fn tgt(&self, realm: &str) -> Result<Option<Credentials<'c>>, Error> {
        let wanted = format!("krbtgt/{realm}@{realm}");
        let found = self.all()?.into_iter().filter(|one| one.server().is_ok_and(|server| server == wanted));
        Ok(found.max_by_key(Credentials::end))
    }

    /// Copies the tickets for services that end after `now` into `to`, which keeps what it has. Ticket-granting tickets,
    /// of whatever realm, are left out, and so are libkrb5's notes.
    ///
    /// # Errors
    /// As [`Ccache::owner`] and [`Ccache::store`].
    pub fn copy_service_tickets(&self, to: &Ccache<'_>, now: SystemTime) -> Result<(), Error> {
        for ticket in self.all()? {
            if ticket.end() > now && !ticket.server()?.starts_with("krbtgt/") {
                to.store(&ticket)?;
            }
        }
        Ok(())
    }

    /// Everything in it, libkrb5's notes (which never end later than 1970) included.
    fn all(&self) -> Result<Vec<Credentials<'c>>, Error> {
        let context = self.context;
        let mut cursor = null_mut();
        // SAFETY: cache and context are live; `cursor` is a place for the result.
        context.check(unsafe { ffi::krb5_cc_start_seq_get(context.raw(), self.raw, &raw mut cursor) })?;
        let mut all = Vec::new();
        for _ in 0..MAX_CREDENTIALS {
            let mut found = Credentials::empty(context);
            // SAFETY: as above; a success fills the credentials, which free themselves.
            let code = unsafe { ffi::krb5_cc_next_cred(context.raw(), self.raw, &raw mut cursor, &raw mut found.raw) };
            if code != 0 {
                break;
            }
            all.push(found);
        }
        // SAFETY: ends the reading that was started above, once.
        unsafe { ffi::krb5_cc_end_seq_get(context.raw(), self.raw, &raw mut cursor) };
        Ok(all)
    }

    /// Asks the KDC of the context's profile to renew the cache's TGT (RFC 4120 2.3), and gives the new one; the cache
    /// stays as it is. libkrb5 does the waiting here: call it in a process that somebody ends.
    ///
    /// # Errors
    /// The KDC's answer by [`Kind`]; as [`Ccache::owner`].
    pub fn renewed(&self) -> Result<Credentials<'c>, Error> {
        let (context, owner) = (self.context, self.owner()?);
        let mut renewed = Credentials::empty(context);
        // SAFETY: all are live; without a service the TGT is renewed; a success fills the credentials, which free
        // themselves.
        context.check(unsafe {
            ffi::krb5_get_renewed_creds(context.raw(), &raw mut renewed.raw, owner.raw(), self.raw, null())
        })?;
        Ok(renewed)
    }

    /// Removes the cache; one that is not there is gone already.
    ///
    /// # Errors
    /// As [`Ccache::initialize`].
    pub fn destroy(mut self) -> Result<(), Error> {
        let context = self.context;
        let raw = std::mem::replace(&mut self.raw, null_mut());
        // SAFETY: cache and context are live; the call frees the handle, which Drop leaves alone then.
        match context.check(unsafe { ffi::krb5_cc_destroy(context.raw(), raw) }) {
            Err(error) if error.says_no_ccache() => Ok(()),
            other => other,
        }
    }

    pub(crate) fn raw(&self) -> *mut ffi::Ccache {
        self.raw
    }
}

impl Drop for Ccache<'_> {
    fn drop(&mut self) {
        if self.raw.is_null() {
            return;
        }
        // SAFETY: the cache is ours and the context is live; both calls free the handle.
        unsafe {
            if self.destroy {
                ffi::krb5_cc_destroy(self.context.raw(), self.raw);
            } else {
                ffi::krb5_cc_close(self.context.raw(), self.raw);
            }
        }
    }
}

/// One ticket with its session key.
pub struct Credentials<'c> {
    context: &'c Context,
    pub(crate) raw: ffi::Creds,
}

impl<'c> Credentials<'c> {
    pub(crate) fn empty(context: &'c Context) -> Self {
        Self { context, raw: ffi::Creds::EMPTY }
    }

    /// Whom the ticket names: the canonical principal where canonicalization was asked for.
    ///
    /// # Errors
    /// [`Kind::Other`] where libkrb5 left it out.
    pub fn client(&self) -> Result<String, Error> {
        self.name(self.raw.client)
    }

    /// For which service it is.
    ///
    /// # Errors
    /// As [`Credentials::client`].
    pub fn server(&self) -> Result<String, Error> {
        self.name(self.raw.server)
    }

    /// Begin of its life, by the clock of the KDC that gave it.
    pub fn start(&self) -> SystemTime {
        // Left out where it is the time of the login (RFC 4120 5.3).
        let times = &self.raw.times;
        time(if times.starttime == 0 { times.authtime } else { times.starttime })
    }

    /// End of its life.
    pub fn end(&self) -> SystemTime {
        time(self.raw.times.endtime)
    }

    /// Until when it can be renewed; not after [`Credentials::end`] where it cannot be.
    pub fn renew_till(&self) -> SystemTime {
        time(self.raw.times.renew_till)
    }

    fn name(&self, principal: *const ffi::Principal) -> Result<String, Error> {
        if principal.is_null() {
            return Err(Error::ours(Kind::Other, "a ticket without a name"));
        }
        // SAFETY: the credentials' principals live as long as they do.
        unsafe { unparse(self.context, principal) }
    }
}

/// `krb5_timestamp` is unsigned until 2106.
fn time(stamp: ffi::Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(stamp.cast_unsigned()))
}

impl Drop for Credentials<'_> {
    fn drop(&mut self) {
        // SAFETY: the contents are libkrb5's or empty, freed once; session keys are zeroed by libkrb5.
        unsafe { ffi::krb5_free_cred_contents(self.context.raw(), &raw mut self.raw) }
    }
}
