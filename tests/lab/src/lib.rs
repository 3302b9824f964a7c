//! A real directory on one machine: network namespaces, a Samba AD DC shaped like Entra Domain Services, client nodes.
//!
//! [`Lab::up`] brings it up, [`Lab::node`] finds a machine in it, [`Node::run`] runs a program there. Everything is
//! built from Debian's packages once and kept; a node is a set of namespaces whose root is an overlay in memory, so
//! nothing that a test does reaches the host, and [`Lab::down`] leaves nothing behind.

#![deny(unsafe_code)]

pub mod accounts;
pub mod booted;
pub mod client;
pub mod cloud;
pub mod command;
pub mod dc;
pub mod guest;
pub mod host;
pub mod member;
pub mod product;
pub mod second;

mod apt;
mod error;
mod lab;
mod namespace;
mod network;
mod node;
#[allow(unsafe_code, reason = "flock")]
mod place;
#[allow(unsafe_code, reason = "kill")]
mod process;
mod reference;
mod roots;
mod terminal;
mod winbind;

pub use apt::with_archives;
pub use command::{Output, TIMED_OUT};
pub use error::{Error, Result};
pub use lab::{Lab, Options, build_roots, down};
pub use node::{DEFAULT_LIMIT, Node};
pub use terminal::Terminal;
