//! The daemon's parts: [`worker`] answers the sockets without any right, [`broker`] keeps the few rights that are left
//! and executes `krb5-helper` ([`helper`]) for the worker.

#![deny(unsafe_code)]

pub mod account;
pub mod apparmor;
pub mod broker;
pub mod helper;
pub mod journal;
#[allow(unsafe_code)] // FFI edge: add_key, keyctl
pub mod keyring;
pub mod notify;
#[allow(unsafe_code)] // FFI edge: flock
pub mod places;
#[allow(unsafe_code)] // FFI edge: credentials, capabilities, prctl
pub mod privileges;
#[allow(unsafe_code)] // FFI edge: seccomp
pub mod seccomp;
pub mod worker;
