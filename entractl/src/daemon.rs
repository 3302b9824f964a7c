//! Asking the daemon: one JSON request over `ctl.sock`, one JSON reply (`entra_core::control`).

use std::path::Path;
use std::time::Duration;

use entra_core::control::{Reply, Request};
use entra_wire::client::{CallError, Trust, call, open_reply};
use entra_wire::codec::Writer;
use entra_wire::protocol::{MAX_REPLY, MAX_REQUEST, Op, Status};

use crate::exit::{Exit, Failure};

/// Longest wait for an answer. Above the daemon's own deadline of a lookup, so that its reason arrives.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the daemon that listens on `socket` and turns every answer that is none into a [`Failure`].
///
/// # Errors
/// Exit status 3 where nobody listens or the call breaks, 4 where the directory is away, 5 where the daemon refuses,
/// 2 where it calls the request senseless, 1 where there is no such entry.
pub fn ask(socket: &Path, verb: &str, request: &Request) -> Result<Reply, Failure> {
    judge(verb, exchange(socket, verb, request, TIMEOUT)?)
}

/// Turns every answer that is none into a [`Failure`], as [`ask`] does.
///
/// # Errors
/// As [`ask`].
pub fn judge(verb: &str, reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::NotFound => Err(no_such_entry(verb)),
        Reply::Offline { reason } => {
            Err(Failure::new(Exit::NoDirectory, verb, format!("nothing is cached and {reason}"))
                .remedy("`entractl check` names what keeps the directory away"))
        }
        Reply::NotPermitted => {
            Err(Failure::new(Exit::NotPermitted, verb, "the daemon does not permit this to you")
                .remedy("run it as root"))
        }
        Reply::Invalid { reason } => Err(Failure::new(Exit::Usage, verb, reason)),
        reply => Ok(reply),
    }
}

/// Has a daemon that runs without systemd go on with the configuration as it is now; gives how many domains it serves
/// then. It answers before it does, so [`Request::Status`] may show the domains before for a moment.
///
/// # Errors
/// As [`ask`]; exit status 2 where it refuses the configuration, or is of a version that cannot do this.
pub fn reload(socket: &Path, verb: &str) -> Result<u64, Failure> {
    match ask(socket, verb, &Request::Reload)? {
        Reply::Done { count } => Ok(count),
        _ => Err(unexpected(verb)),
    }
}

/// There is nobody by that name or id.
pub fn no_such_entry(verb: &str) -> Failure {
    Failure::no(verb, "the directory has no such entry").remedy(
        "local and reserved names, ids below 1000 and computers are never the directory's here; `entractl status` says \
         which domains are asked",
    )
}

/// An answer of the wrong kind: daemon and command are of different versions.
pub fn unexpected(verb: &str) -> Failure {
    Failure::new(Exit::NoDaemon, verb, "the daemon gave an answer of another kind than asked for")
        .remedy("restart entrad: it is of another version than entractl")
}

/// The daemon's answer, whatever it is, waiting `timeout` at most.
///
/// # Errors
/// Exit status 3 where nobody listens or the call breaks.
pub fn exchange(socket: &Path, verb: &str, request: &Request, timeout: Duration) -> Result<Reply, Failure> {
    let broken = |error: String| {
        Failure::new(Exit::NoDaemon, verb, error).remedy("restart entrad: it may be of another version than entractl")
    };
    let text = serde_json::to_vec(request).map_err(|error| broken(error.to_string()))?;
    let mut frame = Writer::request(Op::Control);
    frame.raw(&text);
    if frame.body_len() > MAX_REQUEST {
        return Err(Failure::new(Exit::Usage, verb, "the request is too long"));
    }
    let mut body = Vec::new();
    call(socket, trust(), &frame.finish(), &[], MAX_REPLY, timeout, &mut body)
        .map_err(|error| unreachable(socket, verb, error, timeout))?;
    let (status, mut reader) = open_reply(&body).map_err(|error| unreachable(socket, verb, error, timeout))?;
    match status {
        Status::Ok => serde_json::from_slice(reader.rest())
            .map_err(|error| broken(format!("the daemon's answer cannot be read: {error}"))),
        Status::NotFound => Ok(Reply::NotFound),
        Status::Offline => Ok(Reply::Offline { reason: "the directory is not reachable".into() }),
        Status::Refused => Ok(Reply::NotPermitted),
        Status::Busy => Err(Failure::no(verb, "the daemon has too much to do").remedy("ask again in a moment")),
        Status::BadRequest => Err(broken("the daemon does not understand the request".into())),
    }
}

