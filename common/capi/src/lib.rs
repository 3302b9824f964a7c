//! `libentra.so.1`: the shared core for other programs, with a C ABI. `include/entra.h` is its documentation.
//!
//! Every answer comes from the shared cache or, where that has none, from the daemon's socket, judged as strictly as the
//! NSS module judges it: what `getent` would not show is not shown here either. No thread is started, nothing is printed,
//! no descriptor is kept, no lock is waited for.
//!
//! | Module | Holds |
//! |---|---|
//! | [`entries`] | the exported functions: C's pointers become borrows |
//! | [`c_types`] | the structs that they fill |
//! | [`identity`] | which SID, name and id belong together |
//! | [`records`] | users, groups, and the groups of a user |
//! | [`sid`] | SIDs as bytes and as text |
//! | [`room`] | putting a record into the caller's memory |
//! | [`host`] | the shared cache, the socket and the local files of this process |
//! | [`status`] | status codes, and the frame around every function |
//!
//! The only crate beside the modules that exports C names: an exported name in a library crate would end up in every
//! module that links it. `libentra.map` lists them with their symbol versions.

#![deny(unsafe_code)]

mod c_types;
#[allow(unsafe_code)]
mod entries;
mod host;
mod identity;
mod records;
#[allow(unsafe_code)]
mod room;
mod sid;
#[allow(unsafe_code)]
mod status;
