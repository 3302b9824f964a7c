//! Whole jobs in one call, for programs that act once and exit: `entractl`, run by an administrator.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::ccache::Ccache;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::initial::{InitialRequest, Secret, initial};
use crate::keytab::{Keytab, KeytabEntry};
use crate::password::Password;
use crate::principal::Principal;
use crate::profile::Profile;
use crate::service::ticket_with;

/// Gets a TGT for `principal` with a password and writes it to the FILE ccache at `ccache_path` (mode 0600, made
/// anew). `principal` is a bare `sAMAccountName`, `name@REALM`, or a UPN (any other suffix). Gives the ticket's end.
///
/// # Errors
/// The KDC's answer by [`Kind`]; [`Kind::Ccache`] when the file cannot be written.
pub fn initial_with_password(
    realm: &str,
    kdc: SocketAddr,
    principal: &str,
    password: &Password,
    ccache_path: &Path,
    timeout: Duration,
) -> Result<SystemTime, Error> {
    let context = context_for(realm, kdc)?;
    let client = match principal.rsplit_once('@') {
        None => Principal::parse(&context, &format!("{principal}@{realm}"))?,
        Some((name, suffix)) if suffix.eq_ignore_ascii_case(realm) => {
            Principal::parse(&context, &format!("{name}@{realm}"))?
        }
        Some(_) => Principal::enterprise(&context, principal)?,
    };
    write_ticket(&context, &client, Secret::Password(password), realm, kdc, ccache_path, timeout)
}

/// Gets a TGT for `principal` (`HOST$@REALM`; `None`: the machine's own, picked from the keytab) with the keytab and
/// writes it to the FILE ccache at `ccache_path`. Gives the ticket's end.
///
/// # Errors
/// As [`initial_with_password`], and [`Kind::Keytab`] where the keytab has no such key.
pub fn initial_with_keytab(
    realm: &str,
    kdc: SocketAddr,
    principal: Option<&str>,
    keytab_path: &Path,
    ccache_path: &Path,
    timeout: Duration,
) -> Result<SystemTime, Error> {
    let context = context_for(realm, kdc)?;
    let keytab = Keytab::file(&context, keytab_path)?;
    let name = match principal {
        Some(name) => name.to_owned(),
        None => keytab.machine_principal(realm)?,
    };
    let client = Principal::parse(&context, &name)?;
    write_ticket(&context, &client, Secret::Keytab(&keytab), realm, kdc, ccache_path, timeout)
}

/// ENCTYPE_ARCFOUR_HMAC (RFC 4757)
const RC4: i32 = 23;

/// Whether the KDC gives a service ticket with an RC4 session key (RFC 4757) for the service `principal`, asked with the
/// TGT in the FILE ccache at `ccache_path`. The ticket is thrown away.
///
/// # Errors
/// By [`Kind`] where the KDC's answer says neither.
pub fn gives_rc4(
    realm: &str,
    kdc: SocketAddr,
    principal: &str,
    ccache_path: &Path,
    timeout: Duration,
) -> Result<bool, Error> {
    let profile = Profile::new(realm, &[kdc])
        .ok_or_else(|| Error::ours(Kind::Input, format!("{realm:?} is no name of a Kerberos realm")))?;
    let context = Context::new(&profile.permitting_rc4())?;
    let given = Ccache::resolve(&context, &format!("FILE:{}", ccache_path.display()))?;
    let service = Principal::parse(&context, principal)?;
    match ticket_with(&context, &given, &service, RC4, kdc, Instant::now() + timeout) {
        Ok(_) => Ok(true),
        Err(error) if error.kind == Kind::EtypeNotSupported => Ok(false),
        Err(error) => Err(error),
    }
}

/// Every key of a keytab: principal, key version, encryption type, when written.
///
/// # Errors
/// [`Kind::Keytab`] when the file is missing, cannot be read, or is no keytab.
pub fn list_keytab(keytab_path: &Path) -> Result<Vec<KeytabEntry>, Error> {
    let context = Context::without_realm()?;
    Keytab::file(&context, keytab_path)?.entries()
}

/// When the TGT of `realm` in a ccache ends; `None` where it holds none.
///
/// # Errors
/// [`Kind::Ccache`] where the cache does not exist or is damaged.
pub fn tgt_end(ccache_name: &str, realm: &str) -> Result<Option<SystemTime>, Error> {
    let context = Context::without_realm()?;
    Ccache::resolve(&context, ccache_name)?.tgt_end(realm)
}

fn context_for(realm: &str, kdc: SocketAddr) -> Result<Context, Error> {
    let profile = Profile::new(realm, &[kdc])
        .ok_or_else(|| Error::ours(Kind::Input, format!("{realm:?} is no name of a Kerberos realm")))?;
    Context::new(&profile)
}

fn write_ticket(
    context: &Context,
    client: &Principal<'_>,
    secret: Secret<'_>,
    realm: &str,
    kdc: SocketAddr,
    path: &Path,
    timeout: Duration,
) -> Result<SystemTime, Error> {
    let path = path.to_str().ok_or_else(|| Error::ours(Kind::Input, "a ccache's path has to be UTF-8"))?;
    let memory = Ccache::memory(context)?;
    let credentials = initial(
        context,
        &InitialRequest {
            client,
            secret,
            kdc,
            realm,
            deadline: Instant::now() + timeout,
            armor: None,
            canonicalize: matches!(secret, Secret::Password(_)),
            service: None,
            ccache: Some(&memory),
        },
    )?;
    let file = Ccache::resolve(context, &format!("FILE:{path}"))?;
    memory.copy_to(&file)?;
    Ok(credentials.end())
}
