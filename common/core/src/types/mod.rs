//! Values that every part of the core speaks in.

mod entry;
mod logon_hours;
mod name;
mod record;
mod sid;
pub mod ssh_key;

pub use entry::{AccountState, Entry, GroupEntry, UserEntry};
pub use logon_hours::LogonHours;
pub use name::{NameForm, fold};
pub use record::{DomainId, GroupRecord, UserRecord};
pub use sid::{Sid, SidError};
