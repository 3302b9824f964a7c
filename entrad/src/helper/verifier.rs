//! `make-verifier` and `check-verifier`: Argon2id of a password, for logins while the domain is away (RFC 9106).

use std::fs::File;
use std::io::Read;
use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{CustomizedPasswordHasher, Error as HashError, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use entra_core::auth::verifier::COST;

use super::{Failure, Job, password};
use crate::privileges;

/// Length of the salt, in bytes (RFC 9106 3.1 recommends it).
const SALT: usize = 16;
/// Most memory (KiB), passes and lanes that a kept verifier may ask for: what a later version may have made, and no more
/// than this host can bear.
const MOST: (u32, u32, u32) = (512 * 1024, 16, 8);

/// Makes a verifier at today's cost.
pub(crate) fn make(job: &Job, deadline: Instant) -> Result<String, Failure> {
    let password = password::read_bytes(deadline)?;
    let mut salt = [0; SALT];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut salt))
        .map_err(|error| Failure::Internal(format!("/dev/urandom: {error}")))?;
    give_up_root(job)?;
    hash(&password, &salt)
}

/// Compares a password with a verifier.
pub(crate) fn check(job: &Job, verifier: &str, deadline: Instant) -> Result<bool, Failure> {
    let password = password::read_bytes(deadline)?;
    give_up_root(job)?;
    matches(&password, verifier)
}

/// Nothing but computing is left to do.
fn give_up_root(job: &Job) -> Result<(), Failure> {
    let (uid, gid) = job.worker;
    privileges::become_user(uid, gid).map_err(|error| Failure::Internal(format!("becoming the worker's user: {error}")))
}

fn hash(password: &[u8], salt: &[u8]) -> Result<String, Failure> {
    let (memory, passes, lanes) = COST;
    let params =
        Params::new(memory, passes, lanes, None).map_err(|error| Failure::Internal(format!("Argon2id: {error}")))?;
    Argon2::default()
        .hash_password_customized(
            password,
            salt,
            Some(Algorithm::Argon2id.as_str()),
            Some(Version::V0x13.into()),
            params,
        )
        .map(|hash| hash.to_string())
        .map_err(|error| Failure::Internal(format!("Argon2id: {error}")))
}

fn matches(password: &[u8], verifier: &str) -> Result<bool, Failure> {
    let unusable = |why: &str| Failure::Internal(format!("a kept verifier cannot be used ({why}): log in online once"));
    let kept = PasswordHash::new(verifier).map_err(|error| unusable(&error.to_string()))?;
    let params = Params::try_from(&kept).map_err(|error| unusable(&error.to_string()))?;
    let (memory, passes, lanes) = MOST;
    if params.m_cost() > memory || params.t_cost() > passes || params.p_cost() > lanes {
        return Err(unusable("it costs too much"));
    }
    match Argon2::default().verify_password(password, &kept) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(unusable(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entra_core::auth::verifier::is_current;

    #[test]
    fn a_verifier_knows_its_password_and_no_other() {
        let verifier = hash("Pässword-1".as_bytes(), &[7; SALT]).unwrap();
        assert!(is_current(&verifier), "{verifier}");
        assert_eq!(matches("Pässword-1".as_bytes(), &verifier), Ok(true));
        assert_eq!(matches(b"Password-1", &verifier), Ok(false));
        assert_eq!(matches(b"", &verifier), Ok(false));
        assert_ne!(hash("Pässword-1".as_bytes(), &[8; SALT]).unwrap(), verifier);
    }

    #[test]
    fn a_verifier_of_other_parameters_is_still_good() {
        // Made with argon2(1): echo -n secret | argon2 saltsalt -id -t 1 -k 64 -p 2 -l 16 -e
        let old = "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$84DAf8YvhdFafXSoOmA0Xw";
        assert!(!is_current(old));
        assert_eq!(matches(b"secret", old), Ok(true));
        assert_eq!(matches(b"Secret", old), Ok(false));
    }

    #[test]
    fn what_is_no_verifier_is_no_wrong_password() {
        for broken in
            ["", "$argon2id$", "$argon2id$v=19$m=64$x", "$argon2id$v=19$m=4000000,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"]
        {
            assert!(matches(b"secret", broken).is_err(), "{broken}");
        }
    }
}
