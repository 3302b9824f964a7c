//! The command of an administrator: one file per verb, and below them what they share.
//!
//! | Module | Holds |
//! |---|---|
//! | [`cli`] | the command line (clap), from which man page and completions are made |
//! | [`verbs`] | one file per verb |
//! | [`output`], [`exit`] | text or JSON, exit statuses, failures with remedies |
//! | [`daemon`], [`direct`] | questions to the daemon over `ctl.sock`, and to the directory without it |
//! | [`preflight`] | what is checked before a join, and by `check` |
//! | [`host`] | the files and services of the host that join changes, and how they are undone |
//! | [`adcli`], [`process`] | running adcli and understanding it |
//! | [`registration`] | the host's name in the domain's DNS |
//! | [`policy`] | logon rights of group policies, which nobody enforces here |
//! | [`interrupt`] | Ctrl-C, noted instead of obeyed while a host is being changed |
//! | [`terminal`], [`module`] | FFI edges: a password without echo, whether a module loads |

#![deny(unsafe_code)]

pub mod adcli;
pub mod cli;
pub mod daemon;
pub mod direct;
pub mod exit;
#[allow(unsafe_code)] // FFI edge inside: flock.
pub mod host;
pub mod interrupt;
#[allow(unsafe_code)] // FFI edge: dlopen.
pub mod module;
pub mod output;
pub mod policy;
pub mod preflight;
pub mod process;
pub mod registration;
#[allow(unsafe_code)] // FFI edge: termios.
pub mod terminal;
pub mod verbs;
