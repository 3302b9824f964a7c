//! The daemon's parts: [`worker`] answers the sockets without any right, [`broker`] keeps the few rights that are left
//! and executes `krb5-helper` for the worker.

pub mod broker;
pub mod helper;
pub mod worker;
