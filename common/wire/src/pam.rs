//! Messages of `pam.sock`. A password is never part of a message: it travels as a descriptor beside it.

use crate::codec::{CodecError, Reader, Writer};
use crate::protocol::{Op, Status};

/// What the PAM application told the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// PAM_USER, as typed.
    pub user: &'a str,
    /// PAM_SERVICE.
    pub service: &'a str,
    /// PAM_RHOST, empty where there is none.
    pub rhost: &'a str,
    /// PAM_TTY, empty where there is none.
    pub tty: &'a str,
    /// See [`flags`].
    pub flags: u32,
}

/// Bits of [`Context::flags`].
pub mod flags {
    /// SET_CRED: make or refresh credentials (PAM_ESTABLISH_CRED, PAM_REINITIALIZE_CRED, PAM_REFRESH_CRED).
    pub const CRED_ESTABLISH: u32 = 1;
    /// SET_CRED: delete credentials (PAM_DELETE_CRED).
    pub const CRED_DELETE: u32 = 1 << 1;
    /// AUTHENTICATE, ACCOUNT: an empty password is not acceptable (PAM_DISALLOW_NULL_AUTHTOK).
    pub const DISALLOW_NULL: u32 = 1 << 2;
    /// CHANGE: only if the password has expired (PAM_CHANGE_EXPIRED_AUTHTOK).
    pub const CHANGE_EXPIRED: u32 = 1 << 3;
    /// Any: whoever asks understands signs of life ([`crate::protocol::ALIVE`]), and takes silence for a daemon that hangs.
    pub const SIGNS: u32 = 1 << 4;
}

impl<'a> Context<'a> {
    /// Reads a request's body (without the length in front).
    ///
    /// # Errors
    /// [`CodecError`] when the body breaks the grammar or names an operation of another socket.
    pub fn decode(body: &'a [u8]) -> Result<(Op, Self), CodecError> {
        let mut reader = Reader::new(body);
        let op = reader.request_head()?;
        if !matches!(
            op,
            Op::Authenticate
                | Op::Account
                | Op::OpenSession
                | Op::CloseSession
                | Op::SetCred
                | Op::ChangeCheck
                | Op::Change
        ) {
            return Err(CodecError::Malformed);
        }
        let context = Self {
            user: reader.text()?,
            service: reader.text()?,
            rhost: reader.text()?,
            tty: reader.text()?,
            flags: reader.u32()?,
        };
        reader.end()?;
        Ok((op, context))
    }

    /// The request as a frame.
    pub fn encode(&self, op: Op) -> Vec<u8> {
        let mut writer = Writer::request(op);
        for text in [self.user, self.service, self.rhost, self.tty] {
            writer.string(text.as_bytes());
        }
        writer.u32(self.flags);
        writer.finish()
    }
}

/// How a PAM request ended. The module turns it into a PAM code in one place (`pam_entra/src/status.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// Authenticated, allowed, or done.
    Success = 0,
    /// No user of ours.
    UnknownUser = 1,
    /// Wrong password.
    WrongPassword = 2,
    /// Neither the directory nor the offline store could decide.
    Unavailable = 3,
    /// Refused by a rule.
    Denied = 4,
    /// The account is disabled, locked or expired.
    AccountExpired = 5,
    /// The password is right and must be changed first.
    MustChange = 6,
    /// Too many tries.
    MaxTries = 7,
    /// The new password was refused.
    PasswordRefused = 8,
    /// Something broke on this side; the log says what.
    Failed = 9,
}

impl Code {
    /// The code with this number, if there is one.
    pub fn from_wire(number: u16) -> Option<Self> {
        [
            Self::Success,
            Self::UnknownUser,
            Self::WrongPassword,
            Self::Unavailable,
            Self::Denied,
            Self::AccountExpired,
            Self::MustChange,
            Self::MaxTries,
            Self::PasswordRefused,
            Self::Failed,
        ]
        .into_iter()
        .find(|code| *code as u16 == number)
    }
}

/// The answer to every PAM request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub code: Code,
    /// Stable reason code for the log, such as `account-disabled`; empty on plain success.
    pub reason: String,
    /// One plain sentence for the person, or empty.
    pub message: String,
    /// `NAME=value` pairs for `pam_putenv`.
    pub env: Vec<String>,
}

impl Outcome {
    /// An outcome without text.
    pub fn bare(code: Code) -> Self {
        Self { code, reason: String::new(), message: String::new(), env: Vec::new() }
    }

    /// The answer as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::reply(Status::Ok);
        writer.u16(self.code as u16).string(self.reason.as_bytes()).string(self.message.as_bytes());
        writer.count(self.env.len());
        for pair in &self.env {
            writer.string(pair.as_bytes());
        }
        writer.finish()
    }

    /// Reads a reply's payload (what follows the head).
    ///
    /// # Errors
    /// [`CodecError`] when the payload breaks the grammar.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let code = Code::from_wire(reader.u16()?).ok_or(CodecError::Malformed)?;
        let reason = reader.text()?.to_owned();
        let message = reader.text()?.to_owned();
        let count = reader.count(2)?;
        let mut env = Vec::new();
        for _ in 0..count {
            env.push(reader.text()?.to_owned());
        }
        reader.end()?;
        Ok(Self { code, reason, message, env })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_comes_back_as_written() {
        let context = Context { user: "zoë", service: "sshd", rhost: "10.1.2.3", tty: "ssh", flags: 5 };
        let frame = context.encode(Op::Authenticate);
        assert_eq!(Context::decode(&frame[4..]), Ok((Op::Authenticate, context)));
    }

    #[test]
    fn an_outcome_comes_back_as_written() {
        let outcome = Outcome {
            code: Code::AccountExpired,
            reason: "account-disabled".into(),
            message: "Your account is disabled.".into(),
            env: vec!["KRB5CCNAME=FILE:/tmp/krb5cc_1".into()],
        };
        let frame = outcome.encode();
        let mut reader = Reader::new(&frame[4..]);
        assert_eq!(reader.reply_head(), Ok(Status::Ok));
        assert_eq!(Outcome::decode(&mut reader), Ok(outcome));
    }
}
