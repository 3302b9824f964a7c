//! Against MIT's krb5kdc, started by each test on loopback in a folder of its own. Where krb5-kdc is not installed the
//! tests fail: what they show cannot be shown without a KDC.

#![allow(clippy::unwrap_used)] // A test that cannot go on says so by a panic.

#[allow(dead_code)] // Shared with other tests, which use more of it.
mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use entra_krb5::{
    Armor, Ccache, Context, Credentials, Error, InitialRequest, Keytab, Kind, Password, Principal, Profile, Secret,
    initial, initial_with_keytab, initial_with_password, kdc_exchange, list_keytab, service_ticket,
    service_ticket_anywhere, service_ticket_by, tgt_end, verify,
};
use support::{REALM, TestKdc};
use zeroize::Zeroizing;

const PASSWORD: &str = "Right-Password-1";
const TIMEOUT: Duration = Duration::from_secs(10);

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.into())).unwrap()
}

fn context(kdc: SocketAddr) -> Context {
    Context::new(&Profile::new(REALM, &[kdc]).unwrap()).unwrap()
}

/// One attempt of `name` (an enterprise name), as a login makes it.
fn log_in<'c>(
    context: &'c Context,
    kdc: SocketAddr,
    name: &str,
    secret: &str,
    armor: Option<Armor<'_>>,
) -> Result<Credentials<'c>, Error> {
    let client = Principal::enterprise(context, name).unwrap();
    let secret = password(secret);
    initial(
        context,
        &InitialRequest {
            client: &client,
            secret: Secret::Password(&secret),
            kdc,
            realm: REALM,
            deadline: Instant::now() + TIMEOUT,
            armor,
            canonicalize: true,
            service: None,
            ccache: None,
        },
    )
}

#[test]
fn the_right_password_gets_a_ticket() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let path = kdc.path("ticket");
    let end = initial_with_password(REALM, kdc.address(), "alice", &password(PASSWORD), &path, TIMEOUT).unwrap();
    let name = format!("FILE:{}", path.display());
    assert_eq!(tgt_end(&name, REALM).unwrap(), Some(end));
    assert_eq!(tgt_end(&name, "OTHER.EXAMPLE").unwrap(), None);
    assert_eq!(support::mode(&path), 0o600);
}

#[test]
fn a_wrong_password_is_tried_exactly_once() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let context = context(kdc.address());
    let error = log_in(&context, kdc.address(), "alice", "wrong", None).err().unwrap();
    assert_eq!(error.kind, Kind::WrongPassword, "{error}");
    assert_eq!(kdc.refused_proofs(), 1, "{}", kdc.log());
}

#[test]
fn with_armor_a_wrong_password_is_tried_exactly_once() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let machine = kdc.machine_ccache();
    for required in [false, true] {
        let before = kdc.refused_proofs();
        let context = context(kdc.address());
        let armor = Some(Armor { ccache: &machine, required });
        let error = log_in(&context, kdc.address(), "alice", "wrong", armor).err().unwrap();
        assert_eq!(error.kind, Kind::WrongPassword, "{error}");
        assert_eq!(kdc.refused_proofs() - before, 1, "{}", kdc.log());
        log_in(&context, kdc.address(), "alice", PASSWORD, armor).unwrap();
    }
}

#[test]
fn required_armor_is_not_given_up() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let context = context(kdc.address());
    let armor = Armor { ccache: "FILE:/nonexistent/ccache", required: true };
    assert!(log_in(&context, kdc.address(), "alice", PASSWORD, Some(armor)).is_err());
    assert!(!kdc.log().contains("ISSUE"), "{}", kdc.log());
}

#[test]
fn an_unknown_principal_is_named_so() {
    let kdc = TestKdc::start();
    let context = context(kdc.address());
    let error = log_in(&context, kdc.address(), "nobody", PASSWORD, None).err().unwrap();
    assert_eq!(error.kind, Kind::UnknownPrincipal, "{error}");
    assert!(error.message.contains("not found in Kerberos database"), "{error}");
}

