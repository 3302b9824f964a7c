//! Safe wrapper of the few MIT libkrb5 and GSSAPI calls that the project needs.
//!
//! Two rules hold, with one exception. libkrb5 never chooses a server and never waits by itself: every exchange goes over
//! [`initial`] or [`service_ticket`] to the one KDC that the caller names, before the caller's deadline, or the caller
//! carries it ([`service_ticket_by`]). And it never reads the host's configuration: a [`Context`] runs under a [`Profile`]
//! of ours, kept in memory. The exception are tickets of other realms ([`service_ticket_anywhere`]), whose KDCs the host's
//! configuration names.
//!
//! | Module | Holds |
//! |---|---|
//! | [`profile`] | the configuration's text |
//! | `context`, `principal`, `password`, `keytab`, `ccache` | libkrb5's objects, owned |
//! | `initial`, `service` | AS and TGS exchange, step by step; `transport` carries them |
//! | `change` | a new password, sent to one kpasswd server |
//! | `verify`, [`pac`] | proof of the KDC by the machine's keytab; the account's SID from the PAC |
//! | [`gss`] | GSSAPI's initiator and sealed context, for LDAP |
//! | `derive` | a computer's keys from its password: for a join with a one-time password, and for a new password |
//! | [`keytab_file`] | the file's format, where whole entries are copied or left out |
//! | `simple` | whole jobs in one call, for `entractl` |

#![deny(unsafe_code)]

#[allow(unsafe_code)] // FFI edge
mod ccache;
#[allow(unsafe_code)] // FFI edge
mod change;
#[allow(unsafe_code)] // FFI edge
mod context;
#[allow(unsafe_code)] // FFI edge
mod derive;
mod error;
#[allow(unsafe_code, missing_docs)] // FFI edge; the names are krb5.h's, which documents them
mod ffi;
#[allow(unsafe_code)] // FFI edge
pub mod gss;
#[allow(unsafe_code, missing_docs)] // FFI edge; the names are gssapi.h's, which documents them
mod gss_ffi;
#[allow(unsafe_code)] // FFI edge
mod initial;
#[allow(unsafe_code)] // FFI edge
mod keytab;
pub mod keytab_file;
pub mod pac;
mod password;
#[allow(unsafe_code)] // FFI edge
mod principal;
pub mod profile;
#[allow(unsafe_code)] // FFI edge
mod service;
mod simple;
#[allow(unsafe_code)] // FFI edge: TCP_USER_TIMEOUT
mod transport;
#[allow(unsafe_code)] // FFI edge
mod verify;

pub use ccache::{Ccache, Credentials};
pub use change::{ChangeAnswer, ChangeError, change_password};
pub use context::Context;
pub use derive::{NewKeys, add_computer_key, add_keys};
pub use error::{Error, Kind};
pub use initial::{Armor, InitialRequest, Secret, initial, initial_unless_silent};
pub use keytab::{Keytab, KeytabEntry};
pub use password::Password;
pub use principal::Principal;
pub use profile::Profile;
pub use service::{service_ticket, service_ticket_anywhere, service_ticket_by};
pub use simple::{gives_rc4, initial_with_keytab, initial_with_password, list_keytab, tgt_end};
pub use transport::exchange as kdc_exchange;
pub use verify::{Verified, verify};
