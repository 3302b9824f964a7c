//! Changing passwords at MIT's kadmind, started by each test on loopback.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on says so by a panic.

#[allow(dead_code)] // Shared with other tests, which use more of it.
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    let ChangeAnswer::Refused { code: 4, words, proven: true } = answer else { panic!("{answer:?}") };
    assert!(words.contains("too short"), "{words}");
    assert!(counts(&kdc, OLD));
}

#[test]
fn a_refusal_that_anybody_may_have_made_up_proves_nothing() {
    let mut kdc = TestKdc::start();
    let server = kdc.start_kpasswd();
    kdc.add_user("alice", OLD);
    // Lets the request pass, and answers in the server's place.
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = between.local_addr().unwrap();
    let liar = std::thread::spawn(move || {
        let (mut client, _) = between.accept().unwrap();
        let mut there = TcpStream::connect(server).unwrap();
        there.write_all(&message(&mut client)).unwrap();
        message(&mut there);
        let error = error_in_clear();
        client.write_all(&[&(error.len() as u32).to_be_bytes(), error.as_slice()].concat()).unwrap();
    });
    let answer = change(&kdc, address, NEW, TIMEOUT);
    liar.join().unwrap();
    assert_eq!(answer, Ok(ChangeAnswer::Refused { code: 4, words: "never".into(), proven: false }));
    assert!(counts(&kdc, NEW), "whatever was said");
}

/// A message with its length in front (RFC 4120 7.2.2).
fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut whole = vec![0; 4];
    stream.read_exact(&mut whole).unwrap();
    let length = u32::from_be_bytes(whole[..4].try_into().unwrap()) as usize;
    whole.resize(4 + length, 0);
    stream.read_exact(&mut whole[4..]).unwrap();
    whole
}

/// A KRB-ERROR (RFC 4120 5.9.1) whose e-data says "4, never".
fn error_in_clear() -> Vec<u8> {
    let part = |tag: u8, body: &[u8]| [&[tag, body.len() as u8], body].concat();
    let number = |tag: u8, value: u8| part(tag, &part(2, &[value]));
    let name = part(0x30, &[number(0xa0, 1), part(0xa1, &part(0x30, &part(0x1b, b"kadmin")))].concat());
    let fields = [
        number(0xa0, 5),
        number(0xa1, 30),
        part(0xa4, &part(0x18, b"20300101000000Z")),
        number(0xa5, 0),
        number(0xa6, 60),
        part(0xa9, &part(0x1b, REALM.as_bytes())),
        part(0xaa, &name),
        part(0xac, &part(4, b"\0\x04never")),
    ];
    part(0x7e, &part(0x30, &fields.concat()))
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