#[test]
fn states_of_accounts_are_told_apart() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let context = context(kdc.address());
    for (change, kind) in [
        ("-allow_tix", Kind::Revoked),
        ("+allow_tix -pwexpire yesterday", Kind::KeyExpired),
        ("-pwexpire never -expire yesterday", Kind::Revoked),
    ] {
        kdc.kadmin(&format!("modprinc {change} alice"));
        let error = log_in(&context, kdc.address(), "alice", PASSWORD, None).err().unwrap();
        assert_eq!(error.kind, kind, "{change}: {error}");
    }
}

#[test]
fn an_expired_password_still_gets_a_ticket_to_change_it() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    kdc.kadmin("modprinc -pwexpire yesterday alice");
    let context = context(kdc.address());
    let client = Principal::enterprise(&context, "alice").unwrap();
    let change = |text: &str| {
        let secret = password(text);
        let request = InitialRequest {
            client: &client,
            secret: Secret::Password(&secret),
            kdc: kdc.address(),
            realm: REALM,
            deadline: Instant::now() + TIMEOUT,
            armor: None,
            canonicalize: true,
            service: Some("kadmin/changepw"),
            ccache: None,
        };
        initial(&context, &request).map(|ticket| ticket.server().unwrap())
    };
    assert_eq!(change(PASSWORD).unwrap(), format!("kadmin/changepw@{REALM}"));
    assert_eq!(change("wrong").err().unwrap().kind, Kind::WrongPassword);
}

#[test]
fn the_keytab_gets_the_machines_ticket() {
    let kdc = TestKdc::start();
    let keytab = kdc.machine_keytab();
    let path = kdc.path("machine");
    initial_with_keytab(REALM, kdc.address(), None, &keytab, &path, TIMEOUT).unwrap();
    let context = Context::without_realm().unwrap();
    let ccache = Ccache::resolve(&context, &format!("FILE:{}", path.display())).unwrap();
    assert_eq!(ccache.owner().unwrap().to_string(), format!("HOST$@{REALM}"));
}

#[test]
fn a_keytab_is_listed_without_its_keys() {
    let kdc = TestKdc::start();
    let entries = list_keytab(&kdc.machine_keytab()).unwrap();
    let mut enctypes: Vec<_> = entries.iter().map(|entry| entry.enctype.as_str()).collect();
    enctypes.sort_unstable();
    assert_eq!(enctypes, ["aes128-cts-hmac-sha1-96", "aes256-cts-hmac-sha1-96"]);
    assert!(entries.iter().all(|entry| entry.principal == format!("HOST$@{REALM}") && entry.kvno == 2));
    let missing = list_keytab(std::path::Path::new("/nonexistent/keytab")).err().unwrap();
    assert_eq!(missing.kind, Kind::Keytab);
}

#[test]
fn the_kdc_that_knows_the_machine_is_verified() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let (context, path) = (context(kdc.address()), kdc.machine_keytab());
    let keytab = Keytab::file(&context, &path).unwrap();
    let machine = Principal::parse(&context, &keytab.machine_principal(REALM).unwrap()).unwrap();
    let ticket = log_in(&context, kdc.address(), "alice", PASSWORD, None).unwrap();
    let verified = verify(&context, &ticket, &keytab, &machine, kdc.address(), Instant::now() + TIMEOUT).unwrap();
    // MIT's KDC signs PACs since 1.20, but writes no logon information into them.
    assert_eq!(verified.sid, None);
    assert!(verified.client.starts_with("alice"), "{}", verified.client);
}

#[test]
fn another_kdc_with_other_keys_is_not_verified() {
    let real = TestKdc::start();
    let path = real.machine_keytab();
    let fake = TestKdc::start();
    fake.add_user("alice", "chosen by the false KDC");
    fake.machine_keytab();
    let context = context(fake.address());
    let keytab = Keytab::file(&context, &path).unwrap();
    let machine = Principal::parse(&context, &keytab.machine_principal(REALM).unwrap()).unwrap();
    let ticket = log_in(&context, fake.address(), "alice", "chosen by the false KDC", None).unwrap();
    let error = verify(&context, &ticket, &keytab, &machine, fake.address(), Instant::now() + TIMEOUT).err().unwrap();
    assert_eq!(error.kind, Kind::BadReply, "{error}");
}

