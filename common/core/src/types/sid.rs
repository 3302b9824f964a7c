//! Security identifiers (MS-DTYP 2.4.2): the key of every record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most sub-authorities of a SID (MS-DTYP 2.4.2.2).
const MAX_SUBS: usize = 15;

/// A SID: an authority of 48 bits and 1 to 15 sub-authorities.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sid {
    authority: u64,
    subs: Vec<u32>,
}

/// Text or bytes that are no SID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SID: {0} (expected S-1-AUTHORITY-SUB-…, such as S-1-5-21-1-2-3-1103)")]
pub struct SidError(String);

impl Sid {
    /// The binary form, as LDAP's `objectSid` and `tokenGroups` carry it.
    ///
    /// # Errors
    /// [`SidError`] unless the bytes are exactly one SID of revision 1.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SidError> {
        let wrong = || SidError(format!("{} bytes", bytes.len()));
        let [1, count, authority @ ..] = bytes else { return Err(wrong()) };
        let count = usize::from(*count);
        let (authority, subs) = authority.split_at_checked(6).ok_or_else(wrong)?;
        if count == 0 || count > MAX_SUBS || subs.len() != count * 4 {
            return Err(wrong());
        }
        Ok(Self {
            authority: authority.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
            subs: subs.chunks_exact(4).map(|sub| u32::from_le_bytes([sub[0], sub[1], sub[2], sub[3]])).collect(),
        })
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, self.subs.len() as u8];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for sub in &self.subs {
            bytes.extend_from_slice(&sub.to_le_bytes());
        }
        bytes
    }

    /// The last sub-authority: the RID, where this is an account's SID.
    pub fn rid(&self) -> u32 {
        self.subs.last().copied().unwrap_or_default()
    }

    /// The SID without its last sub-authority: the domain of an account's SID. `None` where nothing would be left.
    pub fn domain(&self) -> Option<Self> {
        let (_, subs) = self.subs.split_last()?;
        (!subs.is_empty()).then(|| Self { authority: self.authority, subs: subs.to_vec() })
    }

    /// The account with this RID in the domain that `self` names. `None` where the SID would grow too long.
    pub fn with_rid(&self, rid: u32) -> Option<Self> {
        if self.subs.len() == MAX_SUBS {
            return None;
        }
        let mut subs = self.subs.clone();
        subs.push(rid);
        Some(Self { authority: self.authority, subs })
    }

    /// Whether this is the SID of a domain or of an account in one: `S-1-5-21-a-b-c[-rid]`.
    pub fn is_of_a_domain(&self) -> bool {
        self.authority == 5 && self.subs.first() == Some(&21) && matches!(self.subs.len(), 4 | 5)
    }
}

impl FromStr for Sid {
    type Err = SidError;

    fn from_str(text: &str) -> Result<Self, SidError> {
        let wrong = || SidError(text.chars().take(80).collect());
        let number = |part: &str, most: u64| -> Option<u64> {
            let digits = !part.is_empty() && part.len() <= 15 && part.bytes().all(|byte| byte.is_ascii_digit());
            if !digits {
                return None;
            }
            part.parse().ok().filter(|value| *value <= most)
        };
        let rest = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-")).ok_or_else(wrong)?;
        let mut parts = rest.split('-');
        let authority = parts.next().and_then(|part| number(part, (1 << 48) - 1)).ok_or_else(wrong)?;
        let subs = parts
            .map(|part| number(part, u64::from(u32::MAX)).map(|value| value as u32))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(wrong)?;
        if subs.is_empty() || subs.len() > MAX_SUBS {
            return Err(wrong());
        }
        Ok(Self { authority, subs })
    }
}

impl TryFrom<String> for Sid {
    type Error = SidError;

    fn try_from(text: String) -> Result<Self, SidError> {
        text.parse()
    }
}

impl From<Sid> for String {
    fn from(sid: Sid) -> Self {
        sid.to_string()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "S-1-{}", self.authority)?;
        self.subs.iter().try_for_each(|sub| write!(out, "-{sub}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_forms_come_back(authority in 0u64..1 << 48, subs in prop::collection::vec(any::<u32>(), 1..=15)) {
            let sid = Sid { authority, subs };
            prop_assert_eq!(&Sid::from_bytes(&sid.to_bytes()).unwrap(), &sid);
            prop_assert_eq!(&sid.to_string().parse::<Sid>().unwrap(), &sid);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,40}") {
            let _ = Sid::from_bytes(&bytes);
            let _ = text.parse::<Sid>();
        }
    }

    #[test]
    fn parts_of_an_account() {
        let alice: Sid = "S-1-5-21-3623811015-3361044348-30300820-1103".parse().unwrap();
        let domain = alice.domain().unwrap();
        assert_eq!(domain.to_string(), "S-1-5-21-3623811015-3361044348-30300820");
        assert_eq!(alice.rid(), 1103);
        assert_eq!(domain.with_rid(1103), Some(alice.clone()));
        assert!(alice.is_of_a_domain() && domain.is_of_a_domain());
        assert!(!"S-1-5-32-544".parse::<Sid>().unwrap().is_of_a_domain());
    }

    #[test]
    fn what_is_no_sid() {
        for text in ["", "S-1-", "S-1-5", "S-2-5-21", "S-1-5-+1", "S-1-5-4294967296", "S-1-5-21-", "S-1-5--1"] {
            assert!(text.parse::<Sid>().is_err(), "{text}");
        }
    }
}
