//! What the domain controller says of itself, and how far its clock is from ours.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entra_core::Error;
use entra_core::directory::ldap::{RootDse, root_dse};

use super::block_on;
use crate::exit::{Exit, Failure};

/// Longest wait for all of it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the rootDSE without any credentials, which AD always permits. Gives the DC's time minus ours beside it, in
/// seconds; exact to the round trip and the DC's full second.
///
/// # Errors
/// Status 4 when no answer comes; status 1 when the answer is no domain controller's.
pub fn read(addr: SocketAddr) -> Result<(RootDse, i64), Failure> {
    let asked = SystemTime::now();
    let root = block_on("connect", async { root_dse(addr, TIMEOUT).await.map_err(|error| explain(&error)) })?;
    let ahead = root.current_time - middle(asked, SystemTime::now());
    Ok((root, ahead))
}

fn explain(error: &Error) -> Failure {
    let exit = if matches!(error, Error::Offline(_)) { Exit::NoDirectory } else { Exit::No };
    Failure::new(exit, "connect", error.to_string())
        .remedy("see whether it is a domain controller: `ldapsearch -x -H ldap://HOST -s base -b '' currentTime`")
}

/// The middle of two times, in Unix seconds.
fn middle(first: SystemTime, second: SystemTime) -> i64 {
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(u128::midpoint(millis(first), millis(second)) / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_round_trip() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(middle(at(1_000), at(3_000)), 2);
        assert_eq!(middle(at(1_000), at(2_998)), 1);
    }
}
