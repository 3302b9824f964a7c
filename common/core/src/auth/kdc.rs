//! The trait through which use cases reach Kerberos, and what goes over it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::types::Sid;

/// The reading end of a pipe or stream that holds a password and then end of file. Handed on unread: no password is ever in the
/// worker's memory.
#[derive(Debug)]
pub struct PasswordPipe(pub OwnedFd);

/// A machine ticket was put where LDAP and FAST find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineTicket {
    /// End of its life.
    pub expires: SystemTime,
}

/// The life of a ticket-granting ticket, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketTimes {
    /// Its end.
    pub ends: u64,
    /// Until when it can be renewed; not after `ends` where it cannot be.
    pub renew_till: u64,
}

/// A ccache whose ticket is to be renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Kerberos realm, upper case.
    pub realm: String,
    /// The one KDC to ask.
    pub kdc: SocketAddr,
    /// Whose, and which.
    pub ccache: CcacheTarget,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// A service ticket that is to be put into a user's ccache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// Kerberos realm of the user, upper case.
    pub realm: String,
    /// The one KDC of that realm to ask; those of other realms are the host's configuration.
    pub kdc: SocketAddr,
    /// Whose, and which.
    pub ccache: CcacheTarget,
    /// For which service: `SERVICE/HOST`.
    pub service: String,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// A new password for the machine, where its keys are too old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Kerberos realm, upper case.
    pub realm: String,
    /// The one KDC to ask.
    pub kdc: SocketAddr,
    /// The kpasswd server of the same domain controller.
    pub kpasswd: SocketAddr,
    /// Keys that are younger stay.
    pub older_than: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Where and as whom the ccache is written after a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CcacheTarget {
    /// The user's uid.
    pub uid: u32,
    /// The user's primary gid.
    pub gid: u32,
    /// Residual name, template filled in: `FILE:/tmp/krb5cc_1000`.
    pub name: String,
}

/// Most KDCs beside the first one in an [`AuthRequest`].
pub const MOST_OTHERS: usize = 2;

/// A password that is kept in the kernel: whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The user's uid.
    pub uid: u32,
    /// The account that it opens.
    pub sid: Sid,
}

