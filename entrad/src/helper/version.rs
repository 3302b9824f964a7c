//! The version in front of a [`super::Job`] and of its [`super::Reply`].
//!
//! An upgrade puts a new helper where the running broker executes it, and postcard tells neither fields nor types apart:
//! what was written by another version could be read as something else.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Number of what jobs and replies look like. Raise it with every change of them; a test holds what this one is.
const VERSION: u16 = 6;
/// "EJ" in front of it: what was written without a version is told apart too.
const MAGIC: [u8; 2] = *b"EJ";

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Another version wrote it.
    Version,
    /// It is cut off, or there is none.
    Text,
}

/// The message in postcard, its version in front.
pub(crate) fn join<T: Serialize>(message: &T) -> Result<Vec<u8>, postcard::Error> {
    let [low, high] = VERSION.to_le_bytes();
    postcard::to_extend(message, vec![MAGIC[0], MAGIC[1], low, high])
}

/// What [`join`] wrote.
///
/// # Errors
/// [`Wrong`].
pub(crate) fn split<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong> {
    if bytes.is_empty() {
        return Err(Wrong::Text);
    }
    let [low, high] = VERSION.to_le_bytes();
    let body = bytes.strip_prefix(&[MAGIC[0], MAGIC[1], low, high]).ok_or(Wrong::Version)?;
    postcard::from_bytes(body).map_err(|_| Wrong::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::{Failure, Job, Reply, Request};
    use entra_core::auth::{
        AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, FetchRequest, KdcVerdict, Kept,
        MachineTicket, RenewRequest, RotateRequest, TicketTimes,
    };
    use std::time::Duration;

    #[test]
    fn another_version_is_seen_and_a_cut_text_too() {
        let reply = Reply::Matches(true);
        let bytes = join(&reply).unwrap();
        assert_eq!(split(&bytes), Ok(reply));
        assert_eq!(split::<Reply>(&bytes[..5]), Err(Wrong::Text));
        assert_eq!(split::<Reply>(b""), Err(Wrong::Text));
        let mut newer = bytes.clone();
        newer[2] += 1;
        assert_eq!(split::<Reply>(&newer), Err(Wrong::Version));
        let without = postcard::to_stdvec(&Reply::Matches(true)).unwrap();
        assert_eq!(split::<Reply>(&without), Err(Wrong::Version));
    }

    /// One message of each kind, with the last variant of each enum in them.
    fn samples() -> Vec<Vec<u8>> {
        let kdc = "192.0.2.10:88".parse().unwrap();
        let (realm, principal, timeout) = (String::from("R"), String::from("alice"), Duration::from_millis(1500));
        let ccache = CcacheTarget { uid: 1, gid: 2, name: "FILE:/x".into() };
        let auth = AuthRequest {
            realm: realm.clone(),
            kdc,
            other_kdcs: vec![kdc],
            principal: principal.clone(),
            expected_sid: "S-1-5-21-1-2-3-4".parse().unwrap(),
            ccache: Some(ccache.clone()),
            require_fast: true,
            timeout,
        };
        let kept = Kept { uid: 1, sid: "S-1-5-21-1-2-3-4".parse().unwrap() };
        let rotation = RotateRequest { realm: realm.clone(), kdc, kpasswd: kdc, older_than: timeout, timeout };
        let change = ChangeRequest { realm: realm.clone(), kdc, kpasswd: kdc, principal, require_fast: true, timeout };
        let service = "cifs/h".into();
        let fetch = FetchRequest { realm: realm.clone(), kdc, ccache: ccache.clone(), service, timeout };
        let requests = [
            Request::MachineTgt { realm: realm.clone(), kdc, timeout },
            Request::Authenticate(auth.clone()),
            Request::KeepPassword { kept: kept.clone(), life: timeout, timeout },
            Request::TicketFromKept(auth),
            Request::ForgetPassword { kept, timeout },
            Request::Renew(RenewRequest { realm, kdc, ccache: ccache.clone(), timeout }),
            Request::Fetch(fetch),
            Request::DestroyCcache { ccache, timeout },
            Request::ChangePassword { request: change, change: true },
            Request::RotateKeytab(rotation),
            Request::MakeVerifier { timeout },
            Request::CheckVerifier { verifier: "v".into(), turn: timeout, timeout },
        ];
        let times = TicketTimes { ends: 1, renew_till: 2 };
        let verdict = KdcVerdict::Failed("w".into());
        let answer = AuthAnswer { verdict, ccache: Some("c".into()), times: Some(times) };
        let replies = [
            Reply::MachineTicket(MachineTicket { expires: std::time::UNIX_EPOCH + timeout }),
            Reply::Authenticated { answer, note: Some("n".into()) },
            Reply::Renewed(times),
            Reply::Fetched(times),
            Reply::Destroyed,
            Reply::Rotated(Some(7)),
            Reply::Change(ChangeVerdict::Failed("w".into())),
            Reply::Kept,
            Reply::Verifier("v".into()),
            Reply::Matches(true),
            Reply::Failed(Failure::Ended("w".into())),
        ];
        let job = |request| Job { request, keytab: "/k".into(), machine_ccache: "/m".into(), worker: (3, 4) };
        let jobs = requests.into_iter().map(|request| postcard::to_stdvec(&job(request)).unwrap());
        jobs.chain(replies.iter().map(|reply| postcard::to_stdvec(reply).unwrap())).collect()
    }

    #[test]
    fn the_version_belongs_to_what_messages_look_like() {
        // FNV-1a: any change of a byte shows.
        let digest = samples()
            .concat()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(
            (VERSION, digest),
            (6, 9_039_213_791_085_983_148),
            "jobs or replies look different now: raise VERSION, and put both numbers here"
        );
    }
}
