//! Whether the directory accepts this machine, and whether the keytab is as it should be.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use entra_krb5::{
    Armor, Ccache, Context, Credentials, Error, InitialRequest, Keytab, Kind, Principal, Profile, Secret, initial,
    verify,
};

use crate::exit::{Exit, Failure};
use crate::host::keytab::{self, Entry};

/// Longest wait for the KDC, both exchanges together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The machine's keys in the keytab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineKeys {
    /// `HOST$`
    pub name: String,
    /// Highest key version number.
    pub kvno: u32,
    /// All entries of the realm.
    pub count: usize,
}

/// Reads the keytab and judges it: there, private, a machine principal of the realm, AES keys only.
///
/// # Errors
/// What is wrong with it.
pub fn keys(path: &Path, realm: &str) -> Result<MachineKeys, Failure> {
    let rejoin = "join again: `entractl leave`, then `entractl join`";
    let wrong = |what: String| Failure::no("keytab", format!("{}: {what}", path.display()));
    let meta = fs::metadata(path).map_err(|error| wrong(error.to_string()).remedy(rejoin))?;
    if meta.uid() != 0 || meta.mode() & 0o177 != 0 {
        let seen = format!("owner {} and mode {:04o} are not root and 0600", meta.uid(), meta.mode() & 0o7777);
        let remedy = format!("`chown root: {0}; chmod 600 {0}`; if others could read it, join again", path.display());
        return Err(wrong(seen).remedy(remedy));
    }
    let bytes = zeroize::Zeroizing::new(fs::read(path).map_err(|error| wrong(error.to_string()))?);
    let entries = keytab::entries(&bytes).map_err(|error| wrong(error.to_string()).remedy(rejoin))?;
    judge(&entries, realm).map_err(|what| wrong(what).remedy(rejoin))
}

fn judge(entries: &[Entry], realm: &str) -> Result<MachineKeys, String> {
    let ours: Vec<_> = entries.iter().filter(|entry| entry.realm == realm).collect();
    let machine = ours.iter().filter(|entry| entry.name.ends_with('$')).max_by_key(|entry| entry.kvno);
    let Some(machine) = machine else { return Err(format!("it has no key of this machine in {realm}")) };
    if let Some(weak) = ours.iter().find(|entry| !entry.is_aes()) {
        return Err(format!("{} has a key of encryption type {}, which is not AES", weak.name, weak.enctype));
    }
    Ok(MachineKeys { name: machine.name.clone(), kvno: machine.kvno, count: ours.len() })
}

/// Gets a ticket with the keytab, and one for this very machine that the keytab must open: so the keys and their
/// version are the directory's, and the KDC is no false one.
///
/// # Errors
/// Status 4 when no KDC answers; status 1 with what is wrong.
pub fn prove(path: &Path, realm: &str, kdc: SocketAddr) -> Result<(), Failure> {
    with_ticket(path, realm, kdc, verified).map_err(|error| explain(&error, kdc))
}

/// Whether the KDC offers FAST armor (RFC 6113): tried with the machine's own ticket as armor of a second request.
///
/// # Errors
/// As [`prove`].
pub fn armor_is_offered(path: &Path, realm: &str, kdc: SocketAddr) -> Result<bool, Failure> {
    match with_ticket(path, realm, kdc, again_in_armor) {
        Ok(()) => Ok(true),
        Err(error) if error.kind == Kind::NoFast => Ok(false),
        Err(error) => Err(explain(&error, kdc)),
    }
}

/// The machine with a ticket, before a deadline.
struct Machine<'c> {
    context: &'c Context,
    keytab: &'c Keytab<'c>,
    principal: &'c Principal<'c>,
    realm: &'c str,
    kdc: SocketAddr,
    deadline: Instant,
    ccache: &'c Ccache<'c>,
    ticket: Credentials<'c>,
}

fn verified(machine: &Machine<'_>) -> Result<(), Error> {
    let Machine { context, keytab, principal, kdc, deadline, ticket, .. } = machine;
    verify(context, ticket, keytab, principal, *kdc, *deadline).map(|_| ())
}

fn again_in_armor(machine: &Machine<'_>) -> Result<(), Error> {
    let name = machine.ccache.memory_name();
    let request = InitialRequest {
        armor: Some(Armor { ccache: &name, required: true }),
        ..request(machine.principal, machine.keytab, machine.realm, machine.kdc, machine.deadline)
    };
    initial(machine.context, &request).map(|_| ())
}