/// One login attempt: one AS exchange that carries proof of the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthRequest {
    /// Kerberos realm, upper case.
    pub realm: String,
    /// The KDC to ask.
    pub kdc: SocketAddr,
    /// Those to ask in its place, in this order, where it is silent before it got any proof of the password; at most
    /// [`MOST_OTHERS`]. Once one has got a proof no other one is asked for this attempt.
    pub other_kdcs: Vec<SocketAddr>,
    /// Principal as an enterprise name (RFC 6806): a UPN or `sam@realm`.
    pub principal: String,
    /// SID of the record that the login is for; the PAC must name the same.
    pub expected_sid: Sid,
    /// Where the ticket goes; `None`: prove the password only.
    pub ccache: Option<CcacheTarget>,
    /// Fail where the exchange cannot run inside the machine's session with the KDC (FAST, RFC 6113).
    pub require_fast: bool,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// A password to be changed, or proven to be the one that may be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRequest {
    /// Kerberos realm, upper case.
    pub realm: String,
    /// The one KDC to ask.
    pub kdc: SocketAddr,
    /// The kpasswd server beside it.
    pub kpasswd: SocketAddr,
    /// Principal as an enterprise name.
    pub principal: String,
    /// As in [`AuthRequest::require_fast`].
    pub require_fast: bool,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What came of a [`ChangeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeVerdict {
    /// The old password is right; nothing was changed, and nothing was to be.
    Proven,
    /// The server says that the new password counts.
    Changed,
    /// The old password is wrong.
    WrongPassword,
    /// Disabled, expired or locked; the account's LDAP state tells which.
    Revoked,
    /// Refused by the KDC's policy: hours, computers, smart cards.
    Policy,
    /// No such principal.
    UnknownPrincipal,
    /// The server refused the new password, in its own words.
    Refused(String),
    /// The new password was sent and no answer came: either may count.
    Unknown(String),
    /// Nothing was sent: no server answered in time.
    Unreachable(String),
    /// Clocks differ too much.
    ClockSkew(String),
    /// Anything else; nothing was changed.
    Failed(String),
}

/// What the KDC's answer proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KdcVerdict {
    /// The password is right, the KDC knows our keytab, and the PAC names the expected SID.
    Success,
    /// Pre-authentication failed.
    WrongPassword,
    /// The KDC says that the password has expired. Proof of the password only where `proven`
    /// (a `kadmin/changepw` ticket was got with it).
    PasswordExpired {
        /// Whether the password was shown to be right.
        proven: bool,
    },
    /// CLIENT_REVOKED: disabled, expired or locked; the account's LDAP state tells which.
    Revoked,
    /// No such principal.
    UnknownPrincipal,
    /// The ticket is for another account than the record's.
    IdentityMismatch,
    /// The KDC could not be verified with the machine keytab: it may be false.
    KdcNotVerified(String),
    /// Clocks differ too much.
    ClockSkew {
        /// In libkrb5's own words.
        why: String,
        /// By how many seconds this host's clock is ahead, where the KDC said what time it is.
        ahead: Option<i64>,
    },
    /// The KDC has no key of this account that this host may use.
    NoCommonEtype(String),
    /// FAST is required and cannot be had.
    NoFast(String),
    /// The KDC did not answer in time.
    Unreachable(String),
    /// The policy forbids this logon (workstation, hours): KDC_ERR_POLICY.
    Policy,
    /// Anything else, in libkrb5's own words.
    Failed(String),
}

/// What came of an [`AuthRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthAnswer {
    /// What the KDC's answer proved.
    pub verdict: KdcVerdict,
    /// Where the ticket was written: the name asked for, or another one where that was taken by somebody else.
    pub ccache: Option<String>,
    /// How long it lasts.
    pub times: Option<TicketTimes>,
}

/// Kerberos, done elsewhere: in a helper process with a deadline.
#[async_trait]
pub trait Kdc: Send + Sync {
    /// Gets a machine ticket from `kdc` with the keytab, into [`entra_wire::paths::MACHINE_CCACHE`].
    async fn machine_ticket(&self, realm: &str, kdc: SocketAddr) -> Result<MachineTicket, Error>;

    /// Proves a password and writes a ticket.
    async fn authenticate(&self, request: AuthRequest, password: PasswordPipe) -> Result<AuthAnswer, Error>;

    /// Proves a password with a ticket that lets it be changed, also where it has expired. Changes nothing.
    async fn prove_for_change(&self, request: ChangeRequest, old: PasswordPipe) -> Result<ChangeVerdict, Error> {
        let (_, _) = (request, old);
        Err(unserved())
    }

    /// Changes a password. An error leaves it open whether the new one counts, except [`Error::Busy`] and
    /// [`Error::Config`]: then nothing was done.
    async fn change_password(
        &self,
        request: ChangeRequest,
        old: PasswordPipe,
        new: PasswordPipe,
    ) -> Result<ChangeVerdict, Error> {
        let (_, _, _) = (request, old, new);
        Err(unserved())
    }

    /// Renews a ticket in its ccache.
    async fn renew(&self, request: RenewRequest) -> Result<TicketTimes, Error> {
        let _ = request;
        Err(unserved())
    }

    /// Gets a service ticket with the TGT of a ccache, and puts it there. Gives its life. [`Error::Offline`] where a KDC on
    /// the way does not answer.
    async fn fetch(&self, request: FetchRequest) -> Result<TicketTimes, Error> {
        let _ = request;
        Err(unserved())
    }

    /// Keeps a password in the kernel for at most `life`, in the place of one that is kept of the same account.
    async fn keep_password(&self, kept: Kept, life: Duration, password: PasswordPipe) -> Result<(), Error> {
        let (_, _, _) = (kept, life, password);
        Err(unserved())
    }

    /// As [`Kdc::authenticate`], with the password that is kept of the account and the ccache's user; it is gone then.
    /// [`Error::Offline`] and [`Error::Busy`]: it was not touched.
    async fn ticket_from_kept(&self, request: AuthRequest) -> Result<AuthAnswer, Error> {
        let _ = request;
        Err(unserved())
    }

    /// Forgets a password; one that is not kept is forgotten already.
    async fn forget_password(&self, kept: Kept) -> Result<(), Error> {
        let _ = kept;
        Err(unserved())
    }

    /// Removes a ccache; one that is not there is gone already.
    async fn destroy_ccache(&self, ccache: CcacheTarget) -> Result<(), Error> {
        let _ = ccache;
        Err(unserved())
    }

    /// Gives the machine a new password where its keys are older than asked for. Gives their new version; `None` where it
    /// was not time.
    async fn rotate_keytab(&self, request: RotateRequest) -> Result<Option<u32>, Error> {
        let _ = request;
        Err(unserved())
    }

    /// The password, and a copy of it for what comes after it was read. Copied by the kernel: this process does not see
    /// it. No copy where it cannot be had, or more may still be written.
    fn copy(&self, password: PasswordPipe) -> Result<(PasswordPipe, Option<PasswordPipe>), Error> {
        Ok((password, None))
    }

    /// Argon2id of a password at today's cost ([`super::verifier::COST`]), as a PHC string.
    async fn make_verifier(&self, password: PasswordPipe) -> Result<String, Error> {
        drop(password);
        Err(unserved())
    }

    /// Whether `verifier` (a PHC string) is this password's. [`Error::Busy`] where the turns of others took longer than
    /// `turn`: then it was not looked at.
    async fn check_verifier(&self, verifier: &str, password: PasswordPipe, turn: Duration) -> Result<bool, Error> {
        let (_, _, _) = (verifier, password, turn);
        Err(unserved())
    }
}

fn unserved() -> Error {
    Error::Config("this process has no Kerberos helper for that".into())
}
