//! libkrb5's codes as a Rust enum, with its own words kept.

/// First code of the table `krb5_err.et`; a KDC's error number (RFC 4120 7.5.9) is an offset into it.
const TABLE: i32 = -1_765_328_384;

/// Why a Kerberos operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the caller can do about it.
    pub kind: Kind,
    /// libkrb5's code; 0 where the failure is not libkrb5's.
    pub code: i32,
    /// libkrb5's own words, or ours.
    pub message: String,
    /// With [`Kind::ClockSkew`], where the KDC said what time it is: by how many seconds this host's clock is ahead.
    pub ahead: Option<i64>,
}

/// The failures that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The password or the key is wrong.
    WrongPassword,
    /// The KDC says that the password has expired or must be changed. No proof that it was right.
    KeyExpired,
    /// The account is disabled, expired or locked: AD answers alike for all three.
    Revoked,
    /// The KDC knows no such client.
    UnknownPrincipal,
    /// The KDC knows no such service.
    UnknownServer,
    /// The account belongs to another realm.
    WrongRealm,
    /// The clocks differ by more than the KDC, or libkrb5, allows (5 minutes).
    ClockSkew,
    /// KDC and client share no encryption type: the account may have no AES key yet.
    EtypeNotSupported,
    /// The KDC's policy forbids this logon.
    Policy,
    /// FAST was required and cannot be had.
    NoFast,
    /// Nothing listens, or no route.
    Unreachable,
    /// The deadline passed.
    TimedOut,
    /// The KDC was given up before it got anything that was made with the secret: another one may be asked.
    Silent,
    /// The answer is not what the protocol allows, or was changed on its way.
    BadReply,
    /// The keytab is missing, cannot be read, or has no fitting key.
    Keytab,
    /// The credential cache is missing, cannot be read or cannot be written.
    Ccache,
    /// A name, a password or a path that cannot be used.
    Input,
    /// Anything else.
    Other,
}

impl Error {
    /// The number in a KDC's KRB-ERROR, or the one that libkrb5 uses for the same thing (RFC 4120 7.5.9).
    pub fn kdc_number(&self) -> Option<u32> {
        let number = self.code.checked_sub(TABLE)?;
        u32::try_from(number).ok().filter(|number| *number < 128)
    }

    /// FAST is required, and there is no machine ticket to armor with.
    pub fn without_armor() -> Self {
        Self::ours(Kind::NoFast, "FAST is required, and this machine has no ticket to armor the request with")
    }

    /// A request that whoever carries it could not deliver, or whose reply did not come; [`Kind::Unreachable`].
    pub fn undelivered(message: impl Into<String>) -> Self {
        Self::ours(Kind::Unreachable, message)
    }

    /// KRB5_CC_NOTFOUND, KRB5_FCC_NOFILE, ENOENT: there is no such ccache.
    pub(crate) fn says_no_ccache(&self) -> bool {
        matches!(self.code.wrapping_sub(TABLE), 141 | 195) || self.code == libc::ENOENT
    }

    /// A failure that libkrb5 did not report.
    pub(crate) fn ours(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: 0, message: message.into(), ahead: None }
    }

    /// A failure with libkrb5's code and words.
    pub(crate) fn of_code(code: i32, message: String) -> Self {
        Self { kind: kind_of(code), code, message, ahead: None }
    }

    /// A failure that a KDC reported by number (RFC 4120 7.5.9).
    pub(crate) fn of_kdc(number: u32, message: String) -> Self {
        Self::of_code(TABLE.saturating_add(number.cast_signed()), message)
    }
}

/// The numbers below 128 are the protocol's own (RFC 4120 7.5.9), the others are libkrb5's (`krb5_err.et`).
fn kind_of(code: i32) -> Kind {
    match code.wrapping_sub(TABLE) {
        // KDC_ERR_PREAUTH_FAILED; KRB_AP_ERR_BAD_INTEGRITY: the reply does not open with this password's key.
        24 | 31 => Kind::WrongPassword,
        // KDC_ERR_KEY_EXPIRED
        23 => Kind::KeyExpired,
        // KDC_ERR_NAME_EXP, KDC_ERR_CLIENT_REVOKED
        1 | 18 => Kind::Revoked,
        // KDC_ERR_C_PRINCIPAL_UNKNOWN
        6 => Kind::UnknownPrincipal,
        // KDC_ERR_S_PRINCIPAL_UNKNOWN
        7 => Kind::UnknownServer,
        // KDC_ERR_WRONG_REALM, KRB5_REALM_UNKNOWN
        68 | 154 => Kind::WrongRealm,
        // KRB_AP_ERR_SKEW, KRB5_KDCREP_SKEW
        37 | 148 => Kind::ClockSkew,
        // KDC_ERR_ETYPE_NOSUPP, KRB5_PROG_ETYPE_NOSUPP, KRB5_CONFIG_ETYPE_NOSUPP
        14 | 150 | 237 => Kind::EtypeNotSupported,
        // KDC_ERR_POLICY
        12 => Kind::Policy,
        // KRB5_ERR_FAST_REQUIRED
        252 => Kind::NoFast,
        // KRB5_KDC_UNREACH, KRB5_REALM_CANT_RESOLVE
        156 | 220 => Kind::Unreachable,
        // KRB_AP_ERR_BADVERSION, _MSG_TYPE, _MODIFIED, KRB5_BADMSGTYPE, KRB5_KDCREP_MODIFIED, KRB5_GET_IN_TKT_LOOP
        39..=41 | 138 | 147 | 223 => Kind::BadReply,
        // KRB_AP_ERR_BADKEYVER, _NOKEY, KRB5_KT_BADNAME … KRB5_KT_IOERR, KRB5_KEYTAB_BADVNO, KRB5_KT_NAME_TOOLONG,
        // KRB5_KT_KVNONOTFOUND, KRB5_KT_FORMAT
        44 | 45 | 179..=184 | 213 | 229 | 230 | 235 => Kind::Keytab,
        // KRB5_CC_BADNAME … KRB5_CC_END, KRB5_CC_IO … KRB5_CC_NOT_KTYPE, KRB5_CC_READONLY, KRB5_CC_NOSUPP
        139..=142 | 193..=200 | 246 | 247 => Kind::Ccache,
        // KRB5_PARSE_ILLCHAR, KRB5_PARSE_MALFORMED
        133 | 134 => Kind::Input,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_kdc_are_told_apart() {
        for (number, kind) in [
            (6, Kind::UnknownPrincipal),
            (12, Kind::Policy),
            (14, Kind::EtypeNotSupported),
            (18, Kind::Revoked),
            (23, Kind::KeyExpired),
            (24, Kind::WrongPassword),
            (31, Kind::WrongPassword),
            (37, Kind::ClockSkew),
            (60, Kind::Other),
        ] {
            assert_eq!(Error::of_kdc(number, String::new()).kind, kind, "KDC error {number}");
        }
    }
}
