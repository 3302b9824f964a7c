//! When a KDC that says nothing may be given up for another one: before it got any proof of the password, and never
//! after. Behind a relay that stops passing on at a chosen request.

#![allow(clippy::unwrap_used)] // A test that cannot go on says so by a panic.

#[allow(dead_code)] // Shared with other tests, which use more of it.
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use entra_krb5::{
    Context, Credentials, Error, InitialRequest, Kind, Password, Principal, Profile, Secret, initial_unless_silent,
};
use support::{REALM, TestKdc};
use zeroize::Zeroizing;

const PASSWORD: &str = "Right-Password-1";
const PATIENCE: Duration = Duration::from_millis(300);
const WHOLE: Duration = Duration::from_secs(3);

/// Passes the first `most` requests on to `kdc` and keeps the connections of the others open without a word. Counts
/// those that it has taken.
fn relay(kdc: SocketAddr, most: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (here, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if count.fetch_add(1, Ordering::SeqCst) >= most {
                held.push(stream);
                continue;
            }
            let mut message = [0; 8192];
            let length = stream.read(&mut message).unwrap();
            let mut onward = TcpStream::connect(kdc).unwrap();
            onward.write_all(&message[..length]).unwrap();
            onward.shutdown(Shutdown::Write).unwrap();
            let mut reply = Vec::new();
            onward.read_to_end(&mut reply).unwrap();
            let _ = stream.write_all(&reply);
        }
    });
    (here, taken)
}

fn log_in(context: &Context, kdc: SocketAddr) -> Result<Credentials<'_>, Error> {
    let client = Principal::enterprise(context, "alice").unwrap();
    let secret = Password::new(Zeroizing::new(PASSWORD.into())).unwrap();
    let request = InitialRequest {
        client: &client,
        secret: Secret::Password(&secret),
        kdc,
        realm: REALM,
        deadline: Instant::now() + WHOLE,
        armor: None,
        canonicalize: true,
        service: None,
        ccache: None,
    };
    initial_unless_silent(context, &request, PATIENCE)
}

fn context(kdc: SocketAddr) -> Context {
    Context::new(&Profile::new(REALM, &[kdc]).unwrap()).unwrap()
}

#[test]
fn one_that_never_answers_is_given_up_before_its_whole_time() {
    let kdc = TestKdc::start();
    let (silent, taken) = relay(kdc.address(), 0);
    let context = context(silent);
    let begun = Instant::now();
    let error = log_in(&context, silent).err().unwrap();
    assert_eq!(error.kind, Kind::Silent, "{error}");
    assert!(begun.elapsed() < WHOLE, "as long as one that may have got a proof");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    // Nobody listens: told at once, and likewise.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(log_in(&context, nobody).err().unwrap().kind, Kind::Silent);
}

#[test]
fn one_that_may_have_got_the_proof_keeps_its_time_and_is_not_given_up() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let (deaf, taken) = relay(kdc.address(), 1);
    let context = context(deaf);
    let begun = Instant::now();
    let error = log_in(&context, deaf).err().unwrap();
    assert_eq!(error.kind, Kind::TimedOut, "{error}");
    assert!(begun.elapsed() >= WHOLE);
    assert_eq!(taken.load(Ordering::SeqCst), 2, "the question without a proof, and the proof");
}

#[test]
fn one_that_answers_serves() {
    let kdc = TestKdc::start();
    kdc.add_user("alice", PASSWORD);
    let (slow, _) = relay(kdc.address(), usize::MAX);
    log_in(&context(slow), slow).unwrap();
}
