//! Authentication and access: what a login asks of the core. Kerberos itself is behind the trait [`Kdc`]; the real one
//! is `entrad`'s broker, tests bring fakes.

mod audit;
mod change;
mod date;
mod explain;
mod fetch;
mod fetches;
mod judgement;
mod kdc;
mod kept;
mod limited;
mod login;
mod offline;
mod rules;
mod sentence;
mod session;
mod state;
mod tickets;
pub mod verifier;
mod waits;

pub use audit::ADMITTED;
pub use date::utc;
pub use kdc::{
    AuthAnswer, AuthRequest, CcacheTarget, ChangeRequest, ChangeVerdict, FetchRequest, Kdc, KdcVerdict, Kept,
    MOST_OTHERS, MachineTicket, PasswordPipe, RenewRequest, RotateRequest, TicketTimes,
};
pub use login::Login;
