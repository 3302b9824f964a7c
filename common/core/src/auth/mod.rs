//! Authentication, as the use cases see it. The real [`Kdc`] is `entrad`'s broker; tests bring fakes.

mod kdc;

pub use kdc::{AuthAnswer, AuthRequest, CcacheTarget, Kdc, KdcVerdict, MachineTicket, PasswordPipe};
