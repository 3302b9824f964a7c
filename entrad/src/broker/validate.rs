//! What the broker lets through. The worker may have been taken over: its word counts for nothing that root then does.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use entra_core::auth::{AuthRequest, CcacheTarget, Kept, MOST_OTHERS};
use entra_core::types::Sid;
use entra_wire::local;
use entra_wire::stated::Stated;

use crate::helper::Request;

/// Shortest and longest time that a request may ask for.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// Longest wait for the turns of others that a request may ask for.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// Longest life of a password that is kept.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// Longest principal, in bytes: AD's longest UPN.
const MAX_PRINCIPAL: usize = 1024;
/// Longest ccache name, in bytes; a suffix is added while it is written.
const MAX_CCACHE: usize = 1024;
/// Longest verifier, in bytes; one with a salt of 16 and a hash of 32 bytes has about 100.
const MAX_VERIFIER: usize = 256;
/// No person has an id below this one.
const FIRST_ID: u32 = 1000;

/// What requests are measured by; all of it comes from root-owned files and the command line.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The configured domains.
    pub realms: Vec<Realm>,
    /// The configuration, whose id ranges are read anew when it changes.
    pub config: PathBuf,
    /// Local users, as who the helper writes nothing, whatever the ranges are.
    pub passwd: PathBuf,
    /// Local groups, likewise.
    pub group: PathBuf,
    /// Whether a domain's configuration lets passwords be kept (`offline_keep_password`).
    pub keeps_passwords: bool,
}

/// What is let through for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Its name, in upper case.
    pub name: String,
    /// How old the machine's keys have to be before a worker may have them changed (`keytab_max_age`); zero: it may not.
    pub keytab_max_age: Duration,
}

impl Policy {
    /// Whether `request` may be done, with so many passwords beside it.
    ///
    /// # Errors
    /// What is wrong, without repeating what was sent.
    pub fn check(&self, request: &Request, passwords: usize) -> Result<(), &'static str> {
        let (shortest, longest) = TIMEOUTS;
        if !(shortest..=longest).contains(&request.timeout()) {
            return Err("a timeout outside 100 ms to 60 s");
        }
        if passwords != request.passwords() {
            return Err("more or fewer passwords than belong to the request");
        }
        match request {
            Request::MachineTgt { realm, kdc, .. } => {
                self.realm(realm)?;
                check_kdc(*kdc)
            }
            Request::Authenticate(request) => self.authenticate(request),
            Request::ChangePassword { request, .. } => {
                self.realm(&request.realm)?;
                check_kdc(request.kdc)?;
                check_kdc(request.kpasswd)?;
                check_principal(&request.principal)
            }
            Request::Renew(request) => {
                self.realm(&request.realm)?;
                check_kdc(request.kdc)?;
                self.ccache(&request.ccache)
            }
            Request::Fetch(request) => {
                self.realm(&request.realm)?;
                check_kdc(request.kdc)?;
                check_service(&request.service)?;
                self.ccache(&request.ccache)
            }
            Request::DestroyCcache { ccache, .. } => self.ccache(ccache),
            Request::RotateKeytab(request) => {
                let age = self.realm(&request.realm)?.keytab_max_age;
                if age.is_zero() || request.older_than < age {
                    return Err("a change of keys that are younger than the configuration lets them become");
                }
                check_kdc(request.kdc)?;
                if request.kpasswd.ip() != request.kdc.ip() {
                    return Err("a kpasswd server that is another machine than the KDC");
                }
                check_kdc(request.kpasswd)
            }
            Request::KeepPassword { kept, life, .. } => {
                if *life > LONGEST_LIFE {
                    return Err("a password to be kept for longer than a day");
                }
                self.kept(kept)
            }
            Request::TicketFromKept(request) => {
                let uid = request.ccache.as_ref().ok_or("a ticket without a ccache")?.uid;
                self.kept(&Kept { uid, sid: request.expected_sid.clone() })?;
                self.authenticate(request)
            }
            Request::ForgetPassword { kept, .. } => self.kept(kept),
            Request::MakeVerifier { .. } => Ok(()),
            Request::CheckVerifier { turn, .. } if *turn > LONGEST_TURN => Err("a turn longer than 30 s"),
            Request::CheckVerifier { verifier, .. } => check_verifier(verifier),
        }
    }

    fn authenticate(&self, request: &AuthRequest) -> Result<(), &'static str> {
        self.realm(&request.realm)?;
        check_kdc(request.kdc)?;
        if request.other_kdcs.len() > MOST_OTHERS {
            return Err("too many KDCs");
        }
        request.other_kdcs.iter().try_for_each(|kdc| check_kdc(*kdc))?;
        check_principal(&request.principal)?;
        check_sid(&request.expected_sid)?;
        request.ccache.as_ref().map_or(Ok(()), |target| self.ccache(target))
    }

    fn kept(&self, kept: &Kept) -> Result<(), &'static str> {
        if !self.keeps_passwords {
            return Err("a password to be kept, which the configuration does not allow");
        }
        check_sid(&kept.sid)?;
        self.persons(&[kept.uid])
    }

    fn realm(&self, realm: &str) -> Result<&Realm, &'static str> {
        self.realms.iter().find(|known| known.name == realm).ok_or("a realm that is not configured")
    }

    fn persons(&self, ids: &[u32]) -> Result<(), &'static str> {
        let ranges = Stated::of_config(&self.config).ranges;
        let foreign = ids.iter().any(|id| *id < FIRST_ID || !ranges.contains(*id));
        if foreign { Err("an id outside the ranges of the configuration") } else { Ok(()) }
    }

    fn ccache(&self, target: &CcacheTarget) -> Result<(), &'static str> {
        self.persons(&[target.uid, target.gid])?;
        if is_local(&self.passwd, target.uid) || is_local(&self.group, target.gid) {
            return Err("an id of a local account");
        }
        let (kind, residual) = target.name.split_once(':').ok_or("a ccache without a type")?;
        match kind {
            "FILE" | "DIR" => check_path(residual),
            // The keyrings and the KCM daemon's caches of this very user.
            "KEYRING"
                if ["persistent", "user"].map(|ring| format!("{ring}:{}", target.uid)).contains(&residual.into()) =>
            {
                Ok(())
            }
            "KCM" if residual == target.uid.to_string() => Ok(()),
            _ => Err("a ccache of another type, or of somebody else"),
        }
    }
}

