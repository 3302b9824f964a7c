//! Changing passwords at MIT's kadmind, started by each test on loopback.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

#[allow(dead_code)] // Shared with other tests, which use more of it.
mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use entra_krb5::{
    ChangeAnswer, ChangeError, Context, Credentials, Error, InitialRequest, Kind, Password, Principal, Profile, Secret,
    change_password, initial,
};
use support::{REALM, TestKdc};
use zeroize::Zeroizing;

const OLD: &str = "Old-Password-1";
const NEW: &str = "New-Pässword-2";
const TIMEOUT: Duration = Duration::from_secs(10);

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.into())).unwrap()
}

fn ticket<'c>(
    context: &'c Context,
    kdc: SocketAddr,
    secret: &str,
    service: Option<&str>,
) -> Result<Credentials<'c>, Error> {
    let client = Principal::enterprise(context, "alice").unwrap();
    let secret = password(secret);
    let request = InitialRequest {
        client: &client,
        secret: Secret::Password(&secret),
        kdc,
        realm: REALM,
        deadline: Instant::now() + TIMEOUT,
        armor: None,
        canonicalize: true,
        service,
        ccache: None,
    };
    initial(context, &request)
}

fn change(kdc: &TestKdc, server: SocketAddr, new: &str, timeout: Duration) -> Result<ChangeAnswer, ChangeError> {
    let context = Context::new(&Profile::new(REALM, &[kdc.address()]).unwrap()).unwrap();
    let mut ticket = ticket(&context, kdc.address(), OLD, Some("kadmin/changepw")).unwrap();
    change_password(&context, &mut ticket, &password(new), server, Instant::now() + timeout)
}

fn counts(kdc: &TestKdc, secret: &str) -> bool {
    let context = Context::new(&Profile::new(REALM, &[kdc.address()]).unwrap()).unwrap();
    match ticket(&context, kdc.address(), secret, None) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind, Kind::WrongPassword, "{error}");
            false
        }
    }
}

#[test]
fn a_new_password_counts_and_the_old_one_no_more() {
    let mut kdc = TestKdc::start();
    let server = kdc.start_kpasswd();
    kdc.add_user("alice", OLD);
    assert_eq!(change(&kdc, server, NEW, TIMEOUT), Ok(ChangeAnswer::Changed));
    assert!(counts(&kdc, NEW) && !counts(&kdc, OLD));
}

#[test]
fn an_expired_password_can_be_changed() {
    let mut kdc = TestKdc::start();
    let server = kdc.start_kpasswd();
    kdc.add_user("alice", OLD);
    kdc.kadmin("modprinc +needchange alice");
    assert_eq!(change(&kdc, server, NEW, TIMEOUT), Ok(ChangeAnswer::Changed));
    assert!(counts(&kdc, NEW));
}

#[test]
fn a_refusal_is_in_the_servers_own_words() {
    let mut kdc = TestKdc::start();
    let server = kdc.start_kpasswd();
    kdc.add_user("alice", OLD);
    kdc.kadmin("modprinc -policy strict alice");
    let answer = change(&kdc, server, "short", TIMEOUT).unwrap();
    let ChangeAnswer::Refused { code: 4, words } = answer else { panic!("{answer:?}") };
    assert!(words.contains("too short"), "{words}");
    assert!(counts(&kdc, OLD));
}

#[test]
fn without_a_server_nothing_was_sent() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", OLD);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = change(&kdc, nobody, NEW, TIMEOUT).unwrap_err();
    assert!(matches!(&error, ChangeError::NotSent(error) if error.kind == Kind::Unreachable), "{error:?}");
}

#[test]
fn a_lost_answer_is_no_answer() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", OLD);
    // One takes the message and closes, one says nothing.
    for closes in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let taken = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut message = [0; 4096];
            let count = stream.read(&mut message).unwrap();
            if !closes {
                let _ = stream.read_to_end(&mut Vec::new());
            }
            message[..count].to_vec()
        });
        let error = change(&kdc, server, NEW, Duration::from_secs(1)).unwrap_err();
        let ChangeError::Unanswered(error) = error else { panic!("{error:?}") };
        let expected = if closes { Kind::Unreachable } else { Kind::TimedOut };
        assert_eq!(error.kind, expected, "{error}");
        let message = taken.join().unwrap();
        assert!(!message.windows(NEW.len()).any(|part| part == NEW.as_bytes()), "the password is sealed");
    }
}
