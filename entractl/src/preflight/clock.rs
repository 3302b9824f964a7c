//! This host's clock against the domain controller's.

use crate::exit::Failure;
use crate::output::Step;

/// Kerberos refuses beyond this (RFC 4120 8.2: 5 minutes by default).
const MOST: u64 = 300;
/// From here on somebody should know.
const MUCH: u64 = 60;

/// Judges a difference: `ahead` is the DC's time minus ours in seconds.
///
/// # Errors
/// Beyond what Kerberos accepts.
pub fn judge(ahead: i64, dc: &str) -> Result<Step, Failure> {
    let off = ahead.unsigned_abs();
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let remedy = "set the clock: `timedatectl set-ntp true`, with the domain controllers as time servers";
    if off > MOST {
        let error = format!("this host's clock is {off} s {side} {dc}; Kerberos accepts {MOST} s");
        return Err(Failure::no("clock", error).remedy(remedy));
    }
    if off > MUCH {
        return Ok(Step::warn("clock", format!("this host's clock is {off} s {side} {dc}"), remedy));
    }
    Ok(Step::ok("clock", format!("{off} s from {dc}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Mark;

    #[test]
    fn the_difference_is_named_with_its_side() {
        assert_eq!(judge(-2, "dc1").unwrap(), Step::ok("clock", "2 s from dc1"));
        assert_eq!(judge(300, "dc1").unwrap().result, Mark::Warn);
        let behind = judge(301, "dc1").unwrap_err().error;
        assert_eq!(behind, "this host's clock is 301 s behind dc1; Kerberos accepts 300 s");
        assert!(judge(-4_000, "dc1").unwrap_err().error.contains("4000 s ahead of dc1"));
    }
}