fn check_sid(sid: &Sid) -> Result<(), &'static str> {
    if sid.is_of_a_domain() && sid.domain().is_some_and(|domain| domain.is_of_a_domain()) {
        Ok(())
    } else {
        Err("a SID that is no account's")
    }
}

/// Where the file cannot be read, everybody may be local.
fn is_local(file: &Path, id: u32) -> bool {
    let mut hit = false;
    let read = local::scan(file, |_, local| {
        hit = local == Some(id);
        hit
    });
    hit || read.is_none()
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let plain = path.len() <= MAX_CCACHE && !path.chars().any(char::is_control) && !path.ends_with('/');
    let path = Path::new(path);
    let mut parts = path.components();
    let absolute = parts.next() == Some(Component::RootDir);
    if !plain || !absolute || path.file_name().is_none() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err("a ccache without a plain absolute path");
    }
    Ok(())
}

fn check_kdc(kdc: SocketAddr) -> Result<(), &'static str> {
    if kdc.port() == 0 || kdc.ip().is_unspecified() || kdc.ip().is_multicast() {
        return Err("a KDC without an address");
    }
    Ok(())
}

fn check_principal(principal: &str) -> Result<(), &'static str> {
    if principal.is_empty() || principal.len() > MAX_PRINCIPAL || principal.chars().any(char::is_control) {
        return Err("a principal that is none");
    }
    Ok(())
}

/// `SERVICE/HOST`. Which one is the worker's to say: it comes to its owner's ccache, who can get it too.
fn check_service(service: &str) -> Result<(), &'static str> {
    let (name, host) = service.split_once('/').ok_or("a service without a host")?;
    let plain = |part: &str, others: &[u8]| {
        (1..=253).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    if plain(name, b"-_") && plain(host, b"-_.") { Ok(()) } else { Err("a service that is none") }
}