/// A daemon that a person runs as themselves is theirs to ask.
fn trust() -> Trust {
    Trust::RootOr(crate::host::effective_uid())
}

fn unreachable(socket: &Path, verb: &str, error: CallError, timeout: Duration) -> Failure {
    let socket = socket.display();
    let (error, remedy) = match error {
        CallError::NotRunning => (
            format!("entrad is not running: nobody listens on {socket}"),
            "`systemctl start entrad`, or `entrad --foreground` on a host without systemd; its log says why it stopped",
        ),
        CallError::TimedOut => {
            (format!("entrad did not answer on {socket} in {:.1} s", timeout.as_secs_f32()), "see its log")
        }
        CallError::Untrusted => {
            (format!("{socket} belongs to somebody who is neither root nor you"), "find out who listens there")
        }
        CallError::Broken => {
            (format!("entrad broke off the answer on {socket}"), "see its log; restart it after an upgrade")
        }
        CallError::Resources => ("this process has no descriptor or memory left".into(), "raise the limits"),
    };
    Failure::new(Exit::NoDaemon, verb, error).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::file::tests::Folder;
    use entra_wire::codec::Reader;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A daemon that answers once, and gives back what it was asked.
    fn asked(request: &Request, status: Status, answer: &str) -> (Result<Reply, Failure>, String) {
        let folder = Folder::new();
        let socket = folder.0.join("ctl.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut frame = Writer::reply(status);
        frame.raw(answer.as_bytes());
        let frame = frame.finish();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut body = vec![0; u32::from_le_bytes(length) as usize];
            stream.read_exact(&mut body).unwrap();
            stream.write_all(&frame).unwrap();
            let mut reader = Reader::new(&body);
            assert_eq!(reader.request_head(), Ok(Op::Control));
            String::from_utf8(reader.rest().to_vec()).unwrap()
        });
        let reply = ask(&socket, "status", request);
        (reply, daemon.join().unwrap())
    }

    #[test]
    fn the_request_is_json_and_so_is_the_answer() {
        let (reply, request) = asked(&Request::CacheFlush { name: None }, Status::Ok, r#"{"answer":"done","count":3}"#);
        assert_eq!(request, r#"{"verb":"cache-flush","name":null}"#);
        assert_eq!(reply, Ok(Reply::Done { count: 3 }));
    }

    #[test]
    fn every_answer_that_is_none_has_its_status() {
        let exit = |status, answer: &str| asked(&Request::Status, status, answer).0.unwrap_err().exit;
        assert_eq!(exit(Status::Ok, r#"{"answer":"not-found"}"#), Exit::No);
        assert_eq!(exit(Status::Ok, r#"{"answer":"offline","reason":"no DC answers"}"#), Exit::NoDirectory);
        assert_eq!(exit(Status::Ok, r#"{"answer":"not-permitted"}"#), Exit::NotPermitted);
        assert_eq!(exit(Status::Ok, r#"{"answer":"invalid","reason":"no such form"}"#), Exit::Usage);
        assert_eq!(exit(Status::Ok, r#"{"answer":"of tomorrow"}"#), Exit::NoDaemon);
        assert_eq!(exit(Status::Ok, "no json"), Exit::NoDaemon);
        assert_eq!(exit(Status::NotFound, ""), Exit::No);
        assert_eq!(exit(Status::Offline, ""), Exit::NoDirectory);
        assert_eq!(exit(Status::Refused, ""), Exit::NotPermitted);
        assert_eq!(exit(Status::BadRequest, ""), Exit::NoDaemon);
    }

    #[test]
    fn a_daemon_that_is_not_there() {
        let failure = ask(Path::new("/nonexistent/ctl.sock"), "status", &Request::Status).unwrap_err();
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert!(failure.error.contains("nobody listens on /nonexistent/ctl.sock"), "{}", failure.error);
    }
}
