//! What is kept on disk, through a synchronous interface that several threads may use: call it from blocking threads.
//!
//! | File | Holds | When it is damaged |
//! |---|---|---|
//! | `idmap.db` ([`SliceStore`]) | which ids belong to which domain | refused: it cannot be rebuilt |
//! | `identity.db` ([`IdentityStore`]) | users, groups and memberships as last seen | removed and begun anew |
//! | `credentials.db` ([`CredentialStore`]) | verifiers of passwords for offline logins | removed and begun anew |

mod accounts;
mod at_rest;
mod changes;
mod credentials;
mod filters;
mod former;
mod identity;
mod listing;
mod memberships;
mod slices;
mod sqlite;
#[cfg(test)]
mod tests;

pub use at_rest::StoreAtRest;
pub use changes::Change;
pub use credentials::{Credential, CredentialStore};
pub use identity::{IdentityStore, Stats, Stored};
pub use listing::{Kind, Listed, Part};
pub use memberships::Member;
pub use slices::{Block, MetDomain, SliceStore};
