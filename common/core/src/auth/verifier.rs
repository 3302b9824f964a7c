//! What Argon2id costs here. The hash itself is made in the Kerberos helper, which holds the password; the worker keeps
//! the text and looks at its parameters only.

/// Memory in KiB, passes and lanes of a verifier that is made today: RFC 9106's second recommendation, in one lane,
/// because two helpers at most run at once. About 0.1 s.
pub const COST: (u32, u32, u32) = (64 * 1024, 3, 1);

/// Whether a verifier (a PHC string) was made with today's [`COST`]; another one is made anew at the next online login.
pub fn is_current(verifier: &str) -> bool {
    let (memory, passes, lanes) = COST;
    verifier.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parameters_are_not_current() {
        assert!(is_current("$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA"));
        for old in ["$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", "$argon2i$v=19$m=65536,t=3,p=1$x$y", ""] {
            assert!(!is_current(old), "{old}");
        }
    }
}
