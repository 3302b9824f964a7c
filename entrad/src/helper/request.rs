//! What the worker asks the broker, what the broker asks a helper, and the answers: postcard, between programs of one
//! build. Where that is not certain, [`super::version`] stands in front.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use entra_core::auth::{
    AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, FetchRequest, Kept, MachineTicket,
    RenewRequest, RotateRequest, TicketTimes,
};
use serde::{Deserialize, Serialize};

/// How long a login, or a ticket behind it, waits for a free helper: two hundred at once on two busy processors take fifteen seconds. With what
/// comes before and after it stays below the module's own wait.
const TURN: Duration = Duration::from_secs(25);
/// How long a change of a password does: it has a share of the turns beside any crowd of logins.
const TURN_OF_CHANGE: Duration = Duration::from_secs(5);

/// The closed set of things that a helper does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Get a ticket with the machine keytab, for LDAP and FAST.
    MachineTgt {
        /// Kerberos realm, upper case.
        realm: String,
        /// The one KDC to ask.
        kdc: SocketAddr,
        /// How long all of it may take.
        timeout: Duration,
    },
    /// Prove a password; it comes through a pipe beside the request.
    Authenticate(AuthRequest),
    /// Renew the ticket in a user's ccache.
    Renew(RenewRequest),
    /// Get a service ticket with the TGT of a user's ccache, and put it there.
    Fetch(FetchRequest),
    /// Remove a user's ccache.
    DestroyCcache {
        /// Whose, and which.
        ccache: CcacheTarget,
        /// How long all of it may take.
        timeout: Duration,
    },
    /// Prove the old password with a ticket that lets it be changed, and change it.
    ChangePassword {
        /// Whose, and where.
        request: ChangeRequest,
        /// Whether the new password comes too; without it the old one is proven only.
        change: bool,
    },
    /// Give the machine a new password where its keys are too old.
    RotateKeytab(RotateRequest),
    /// Keep a password in the kernel, for one ticket once the domain is back.
    KeepPassword {
        /// Whose.
        kept: Kept,
        /// How long at most.
        life: Duration,
        /// How long all of it may take.
        timeout: Duration,
    },
    /// As [`Request::Authenticate`], once, with the password that is kept of this account.
    TicketFromKept(AuthRequest),
    /// Forget it.
    ForgetPassword {
        /// Whose.
        kept: Kept,
        /// How long all of it may take.
        timeout: Duration,
    },
    /// Make an Argon2id verifier of a password.
    MakeVerifier {
        /// How long all of it may take.
        timeout: Duration,
    },
    /// Compare a password with an Argon2id verifier.
    CheckVerifier {
        /// PHC string.
        verifier: String,
        /// How long it may wait for the turns of others.
        turn: Duration,
        /// How long the work may take.
        timeout: Duration,
    },
}

impl Request {
    /// How long the requester waits: the work, and before it the turns of others. Those have a time of their own where a
    /// login waits for them, so that each login of a crowd has its KDC's whole time.
    pub fn whole(&self) -> Duration {
        let turn = match self {
            Self::Authenticate(_) | Self::Fetch(_) => TURN,
            Self::ChangePassword { .. } => TURN_OF_CHANGE,
            Self::CheckVerifier { turn, .. } => *turn,
            _ => Duration::ZERO,
        };
        self.timeout() + turn
    }

    /// How long the work may take.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::MachineTgt { timeout, .. }
            | Self::DestroyCcache { timeout, .. }
            | Self::KeepPassword { timeout, .. }
            | Self::ForgetPassword { timeout, .. }
            | Self::MakeVerifier { timeout }
            | Self::CheckVerifier { timeout, .. } => *timeout,
            Self::Renew(request) => request.timeout,
            Self::Fetch(request) => request.timeout,
            Self::RotateKeytab(request) => request.timeout,
            Self::Authenticate(request) | Self::TicketFromKept(request) => request.timeout,
            Self::ChangePassword { request, .. } => request.timeout,
        }
    }

    /// Leaves it this much time.
    pub fn set_timeout(&mut self, left: Duration) {
        match self {
            Self::MachineTgt { timeout, .. }
            | Self::DestroyCcache { timeout, .. }
            | Self::KeepPassword { timeout, .. }
            | Self::ForgetPassword { timeout, .. }
            | Self::MakeVerifier { timeout }
            | Self::CheckVerifier { timeout, .. } => *timeout = left,
            Self::Renew(request) => request.timeout = left,
            Self::Fetch(request) => request.timeout = left,
            Self::RotateKeytab(request) => request.timeout = left,
            Self::Authenticate(request) | Self::TicketFromKept(request) => request.timeout = left,
            Self::ChangePassword { request, .. } => request.timeout = left,
        }
    }

    /// How many passwords come beside it.
    pub fn passwords(&self) -> usize {
        match self {
            Self::MachineTgt { .. }
            | Self::Renew(_)
            | Self::Fetch(_)
            | Self::RotateKeytab(_)
            | Self::DestroyCcache { .. }
            | Self::TicketFromKept(_)
            | Self::ForgetPassword { .. } => 0,
            Self::Authenticate(_)
            | Self::KeepPassword { .. }
            | Self::MakeVerifier { .. }
            | Self::CheckVerifier { .. } => 1,
            Self::ChangePassword { change, .. } => 1 + usize::from(*change),
        }
    }
}

/// What the broker gives a helper: a request that was validated, and places that no worker can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub request: Request,
    /// The machine keytab.
    pub keytab: PathBuf,
    /// Where the machine's ticket is kept.
    pub machine_ccache: PathBuf,
    /// uid and gid of the worker, who owns that ticket.
    pub worker: (u32, u32),
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::MachineTgt`].
    MachineTicket(MachineTicket),
    /// To [`Request::Authenticate`].
    Authenticated {
        /// Verdict and ccache.
        answer: AuthAnswer,
        /// What went wrong beside it, for the log: a ccache that could not be written.
        note: Option<String>,
    },
    /// To [`Request::Renew`].
    Renewed(TicketTimes),
    /// To [`Request::Fetch`].
    Fetched(TicketTimes),
    /// To [`Request::DestroyCcache`].
    Destroyed,
    /// To [`Request::RotateKeytab`]: the version of the new keys; nothing where it was not time.
    Rotated(Option<u32>),
    /// To [`Request::ChangePassword`].
    Change(ChangeVerdict),
    /// To [`Request::KeepPassword`] and [`Request::ForgetPassword`].
    Kept,
    /// To [`Request::MakeVerifier`]: a PHC string.
    Verifier(String),
    /// To [`Request::CheckVerifier`]: whether it is this password's.
    Matches(bool),
    /// It could not be done.
    Failed(Failure),
}

/// Why something could not be done, named by what the worker does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// No answer of the KDC in time: another KDC, or later.
    Offline(String),
    /// The KDC refuses this machine, or its keytab is of no use: join again.
    Machine(String),
    /// Too many requests at once: later.
    Busy,
    /// The request is not one that the broker lets through.
    Refused(String),
    /// The operating system, or the helper itself, failed.
    Internal(String),
    /// The helper could not be started, was killed, or is another version's (an upgrade is under way): again later.
    Ended(String),
}