/// Gets a ticket with the keytab and goes on with it.
fn with_ticket<T>(
    path: &Path,
    realm: &str,
    kdc: SocketAddr,
    go_on: impl FnOnce(&Machine<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let profile = Profile::new(realm, &[kdc]).ok_or_else(|| Error {
        kind: Kind::Input,
        code: 0,
        message: format!("{realm} is no name of a realm"),
        ahead: None,
    })?;
    let context = Context::new(&profile)?;
    let keytab = Keytab::file(&context, path)?;
    let principal = Principal::parse(&context, &keytab.machine_principal(realm)?)?;
    let ccache = Ccache::memory(&context)?;
    let deadline = Instant::now() + TIMEOUT;
    let first = InitialRequest { ccache: Some(&ccache), ..request(&principal, &keytab, realm, kdc, deadline) };
    let ticket = initial(&context, &first)?;
    go_on(&Machine {
        context: &context,
        keytab: &keytab,
        principal: &principal,
        realm,
        kdc,
        deadline,
        ccache: &ccache,
        ticket,
    })
}

fn request<'a>(
    client: &'a Principal<'a>,
    keytab: &'a Keytab<'a>,
    realm: &'a str,
    kdc: SocketAddr,
    deadline: Instant,
) -> InitialRequest<'a> {
    InitialRequest {
        client,
        secret: Secret::Keytab(keytab),
        kdc,
        realm,
        deadline,
        armor: None,
        canonicalize: false,
        service: None,
        ccache: None,
    }
}

fn explain(error: &Error, kdc: SocketAddr) -> Failure {
    let rejoin = "join again: `entractl leave`, then `entractl join`";
    let (exit, what, remedy) = match error.kind {
        Kind::WrongPassword => (
            Exit::No,
            "the directory has another key for this machine: its account was reset or joined from elsewhere".into(),
            rejoin,
        ),
        Kind::UnknownPrincipal => {
            (Exit::No, "the directory has no account for this machine: it was deleted".into(), rejoin)
        }
        Kind::Revoked | Kind::KeyExpired => {
            (Exit::No, "the account of this machine is disabled".into(), "have it enabled")
        }
        Kind::ClockSkew => (
            Exit::No,
            "the clocks of this host and the domain controller differ too much".into(),
            "set the clock: `timedatectl set-ntp true`",
        ),
        Kind::Keytab => (Exit::No, format!("the keytab does not serve: {error}"), rejoin),
        Kind::Unreachable | Kind::TimedOut => (
            Exit::NoDirectory,
            format!("the KDC {kdc} gives no answer: {error}"),
            "`entractl check connect` names the port",
        ),
        _ => (Exit::No, format!("no ticket for this machine: {error}"), "see the message"),
    };
    Failure::new(exit, "ticket", what).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use crate::host::keytab::tests::record;
    use std::os::unix::fs::PermissionsExt;

    fn entry(name: &str, kvno: u32, enctype: u16) -> Entry {
        Entry { name: name.into(), realm: "R".into(), kvno, enctype }
    }

    #[test]
    fn weak_and_foreign_keys() {
        let good = [entry("HOST$", 3, 18), entry("HOST$", 2, 17), entry("host/h", 3, 18)];
        assert_eq!(judge(&good, "R").unwrap(), MachineKeys { name: "HOST$".into(), kvno: 3, count: 3 });
        assert!(judge(&good, "OTHER").unwrap_err().contains("no key of this machine in OTHER"));
        assert!(judge(&[entry("host/h", 3, 18)], "R").is_err());
        let weak = judge(&[entry("HOST$", 3, 18), entry("HOST$", 3, 23)], "R").unwrap_err();
        assert!(weak.contains("encryption type 23"), "{weak}");
    }

    #[test]
    fn an_open_keytab_is_refused() {
        let folder = Folder::new();
        let path = folder.0.join("keytab");
        assert!(keys(&path, "R").unwrap_err().error.contains("No such file"));
        fs::write(&path, [&[5, 2][..], &record("HOST$", "R", 2, 18)].concat()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(keys(&path, "R").unwrap_err().error.contains("not root and 0600"));
        if crate::host::effective_uid() == 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(keys(&path, "R").unwrap().name, "HOST$");
        }
    }
}
