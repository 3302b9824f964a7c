//! `authenticate`: one AS exchange that carries proof of the password, then the proof that the KDC is the real one and
//! that the ticket is this account's, then the ticket as the person's own file.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use entra_core::auth::{AuthAnswer, AuthRequest, CcacheTarget, KdcVerdict};
use entra_krb5::{
    Armor, Ccache, Context, Credentials, Error, InitialRequest, Keytab, Kind, Password, Principal, Profile, Secret,
    initial, verify,
};

use super::{Failure, Job, machine_failure, password, ticket_file};
use crate::privileges;

/// The service whose ticket proves an expired password: it alone is given out for one (RFC 3244, MS-KILE 3.3.5.6.1).
const CHANGE_SERVICE: &str = "kadmin/changepw";
/// A machine ticket that ends sooner than this is no armor any more.
const ARMOR_LEFT: Duration = Duration::from_secs(30);
/// Longest machine ccache, in bytes.
const MAX_ARMOR: u64 = 1024 * 1024;

/// An answer, and what went wrong beside it.
type Answer = (AuthAnswer, Option<String>);

/// Runs the attempt. With any verdict but `Success` nothing is written.
pub(crate) fn authenticate(job: &Job, request: &AuthRequest, deadline: Instant) -> Result<Answer, Failure> {
    let password = password::read(deadline)?;
    let profile =
        Profile::new(&request.realm, &[request.kdc]).ok_or_else(|| Failure::Refused("a realm that is none".into()))?;
    let context = Context::new(&profile).map_err(machine_failure)?;
    // First of all: without the machine's key no KDC can be verified, and no password is sent to one that cannot.
    let keytab = Keytab::file(&context, &job.keytab).map_err(machine_failure)?;
    let machine = keytab.machine_principal(&request.realm).map_err(machine_failure)?;
    let machine = Principal::parse(&context, &machine).map_err(machine_failure)?;
    let armor = OpenedArmor::open(&context, &job.machine_ccache, job.worker.0, &request.realm);
    let ccache = Ccache::memory(&context).map_err(machine_failure)?;
    let client = match Principal::enterprise(&context, &request.principal) {
        Ok(client) => client,
        Err(error) => return Ok(verdict(KdcVerdict::Failed(error.message))),
    };
    let attempt = Attempt { context: &context, request, client, password, armor, deadline };
    let tgt = match attempt.run(None, &ccache) {
        Ok(tgt) => tgt,
        Err(error) if error.kind == Kind::KeyExpired => return Ok(verdict(attempt.expired())),
        Err(error) => return Ok(verdict(verdict_of(error))),
    };
    // The password has done its work: no copy of it is left when this process becomes the person.
    drop(attempt);
    let verified = match verify(&context, &tgt, &keytab, &machine, request.kdc, deadline) {
        Ok(verified) => verified,
        Err(error) if matches!(error.kind, Kind::TimedOut | Kind::Unreachable) => {
            return Ok(verdict(KdcVerdict::Unreachable(error.message)));
        }
        Err(error) => return Ok(verdict(KdcVerdict::KdcNotVerified(error.message))),
    };
    let Some(sid) = verified.sid else {
        return Ok(verdict(KdcVerdict::Failed("the KDC's tickets carry no logon information: is it AD?".into())));
    };
    if sid.as_bytes() != request.expected_sid.to_bytes() {
        return Ok(verdict(KdcVerdict::IdentityMismatch));
    }
    drop((tgt, keytab));
    let (name, note) = request.ccache.as_ref().map_or((None, None), |target| write_ccache(&context, &ccache, target));
    Ok((AuthAnswer { verdict: KdcVerdict::Success, ccache: name }, note))
}

fn verdict(verdict: KdcVerdict) -> Answer {
    (AuthAnswer { verdict, ccache: None }, None)
}

/// One attempt's parts, for the exchange itself and for the question behind an expired password.
struct Attempt<'c> {
    context: &'c Context,
    request: &'c AuthRequest,
    client: Principal<'c>,
    password: Password,
    armor: Option<OpenedArmor>,
    deadline: Instant,
}

impl<'c> Attempt<'c> {
    fn run(&self, service: Option<&str>, ccache: &Ccache<'_>) -> Result<Credentials<'c>, Error> {
        let armored = self.armor.as_ref().map(|armor| Armor { ccache: &armor.name, required: false });
        match self.run_with(service, ccache, armored) {
            // The machine's ticket is of no use to this KDC (its own key was changed, the account made anew): nothing
            // was judged, and a login needs no armor.
            Err(error) if armored.is_some() && is_about_armor(&error) => self.run_with(service, ccache, None),
            outcome => outcome,
        }
    }

    fn run_with(
        &self,
        service: Option<&str>,
        ccache: &Ccache<'_>,
        armor: Option<Armor<'_>>,
    ) -> Result<Credentials<'c>, Error> {
        initial(
            self.context,
            &InitialRequest {
                client: &self.client,
                secret: Secret::Password(&self.password),
                kdc: self.request.kdc,
                realm: &self.request.realm,
                deadline: self.deadline,
                armor,
                canonicalize: true,
                service,
                ccache: service.is_none().then_some(ccache),
            },
        )
    }

    /// "Expired" says nothing about the password: some KDCs look at the account's state first. Whoever gets a ticket to
    /// change it knows it.
    fn expired(&self) -> KdcVerdict {
        let unused = Ccache::memory(self.context);
        match unused.and_then(|unused| self.run(Some(CHANGE_SERVICE), &unused)) {
            Ok(_) => KdcVerdict::PasswordExpired { proven: true },
            Err(error) if error.kind == Kind::WrongPassword => KdcVerdict::WrongPassword,
            Err(error) if error.kind == Kind::Revoked => KdcVerdict::Revoked,
            Err(_) => KdcVerdict::PasswordExpired { proven: false },
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

fn verdict_of(error: Error) -> KdcVerdict {
    match error.kind {
        Kind::WrongPassword => KdcVerdict::WrongPassword,
        Kind::KeyExpired => KdcVerdict::PasswordExpired { proven: false },
        Kind::Revoked => KdcVerdict::Revoked,
        Kind::UnknownPrincipal => KdcVerdict::UnknownPrincipal,
        Kind::ClockSkew => KdcVerdict::ClockSkew(error.message),
        Kind::Unreachable | Kind::TimedOut => KdcVerdict::Unreachable(error.message),
        Kind::Policy => KdcVerdict::Policy,
        _ => KdcVerdict::Failed(error.message),
    }
}

/// The machine's ccache, opened once: what was checked is what is read.
struct OpenedArmor {
    name: String,
    _file: File,
}

impl OpenedArmor {
    /// `None` where there is none, or it is not the worker's, or its ticket ends too soon.
    fn open(context: &Context, path: &Path, worker: u32, realm: &str) -> Option<Self> {
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

/// Becomes the person and writes their ticket. A login without a ticket is still a login: what fails is noted.
fn write_ccache(context: &Context, from: &Ccache<'_>, target: &CcacheTarget) -> (Option<String>, Option<String>) {
    let Some(path) = target.name.strip_prefix("FILE:") else {
        return (None, Some("the ccache is no FILE".into()));
    };
    if let Err(error) = privileges::become_user(target.uid, target.gid) {
        return (None, Some(format!("the helper cannot become uid {}: {error}", target.uid)));
    }
    match ticket_file::write(context, from, path) {
        Ok(written) => {
            let note = (written != path).then(|| format!("{path} belongs to somebody else, so it is {written}"));
            (Some(format!("FILE:{written}")), note)
        }
        Err(error) => (None, Some(error)),
    }
}