/// The helper reads it as root, if only to compute: nothing but a short text of the right kind gets there.
fn check_verifier(verifier: &str) -> Result<(), &'static str> {
    let plain = verifier.bytes().all(|byte| byte.is_ascii_graphic());
    if verifier.starts_with("$argon2id$") && verifier.len() <= MAX_VERIFIER && plain {
        Ok(())
    } else {
        Err("a verifier that is none")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::auth::{ChangeRequest, FetchRequest, RotateRequest};

    const GOOD_ID: u32 = 674_001_103;
    /// In the ranges, and local.
    const LOCAL_ID: u32 = 674_009_999;

    fn policy() -> Policy {
        static FOLDER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let folder = std::env::temp_dir().join(format!("entra-validate-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            for (name, text) in [
                ("entra.toml", "[domains.\"aadds.contoso.com\"]\n".to_owned()),
                ("passwd", format!("root:x:0:0::/:/bin/sh\nlocal:x:{LOCAL_ID}:100::/:/bin/sh\n")),
                ("group", format!("staff:x:{LOCAL_ID}:\n")),
            ] {
                std::fs::write(folder.join(name), text).unwrap();
            }
            folder
        });
        let realms = vec![Realm { name: "AADDS.CONTOSO.COM".into(), keytab_max_age: Duration::from_secs(86_400) }];
        let [config, passwd, group] = ["entra.toml", "passwd", "group"].map(|name| folder.join(name));
        Policy { realms, config, passwd, group, keeps_passwords: true }
    }

    fn login() -> AuthRequest {
        AuthRequest {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            other_kdcs: vec!["192.0.2.11:88".parse().unwrap()],
            principal: "alice@contoso.com".into(),
            expected_sid: "S-1-5-21-1-2-3-1103".parse().unwrap(),
            ccache: Some(CcacheTarget { uid: GOOD_ID, gid: GOOD_ID, name: "FILE:/tmp/krb5cc_674001103".into() }),
            require_fast: false,
            timeout: Duration::from_secs(10),
        }
    }

    fn check(change: impl FnOnce(&mut AuthRequest)) -> Result<(), &'static str> {
        let mut request = login();
        change(&mut request);
        policy().check(&Request::Authenticate(request), 1)
    }

    fn check_ccache(uid: u32, gid: u32, name: &str) -> Result<(), &'static str> {
        check(|request| request.ccache = Some(CcacheTarget { uid, gid, name: name.into() }))
    }

    #[test]
    fn a_login_passes() {
        assert_eq!(check(|_| {}), Ok(()));
        assert_eq!(check(|request| request.ccache = None), Ok(()));
        assert_eq!(check_ccache(GOOD_ID, GOOD_ID, "FILE:/run/user/674001103/krb5cc"), Ok(()));
    }

    #[test]
    fn nobody_becomes_a_local_user() {
        for (uid, gid) in [(0, GOOD_ID), (GOOD_ID, 0), (999, GOOD_ID), (1000, GOOD_ID), (GOOD_ID, 1000), (u32::MAX, 1)]
        {
            assert!(check_ccache(uid, gid, "FILE:/tmp/krb5cc_1").is_err(), "{uid}:{gid}");
        }
        for (uid, gid) in [(LOCAL_ID, GOOD_ID), (GOOD_ID, LOCAL_ID)] {
            assert_eq!(check_ccache(uid, gid, "FILE:/tmp/krb5cc_1"), Err("an id of a local account"), "{uid}:{gid}");
        }
        let target = CcacheTarget { uid: GOOD_ID, gid: GOOD_ID, name: "FILE:/tmp/krb5cc_1".into() };
        let blind = Policy { passwd: "/nonexistent".into(), ..policy() };
        assert_eq!(policy().ccache(&target), Ok(()));
        assert!(blind.ccache(&target).is_err(), "nobody knows who is local, and somebody was let through");
    }

    #[test]
    fn a_ccache_stays_where_its_name_says() {
        for name in [
            "/tmp/krb5cc_1",
            "FILE:tmp/krb5cc_1",
            "FILE:",
            "FILE:/",
            "FILE:/tmp/",
            "FILE:/tmp/..",
            "FILE:/tmp/../etc/krb5cc",
            "FILE:/tmp/a\0b",
            "FILE:/tmp/a\nb",
            "DIR:tmp/x",
            "KEYRING:session:x",
            "KEYRING:persistent:0",
            "KEYRING:persistent:6740011030",
            "KEYRING:user:other",
            "KCM:",
            "KCM:0",
            "MEMORY:x",
            "API:x",
        ] {
            assert!(check_ccache(GOOD_ID, GOOD_ID, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn ccaches_of_every_type_are_the_users_own() {
        for name in [
            "DIR:/run/user/674001103/krb5cc",
            "KEYRING:persistent:674001103",
            "KEYRING:user:674001103",
            "KCM:674001103",
        ] {
            assert_eq!(check_ccache(GOOD_ID, GOOD_ID, name), Ok(()), "{name}");
        }
        let target = |uid, name: &str| CcacheTarget { uid, gid: GOOD_ID, name: name.into() };
        let destroy = |ccache| policy().check(&Request::DestroyCcache { ccache, timeout: Duration::from_secs(5) }, 0);
        assert_eq!(destroy(target(GOOD_ID, "FILE:/tmp/krb5cc_674001103")), Ok(()));
        assert!(destroy(target(0, "FILE:/tmp/krb5cc_0")).is_err());
        assert!(destroy(target(GOOD_ID, "FILE:/tmp/../etc/passwd")).is_err());
    }

    #[test]
    fn another_realm_is_refused() {
        for realm in ["", "aadds.contoso.com", "OTHER.EXAMPLE", "AADDS.CONTOSO.COM\n"] {
            assert!(check(|request| request.realm = realm.into()).is_err(), "{realm:?}");
        }
    }

    #[test]
    fn kdc_principal_sid_and_timeout_have_their_shape() {
        assert!(check(|request| request.kdc = "0.0.0.0:88".parse().unwrap()).is_err());
        assert!(check(|request| request.kdc = "192.0.2.1:0".parse().unwrap()).is_err());
        assert!(check(|request| request.other_kdcs.push("0.0.0.0:88".parse().unwrap())).is_err());
        assert!(check(|request| request.other_kdcs = vec![request.kdc; MOST_OTHERS + 1]).is_err());
        assert!(check(|request| request.principal = String::new()).is_err());
        assert!(check(|request| request.principal = "a".repeat(1025)).is_err());
        assert!(check(|request| request.principal = "alice\0@x".into()).is_err());
        assert!(check(|request| request.expected_sid = "S-1-1-0".parse().unwrap()).is_err());
        assert!(check(|request| request.expected_sid = "S-1-5-21-1-2-3".parse().unwrap()).is_err());
        assert!(check(|request| request.timeout = Duration::from_secs(3600)).is_err());
        assert!(check(|request| request.timeout = Duration::ZERO).is_err());
    }

    #[test]
    fn a_password_belongs_to_a_login_alone() {
        assert!(policy().check(&Request::Authenticate(login()), 0).is_err());
        let machine = Request::MachineTgt {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            timeout: Duration::from_secs(5),
        };
        assert_eq!(policy().check(&machine, 0), Ok(()));
        assert!(policy().check(&machine, 1).is_err());
        assert!(policy().check(&Request::Authenticate(login()), 2).is_err());
    }

    #[test]
    fn a_change_brings_two_passwords_and_its_check_one() {
        let request = ChangeRequest {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            kpasswd: "192.0.2.10:464".parse().unwrap(),
            principal: "alice@contoso.com".into(),
            require_fast: false,
            timeout: Duration::from_secs(10),
        };
        let check = |request: &ChangeRequest, change, passwords| {
            policy().check(&Request::ChangePassword { request: request.clone(), change }, passwords)
        };
        assert_eq!(check(&request, false, 1), Ok(()));
        assert_eq!(check(&request, true, 2), Ok(()));
        for (change, passwords) in [(false, 2), (true, 1), (false, 0), (true, 3)] {
            assert!(check(&request, change, passwords).is_err(), "{change} {passwords}");
        }
        for wrong in [
            ChangeRequest { realm: "OTHER.EXAMPLE".into(), ..request.clone() },
            ChangeRequest { kdc: "0.0.0.0:88".parse().unwrap(), ..request.clone() },
            ChangeRequest { kpasswd: "0.0.0.0:464".parse().unwrap(), ..request.clone() },
            ChangeRequest { principal: String::new(), ..request.clone() },
        ] {
            assert!(check(&wrong, true, 2).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_kept_where_that_is_allowed_for_a_person_and_a_day() {
        let sid = || "S-1-5-21-1-2-3-1103".parse().unwrap();
        let timeout = Duration::from_secs(5);
        let keep = |uid, life| Request::KeepPassword { kept: Kept { uid, sid: sid() }, life, timeout };
        assert_eq!(policy().check(&keep(GOOD_ID, LONGEST_LIFE), 1), Ok(()));
        assert!(policy().check(&keep(GOOD_ID, LONGEST_LIFE), 0).is_err());
        assert!(policy().check(&keep(GOOD_ID, LONGEST_LIFE + timeout), 1).is_err());
        assert!(policy().check(&keep(0, timeout), 1).is_err());
        let nobodys = Kept { uid: GOOD_ID, sid: "S-1-1-0".parse().unwrap() };
        assert!(policy().check(&Request::KeepPassword { kept: nobodys, life: timeout, timeout }, 1).is_err());
        assert_eq!(policy().check(&Request::TicketFromKept(login()), 0), Ok(()));
        assert!(policy().check(&Request::TicketFromKept(AuthRequest { ccache: None, ..login() }), 0).is_err());
        let forget = Request::ForgetPassword { kept: Kept { uid: GOOD_ID, sid: sid() }, timeout };
        assert_eq!(policy().check(&forget, 0), Ok(()));
        let without = Policy { keeps_passwords: false, ..policy() };
        for (request, passwords) in [(keep(GOOD_ID, timeout), 1), (Request::TicketFromKept(login()), 0), (forget, 0)] {
            assert!(without.check(&request, passwords).is_err(), "{request:?}");
        }
    }

    #[test]
    fn a_new_machine_password_goes_to_the_domain_that_is_configured() {
        let request = RotateRequest {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            kpasswd: "192.0.2.10:464".parse().unwrap(),
            older_than: Duration::from_secs(30 * 86_400),
            timeout: Duration::from_secs(50),
        };
        let check = |request: RotateRequest, passwords| policy().check(&Request::RotateKeytab(request), passwords);
        assert_eq!(check(request.clone(), 0), Ok(()));
        assert!(check(request.clone(), 1).is_err());
        for wrong in [
            RotateRequest { realm: "OTHER.EXAMPLE".into(), ..request.clone() },
            RotateRequest { kpasswd: "192.0.2.11:464".parse().unwrap(), ..request.clone() },
            RotateRequest { kpasswd: "192.0.2.10:0".parse().unwrap(), ..request.clone() },
            RotateRequest { timeout: Duration::from_secs(600), ..request.clone() },
            RotateRequest { older_than: Duration::ZERO, ..request.clone() },
            RotateRequest { older_than: Duration::from_secs(86_399), ..request.clone() },
        ] {
            assert!(check(wrong.clone(), 0).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_service_ticket_is_for_a_service_of_a_host_and_for_its_users_ccache() {
        let request = FetchRequest {
            realm: "AADDS.CONTOSO.COM".into(),
            kdc: "192.0.2.10:88".parse().unwrap(),
            ccache: CcacheTarget { uid: GOOD_ID, gid: GOOD_ID, name: "FILE:/tmp/krb5cc_674001103".into() },
            service: "cifs/acct.file.core.windows.net".into(),
            timeout: Duration::from_secs(40),
        };
        let check = |request: FetchRequest| policy().check(&Request::Fetch(request), 0);
        assert_eq!(check(request.clone()), Ok(()));
        for service in ["", "cifs", "cifs/", "/host", "cifs/a b", "cifs/a@R", "cifs/a/b", "cifs/a\0", "krbtgt/\n"] {
            assert!(check(FetchRequest { service: service.into(), ..request.clone() }).is_err(), "{service:?}");
        }
        let roots = CcacheTarget { uid: 0, gid: 0, name: "FILE:/tmp/krb5cc_0".into() };
        for wrong in [
            FetchRequest { realm: "KERBEROS.MICROSOFTONLINE.COM".into(), ..request.clone() },
            FetchRequest { kdc: "192.0.2.10:0".parse().unwrap(), ..request.clone() },
            FetchRequest { ccache: roots, ..request },
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_verifier_is_a_short_plain_text_of_its_kind() {
        let check = |verifier: &str| {
            let (turn, timeout) = (LONGEST_TURN, Duration::from_secs(5));
            policy().check(&Request::CheckVerifier { verifier: verifier.into(), turn, timeout }, 1)
        };
        assert_eq!(check("$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA"), Ok(()));
        let long = format!("$argon2id${}", "x".repeat(MAX_VERIFIER));
        for wrong in ["", "$argon2i$v=19$m=1,t=1,p=1$x$y", "$argon2id$ $", "$argon2id$\0", &long] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        let (verifier, timeout) = ("$argon2id$x".to_owned(), Duration::from_secs(5));
        let patient = Request::CheckVerifier { verifier, turn: LONGEST_TURN + timeout, timeout };
        assert!(policy().check(&patient, 1).is_err());
    }
}