#[test]
fn a_kdc_that_does_not_know_the_machine_is_not_verified() {
    let real = TestKdc::start();
    let path = real.machine_keytab();
    let fake = TestKdc::start();
    fake.add_user("alice", PASSWORD);
    let context = context(fake.address());
    let keytab = Keytab::file(&context, &path).unwrap();
    let machine = Principal::parse(&context, &keytab.machine_principal(REALM).unwrap()).unwrap();
    let ticket = log_in(&context, fake.address(), "alice", PASSWORD, None).unwrap();
    let error = verify(&context, &ticket, &keytab, &machine, fake.address(), Instant::now() + TIMEOUT).err().unwrap();
    assert_eq!(error.kind, Kind::UnknownServer, "{error}");
}

#[test]
fn a_ticket_is_renewed_for_another_life() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let context = context(kdc.address());
    let tgt = log_in(&context, kdc.address(), "alice", PASSWORD, None).unwrap();
    assert!(tgt.renew_till() > tgt.end(), "a login asks for a ticket that can be renewed");
    let ccache = Ccache::memory(&context).unwrap();
    ccache.initialize(&Principal::parse(&context, &tgt.client().unwrap()).unwrap()).unwrap();
    ccache.store(&tgt).unwrap();
    // Tickets tell their times in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let renewed = ccache.renewed().unwrap();
    assert!(renewed.end() > tgt.end(), "{:?} after {:?}", renewed.end(), tgt.end());
    assert_eq!(renewed.renew_till(), tgt.renew_till());
    assert_eq!(ccache.tgt_end(REALM).unwrap(), Some(tgt.end()), "the ccache stays as it is");
}

#[test]
fn a_service_ticket_is_for_the_service_asked_for() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    kdc.kadmin("addprinc -randkey ldap/dc1.test.example");
    let context = context(kdc.address());
    let ccache = Ccache::memory(&context).unwrap();
    let ticket = log_in(&context, kdc.address(), "alice", PASSWORD, None).unwrap();
    ccache.initialize(&Principal::parse(&context, &ticket.client().unwrap()).unwrap()).unwrap();
    ccache.store(&ticket).unwrap();
    let service = Principal::parse(&context, &format!("ldap/dc1.test.example@{REALM}")).unwrap();
    let found = service_ticket(&context, &ccache, &service, kdc.address(), Instant::now() + TIMEOUT).unwrap();
    assert_eq!(found.server().unwrap(), service.to_string());
}

#[test]
fn who_carries_the_requests_is_told_the_realm_of_each() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    kdc.kadmin(&format!("addprinc -randkey krbtgt/OTHER.EXAMPLE@{REALM}"));
    let context = context(kdc.address());
    let ccache = Ccache::memory(&context).unwrap();
    let ticket = log_in(&context, kdc.address(), "alice", PASSWORD, None).unwrap();
    ccache.initialize(&Principal::parse(&context, &ticket.client().unwrap()).unwrap()).unwrap();
    ccache.store(&ticket).unwrap();
    assert_eq!(ccache.tgt(REALM).unwrap().unwrap().end(), ticket.end());
    let service = Principal::parse(&context, "cifs/share.other.example@OTHER.EXAMPLE").unwrap();
    let deadline = Instant::now() + TIMEOUT;
    let mut realms = Vec::new();
    let asked = service_ticket_by(&context, &ccache, &service, |realm, message| {
        realms.push(realm.to_owned());
        if realm == REALM {
            return kdc_exchange(kdc.address(), message, deadline);
        }
        Err(Error::undelivered("the cable is out"))
    });
    assert_eq!(realms, [REALM, "OTHER.EXAMPLE"]);
    assert_eq!(asked.err().map(|error| error.message), Some("the cable is out".into()));
}

