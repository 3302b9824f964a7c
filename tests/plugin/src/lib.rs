//! Support for the tests of both modules and of libentra: they run as an application would meet them, loaded by glibc and libpam in a
//! process of their own, against a daemon that the test plays itself.
//!
//! | Module | Holds |
//! |---|---|
//! | [`modules`] | builds the modules, and lays them out under the names that glibc and libpam load |
//! | [`folder`] | a folder that goes when the test ends |
//! | [`fake_daemon`] | a listening socket whose answers the test chooses |
//! | [`directory`] | users and groups that answer the requests of `nss.sock` |
//! | [`nss_stage`] | the NSS module, a fake daemon and the program that asks glibc, ready to run |
//! | [`capi_stage`] | libentra, a fake daemon, and programs that link with the library |
//! | [`child`] | a program run to its end, or ended at a deadline |
//! | [`valgrind`] | the same under valgrind's memcheck |
//! | [`callgrind`] | the same under valgrind's callgrind, which counts instructions |

#![forbid(unsafe_code)]
// All of this is test code: a failed step ends the test with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod callgrind;
pub mod capi_stage;
pub mod child;
pub mod directory;
pub mod fake_daemon;
pub mod folder;
pub mod modules;
pub mod nss_stage;
pub mod valgrind;
