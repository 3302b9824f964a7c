//! The shared core: resolves domain users and groups through LDAP with caching, maps SIDs to ids, and decides logins.
//!
//! Use cases ([`lookup`], [`auth`], [`access`]) never name an adapter: they speak to the traits
//! [`directory::Directory`] and [`auth::Kdc`], and `entrad` wires in [`directory::ldap`] and its broker. Time is a
//! parameter wherever a decision rests on it.

#![deny(unsafe_code)] // But for the shared cache's file: cache::region.

pub mod auth;
mod ber;
pub mod cache;
pub mod config;
pub mod control;
pub mod directory;
pub mod discovery;
mod error;
pub mod idmap;
pub mod kkdcp;
mod local;
pub mod lookup;
pub mod machine;
pub mod store;
pub mod types;
pub mod whole_file;

pub use error::Error;