#[test]
fn a_kdc_that_is_not_there_is_unreachable_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let context = context(free);
    let started = Instant::now();
    let error = log_in(&context, free, "alice", PASSWORD, None).err().unwrap();
    assert_eq!(error.kind, Kind::Unreachable, "{error}");
    assert!(started.elapsed() < TIMEOUT);
}

#[test]
fn a_kdc_that_says_nothing_costs_the_deadline_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let kdc = silent.local_addr().unwrap();
    let context = context(kdc);
    let client = Principal::enterprise(&context, "alice").unwrap();
    let secret = password(PASSWORD);
    let started = Instant::now();
    let request = InitialRequest {
        client: &client,
        secret: Secret::Password(&secret),
        kdc,
        realm: REALM,
        deadline: started + Duration::from_millis(300),
        armor: None,
        canonicalize: true,
        service: None,
        ccache: None,
    };
    let error = initial(&context, &request).err().unwrap();
    assert_eq!(error.kind, Kind::TimedOut, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_kdc_that_trickles_cannot_stretch_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kdc = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&1000u32.to_be_bytes());
        while stream.write_all(&[0x7e]).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let context = context(kdc);
    let client = Principal::enterprise(&context, "alice").unwrap();
    let secret = password(PASSWORD);
    let started = Instant::now();
    let request = InitialRequest {
        client: &client,
        secret: Secret::Password(&secret),
        kdc,
        realm: REALM,
        deadline: started + Duration::from_millis(500),
        armor: None,
        canonicalize: true,
        service: None,
        ccache: None,
    };
    assert_eq!(initial(&context, &request).err().unwrap().kind, Kind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn garbage_and_giant_lengths_are_errors() {
    use std::io::{Read, Write};
    for reply in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 0], &[0, 0, 0, 3, 1, 2, 3]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kdc = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(reply);
        });
        let context = context(kdc);
        let error = log_in(&context, kdc, "alice", PASSWORD, None).err().unwrap();
        assert!(!matches!(error.kind, Kind::WrongPassword | Kind::TimedOut), "{reply:?}: {error}");
        served.join().unwrap();
    }
}

#[test]
fn the_hosts_file_says_where_hosts_belong_and_nothing_of_our_own_realms_kdcs() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    kdc.kadmin("addprinc -randkey cifs/acct.shares.example");
    let path = kdc.path("ticket");
    initial_with_password(REALM, kdc.address(), "alice", &password(PASSWORD), &path, TIMEOUT).unwrap();
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let host = |name: &str, address: SocketAddr| {
        let file = kdc.path(name);
        let text = format!(
            "[libdefaults]\n dns_lookup_kdc = false\n[realms]\n {REALM} = {{\n  kdc = {address}\n }}\n\
             [domain_realm]\n .shares.example = {REALM}\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    };
    let get = |pinned: SocketAddr, file: &std::path::Path| {
        let context = Context::before_host(&Profile::new(REALM, &[pinned]).unwrap(), file)?;
        let ccache = Ccache::resolve(&context, &format!("FILE:{}", path.display()))?;
        let own = Ccache::memory(&context)?;
        own.initialize(&ccache.owner()?)?;
        own.store(&ccache.tgt(REALM)?.unwrap())?;
        let wanted = Principal::of_host(&context, "cifs", "acct.shares.example")?;
        service_ticket_anywhere(&context, &own, &wanted)?.server()
    };
    let right = host("right.conf", nobody);
    assert_eq!(get(kdc.address(), &right).unwrap(), format!("cifs/acct.shares.example@{REALM}"));
    let wrong = host("wrong.conf", kdc.address());
    assert_eq!(get(nobody, &wrong).unwrap_err().kind, Kind::Unreachable, "the file's KDC was asked");
    // Without a file the KDC's word counts; a file that is none is an error, and says so.
    assert!(get(kdc.address(), &kdc.path("missing.conf")).is_ok());
    std::fs::write(&right, "[realms\n").unwrap();
    assert!(get(kdc.address(), &right).is_err());
}
