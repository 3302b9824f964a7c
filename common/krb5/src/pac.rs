//! Reads the account's SID out of a PAC's logon information: `KERB_VALIDATION_INFO` (MS-PAC 2.5), a type serialization
//! version 1 stream of NDR (MS-RPCE 2.2.6).
//!
//! The fixed part comes first, with a "referent" in place of each pointer; what the pointers mean follows in the order
//! of the fields, for every referent that is not null:
//!
//! ```text
//!  0 common header 8, private header 8, referent of the structure 4
//! 20 six FILETIMEs                    LogonTime … PasswordMustChange
//! 68 six RPC_UNICODE_STRINGs          EffectiveName … HomeDirectoryDrive      length 2, size 2, referent 4
//! 116 LogonCount 2, BadPasswordCount 2, UserId 4, PrimaryGroupId 4, GroupCount 4, GroupIds referent 4
//! 136 UserFlags 4, UserSessionKey 16
//! 156 two RPC_UNICODE_STRINGs         LogonServer, LogonDomainName
//! 172 LogonDomainId referent 4
//! 176 …                               not needed: LogonDomainId is reached before any of it
//! ```
//!
//! The bytes come from a PAC whose signature was checked, and are read as if they did not: every length is bounded by
//! what is there, nothing is allocated before that.

use std::fmt;

/// Largest number of groups that is walked over. A PAC holds fewer than 1,100.
const MAX_GROUPS: u32 = 65_536;
/// Largest number of UTF-16 units in a name.
const MAX_STRING: u32 = 32_768;
/// Most sub-authorities of a SID (MS-DTYP 2.4.2.2).
const MAX_SUBS: u8 = 15;

/// An account's SID in its binary form (MS-DTYP 2.4.2.2), as LDAP's `objectSid` carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSid(Vec<u8>);

impl AccountSid {
    /// The binary form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Logon information that cannot be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacError {
    what: &'static str,
}

impl fmt::Display for PacError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the PAC's logon information cannot be read: {}", self.what)
    }
}

impl std::error::Error for PacError {}

/// The SID of the account that the logon information is about: LogonDomainId with UserId appended.
///
/// # Errors
/// [`PacError`] for anything that is not a whole `KERB_VALIDATION_INFO`, and for a UserId of 0 (MS-PAC 2.5 lets a
/// trusted realm name the account among the extra SIDs; such accounts are not served).
pub fn account_sid(info: &[u8]) -> Result<AccountSid, PacError> {
    let mut reader = Reader { bytes: info, at: 0 };
    reader.header()?;
    reader.skip(48)?;
    let mut strings = Vec::with_capacity(6);
    for _ in 0..6 {
        strings.push(reader.string_header()?);
    }
    reader.skip(4)?;
    let user_id = reader.u32()?;
    reader.skip(4)?;
    let group_count = reader.u32()?;
    let group_ids = reader.u32()?;
    reader.skip(4 + 16)?;
    let logon_names = [reader.string_header()?, reader.string_header()?];
    let domain_id = reader.u32()?;
    // Reserved1 8, UserAccountControl 4, SubAuthStatus 4, LastSuccessfulILogon 8, LastFailedILogon 8,
    // FailedILogonCount 4, Reserved3 4, SidCount 4, ExtraSids 4, ResourceGroupDomainSid 4, ResourceGroupCount 4,
    // ResourceGroupIds 4
    reader.skip(60)?;
    for referent in strings {
        reader.string(referent)?;
    }
    reader.groups(group_ids, group_count)?;
    for referent in logon_names {
        reader.string(referent)?;
    }
    if domain_id == 0 {
        return Err(PacError { what: "no domain SID" });
    }
    if user_id == 0 {
        return Err(PacError { what: "the account is named by no RID" });
    }
    reader.domain_sid_with(user_id)
}

