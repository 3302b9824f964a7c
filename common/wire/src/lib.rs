//! What `entrad` and its modules share: the protocol, the sockets' paths, the guard that answers without asking, and
//! the blocking client.
//!
//! This crate is linked into every process that calls `getpwnam` or opens a PAM conversation. It depends on libc and
//! nothing else, starts no thread, keeps no descriptor between calls and prints nothing.
//!
//! | Module | Holds |
//! |---|---|
//! | [`protocol`] | the grammar of the protocol, on one page, and its numbers |
//! | [`codec`] | reading and writing the grammar's primitives, bounds checked |
//! | [`nss`], [`pam`] | the messages of `nss.sock` and `pam.sock` |
//! | [`client`] | one request, one reply, one deadline |
//! | [`question`] | a lookup's request, tried twice where the daemon is being replaced |
//! | [`guard`] | names and ids that cannot be ours, decided without any call |
//! | [`stated`] | what the root-owned configuration says to the modules: [`ranges`], [`reserved`], [`lookup_deadline`] |
//! | [`local`], [`local_names`] | who stands in `/etc/passwd` and `/etc/group`: read, and kept for many questions |
//! | [`kdc_file`] | the KDC in use, for Kerberos programs |
//! | [`cache_map`] | answers in shared memory: their layout and reader |
//! | [`identity`] | which SID, name and id belong together, many at once; whether the daemon is well |
//! | [`settings`] | which of them a process that looks up users believes in |
//! | [`paths`] | sockets and files, as installed |

#![deny(unsafe_code)]

pub mod cache_map;
pub mod client;
pub mod codec;
mod config_text;
pub mod guard;
pub mod identity;
pub mod kdc_file;
pub mod local;
pub mod local_names;
pub mod lookup_deadline;
pub mod nss;
pub mod pam;
pub mod paths;
pub mod protocol;
pub mod question;
pub mod ranges;
pub mod reserved;
#[allow(unsafe_code)] // FFI edge: SCM_RIGHTS, which std does not have.
pub mod rights;
#[allow(unsafe_code)] // FFI edge: AT_SECURE, the process's user, and a value that is made once.
pub mod settings;
#[allow(unsafe_code)] // FFI edge: socket calls that std does not offer (peer credentials, deadlines).
mod socket;
pub mod stated;
