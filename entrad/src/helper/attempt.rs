//! One AS exchange that carries proof of a person's password, inside the machine's session with the KDC (FAST) where
//! there is one.

use std::cell::Cell;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use entra_krb5::{
    Armor, Ccache, Context, Credentials, Error, InitialRequest, Kind, Password, Principal, Secret, initial,
    initial_unless_silent,
};

/// The service whose ticket proves an expired password and lets it be changed: it alone is given out for one (RFC 3244,
/// MS-KILE 3.3.5.6.1).
pub(super) const CHANGE_SERVICE: &str = "kadmin/changepw";
/// A machine ticket that ends sooner than this is no armor any more.
const ARMOR_LEFT: Duration = Duration::from_secs(30);
/// Longest machine ccache, in bytes.
const MAX_ARMOR: u64 = 1024 * 1024;

/// How long a KDC may be silent before another one is asked: a round trip on a slow way, one packet of it sent again.
pub(super) const PATIENCE: Duration = Duration::from_millis(1200);

/// Where an exchange goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) realm: &'a str,
    pub(super) kdcs: Kdcs<'a>,
    pub(super) require_fast: bool,
    pub(super) deadline: Instant,
}

/// The KDC to ask, and those that may be asked in its place while it has got no proof of the password.
#[derive(Clone, Copy)]
pub(super) struct Kdcs<'a> {
    pub(super) first: SocketAddr,
    pub(super) others: &'a [SocketAddr],
}

impl Kdcs<'_> {
    /// This one and no other.
    pub(super) fn only(first: SocketAddr) -> Self {
        Self { first, others: &[] }
    }
}

/// One attempt's parts, for the exchange itself and for a ticket to change the password.
pub(super) struct Attempt<'c> {
    pub(super) context: &'c Context,
    pub(super) target: Target<'c>,
    pub(super) client: Principal<'c>,
    pub(super) password: Password,
    pub(super) armor: Option<OpenedArmor>,
    /// Those that are left to be asked.
    kdcs: Cell<Kdcs<'c>>,
    /// Why the machine's ticket was of no use to the KDC, where that was so.
    pub(super) without_armor: Cell<Option<String>>,
}

impl<'c> Attempt<'c> {
    pub(super) fn new(
        context: &'c Context,
        target: Target<'c>,
        client: Principal<'c>,
        password: Password,
        armor: Option<OpenedArmor>,
    ) -> Self {
        Self { context, target, client, password, armor, kdcs: Cell::new(target.kdcs), without_armor: Cell::default() }
    }

    /// The KDC that was asked last.
    pub(super) fn kdc(&self) -> SocketAddr {
        self.kdcs.get().first
    }

    /// Gets a TGT, or a ticket for `service`; the TGT goes into `ccache`.
    pub(super) fn run(&self, service: Option<&str>, ccache: &Ccache<'_>) -> Result<Credentials<'c>, Error> {
        let required = self.target.require_fast;
        let armored = self.armor.as_ref().map(|armor| Armor { ccache: &armor.name, required });
        if required && armored.is_none() {
            return Err(Error::without_armor());
        }
        match self.run_with(service, ccache, armored) {
            // The machine's ticket is of no use to this KDC (its own key was changed, the account made anew): nothing
            // was judged, and a login needs no armor.
            Err(error) if armored.is_some() && !required && is_about_armor(&error) => {
                self.without_armor.set(Some(error.message));
                self.run_with(service, ccache, None)
            }
            outcome => outcome,
        }
    }

    /// Gets a ticket for `service` inside the machine's session and in no other way. What a KDC says outside of it, or
    /// gives outside of it, proves nothing: anybody may have said it.
    pub(super) fn run_armored(&self, service: &str, ccache: &Ccache<'_>) -> Result<Credentials<'c>, Error> {
        let armor = self.armor.as_ref().ok_or_else(Error::without_armor)?;
        self.run_with(Some(service), ccache, Some(Armor { ccache: &armor.name, required: true }))
    }

    fn run_with(
        &self,
        service: Option<&str>,
        ccache: &Ccache<'_>,
        armor: Option<Armor<'_>>,
    ) -> Result<Credentials<'c>, Error> {
        loop {
            let kdcs = self.kdcs.get();
            let request = InitialRequest {
                client: &self.client,
                secret: Secret::Password(&self.password),
                kdc: kdcs.first,
                realm: self.target.realm,
                deadline: self.target.deadline,
                armor,
                canonicalize: true,
                service,
                ccache: service.is_none().then_some(ccache),
            };
            let Some((next, others)) = kdcs.others.split_first() else { return initial(self.context, &request) };
            match initial_unless_silent(self.context, &request, PATIENCE) {
                Err(error) if error.kind == Kind::Silent => self.kdcs.set(Kdcs { first: *next, others }),
                outcome => {
                    // It may have got a proof: whatever is asked further, no other one gets a second.
                    self.kdcs.set(Kdcs::only(kdcs.first));
                    return outcome;
                }
            }
        }
    }
}

/// Failures of the armor, before anything inside it was judged: AP errors about the machine's ticket or its encryption
/// (RFC 4120 7.5.9), KRB_ERR_GENERIC, and what fails on this side. A wrong password is KDC_ERR_PREAUTH_FAILED (24).
fn is_about_armor(error: &Error) -> bool {
    match error.kdc_number() {
        Some(31..=36 | 38..=50 | 60) => true,
        Some(_) => false,
        None => matches!(error.kind, Kind::BadReply | Kind::Keytab | Kind::Ccache | Kind::NoFast),
    }
}

/// The machine's ccache, opened once: what was checked is what is read.
pub(super) struct OpenedArmor {
    name: String,
    _file: File,
}

impl OpenedArmor {
    /// `None` where there is none, or it is not the worker's, or its ticket ends too soon.
    pub(super) fn open(context: &Context, path: &Path, worker: u32, realm: &str) -> Option<Self> {
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.uid() != worker || meta.len() > MAX_ARMOR {
            return None;
        }
        let name = format!("FILE:/proc/self/fd/{}", file.as_raw_fd());
        let end = Ccache::resolve(context, &name).ok()?.tgt_end(realm).ok()??;
        (end > SystemTime::now() + ARMOR_LEFT).then_some(Self { name, _file: file })
    }
}