/// Reads NDR's little-endian primitives, each aligned to its own size (relative to the stream's start).
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], PacError> {
        let end = self.at.checked_add(count).ok_or(PacError { what: "too long" })?;
        let part = self.bytes.get(self.at..end).ok_or(PacError { what: "too short" })?;
        self.at = end;
        Ok(part)
    }

    fn skip(&mut self, count: usize) -> Result<(), PacError> {
        self.take(count).map(|_| ())
    }

    fn align(&mut self) -> Result<(), PacError> {
        self.skip(self.at.wrapping_neg() % 4)
    }

    fn u32(&mut self) -> Result<u32, PacError> {
        self.align()?;
        let mut value = [0; 4];
        value.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(value))
    }

    /// Version 1, little-endian, common header of 8 bytes; then the private header and the top-level referent.
    fn header(&mut self) -> Result<(), PacError> {
        if self.take(4)? != [1, 0x10, 8, 0] {
            return Err(PacError { what: "not NDR of version 1 in little-endian" });
        }
        self.skip(4)?;
        let length = self.u32()?;
        self.skip(4)?;
        if length as usize > self.bytes.len() - self.at {
            return Err(PacError { what: "shorter than its header says" });
        }
        if self.u32()? == 0 {
            return Err(PacError { what: "null" });
        }
        Ok(())
    }

    /// An RPC_UNICODE_STRING's fixed part; gives its referent.
    fn string_header(&mut self) -> Result<u32, PacError> {
        self.skip(4)?;
        self.u32()
    }

    /// A conformant varying array of UTF-16 units.
    fn string(&mut self, referent: u32) -> Result<(), PacError> {
        if referent == 0 {
            return Ok(());
        }
        let (size, offset, length) = (self.u32()?, self.u32()?, self.u32()?);
        if offset != 0 || length > size || size > MAX_STRING {
            return Err(PacError { what: "a name's length" });
        }
        self.skip(length as usize * 2)
    }

    /// A conformant array of GROUP_MEMBERSHIPs (RID and attributes).
    fn groups(&mut self, referent: u32, count: u32) -> Result<(), PacError> {
        if referent == 0 {
            return Ok(());
        }
        let size = self.u32()?;
        if size != count || size > MAX_GROUPS {
            return Err(PacError { what: "the number of groups" });
        }
        self.skip(size as usize * 8)
    }

    /// An RPC_SID, with a RID appended.
    fn domain_sid_with(&mut self, rid: u32) -> Result<AccountSid, PacError> {
        let size = self.u32()?;
        let [revision, count] = *self.take(2)? else { return Err(PacError { what: "too short" }) };
        if revision != 1 || u32::from(count) != size || count == 0 || count >= MAX_SUBS {
            return Err(PacError { what: "the domain's SID" });
        }
        let authority = self.take(6)?;
        let subs = self.take(usize::from(count) * 4)?;
        let mut sid = vec![1, count + 1];
        sid.extend_from_slice(authority);
        sid.extend_from_slice(subs);
        sid.extend_from_slice(&rid.to_le_bytes());
        Ok(AccountSid(sid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an encoder of ours writes; kept apart from the reader on purpose.
    struct Info {
        names: [String; 8],
        groups: Vec<(u32, u32)>,
        user_id: u32,
        domain: Vec<u32>,
    }

    impl Info {
        fn encode(&self) -> Vec<u8> {
            let mut referents = (0x0002_0000u32..).step_by(4);
            let mut next = |present: bool| if present { referents.next().unwrap() } else { 0 };
            let mut out = vec![0; 4];
            out[..4].copy_from_slice(&next(true).to_le_bytes());
            out.extend([0x77; 48]);
            let header = |out: &mut Vec<u8>, name: &str, referent: u32| {
                let length = (name.encode_utf16().count() * 2) as u16;
                out.extend(length.to_le_bytes());
                out.extend(length.to_le_bytes());
                out.extend(referent.to_le_bytes());
            };
            for name in &self.names[..6] {
                header(&mut out, name, next(!name.is_empty()));
            }
            out.extend([3, 0, 4, 0]);
            out.extend(self.user_id.to_le_bytes());
            out.extend(513u32.to_le_bytes());
            out.extend((self.groups.len() as u32).to_le_bytes());
            out.extend(next(!self.groups.is_empty()).to_le_bytes());
            out.extend(0x20u32.to_le_bytes());
            out.extend([0; 16]);
            for name in &self.names[6..] {
                header(&mut out, name, next(!name.is_empty()));
            }
            out.extend(next(!self.domain.is_empty()).to_le_bytes());
            out.extend([0; 60]);
            let text = |out: &mut Vec<u8>, name: &str| {
                if name.is_empty() {
                    return;
                }
                let units: Vec<u16> = name.encode_utf16().collect();
                out.resize(out.len().next_multiple_of(4), 0);
                for number in [units.len() as u32, 0, units.len() as u32] {
                    out.extend(number.to_le_bytes());
                }
                out.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            };
            self.names[..6].iter().for_each(|name| text(&mut out, name));
            if !self.groups.is_empty() {
                out.resize(out.len().next_multiple_of(4), 0);
                out.extend((self.groups.len() as u32).to_le_bytes());
                for (rid, attributes) in &self.groups {
                    out.extend(rid.to_le_bytes());
                    out.extend(attributes.to_le_bytes());
                }
            }
            self.names[6..].iter().for_each(|name| text(&mut out, name));
            if !self.domain.is_empty() {
                out.resize(out.len().next_multiple_of(4), 0);
                out.extend((self.domain.len() as u32).to_le_bytes());
                out.extend([1, self.domain.len() as u8, 0, 0, 0, 0, 0, 5]);
                out.extend(self.domain.iter().flat_map(|sub| sub.to_le_bytes()));
            }
            out.resize(out.len().next_multiple_of(8), 0);
            let mut stream = vec![1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc];
            stream.extend((out.len() as u32).to_le_bytes());
            stream.extend([0; 4]);
            stream.extend(out);
            stream
        }
    }

    fn sid(subs: &[u32]) -> AccountSid {
        let mut bytes = vec![1, subs.len() as u8, 0, 0, 0, 0, 0, 5];
        bytes.extend(subs.iter().flat_map(|sub| sub.to_le_bytes()));
        AccountSid(bytes)
    }

    fn alice() -> Info {
        let names = ["alice", "Alice Ä.", "", "", "", "", "DC1", "AADDS"].map(str::to_owned);
        Info { names, groups: vec![(513, 7), (1105, 7)], user_id: 1104, domain: vec![21, 11, 22, 33] }
    }

    #[test]
    fn the_users_sid_is_the_domains_with_the_rid() {
        assert_eq!(account_sid(&alice().encode()), Ok(sid(&[21, 11, 22, 33, 1104])));
    }

    /// What a Samba 4.17 DC wrote for `alice` (RID 1103): strings that are empty but not null, a buffer that is larger
    /// than its name.
    #[test]
    fn what_samba_writes_is_read() {
        let hex: String = include_str!("../tests/data/logon-info-samba-4.17.hex").split_whitespace().collect();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(account_sid(&bytes), Ok(sid(&[21, 3_623_811_015, 3_361_044_348, 30_300_820, 1103])));
    }

    #[test]
    fn an_account_without_rid_or_domain_is_refused() {
        assert!(account_sid(&Info { user_id: 0, ..alice() }.encode()).is_err());
        assert!(account_sid(&Info { domain: vec![], ..alice() }.encode()).is_err());
    }

    #[test]
    fn a_group_count_that_lies_is_refused() {
        let mut bytes = alice().encode();
        bytes[128..132].copy_from_slice(&9u32.to_le_bytes());
        assert_eq!(account_sid(&bytes), Err(PacError { what: "the number of groups" }));
    }

    proptest! {
        #[test]
        fn every_shape_of_names_and_groups_is_walked(
            names in prop::array::uniform8("[a-zA-Z \u{e4}\u{1f600}]{0,9}"),
            groups in prop::collection::vec(any::<(u32, u32)>(), 0..30),
            user_id in 1u32..,
            mut domain in prop::collection::vec(any::<u32>(), 1..=14),
        ) {
            let bytes = Info { names, groups, user_id, domain: domain.clone() }.encode();
            domain.push(user_id);
            prop_assert_eq!(account_sid(&bytes), Ok(sid(&domain)));
        }

        #[test]
        fn cut_short_it_is_an_error(cut in 1usize..300) {
            let mut bytes = alice().encode();
            let keep = bytes.len().saturating_sub(cut);
            bytes.truncate(keep);
            prop_assert!(account_sid(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(
            start in prop::option::of(Just([1u8, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc])),
            rest in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut bytes = start.map(Vec::from).unwrap_or_default();
            bytes.extend(rest);
            let _ = account_sid(&bytes);
        }

        #[test]
        fn one_flipped_byte_is_no_panic(at in 0usize..400, value: u8) {
            let mut bytes = alice().encode();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = account_sid(&bytes);
        }
    }
}
